"""Pictures with a picture of what is wanted of each."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Final

import numpy as np
import torch

from voltphase.core.errors import DataError
from voltphase.data.base import DATASETS
from voltphase.data.dataset import ImageDataset
from voltphase.data.files.pictures import KINDS, PictureFolder, left_out, named, pictures_in, read_pictures

_FOLDERS: Final = ("images", "targets")


@DATASETS.register("pairs")
@dataclass(frozen=True)
class PicturePairs(PictureFolder):
    """Your own pictures with a picture of what is wanted of each: PNG, TIFF or BMP of 8 or 16 bits, in two folders.

    A picture in the folder ``images`` and its target in ``targets`` have one name, but for the suffix. All images are
    of one size and all targets of one, which may be another. They come in the order of their names.

    Args:
        path: Folder that holds ``train``, ``test`` and, to validate with, perhaps ``val``, each with ``images`` and
            ``targets``; or these two themselves, of which a fifth is then held out to test with, nothing of one pair.
        colour: Whether colour pictures are refused, or made ``grey``.
        split_seed: Seed of the draw of what is held out.
        dir: Folder that ``path`` is named from; the current one if null.
    """

    wanted: ClassVar = "folders images and targets"
    things: ClassVar = "pairs"

    def load(self, split: str, *, download: bool = True) -> ImageDataset:
        root, (parts, notes) = self.root, self.parts()
        folder = root / split if parts else root
        pairs, others = _matched(folder)
        notes += [left_out(others)] if others else []
        if not parts and len(pairs) > 1:
            chosen, note = self.drawn(torch.arange(len(pairs)), split, by_class=False)
            pairs, notes = [pairs[index] for index in chosen.nonzero().flatten().tolist()], [*notes, note]
        images, targets = (
            read_pictures([pair[index] for pair in pairs], folder / name, self.colour)
            for index, name in enumerate(_FOLDERS)
        )
        if targets.dtype.kind == "u":
            targets = targets.astype(np.float32) / np.iinfo(targets.dtype).max
        whole = ImageDataset(torch.from_numpy(images), torch.from_numpy(targets), root.name, notes=tuple(notes))
        return whole if parts or not whole.alone else whole.for_both()


def _matched(folder: Path) -> tuple[list[tuple[Path, Path]], list[str]]:
    """Return the pictures in a folder with their targets, and the files that are no pictures."""
    found: list[dict[str, Path]] = []
    others: list[str] = []
    for name in _FOLDERS:
        pictures, rest = pictures_in(folder / name)
        others += rest
        by_name = {picture.stem: picture for picture in pictures}
        if twice := [one.name for one in pictures if by_name[one.stem] != one]:
            raise DataError(
                f"expected one picture of each name in {folder / name}, but got {twice[0]} and "
                f"{by_name[Path(twice[0]).stem].name}: remove one of them"
            )
        found.append(by_name)
    images, targets = found
    if not images:
        raise DataError(f"expected pictures ({KINDS}) in {folder / _FOLDERS[0]}, but there are none")
    for these, those, where in ((images, targets, _FOLDERS[1]), (targets, images, _FOLDERS[0])):
        if alone := [f"{path.parent.name}/{path.name}" for name, path in these.items() if name not in those]:
            raise DataError(
                f"expected a picture of the same name in {folder / where} for each one, but {len(alone)} of "
                f"{len(these)} have none: {named(alone)}"
            )
    return [(image, targets[name]) for name, image in images.items()], others
