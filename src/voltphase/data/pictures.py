"""Pictures in a folder for each class."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import torch

from voltphase.core.errors import DataError
from voltphase.data.base import DATASETS
from voltphase.data.dataset import ImageDataset
from voltphase.data.files.pictures import KINDS, PictureFolder, folders_in, left_out, pictures_in, read_pictures


@DATASETS.register("folder")
@dataclass(frozen=True)
class Pictures(PictureFolder):
    """Your own pictures, a folder for each class in the order of their names: PNG, TIFF or BMP of 8 or 16 bits.

    Args:
        path: Folder that holds ``train``, ``test`` and, to validate with, perhaps ``val``, each with a folder for each
            class; or the folders of the classes themselves, of which a fifth of each is then held out to test with.
        colour: Whether colour pictures are refused, or made ``grey``.
        split_seed: Seed of the order of the pictures, and of the draw of what is held out.
        dir: Folder that ``path`` is named from; the current one if null.
    """

    wanted: ClassVar = "a folder for each class"
    things: ClassVar = "pictures"

    def load(self, split: str, *, download: bool = True) -> ImageDataset:
        root, (parts, notes) = self.root, self.parts()
        classes = [folder.name for folder in folders_in(root / "train" if parts else root, self.wanted)]
        files, labels, others = self._listed(root / split if parts else root, classes)
        notes += [left_out(others)] if others else []
        targets = torch.tensor(labels)
        generator = torch.Generator().manual_seed(self.split_seed)
        order = torch.randperm(len(files), generator=generator)  # the first few are of all classes
        if not parts:
            chosen, note = self.drawn(targets, split)
            order, notes = order[chosen[order]], [*notes, note]
        images = read_pictures([files[index] for index in order.tolist()], root, self.colour)
        return ImageDataset(torch.from_numpy(images), targets[order], root.name, tuple(classes), tuple(notes))

    def _listed(self, folder: Path, classes: Sequence[str]) -> tuple[list[Path], list[int], list[str]]:
        """Return the pictures in folders of classes, their labels, and the files that are no pictures."""
        files, labels, others = [], [], []
        for place in folders_in(folder, self.wanted):
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
