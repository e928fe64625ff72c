"""Images and labels as two tensors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Integral
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from voltphase.core import checks
from voltphase.core.errors import DataError

#: Images with a label each, by themselves.
Pair = tuple[Tensor | np.ndarray, Tensor | np.ndarray]

# More than anyone tells apart: a label beyond is a mistake, for which no names are made.
_MOST_CLASSES: Final = 1 << 16


@dataclass(frozen=True, eq=False)
class ImageDataset(Dataset[tuple[Tensor, Tensor]]):
    """Grey images and their labels, kept whole in memory as they are stored: one byte a pixel.

    Indexing gives ``(images, labels)``: one of each for an integer, a batch for a slice, a list or a tensor
    of indices. A ``torch.utils.data.DataLoader`` fetches a whole batch at once when it is told to leave the
    batch alone: ``DataLoader(dataset, batch_size=500, collate_fn=dataset.collate)``.

    Args:
        images: A ``count x rows x columns`` uint8 tensor, or an array.
        labels: A ``count`` int64 tensor of indices into ``classes``, or an array.
        name: What the data set is called.
        classes: The name of each class.

    Raises:
        DataError: if the tensors have other shapes or types, are empty, or a label has no class.
    """

    images: Tensor
    labels: Tensor
    name: str
    classes: tuple[str, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", " ".join(str(self.name).split()))
        classes = checks.items(self.classes, f"the names of the classes of {self.name}", error=DataError)
        object.__setattr__(self, "classes", tuple(str(one) for one in classes))
        for field in ("images", "labels"):
            object.__setattr__(self, field, checks.array(getattr(self, field), f"the {field}", error=DataError))
        images, labels = self.images, self.labels
        if images.numel() == 0:
            raise DataError(f"expected at least one image in {self.name}, but got none")
        if images.ndim != 3 or images.dtype != torch.uint8:
            wanted = f"the images of {self.name} as a count x rows x columns uint8 tensor"
            raise DataError(f"expected {wanted}, but got {_describe(images)}")
        if labels.ndim != 1 or labels.dtype != torch.int64:
            raise DataError(f"expected the labels of {self.name} as a 1-D int64 tensor, but got {_describe(labels)}")
        if len(images) != len(labels):
            raise DataError(
                f"expected one label for each image of {self.name}, "
                f"but got {len(images)} images and {len(labels)} labels"
            )
        lowest, highest = int(labels.min()), int(labels.max())
        if lowest < 0 or highest >= len(self.classes):
            raise DataError(
                f"expected the labels of {self.name} between 0 and {max(len(self.classes) - 1, 0)}, "
                f"but got {lowest if lowest < 0 else highest}"
            )

    def __len__(self) -> int:
        return len(self.labels)

    def __repr__(self) -> str:
        rows, columns = self.image_shape
        return f"ImageDataset({self.name!r}, {len(self)} images of {rows} x {columns}, {len(self.classes)} classes)"

    def __getitem__(self, index: int | slice | Sequence[int] | Tensor) -> tuple[Tensor, Tensor]:
        return self.images[index], self.labels[index]

    def __getitems__(self, indices: Sequence[int]) -> tuple[Tensor, Tensor]:
        """Return the batch ``(images, labels)`` of a list of indices, as a ``DataLoader`` asks for it."""
        return self[torch.as_tensor(indices)]

    @staticmethod
    def collate(batch: Any) -> tuple[Tensor, Tensor]:
        """Leave a batch as it was fetched: the ``collate_fn`` of a ``DataLoader`` over this data set."""
        return batch

    @property
    def image_shape(self) -> tuple[int, int]:
        """(rows, columns) of one image."""
        return (self.images.shape[1], self.images.shape[2])

    def take(self, count: int) -> ImageDataset:
        """Return the data set of the first ``count`` images, sharing their memory.

        Raises:
            DataError: if there are fewer, or ``count`` is below 1.
        """
        if not (isinstance(count, Integral) and not isinstance(count, bool) and 1 <= count <= len(self)):
            raise DataError(f"expected between 1 and {len(self)} images of {self.name}, but got {checks.shown(count)}")
        return ImageDataset(self.images[:count], self.labels[:count], self.name, self.classes)


def dataset_of(data: object, classes: Sequence[str] = ()) -> ImageDataset:
    """Return a data set as it is, or one of images with their labels.

    Args:
        data: Data set, or ``(images, labels)``.
        classes: Names of the classes of ``(images, labels)``; the numbers up to the largest label by default.

    Raises:
        DataError: if it is neither, or images and labels do not fit.

    Examples:
        >>> dataset_of((np.zeros((2, 4, 4), np.uint8), [0, 1]))
        ImageDataset('given images', 2 images of 4 x 4, 2 classes)
    """
    if isinstance(data, ImageDataset):
        return data
    both = checks.items(data, wanted := "a data set, or (images, labels)", error=DataError)
    if len(both) != 2:
        raise DataError(f"expected {wanted}, but got {len(both)} things")
    images, labels = (
        checks.array(part, what, error=DataError) for part, what in zip(both, ("images", "labels"), strict=True)
    )
    if not (labels.is_floating_point() or labels.is_complex()):
        labels = labels.long()
        highest = int(labels.max()) if labels.numel() else -1
        if highest >= _MOST_CLASSES:
            raise DataError(
                f"expected labels that count classes from 0, at most {_MOST_CLASSES} of them, but got {highest}"
            )
        classes = classes or tuple(map(str, range(highest + 1)))
    return ImageDataset(images, labels, "given images", tuple(classes))


def _describe(tensor: Tensor) -> str:
    return f"shape {tuple(tensor.shape)} of {str(tensor.dtype).removeprefix('torch.')}"
