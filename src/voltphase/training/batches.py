"""Batches of images out of tensors, in an order that depends on nothing but seed and epoch."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from voltphase.core import checks
from voltphase.core.advice import advise
from voltphase.core.errors import DataError
from voltphase.core.limits import gigabytes
from voltphase.data import DataWarning, ImageDataset
from voltphase.network.footprint import gpu_memory
from voltphase.training.processes.ranks import ALONE, Ranks

Flip = Literal["none", "horizontal", "vertical", "both"]

# Control points of a smooth deformation along each side.
_POINTS: Final = 4
# Part of a GPU's free memory that images may take; training needs the rest.
_OF_GPU: Final = 0.5


@dataclass(frozen=True)
class Augmentation:
    """Random changes of the training images, drawn anew for each image of each epoch.

    Where targets are pictures of the same size, they are changed alike.

    Args:
        shift: Largest shift along each axis, as a part of the image's side.
        rotation: Largest angle to turn by, in radians, either way.
        flip: Along which axes half of the images are mirrored.
        elastic: Largest displacement of a smooth deformation at its 4 x 4 control points, as a part of the image's
            side.
    """

    shift: float = 0.0
    rotation: float = 0.0
    flip: Flip = "none"
    elastic: float = 0.0

    def __call__(
        self, images: Tensor, generator: torch.Generator, *, of: int | None = None, part: slice = slice(None)
    ) -> Tensor:
        """Return changed images, real ones from 0 to 1, where the images are; what is left behind is black.

        Args:
            images: A ``batch x rows x columns`` tensor, uint8 or real.
            generator: Generator of the draws, on the CPU, so that they are the same on any device.
            of: Number of images of the batch that ``images`` are a part of; draws are made for all of them.
            part: Which of the batch's images these are.
        """
        count = len(images) if of is None else of

        def draw(*shape: int) -> Tensor:
            return (torch.rand(count, *shape, generator=generator) * 2 - 1)[part].to(images.device)

        sign = torch.where(draw(2) < 0, -1.0, 1.0)
        flips = (self.flip in ("vertical", "both"), self.flip in ("horizontal", "both"))
        signs = [sign[:, axis] if flipped else torch.ones_like(sign[:, axis]) for axis, flipped in enumerate(flips)]
        bend = 2 * self.elastic * draw(2, _POINTS, _POINTS) if self.elastic else None
        return moved(images, self.rotation * draw(), self.shift * draw(2), torch.stack(signs, 1), bend)


def moved(images: Tensor, angle: Tensor, shift: Tensor, sign: Tensor, bend: Tensor | None = None) -> Tensor:
    """Return images that are turned, shifted, mirrored and bent, by bilinear interpolation.

    Args:
        images: A ``batch x rows x columns`` tensor, uint8 or real.
        angle: ``batch`` angles to turn by in radians, from x towards y.
        shift: ``batch x 2`` shifts (y, x) as parts of the sides.
        sign: ``batch x 2`` signs (y, x); -1 mirrors along the axis.
        bend: ``batch x 2 x points x points`` displacements (x, y) of a smooth deformation, in halves of the sides.
    """
    rows, columns = images.shape[-2:]
    values = images / 255 if images.dtype == torch.uint8 else images
    angle, shift, sign = (one.to(values.dtype) for one in (angle, shift, sign))
    cos, sin = torch.cos(angle), torch.sin(angle)
    # Where each pixel comes from, in coordinates that run from -1 to 1 along either side.
    x = torch.stack([sign[:, 1] * cos, sign[:, 1] * sin * (rows / columns), torch.zeros_like(cos)], 1)
    y = torch.stack([-sign[:, 0] * sin * (columns / rows), sign[:, 0] * cos, torch.zeros_like(cos)], 1)
    inverse = torch.stack([x, y], 1)
    inverse[:, :, 2] = -(inverse[:, :, :2] @ (2 * shift.flip(1))[:, :, None])[..., 0]
    grid = functional.affine_grid(inverse, [len(images), 1, rows, columns], align_corners=False)
    if bend is not None:
        smooth = functional.interpolate(bend.to(values.dtype), (rows, columns), mode="bicubic", align_corners=True)
        grid = grid + smooth.permute(0, 2, 3, 1)
    return functional.grid_sample(values[:, None], grid, align_corners=False)[:, 0]


class ImageBatches:
    """All images of a data set, a batch at a time, fetched by index from one tensor.

    Args:
        dataset: Images and targets; moved whole to a device by :meth:`to`, unless they stay in their file.
        batch_size: Number of images in a batch; the last one may hold fewer.
        seed: Seed of the shuffling; without it images come in the data set's order.
        epoch: Function that returns the epoch an iteration is for, so that each has its own order and a resumed run
            the same one.
        augmentation: Random changes of the images, by ``seed``, epoch and batch; None leaves them as they are. Targets
            that are real pictures of the images' size are changed with them.
        ranks: Processes that share each batch; this one is given its part of each, which may hold no image.

    Raises:
        DataError: if it is given no data set; a batch, if the file that it is read from has been written to since.
    """

    def __init__(
        self,
        dataset: ImageDataset,
        batch_size: int,
        *,
        seed: int | None = None,
        epoch: Callable[[], int] = lambda: 0,
        augmentation: Augmentation | None = None,
        ranks: Ranks = ALONE,
    ) -> None:
        advice = "use voltphase.data.ImageDataset"
        checks.instance(dataset, ImageDataset, "a data set", error=DataError, advice=advice)
        self._images, self._targets, self._mapped = dataset.images, dataset.targets, dataset.mapped
        self._files = dataset.files
        self._name, self._device = dataset.name, dataset.images.device
        self.batch_size = checks.whole(batch_size, "a batch size", least=1)
        self._seed = None if seed is None else checks.seed(seed)
        self._epoch, self._augmentation, self._targets_move = epoch, augmentation, targets_move(dataset)
        self._ranks = ranks

    def to(self, device: torch.device, shared: dict[int, Tensor] | None = None) -> None:
        """Move the images to ``device``, from where batches are fetched without crossing to it one by one.

        Those that stay in their file, or would take more than half of the memory that is free there, stay where they
        are, and each batch is moved by itself.

        Args:
            device: Where to.
            shared: By their identities, tensors that are there already and may be shared; what is moved joins them.

        Warns:
            DataWarning: if they are too large for a GPU.
        """
        shared, self._device = {} if shared is None else shared, device
        if self._mapped:
            return
        size = sum(tensor.nbytes for tensor in (self._images, self._targets) if id(tensor) not in shared)
        if device.type == "cuda" and self._images.device != device and size > _OF_GPU * gpu_memory():
            advise(
                f"the {gigabytes(size)} of {self._name} stay in the machine's memory, and batches are moved to the GPU "
                "one by one: all would take more than half of what is free there",
                DataWarning,
            )
            return
        for tensor in (self._images, self._targets):
            if id(tensor) not in shared:
                shared[id(tensor)] = tensor.to(device)
        self._images, self._targets = shared[id(self._images)], shared[id(self._targets)]

    def __len__(self) -> int:
        return -(-len(self._targets) // self.batch_size)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        if self._seed is None:
            for start in range(0, len(self._targets), self.batch_size):
                part = self._ranks.part(min(self.batch_size, len(self._targets) - start))
                yield self._fetched(slice(start + part.start, start + part.stop))
            return
        epoch = self._epoch()
        # With the seed 0 the first layer's draws have these streams too, and make different things out of them.
        order = torch.randperm(len(self._targets), generator=_generator(self._seed, epoch), device="cpu")
        for step, batch in enumerate(order.to(self._images.device).split(self.batch_size)):
            part = self._ranks.part(len(batch))
            images, targets = self._fetched(batch[part])
            if self._augmentation is not None and len(targets):
                drawn = {"of": len(batch), "part": part}
                images = self._augmentation(images, _generator(self._seed, epoch, step), **drawn)
                if self._targets_move:  # by the same draws
                    targets = self._augmentation(targets, _generator(self._seed, epoch, step), **drawn)
            yield images, targets

    def _fetched(self, chosen: slice | Tensor) -> tuple[Tensor, Tensor]:
        for file in self._files:
            file.require_same()
        images, targets = (tensor[chosen].to(self._device) for tensor in (self._images, self._targets))
        if self._mapped and isinstance(chosen, slice):  # what is in a file must not be written to
            images, targets = images.clone(), targets.clone()
        return images, targets


def targets_move(dataset: ImageDataset) -> bool:
    """Return whether targets are pictures that are augmented with their images: real ones, pixel for pixel."""
    return dataset.targets.shape == dataset.images.shape and not dataset.targets.is_complex()


def _generator(*numbers: int) -> torch.Generator:
    stream = np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0]
    return torch.Generator().manual_seed(int(stream >> np.uint64(1)))
