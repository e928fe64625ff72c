"""Data as they are at hand in Python: arrays, tensors, data sets of torch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence, Sized
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from voltphase.core import checks
from voltphase.core.advice import advise
from voltphase.core.errors import DataError, VoltphaseWarning
from voltphase.data.dataset import ImageDataset, held_out_to_test

#: Images with a target each, by themselves.
Pair = tuple[Tensor | np.ndarray, Tensor | np.ndarray | Sequence[Any]]
#: Images in one piece: a data set, ``(images, targets)``, or a data set of torch that can be indexed.
Images = ImageDataset | Pair | Dataset[Any]
#: What can be trained on: images of which some are held out, or those to train and to test with.
Data = Images | tuple[Images, Images] | Mapping[str, Images]

#: What images without a name are called.
GIVEN: Final = "given images"
# More than anyone tells apart: a label beyond is a mistake, for which no names are made.
_MOST_CLASSES: Final = 1 << 16
_SPLITS: Final = ("train", "val", "test")
_WANTED: Final = "a data set, or (images, targets)"
# Pieces that are read before it is shown how many there are to come.
_MANY: Final = 5000
_SHOWN: Final = 5


class DataWarning(VoltphaseWarning):
    """Data that can be learned, but look as if something were missing."""


def dataset_of(data: object, classes: Sequence[str] = (), name: str = GIVEN) -> ImageDataset:
    """Return a data set as it is, or one of images with their targets.

    Args:
        data: Data set; ``(images, targets)``; or a data set of torch that can be indexed, which is read once, item by
            item.
        classes: Names of the classes; by default those that a data set of torch has, or the numbers up to the largest
            label. Targets that are no whole numbers are no labels and have no classes.
        name: What ``(images, targets)`` are called.

    Raises:
        DataError: if it is neither, or images and targets do not fit.

    Examples:
        >>> dataset_of((np.zeros((2, 4, 4), np.uint8), [0, 1]))
        ImageDataset('given images', 2 images of 4 x 4, 2 classes)
    """
    if isinstance(data, ImageDataset):
        return data
    if isinstance(data, Dataset):
        known = getattr(data, "classes", ())
        classes = classes or (tuple(map(str, known)) if isinstance(known, list | tuple) else ())
        name, data = type(data).__name__, _read(data)
    both = checks.items(data, _WANTED, error=DataError)
    if len(both) != 2:
        raise DataError(f"expected {_WANTED}, but got {len(both)} things")
    if isinstance(both[0], list | tuple) and all(hasattr(one, "shape") and hasattr(one, "dtype") for one in both[0]):
        _require_alike(both[0], "image")
    images, targets = (_kept(both[0], f"the images of {name}", "uf"), _kept(both[1], f"the targets of {name}", "f"))
    if not isinstance(targets, Tensor) or not (known := classes_of(targets, name)):
        return ImageDataset(images, targets, name)
    return ImageDataset(images, targets.long(), name, tuple(classes) or known)


def _kept(part: Any, what: str, kinds: str) -> Any:
    # An array in a file is for the data set to read, or to leave there; labels are looked at before.
    mapped = isinstance(part, np.memmap) and part.dtype.kind in kinds
    return part if mapped else checks.array(part, what, error=DataError)


def classes_of(targets: Tensor, name: str) -> tuple[str, ...]:
    """Return the numbers up to the largest label as names of classes, none if targets are no labels.

    Args:
        targets: Labels, or targets of another kind.
        name: What the data set is called.

    Raises:
        DataError: if there would be more than 65536.
    """
    if targets.is_floating_point() or targets.is_complex() or targets.ndim != 1:
        return ()
    highest = int(targets.max()) if targets.numel() else 0
    if highest >= _MOST_CLASSES:
        raise DataError(
            f"expected labels of {name} that count classes from 0, at most {_MOST_CLASSES} of them, but got {highest}"
        )
    return tuple(map(str, range(max(highest + 1, 1))))


def given_datasets(data: Data, seed: int) -> dict[str, ImageDataset]:
    """Return the data sets ``train``, ``test`` and, if there is one, ``val``, of images given in Python.

    Of images in one piece a fifth of each class, or of all where there are no classes, is held out to test with, drawn
    by the seed. One image with a target that is no label, as of a beam shaper, is trained on and tested with.

    Args:
        data: A data set, ``(images, targets)`` or a data set of torch; or two of these to train and to test with, as a
            pair or as ``{"train": ..., "test": ...}``, in which ``"val"`` may be images to validate with.
        seed: Seed of the draw.

    Raises:
        DataError: if the data are of another kind, too few, or what is to be tested or validated with does not fit what
            is trained on.

    Warns:
        DataWarning: if a class is missing from what is to be tested with.
    """
    if (parts := _parts(data)) is not None:
        found = {split: dataset_of(parts[split]) for split in _SPLITS if split in parts}
        if all(one.name == GIVEN and one.classes for one in found.values()):
            # Named by their labels, of which any may lack the last.
            classes = max((one.classes for one in found.values()), key=len)
            for split, one in found.items():
                found[split] = one if one.classes == classes else replace(one, classes=classes)
        check_together(found)
        return found
    whole = dataset_of(data)
    if whole.alone:
        return {"train": whole.for_both(), "test": whole.for_both()}
    test = held_out_to_test(whole.targets, seed, whole.name, by_class=bool(whole.classes))
    images = whole.name if whole.name == GIVEN else f"images of {whole.name}"
    note = f"{int(test.sum())} of the {len(whole)} {images} are held out to test with, drawn by the seed {seed}"
    found = {"train": whole.select(~test, note), "test": whole.select(test, note)}
    check_together(found)
    return found


def check_together(datasets: Mapping[str, ImageDataset]) -> None:
    """Refuse images to test or to validate with that differ from those to train on in size, classes or kind of target.

    Args:
        datasets: Data sets by their splits, ``train`` among them.

    Raises:
        DataError: if they do.

    Warns:
        DataWarning: if a class has no image to test, to validate or to train with.
    """
    kinds = {
        split: (one.image_shape, one.classes, one.targets.shape[1:], one.targets.is_complex())
        for split, one in datasets.items()
    }
    what = ("images of {0[0]} x {0[1]}", "the classes {0}", "targets of shape {0}", "complex targets: {0}")
    for split, kind in kinds.items():
        for words, wanted, got in zip(what, kinds["train"], kind, strict=True):
            if wanted != got:
                raise DataError(
                    f"expected the {split} images of {datasets[split].name} to be as those to train on, "
                    f"{words.format(wanted)}, but got {words.format(got)}"
                )
    for split, one in reversed(list(datasets.items())) if datasets["train"].classes else ():
        missing = sorted(set(range(len(one.classes))) - set(one.targets.unique().tolist()))
        if missing:
            names = ", ".join(one.classes[label] for label in missing[:_SHOWN])
            more = f" and {len(missing) - _SHOWN} more" if len(missing) > _SHOWN else ""
            purpose = "validate" if split == "val" else split
            advise(
                f"{one.name} has no image to {purpose} with of the class {names}{more}: accuracies say nothing of it",
                DataWarning,
            )


def _parts(data: object) -> Mapping[str, object] | None:
    if isinstance(data, Mapping):
        if not {"train", "test"} <= set(data) <= set(_SPLITS):
            raise DataError(
                "expected the data under the keys train, test and perhaps val, but got "
                f"{', '.join(map(str, data)) or 'none'}"
            )
        return data
    if not (isinstance(data, tuple | list) and len(data) == 2):
        return None
    first = data[0]
    nested = isinstance(first, tuple) and len(first) == 2 and getattr(first[0], "ndim", 0) >= 3
    return {"train": data[0], "test": data[1]} if nested or isinstance(first, Dataset) else None


def _read(data: Dataset[Any]) -> tuple[Tensor, Tensor]:
    """Return all images and all targets of a data set of torch, fetched one by one."""
    if not isinstance(data, Sized):
        raise DataError(
            f"expected a data set of torch with a length that can be indexed, but got {checks.shown(data)}: read its "
            "images and give them as (images, targets)"
        )
    images: list[Tensor] = []
    targets: list[Tensor] = []
    with reading(len(data), f"images of {type(data).__name__}") as step:
        for index in range(len(data)):
            item = data[index]
            if not (isinstance(item, tuple | list) and len(item) == 2):
                raise DataError(
                    f"expected (image, target) as item {index} of the data set, but got {checks.shown(item)}"
                )
            for part, found, what in zip(item, (images, targets), ("image", "target"), strict=True):
                found.append(checks.array(part, f"{what} {index}", error=DataError))
            step()
    if not images:
        raise DataError("expected at least one image in the data set, but got none")
    _require_alike(images, "image")
    _require_alike(targets, "target")
    return torch.stack(images), torch.stack(targets)


def _require_alike(found: Sequence[Any], what: str) -> None:
    for index, one in enumerate(found):
        if (one.shape, one.dtype) != (found[0].shape, found[0].dtype):
            kinds = [f"{' x '.join(map(str, each.shape))} {each.dtype}" for each in (found[0], one)]
            raise DataError(
                f"expected every {what} to be as the first, {kinds[0]}, but {what} {index} is {kinds[1]}: bring them "
                "to one size and type"
            )


@contextmanager
def reading(count: int, what: str) -> Iterator[Any]:
    """Show, where there are many pieces and standard error is a terminal, how many have been read.

    Yields:
        A function to be called after each piece.
    """
    if count < _MANY:
        yield lambda: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    console = Console(stderr=True)
    if not console.is_terminal:
        console.print(f"reading {count} {what}", markup=False, highlight=False, soft_wrap=True)
    with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as progress:
        task = progress.add_task(f"reading {what}", total=count)
        yield lambda: progress.advance(task)
