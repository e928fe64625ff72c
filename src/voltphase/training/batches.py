"""Batches of images out of tensors in memory, in an order that depends on nothing but seed and epoch."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import Tensor

from voltphase.core import checks
from voltphase.core.errors import DataError
from voltphase.data import ImageDataset


class ImageBatches:
    """All images of a data set, a batch at a time, fetched by index from one tensor.

    Args:
        dataset: Images and targets; moved whole to a device by :meth:`to`.
        batch_size: Number of images in a batch; the last one may hold fewer.
        seed: Seed of the shuffling; without it images come in the data set's order.
        epoch: Function that returns the epoch an iteration is for, so that each has its own order and a resumed run
            the same one.
    """

    def __init__(
        self,
        dataset: ImageDataset,
        batch_size: int,
        *,
        seed: int | None = None,
        epoch: Callable[[], int] = lambda: 0,
    ) -> None:
        advice = "use voltphase.data.ImageDataset"
        checks.instance(dataset, ImageDataset, "a data set", error=DataError, advice=advice)
        self._images, self._targets = dataset.images, dataset.targets
        self.batch_size = checks.whole(batch_size, "a batch size", least=1)
        self._seed = None if seed is None else checks.seed(seed)
        self._epoch = epoch

    def to(self, device: torch.device, moved: dict[int, Tensor] | None = None) -> None:
        """Move the images to ``device``, from where batches are fetched without crossing to it one by one.

        Args:
            device: Where to.
            moved: By their identities, tensors that are there already and may be shared; what is moved joins them.
        """
        moved = {} if moved is None else moved
        for tensor in (self._images, self._targets):
            if id(tensor) not in moved:
                moved[id(tensor)] = tensor.to(device)
        self._images, self._targets = moved[id(self._images)], moved[id(self._targets)]

    def __len__(self) -> int:
        return -(-len(self._targets) // self.batch_size)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        if self._seed is None:
            yield from zip(self._images.split(self.batch_size), self._targets.split(self.batch_size), strict=True)
            return
        # With the seed 0 the first layer's draws have these streams too, and make different things out of them.
        stream = np.random.SeedSequence([self._seed, self._epoch()]).generate_state(1, np.uint64)[0]
        generator = torch.Generator().manual_seed(int(stream >> np.uint64(1)))
        order = torch.randperm(len(self._targets), generator=generator, device="cpu").to(self._images.device)
        for chosen in order.split(self.batch_size):
            yield self._images[chosen], self._targets[chosen]
