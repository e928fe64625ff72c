"""Batches of images out of tensors in memory, in an order that depends on nothing but seed and epoch."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from voltphase.core import checks
from voltphase.core.errors import DataError
from voltphase.data import ImageDataset, Pair, dataset_of

#: Images given in Python: ``(images, labels)``, a data set, or two of them to train and to test with.
Data = ImageDataset | tuple[ImageDataset, ImageDataset] | Pair

_HELD_OUT = 5


def given_datasets(data: Data, seed: int) -> tuple[ImageDataset, ImageDataset]:
    """Return data sets to train and to test with, of images given in Python.

    Of images with their labels, or of a single data set, a fifth is held out to test with, drawn by the seed.

    Raises:
        DataError: if the data are of another kind, or too few.
    """
    if isinstance(data, Sequence) and len(data) == 2 and isinstance(data[0], ImageDataset):
        return data[0], checks.instance(data[1], ImageDataset, "a data set to test with", error=DataError)
    data = dataset_of(data)
    if len(data) < 2:
        raise DataError(f"expected at least two images, of which some are held out to test with, but got {len(data)}")
    order = torch.randperm(len(data), generator=torch.Generator().manual_seed(seed), device="cpu")
    held_out = -(-len(data) // _HELD_OUT)
    train, test = (data[chosen.sort().values] for chosen in (order[held_out:], order[:held_out]))
    return ImageDataset(*train, data.name, data.classes), ImageDataset(*test, data.name, data.classes)


class ImageBatches:
    """All images of a data set, a batch at a time, fetched by index from one tensor.

    Args:
        dataset: Images and labels; moved whole to a device by :meth:`to`.
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
        self._images, self._labels = dataset.images, dataset.labels
        self.batch_size = checks.whole(batch_size, "a batch size", least=1)
        self._seed = None if seed is None else checks.seed(seed)
        self._epoch = epoch

    def to(self, device: torch.device) -> None:
        """Move the images to ``device``, from where batches are fetched without crossing to it one by one."""
        self._images, self._labels = self._images.to(device), self._labels.to(device)

    def __len__(self) -> int:
        return -(-len(self._labels) // self.batch_size)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        if self._seed is None:
            yield from zip(self._images.split(self.batch_size), self._labels.split(self.batch_size), strict=True)
            return
        # With the seed 0 the first layer's draws have these streams too, and make different things out of them.
        stream = np.random.SeedSequence([self._seed, self._epoch()]).generate_state(1, np.uint64)[0]
        generator = torch.Generator().manual_seed(int(stream >> np.uint64(1)))
        order = torch.randperm(len(self._labels), generator=generator, device="cpu").to(self._images.device)
        for chosen in order.split(self.batch_size):
            yield self._images[chosen], self._labels[chosen]
