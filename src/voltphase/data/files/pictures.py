"""Pictures in files, PNG, TIFF or BMP of 8 or 16 bits, as arrays."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar, Final

import numpy as np
from annotated_types import Ge
from numpy.typing import NDArray
from torch import Tensor

from voltphase.core.errors import DataError
from voltphase.core.files import PICTURES, read_errors, stored_picture
from voltphase.core.limits import require_memory
from voltphase.data.base import SPLITS, Colour, own_path
from voltphase.data.dataset import grey, held_out_to_test
from voltphase.data.given import reading

#: The kinds of files as sentences name them.
KINDS: Final = ", ".join(suffix[1:].upper() for suffix in PICTURES)
_NAMED: Final = 3
_THREADS: Final = 4


def folders_in(folder: Path, wanted: str) -> list[Path]:
    """Return the folders in a folder by the order of their names, with a DataError that says what is wanted if none."""
    with read_errors(folder, DataError):
        found = sorted(place for place in folder.iterdir() if place.is_dir() and not place.name.startswith((".", "__")))
    if not found:
        raise DataError(f"expected {wanted} in {folder}, but there is none")
    return found


@dataclass(frozen=True)
class PictureFolder:
    """Pictures in a folder of one's own, in parts to train and to test with, or in one piece of which some is held out.

    Args:
        path: The folder.
        colour: Whether colour pictures are refused, or made ``grey``.
        split_seed: Seed of the draw of what is held out.
        dir: Folder that ``path`` is named from; the current one if null.
    """

    #: What lies in each part, as sentences name it, and what there is to learn from.
    wanted: ClassVar[str]
    things: ClassVar[str]

    path: str
    colour: Colour = "refuse"
    split_seed: Annotated[int, Ge(0)] = 0
    dir: str | None = None

    @property
    def root(self) -> Path:
        """The folder as a path."""
        return own_path(self.dir, self.path)

    @property
    def splits(self) -> tuple[str, ...]:
        """The parts that can be loaded."""
        return tuple(self.parts()[0]) or ("train", "test")

    def parts(self) -> tuple[list[str], list[str]]:
        """Return the names of the parts, none if all is in one piece, and sentences on what is not used.

        Raises:
            DataError: if there are images to train with and none to test with, or none but to test with.
        """
        root = self.root
        inner = [folder.name for folder in folders_in(root, self.wanted)]
        if not (own := {"train", "test"} & set(inner)):
            return [], []
        if len(own) == 1:
            raise DataError(f"expected both train and test in {root}, or {self.wanted}, but got {', '.join(inner)}")
        unused = [name for name in inner if name not in SPLITS]
        return [split for split in SPLITS if split in inner], [f"{', '.join(unused)} in {root} is not used"] * bool(
            unused
        )

    def drawn(self, targets: Tensor, split: str, *, by_class: bool = True) -> tuple[Tensor, str]:
        """Return a mask of what is held out to test with, or of the rest to train with, and the sentence on it.

        Args:
            targets: Labels of all, or numbers of any kind.
            split: ``train`` or ``test``.
            by_class: Whether targets are labels.

        Raises:
            DataError: if there are too few to hold any out.
        """
        test = held_out_to_test(targets, self.split_seed, self.root.name, by_class=by_class)
        return test if split == "test" else ~test, (
            f"{int(test.sum())} of the {len(test)} {self.things} in {self.root.name} are held out to test with, drawn "
            f"by data.split_seed {self.split_seed}: there is no folder test"
        )


def pictures_in(folder: Path) -> tuple[list[Path], list[str]]:
    """Return the pictures in a folder by the order of their names, and what else is in it, named with the folder."""
    with read_errors(folder, DataError):
        names = sorted(entry.name for entry in os.scandir(folder) if not entry.name.startswith("."))
    pictures = [folder / name for name in names if name.lower().endswith(PICTURES)]
    return pictures, [f"{folder.name}/{name}" for name in names if not name.lower().endswith(PICTURES)]


def left_out(others: Sequence[str]) -> str:
    """Return the sentence that says which files are no pictures."""
    return f"{len(others)} files that are no pictures are left out, such as {others[0]}"


def named(things: Sequence[str]) -> str:
    """Return the first few of some things, and how many more there are."""
    more = f", and {len(things) - _NAMED} more" if len(things) > _NAMED else ""
    return f"{'; '.join(things[:_NAMED])}{more}"


def read_pictures(files: Sequence[Path], root: Path, colour: Colour) -> NDArray[Any]:
    """Return pictures as one array, of uint8 or uint16 as they are stored; of both, as parts of the brightest, float32.

    Args:
        files: Paths of the pictures, all in the folder ``root``.
        root: Folder that sentences name pictures from.
        colour: What is done with colours.

    Raises:
        DataError: if some cannot be read, which are named, their sizes differ, or there is no memory for all.
    """
    if not files:
        raise DataError(f"expected pictures in {root}, two at least where some are held out to test with: add some")
    found: list[NDArray[Any]] = []
    wrong: list[str] = []
    with reading(len(files), f"pictures of {root.name}") as step, ThreadPoolExecutor(_THREADS) as pool:
        for index, result in enumerate(pool.map(lambda file: _read_picture(file, colour), files)):
            if isinstance(result, str):
                wrong.append(f"{files[index].relative_to(root)} {result}")
            else:
                found.append(result)
            if index == 0 and not isinstance(result, str):
                require_memory(
                    2.0 * result.nbytes * len(files),
                    f"reading {root}",
                    DataError,
                    "free memory, or give fewer pictures",
                )
            step()
    if wrong:
        raise DataError(
            f"expected pictures that can be learned in {root}, but {len(wrong)} of {len(files)} cannot: {named(wrong)}"
        )
    shapes = Counter(image.shape for image in found)
    if len(shapes) > 1:
        kinds = [
            f"{rows} x {columns} ({count}, such as {files[_first(found, (rows, columns))].relative_to(root)})"
            for (rows, columns), count in shapes.most_common(_NAMED)
        ]
        raise DataError(f"expected pictures of one size in {root}, but got {', '.join(kinds)}: bring them to one size")
    if len({image.dtype for image in found}) > 1:  # a picture with more bits than another has no other brightness
        found = [image.astype(np.float32) / np.iinfo(image.dtype).max for image in found]
    return np.stack(found)


def _first(images: Sequence[NDArray[Any]], shape: tuple[int, int]) -> int:
    return next(index for index, image in enumerate(images) if image.shape == shape)


def _read_picture(file: Path, colour: Colour) -> NDArray[Any] | str:
    """Return a picture as grey levels of 8 or 16 bits, or why that cannot be, as the predicate of a sentence."""
    found = stored_picture(file)
    if isinstance(found, str) or found.ndim == 2:
        return found
    return "has colours: set data.colour to grey to make it grey" if colour == "refuse" else grey(found).numpy()
