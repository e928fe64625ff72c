"""Pictures in a folder for each class."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final

import torch
from annotated_types import Ge

from voltphase.core.errors import DataError
from voltphase.data.base import DATASETS, TEST_SHARE, Colour, own_path
from voltphase.data.dataset import ImageDataset, held_out
from voltphase.data.files.pictures import KINDS, folders_in, left_out, pictures_in, read_pictures, splits_in

_WANTED: Final = "a folder for each class"


@DATASETS.register("folder")
@dataclass(frozen=True)
class Pictures:
    """Your own pictures, a folder for each class in the order of their names: PNG, TIFF or BMP of 8 or 16 bits.

    Args:
        path: Folder that holds ``train``, ``test`` and, to validate with, perhaps ``val``, each with a folder for each
            class; or the folders of the classes themselves, of which a fifth of each is then held out to test with.
        colour: Whether colour pictures are refused, or made ``grey``.
        split_seed: Seed of the order of the pictures, and of the draw of what is held out.
        dir: Folder that ``path`` is named from; the current one if null.
    """

    path: str
    colour: Colour = "refuse"
    split_seed: Annotated[int, Ge(0)] = 0
    dir: str | None = None

    @property
    def splits(self) -> tuple[str, ...]:
        return tuple(splits_in(self._root, _WANTED)[0]) or ("train", "test")

    def load(self, split: str, *, download: bool = True) -> ImageDataset:
        root = self._root
        parts, unused = splits_in(root, _WANTED)
        notes = [f"{', '.join(unused)} in {root} is not used"] if unused else []
        classes = [folder.name for folder in folders_in(root / "train" if parts else root, _WANTED)]
        files, labels, others = _listed(root / split if parts else root, classes)
        if others:
            notes.append(left_out(others))
        targets = torch.tensor(labels)
        generator = torch.Generator().manual_seed(self.split_seed)
        order = torch.randperm(len(files), generator=generator)  # the first few are of all classes
        if not parts:
            test = held_out(targets, TEST_SHARE, self.split_seed)
            notes.append(
                f"{int(test.sum())} of the {len(files)} pictures in {root.name} are held out to test with, drawn by "
                f"data.split_seed {self.split_seed}: there is no folder test"
            )
            order = order[test[order] if split == "test" else ~test[order]]
        images = read_pictures([files[index] for index in order.tolist()], root, self.colour)
        return ImageDataset(torch.from_numpy(images), targets[order], root.name, tuple(classes), tuple(notes))

    @property
    def _root(self) -> Path:
        return own_path(self.dir, self.path)


def _listed(folder: Path, classes: Sequence[str]) -> tuple[list[Path], list[int], list[str]]:
    """Return the pictures in folders of classes, their labels, and the files that are no pictures."""
    files, labels, others = [], [], []
    for place in folders_in(folder, _WANTED):
        if place.name not in classes:
            raise DataError(
                f"expected the classes to train on, {', '.join(classes)}, in {folder}, but got {place.name}, too"
            )
        pictures, rest = pictures_in(place)
        others += rest
        if not pictures and folder.name not in ("val", "test"):
            raise DataError(f"expected pictures ({KINDS}) of the class {place.name} in {place}, but there are none")
        files += pictures
        labels += [classes.index(place.name)] * len(pictures)
    if not files:
        raise DataError(f"expected pictures in the folders of classes in {folder}, but there are none")
    return files, labels, others
