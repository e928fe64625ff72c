"""Pictures with a picture of what is wanted of each."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final

import numpy as np
import torch
from annotated_types import Ge

from voltphase.core.errors import DataError
from voltphase.data.base import DATASETS, TEST_SHARE, Colour, own_path
from voltphase.data.dataset import ImageDataset, held_out
from voltphase.data.files.pictures import KINDS, left_out, named, pictures_in, read_pictures, splits_in

_FOLDERS: Final = ("images", "targets")
_WANTED: Final = "folders images and targets"


@DATASETS.register("pairs")
@dataclass(frozen=True)
class PicturePairs:
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

    path: str
    colour: Colour = "refuse"
    split_seed: Annotated[int, Ge(0)] = 0
    dir: str | None = None

    @property
    def splits(self) -> tuple[str, ...]:
        return tuple(splits_in(own_path(self.dir, self.path), _WANTED)[0]) or ("train", "test")

    def load(self, split: str, *, download: bool = True) -> ImageDataset:
        root = own_path(self.dir, self.path)
        parts, unused = splits_in(root, _WANTED)
        folder = root / split if parts else root
        pairs, others = _matched(folder)
        notes = [f"{', '.join(unused)} in {root} is not used"] if unused else []
        notes += [left_out(others)] if others else []
        if not parts and len(pairs) > 1:
            test = held_out(torch.arange(len(pairs)), TEST_SHARE, self.split_seed, by_class=False)
            notes.append(
                f"{int(test.sum())} of the {len(pairs)} pairs in {root.name} are held out to test with, drawn by "
                f"data.split_seed {self.split_seed}: there is no folder test"
            )
            pairs = [pair for pair, held in zip(pairs, test.tolist(), strict=True) if held == (split == "test")]
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
