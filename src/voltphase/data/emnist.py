"""EMNIST: handwritten letters and digits, in six arrangements."""

from __future__ import annotations

import string
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar, Final, Literal

from voltphase.core.errors import DataError
from voltphase.core.files import checked_path
from voltphase.data.base import DATASETS, ENVIRONMENT_VARIABLE, default_data_dir
from voltphase.data.dataset import ImageDataset
from voltphase.data.files.download import fetch_with_others
from voltphase.data.files.folders import find
from voltphase.data.mnist import read_images

Split = Literal["balanced", "byclass", "bymerge", "digits", "letters", "mnist"]

_ALL: Final = string.digits + string.ascii_uppercase + string.ascii_lowercase
# Letters whose upper and lower case look alike are one class.
_MERGED: Final = "".join(letter for letter in _ALL if letter not in "cijklmopsuvwxyz")
_CLASSES: Final = {
    "balanced": _MERGED,
    "byclass": _ALL,
    "bymerge": _MERGED,
    "digits": string.digits,
    "letters": string.ascii_lowercase,
    "mnist": string.digits,
}


@DATASETS.register("emnist")
@dataclass(frozen=True)
class Emnist:
    """Handwritten letters and digits, 28 x 28, upright: the files of EMNIST hold each picture turned over.

    Cohen, Afshar, Tapson, van Schaik: EMNIST, an extension of MNIST to handwritten letters (2017).

    Args:
        split: Arrangement of the characters: ``balanced`` and ``bymerge`` (47 classes), ``byclass`` (62), ``letters``
            (26), ``digits`` or ``mnist`` (10).
        dir: Folder that holds EMNIST/raw; None takes the one that VOLTPHASE_DATA names, else the user's cache.
    """

    #: Addresses of folders that hold the archive, each ending in a slash, tried in order.
    mirrors: ClassVar[tuple[str, ...]] = (
        "https://biometrics.nist.gov/cs_links/EMNIST/",
        "https://www.itl.nist.gov/iaui/vip/cs_links/EMNIST/",
    )
    archive: ClassVar[str] = "gzip.zip"
    #: Checksum of the archive, as torchvision has it.
    md5: ClassVar[str] = "58c8d27c78d21e728a6bc7b3cc06412e"

    split: Split = "balanced"
    dir: str | None = None

    def load(self, split: str, *, download: bool = True) -> ImageDataset:
        stem = f"emnist-{self.split}-{split}"
        files = [self._file(f"{stem}-{kind}-ubyte", download=download) for kind in ("images-idx3", "labels-idx1")]
        classes = tuple(_CLASSES[self.split])
        found = read_images(files[0], files[1], f"emnist-{self.split}", classes, int(self.split == "letters"))
        return replace(found, images=found.images.mT.contiguous())

    def _file(self, stem: str, *, download: bool) -> Path:
        data_dir = default_data_dir() if self.dir is None else checked_path(self.dir, DataError)
        raw = data_dir / "EMNIST" / "raw"
        if (there := find(data_dir, ("EMNIST",), stem)) is not None:
            return there
        advice = (
            f"put the files of its {self.archive} into {raw}, or name the folder that holds EMNIST/raw with --data-dir "
            f"or {ENVIRONMENT_VARIABLE}"
        )
        missing = raw / f"{stem}.gz"
        # All of them, 0.5 GB: nobody fetches the archive again for another split.
        fetch_with_others(missing, self.archive, self.mirrors, self.md5, _is_idx, advice=advice, download=download)
        return missing


def _is_idx(name: str) -> bool:
    return name.startswith("emnist-") and name.endswith("ubyte.gz")
