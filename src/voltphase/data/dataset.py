"""Images and what is wanted of each, as two tensors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from numbers import Integral
from typing import Any, Final

import torch
from torch import Tensor
from torch.utils.data import Dataset

from voltphase.core import checks
from voltphase.core.errors import DataError
from voltphase.core.limits import gigabytes
from voltphase.data.mapped import MappedFile, mapped

#: Part of images in one piece that is held out to test with.
TEST_SHARE: Final = 0.2
# ITU-R BT.601, in 65536ths, as Pillow makes grey of colours.
_LUMA: Final = (19595, 38470, 7471)
# Numbers that are looked at together.
_AT_ONCE: Final = 1 << 24


@dataclass(frozen=True, eq=False)
class ImageDataset(Dataset[tuple[Tensor, Tensor]]):
    """Grey images and what is wanted of each, kept as they are stored: in memory, or in a file that is large.

    Indexing gives ``(images, targets)``: one of each for an integer, a batch for a slice, a list or a tensor
    of indices. A ``torch.utils.data.DataLoader`` fetches a whole batch at once when it is told to leave the
    batch alone: ``DataLoader(dataset, batch_size=500, collate_fn=dataset.collate)``.

    Args:
        images: A ``count x rows x columns`` tensor or array: uint8, whose 255 is amplitude 1, or real numbers from 0 to
            1. An axis of one colour may stand beside; uint16 is divided by 65535, and boolean images become uint8.
        targets: A tensor or an array of ``count`` targets: int64 indices into ``classes``, or numbers of any shape if
            there are no classes.
        name: What the data set is called.
        classes: The name of each class; none where targets are no labels.
        notes: Sentences that say how the data set was made, where that is not plain from its name.
        mapped: Whether the images stay in their file, as those of a large memory-mapped array do: each batch is read
            from there when it is needed, and none of them can be chosen one by one.
        files: Files that images or targets stay in.

    Raises:
        DataError: if the tensors have other shapes or types, are empty, a pixel is beyond its range, or a label has no
            class.
    """

    images: Tensor
    targets: Tensor
    name: str
    classes: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    mapped: bool = False
    files: tuple[MappedFile, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", " ".join(str(self.name).split()))
        classes = checks.items(self.classes, f"the names of the classes of {self.name}", error=DataError)
        object.__setattr__(self, "classes", tuple(str(one) for one in classes))
        what = "labels" if self.classes else "targets"
        images, targets = (
            self._tensor(part, f"the {name} of {self.name}")
            for part, name in ((self.images, "images"), (self.targets, what))
        )
        images = _grey_levels(images, self.name)
        object.__setattr__(self, "images", images)
        object.__setattr__(self, "targets", targets)
        if self.classes and (targets.ndim != 1 or targets.dtype != torch.int64):
            raise DataError(f"expected the labels of {self.name} as a 1-D int64 tensor, but got {_describe(targets)}")
        if targets.ndim == 0 or len(images) != len(targets):
            count = 1 if targets.ndim == 0 else len(targets)
            raise DataError(
                f"expected one {what[:-1]} for each image of {self.name}, but got {len(images)} images and {count} "
                f"{what}"
            )
        if self.classes:
            lowest, highest = int(targets.min()), int(targets.max())
            if lowest < 0 or highest >= len(self.classes):
                raise DataError(
                    f"expected the labels of {self.name} between 0 and {len(self.classes) - 1}, "
                    f"but got {lowest if lowest < 0 else highest}"
                )
        elif not targets.is_complex():
            finite = torch.cat([part.reshape(len(part), -1).isfinite().all(1) for part in _pieces(targets)])
            if not bool(finite.all()):
                bad = int((~finite).nonzero()[0])
                raise DataError(f"expected finite targets in {self.name}, but that of image {bad} is not: correct it")

    def _tensor(self, given: object, what: str) -> Tensor:
        if (stays := mapped(given, what)) is None:
            return _plain(checks.array(given, what, error=DataError))
        object.__setattr__(self, "mapped", True)
        if (file := MappedFile.of(given)) is not None:
            object.__setattr__(self, "files", (*self.files, file))
        note = f"{what}, {gigabytes(stays.nbytes)}, are read from their file batch by batch"
        object.__setattr__(self, "notes", (*self.notes, note))
        return stays

    def __len__(self) -> int:
        return len(self.targets)

    def __repr__(self) -> str:
        rows, columns = self.image_shape
        wanted = f"{len(self.classes)} classes" if self.classes else f"targets of {_describe(self.targets)}"
        return f"ImageDataset({self.name!r}, {len(self)} images of {rows} x {columns}, {wanted})"

    def __getitem__(self, index: int | slice | Sequence[int] | Tensor) -> tuple[Tensor, Tensor]:
        return self.images[index], self.targets[index]

    def __getitems__(self, indices: Sequence[int]) -> tuple[Tensor, Tensor]:
        """Return the batch ``(images, targets)`` of a list of indices, as a ``DataLoader`` asks for it."""
        return self[torch.as_tensor(indices)]

    @staticmethod
    def collate(batch: Any) -> tuple[Tensor, Tensor]:
        """Leave a batch as it was fetched: the ``collate_fn`` of a ``DataLoader`` over this data set."""
        return batch

    @property
    def labels(self) -> Tensor:
        """The targets, of images that have a class each."""
        return self.targets

    @property
    def image_shape(self) -> tuple[int, int]:
        """(rows, columns) of one image."""
        return (self.images.shape[1], self.images.shape[2])

    @property
    def alone(self) -> bool:
        """Whether it is one image with a target that is no label: nothing to generalise from, but a picture to make."""
        return len(self) == 1 and not self.classes

    def for_both(self) -> ImageDataset:
        """Return the data set of one image with a note that it is trained on and tested with."""
        return self.select(slice(None), f"{self.name} holds one image, which is trained on and tested with")

    def take(self, count: int) -> ImageDataset:
        """Return the data set of the first ``count`` images, sharing their memory.

        Raises:
            DataError: if there are fewer, or ``count`` is below 1.
        """
        if not (isinstance(count, Integral) and not isinstance(count, bool) and 1 <= count <= len(self)):
            raise DataError(f"expected between 1 and {len(self)} images of {self.name}, but got {checks.shown(count)}")
        return self.select(slice(int(count)))

    def select(self, index: slice | Tensor, *notes: str) -> ImageDataset:
        """Return the data set of some of the images, with more notes on it.

        Raises:
            DataError: if they stay in their file and are to be chosen one by one, which would read all that are chosen.
        """
        if self.mapped and not isinstance(index, slice):
            raise DataError(
                f"expected images to test or to validate with by themselves, since those of {self.name} stay in their "
                "file, of which none are held out: give them as test and val, and leave data.val_fraction at 0"
            )
        images, targets = self[index]
        return replace(self, images=images, targets=targets, notes=(*self.notes, *notes))


def grey(images: object) -> Tensor:
    """Return colour images as grey ones, 0.299 R + 0.587 G + 0.114 B (ITU-R BT.601), of the type they are of.

    Args:
        images: A ``count x rows x columns x 3`` tensor or array, or ``count x 3 x rows x columns`` as torch has them.

    Raises:
        DataError: if there is no axis of three colours.

    Examples:
        >>> grey(torch.tensor([[[[255, 255, 255], [255, 0, 0]]]], dtype=torch.uint8))
        tensor([[[255,  76]]], dtype=torch.uint8)
    """
    given = checks.array(images, "colour images", error=DataError)
    axis = next((axis for axis in (-1, -3) if given.ndim >= 3 and given.shape[axis] == len(_LUMA)), None)
    if axis is None:
        raise DataError(f"expected colour images of count x rows x columns x 3, but got {_describe(given)}")
    real = given.is_floating_point()
    wide = given.dtype if real else torch.int32 if given.dtype == torch.uint8 else torch.int64
    total = torch.zeros((), dtype=wide)
    for part, weight in zip(given.unbind(axis), _LUMA, strict=True):
        total = total + part.to(wide) * weight
    return total / 65536 if real else ((total + 32768) >> 16).to(given.dtype)


def held_out(targets: Tensor, share: float, seed: int, *, by_class: bool = True) -> Tensor:
    """Return a mask of the images to hold out: a share of each class, drawn in turn, at least one where there are two.

    Args:
        targets: Labels, or targets of which all are drawn from alike.
        share: Part to hold out.
        seed: Seed of the draw.
        by_class: Whether targets are labels.
    """
    generator = torch.Generator().manual_seed(seed)
    # On the CPU, whatever PyTorch's default device is.
    targets, chosen = targets.cpu(), torch.zeros(len(targets), dtype=torch.bool, device="cpu")
    groups = [targets == label for label in targets.unique()] if by_class else [torch.ones_like(chosen)]
    for group in groups:
        members = group.nonzero().squeeze(1)
        shuffled = members[torch.randperm(len(members), generator=generator, device="cpu")]
        chosen[shuffled[: max(round(share * len(members)), int(len(members) > 1))]] = True
    return chosen


def held_out_to_test(targets: Tensor, seed: int, name: str, *, by_class: bool) -> Tensor:
    """Return a mask of what is held out to test with of images in one piece: a fifth, of each class if there are some.

    Args:
        targets: Labels of all, or targets of any kind.
        seed: Seed of the draw.
        name: What the images are called.
        by_class: Whether targets are labels.

    Raises:
        DataError: if there are too few to hold any out.
    """
    chosen = held_out(targets, TEST_SHARE, seed, by_class=by_class)
    if not bool(chosen.any()):
        raise DataError(
            f"expected at least two images{' of a class' if by_class else ''} in {name}, of which some are held out to "
            f"test with, but got {len(targets)} in all: add some, or give images to test with by themselves"
        )
    return chosen


def _plain(tensor: Tensor) -> Tensor:
    """Return a tensor as data: without a history of gradients, and not of inference mode, which learning refuses."""
    return tensor.clone() if tensor.is_inference() else tensor.detach()


def _grey_levels(images: Tensor, name: str) -> Tensor:
    """Return images as they are stored, once their range is known and held."""
    if images.numel() == 0:
        raise DataError(f"expected at least one image in {name}, but got none")
    if images.ndim == 4 and 1 in (images.shape[1], images.shape[3]):
        images = images.squeeze(1 if images.shape[1] == 1 else 3)
    if images.dtype == torch.bool:
        images = images.to(torch.uint8) * 255
    if images.dtype == torch.uint16:
        images = images.to(torch.float32) / 65535
    if images.dtype == torch.bfloat16:  # unknown to numpy
        images = images.to(torch.float32)
    if images.ndim != 3 or not (images.dtype == torch.uint8 or images.is_floating_point()):
        colours = images.ndim == 4 and 3 in (images.shape[1], images.shape[3])
        advice = (
            "make them grey with voltphase.data.grey, or data.colour set to grey"
            if colours
            else "give grey values as uint8"
        )
        raise DataError(
            f"expected the images of {name} as a count x rows x columns tensor of uint8 (255 is amplitude 1), uint16 "
            f"or real numbers from 0 to 1, but got {_describe(images)}: {advice}"
        )
    if images.is_floating_point():
        ends = [part.flatten(1).aminmax(dim=1) for part in _pieces(images)]
        low, high = (torch.cat(each) for each in zip(*ends, strict=True))
        wrong = ~((low >= 0) & (high <= 1))
        if bool(wrong.any()):
            bad = int(wrong.nonzero()[0])
            wanted = f"expected real images of {name} to be amplitudes from 0 to 1, but got"
            if low[bad].isnan():
                raise DataError(
                    f"{wanted} a value that is not a number in image {bad}: correct it, or leave the image out"
                )
            raise DataError(
                f"{wanted} {low[bad]:g} to {high[bad]:g} in image {bad}: give grey values from 0 to 255 as uint8, and "
                "undo what normalizes to another range"
            )
    return images


def _pieces(values: Tensor) -> Sequence[Tensor]:
    """Return some rows after the other, of so many numbers that what is made of them takes little memory."""
    return values.split(max(1, _AT_ONCE * len(values) // max(1, values.numel())))


def _describe(tensor: Tensor) -> str:
    return f"shape {tuple(tensor.shape)} of {str(tensor.dtype).removeprefix('torch.')}"
