"""CIFAR-10, read from the files of its Python version and made grey."""

from __future__ import annotations

import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, ClassVar, Final

import numpy as np
import torch
from torch import Tensor

from voltphase.core.errors import DataError
from voltphase.core.files import checked_path, read_errors
from voltphase.data.base import DATASETS, ENVIRONMENT_VARIABLE, default_data_dir
from voltphase.data.dataset import ImageDataset, grey
from voltphase.data.files.download import fetch_with_others

_FILES: Final = {"train": tuple(f"data_batch_{number}" for number in range(1, 6)), "test": ("test_batch",)}
_SIDE: Final = 32
# What an array of numpy is pickled by: no file calls anything else.
_ALLOWED: Final = {"_reconstruct", "ndarray", "dtype"}


@DATASETS.register("cifar-10")
@dataclass(frozen=True)
class Cifar10:
    """Photographs of ten kinds of things in grey, 50,000 to train with and 10,000 to test with, 32 x 32.

    Args:
        dir: Folder that holds cifar-10-batches-py; None takes the one that VOLTPHASE_DATA names, else the user's cache.
    """

    folder: ClassVar[str] = "cifar-10-batches-py"
    classes: ClassVar[tuple[str, ...]] = (
        *("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"),
    )
    #: Addresses of folders that hold the archive, each ending in a slash.
    mirrors: ClassVar[tuple[str, ...]] = ("https://www.cs.toronto.edu/~kriz/",)
    archive: ClassVar[str] = "cifar-10-python.tar.gz"
    #: Checksum of the archive, as its page and torchvision have it.
    md5: ClassVar[str] = "c58f30108f718f92721af3b95e74349a"

    dir: str | None = None

    def load(self, split: str, *, download: bool = True) -> ImageDataset:
        data_dir = default_data_dir() if self.dir is None else checked_path(self.dir, DataError)
        paths = [data_dir / self.folder / name for name in _FILES[split]]
        if missing := [path for path in paths if not path.is_file()]:
            advice = (
                f"unpack {self.archive} there, or name the folder that holds {self.folder} with --data-dir or "
                f"{ENVIRONMENT_VARIABLE}"
            )
            every = {name for names in _FILES.values() for name in names}
            fetch_with_others(
                missing[0], self.archive, self.mirrors, self.md5, every.__contains__, advice=advice, download=download
            )
        parts = [_read(path) for path in paths]
        images, labels = (torch.cat(both) for both in zip(*parts, strict=True))
        return ImageDataset(images, labels, "cifar-10", self.classes)


class _Arrays(pickle.Unpickler):
    """A reader of arrays, lists, texts and numbers alone: a pickle can call anything there is."""

    def find_class(self, module: str, name: str) -> Any:
        if name not in _ALLOWED or module.partition(".")[0] != "numpy":
            raise pickle.UnpicklingError(f"it would call {module}.{name}")
        return np.dtype if name == "dtype" else np.ndarray if name == "ndarray" else _reconstruct


def _reconstruct(kind: type, shape: Any, code: Any) -> Any:
    return np.ndarray.__new__(kind, shape, code)


def _read(path: Path) -> tuple[Tensor, Tensor]:
    """Return the images of a batch in grey, and their labels."""
    with read_errors(path, DataError), path.open("rb") as stream:
        try:
            return _content(stream)
        except Exception as error:  # whatever a damaged pickle raises
            raise DataError(
                f"expected {path} to be a batch of CIFAR-10, but it cannot be read so "
                f"({' '.join(str(error).split()):.80}): fetch it again"
            ) from error


def _content(stream: BinaryIO) -> tuple[Tensor, Tensor]:
    content = _Arrays(stream, encoding="bytes").load()
    data = np.asarray(content[b"data"])
    if data.dtype != np.uint8:
        raise ValueError(f"its images are {data.dtype}")
    return grey(data.reshape(-1, 3, _SIDE, _SIDE)), torch.tensor(content[b"labels"], dtype=torch.int64)
