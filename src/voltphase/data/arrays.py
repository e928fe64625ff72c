"""Arrays of images and targets in files of numpy, read at once or, where they are large, by batches."""

from __future__ import annotations

import zipfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Final

import numpy as np
from annotated_types import Ge
from numpy.typing import NDArray

from voltphase.core import checks
from voltphase.core.errors import DataError
from voltphase.core.files import map_array, read_errors
from voltphase.core.limits import require_memory
from voltphase.data.base import DATASETS, SPLITS, Colour, own_path
from voltphase.data.dataset import ImageDataset, grey, held_out_to_test
from voltphase.data.given import classes_of, dataset_of

_KEYS: Final = ("images", "targets")


@DATASETS.register("arrays")
@dataclass(frozen=True)
class Arrays:
    """Your own arrays: files of ``numpy.savez`` that hold ``images`` and ``targets``.

    Images are ``count x rows x columns`` of uint8 (255 is amplitude 1), uint16 (65535 is) or real numbers from 0 to 1.
    In place of a file there may be a folder with ``images.npy`` and ``targets.npy``: what takes more than a quarter of
    the free memory stays there, and each batch is read when it is needed.

    Args:
        train: File or folder with what to train on.
        test: File with what to test with; without it a fifth of ``train`` is held out, a fifth of each class, and
            nothing of one image with a target that is no label.
        val: File with what to validate with, as ``data.val_fraction`` says; none if null.
        colour: Whether images with an axis of three colours are refused, or made ``grey``.
        split_seed: Seed of the draw of what is held out.
        dir: Folder that the files are named from; the current one if null.
    """

    train: str
    test: str | None = None
    val: str | None = None
    colour: Colour = "refuse"
    split_seed: Annotated[int, Ge(0)] = 0
    dir: str | None = None

    @property
    def splits(self) -> tuple[str, ...]:
        return ("train", "test") if self.val is None else SPLITS

    def load(self, split: str, *, download: bool = True) -> ImageDataset:
        name, train = Path(self.train).name, own_path(self.dir, self.train)
        path = own_path(self.dir, {"test": self.test, "val": self.val}.get(split) or self.train)
        images, targets = _read(path, *_KEYS)
        if self.colour == "grey" and images.ndim == 4:
            # Of colours that stay in a file, grey ones would be made in memory.
            require_memory(6.0 * images.nbytes, f"making {path} grey", DataError, "save grey images")
            images = grey(images)
        # Classes are named by the labels to train on, of which the last may be missing elsewhere.
        learned = targets if path == train else _read(train, "targets")[0]
        classes = classes_of(checks.array(learned, f"the targets in {train}", error=DataError), train.name)
        whole = replace(dataset_of((images, targets), classes, path.name), name=name)
        if self.test is not None or split == "val":
            return whole
        if whole.alone:
            return whole.for_both()
        test = held_out_to_test(whole.targets, self.split_seed, path.name, by_class=bool(whole.classes))
        note = (
            f"{int(test.sum())} of the {len(whole)} images in {path.name} are held out to test with, drawn by "
            f"data.split_seed {self.split_seed}: there is no data.test"
        )
        return whole.select(test if split == "test" else ~test, note)


def _read(path: Path, *keys: str) -> tuple[NDArray[np.generic], ...]:
    if path.is_dir():
        return tuple(_map(path / f"{key}.npy") for key in keys)
    wanted = f"expected {path} to hold arrays called images and targets, as numpy.savez writes them"
    with read_errors(path, DataError), path.open("rb") as stream:
        try:
            with zipfile.ZipFile(stream) as archive:
                sizes = {Path(entry.filename).stem: entry.file_size for entry in archive.infolist()}
            if missing := [key for key in keys if key not in sizes]:
                raise DataError(
                    f"{wanted}, but it has no {' and no '.join(missing)}, only {', '.join(sizes) or 'nothing'}"
                )
            needed = 2.0 * sum(sizes[key] for key in keys)
            require_memory(needed, f"reading {path}", DataError, "free memory, or give fewer images")
            stream.seek(0)
            with np.load(stream, allow_pickle=False) as content:
                return tuple(content[key] for key in keys)
        except (zipfile.BadZipFile, ValueError, EOFError, KeyError) as error:
            raise DataError(f"{wanted}, but it cannot be read so ({' '.join(str(error).split()):.100})") from error


def _map(path: Path) -> NDArray[np.generic]:
    with read_errors(path, DataError):
        try:
            return map_array(path)
        except ValueError as error:
            raise DataError(f"expected an array in {path}, but it holds {error}") from error
