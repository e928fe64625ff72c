"""Pictures in a folder for each class."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final

import numpy as np
import torch
from annotated_types import Ge
from numpy.typing import NDArray

from voltphase.core.errors import DataError
from voltphase.core.files import checked_path, read_errors
from voltphase.core.limits import require_memory
from voltphase.data.base import DATASETS, TEST_SHARE, Colour
from voltphase.data.dataset import ImageDataset, grey, held_out
from voltphase.data.given import reading

_SUFFIXES: Final = (".png", ".tif", ".tiff", ".bmp")
_SPLITS: Final = ("train", "test")
_NAMED: Final = 3
_THREADS: Final = 4


@DATASETS.register("folder")
@dataclass(frozen=True)
class Pictures:
    """Your own pictures, a folder for each class in the order of their names: PNG, TIFF or BMP of 8 or 16 bits.

    Args:
        path: Folder that holds ``train`` and ``test``, each with a folder for each class; or the folders of the
            classes themselves, of which a fifth of each is then held out to test with.
        colour: Whether colour pictures are refused, or made ``grey``.
        split_seed: Seed of the order of the pictures, and of the draw of what is held out.
        dir: Folder that ``path`` is named from; the current one if null.
    """

    path: str
    colour: Colour = "refuse"
    split_seed: Annotated[int, Ge(0)] = 0
    dir: str | None = None

    def load(self, split: str, *, download: bool = True) -> ImageDataset:
        root = checked_path(Path(self.dir or ".").expanduser() / Path(self.path).expanduser(), DataError)
        inner = [folder.name for folder in _folders(root)]
        parted = set(_SPLITS) <= set(inner)
        if not parted and set(inner) & set(_SPLITS):
            raise DataError(
                f"expected both train and test in {root}, or folders of classes, but got {', '.join(inner)}"
            )
        notes = [
            f"{', '.join(left)} in {root} is not used" for left in [sorted(set(inner) - {*_SPLITS})] if parted and left
        ]
        classes = [folder.name for folder in _folders(root / "train" if parted else root)]
        files, labels, others = _listed(root / split if parted else root, classes)
        if others:
            notes.append(f"{len(others)} files that are no pictures are left out, such as {others[0]}")
        targets = torch.tensor(labels)
        generator = torch.Generator().manual_seed(self.split_seed)
        order = torch.randperm(len(files), generator=generator)  # the first few are of all classes
        if not parted:
            test = held_out(targets, TEST_SHARE, self.split_seed)
            notes.append(
                f"{int(test.sum())} of the {len(files)} pictures in {root.name} are held out to test with, drawn by "
                f"data.split_seed {self.split_seed}: there is no folder test"
            )
            order = order[test[order] if split == "test" else ~test[order]]
        images = _read_all([files[index] for index in order.tolist()], root, self.colour)
        return ImageDataset(torch.from_numpy(images), targets[order], root.name, tuple(classes), tuple(notes))


def _folders(folder: Path) -> list[Path]:
    with read_errors(folder, DataError):
        found = sorted(place for place in folder.iterdir() if place.is_dir() and not place.name.startswith((".", "__")))
    if not found:
        raise DataError(f"expected a folder for each class in {folder}, but there is none")
    return found


def _listed(folder: Path, classes: Sequence[str]) -> tuple[list[Path], list[int], list[str]]:
    """Return the pictures in folders of classes, their labels, and the files that are no pictures."""
    files, labels, others = [], [], []
    for place in _folders(folder):
        if place.name not in classes:
            raise DataError(
                f"expected the classes to train on, {', '.join(classes)}, in {folder}, but got {place.name}, too"
            )
        with read_errors(place, DataError):
            names = sorted(entry.name for entry in os.scandir(place) if not entry.name.startswith("."))
        pictures = [place / name for name in names if name.lower().endswith(_SUFFIXES)]
        others += [f"{place.name}/{name}" for name in names if not name.lower().endswith(_SUFFIXES)]
        if not pictures and folder.name != "test":
            kinds = ", ".join(suffix[1:].upper() for suffix in _SUFFIXES)
            raise DataError(f"expected pictures ({kinds}) of the class {place.name} in {place}, but there are none")
        files += pictures
        labels += [classes.index(place.name)] * len(pictures)
    if not files:
        raise DataError(f"expected pictures in the folders of classes in {folder}, but there are none")
    return files, labels, others


def _read_all(files: Sequence[Path], root: Path, colour: Colour) -> NDArray[Any]:
    found: list[NDArray[Any]] = []
    wrong: list[str] = []
    with reading(len(files), f"pictures of {root.name}") as step, ThreadPoolExecutor(_THREADS) as pool:
        for index, result in enumerate(pool.map(lambda file: _read(file, colour), files)):
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
        more = f", and {len(wrong) - _NAMED} more" if len(wrong) > _NAMED else ""
        raise DataError(
            f"expected pictures that can be learned in {root}, but {len(wrong)} of {len(files)} cannot: "
            f"{'; '.join(wrong[:_NAMED])}{more}"
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


def _read(file: Path, colour: Colour) -> NDArray[Any] | str:
    """Return a picture as grey levels of 8 or 16 bits, or why that cannot be, as the predicate of a sentence."""
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(file) as picture:
            if getattr(picture, "n_frames", 1) > 1:
                return "holds several pictures"
            # What Pillow has no mode for it reads with 8 bits only.
            stored = str(picture.tile[0][3]) if picture.tile else ""
            if "16" in stored and not picture.mode.startswith("I;16"):
                return "has colours or transparency of 16 bits: save it with 8, or in grey"
            picture.load()
            if picture.mode in ("1", "L"):
                return np.asarray(picture.convert("L"))
            if picture.mode.startswith("I;16"):
                return np.asarray(picture).astype(np.uint16)
            if picture.mode not in ("P", "RGB", "LA", "RGBA", "PA"):
                return f"is of Pillow's mode {picture.mode}: save it with 8 or 16 bits in grey"
            pixels = np.asarray(picture.convert("RGBA"))
    except UnidentifiedImageError:
        return "is no picture"
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        return f"cannot be read ({' '.join(str(error).split()):.80})"
    if (pixels[..., 3] < 255).any():
        return "has transparent parts: save it without"
    if (pixels[..., :1] == pixels[..., :3]).all():
        return pixels[..., 0]
    if colour == "refuse":
        return "has colours: set data.colour to grey to make it grey"
    return grey(pixels[..., :3]).numpy()
