"""MNIST and Fashion-MNIST, read from IDX files that are downloaded if need be."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import torch

from voltphase.core.errors import DataError
from voltphase.core.files import checked_path
from voltphase.data.base import DATASETS, ENVIRONMENT_VARIABLE, default_data_dir
from voltphase.data.dataset import ImageDataset
from voltphase.data.download import fetch
from voltphase.data.folders import find, stray
from voltphase.data.idx import read_idx

_FILE_PREFIX = {"train": "train", "test": "t10k"}


@dataclass(frozen=True)
class IdxFiles:
    """A data set of four IDX files in torchvision's layout, ``<dir>/<folder>/raw/<file>``, or one near to it.

    See :func:`voltphase.data.folders.find` for the other places and spellings.

    Args:
        dir: Folder that holds the data set's own; None takes the one that VOLTPHASE_DATA names, else the user's cache.
    """

    name: ClassVar[str]
    #: What its folder is called, torchvision's name first; case and punctuation do not matter.
    folders: ClassVar[tuple[str, ...]]
    classes: ClassVar[tuple[str, ...]]
    #: Addresses of folders that hold the gzip files, each ending in a slash, tried in order.
    mirrors: ClassVar[tuple[str, ...]]
    #: Checksum of each gzip file by its name, as the mirrors serve it.
    md5: ClassVar[dict[str, str]]

    dir: str | None = None

    def load(self, split: str, *, download: bool = True) -> ImageDataset:
        # Files that are there are held to their structure, not to a checksum: people repack them.
        prefix = _FILE_PREFIX[split]
        images_file, labels_file = (
            self._file(f"{prefix}-{kind}-ubyte", download=download) for kind in ("images-idx3", "labels-idx1")
        )
        images, labels = read_idx(images_file, dimensions=3), read_idx(labels_file, dimensions=1)
        if len(images) != len(labels):
            raise DataError(
                f"expected as many labels as images, but {images_file} holds {len(images)} images and "
                f"{labels_file} {len(labels)} labels: fetch both again"
            )
        if int(labels.max()) >= len(self.classes):
            raise DataError(
                f"expected labels between 0 and {len(self.classes) - 1} in {labels_file}, "
                f"but got {int(labels.max())}: fetch it again"
            )
        return ImageDataset(images, labels.to(torch.int64), self.name, self.classes)

    def _file(self, stem: str, *, download: bool) -> Path:
        data_dir = default_data_dir() if self.dir is None else checked_path(self.dir, DataError)
        found = find(data_dir, self.folders, stem)
        if found is not None:
            return found
        folder = self.folders[0]
        raw, compressed = data_dir / folder / "raw", f"{stem}.gz"
        others = [name for other in (Mnist, FashionMnist) if not isinstance(self, other) for name in other.folders]
        nearby = stray(data_dir, others, stem)
        if nearby is not None:
            raise DataError(
                f"expected {compressed} of {self.name} in {raw}, but got {nearby}, which may be of any data set whose "
                f"files are called so: move it to {raw} if it is of {self.name}, or choose another --data-dir"
            )
        advice = (
            f"put the files of {self.name} into {raw}, or name the folder that holds {folder}/raw "
            f"with --data-dir or {ENVIRONMENT_VARIABLE}"
        )
        if not download:
            raise DataError(f"expected {compressed} in {raw}, but it is not there: {advice}")
        fetch(raw / compressed, self.mirrors, self.md5[compressed], advice=advice)
        return raw / compressed


@DATASETS.register("mnist")
class Mnist(IdxFiles):
    """Handwritten digits, 60,000 to train with and 10,000 to test with, 28 x 28.

    Args:
        dir: Folder that holds MNIST/raw; None takes the one that VOLTPHASE_DATA names, else the user's cache.
    """

    name = "mnist"
    folders = ("MNIST",)
    classes = tuple("0123456789")
    mirrors = (
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
        "https://storage.googleapis.com/cvdf-datasets/mnist/",
    )
    md5: ClassVar = {
        "train-images-idx3-ubyte.gz": "f68b3c2dcbeaaa9fbdd348bbdeb94873",
        "train-labels-idx1-ubyte.gz": "d53e105ee54ea40749a09fcbcd1e9432",
        "t10k-images-idx3-ubyte.gz": "9fb629c4189551a2d022fa330f9573f3",
        "t10k-labels-idx1-ubyte.gz": "ec29112dd5afa0611ce80d1b7f02629c",
    }


@DATASETS.register("fashion-mnist")
class FashionMnist(IdxFiles):
    """Pictures of clothes, 60,000 to train with and 10,000 to test with, 28 x 28.

    Args:
        dir: Folder that holds FashionMNIST/raw; None takes the one that VOLTPHASE_DATA names, else the user's cache.
    """

    name = "fashion-mnist"
    folders = ("FashionMNIST", "fashion", "f-mnist")
    classes = (
        *["T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag"],
        "Ankle boot",
    )
    mirrors = (
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
        "https://storage.googleapis.com/tensorflow/tf-keras-datasets/",
    )
    md5: ClassVar = {
        "train-images-idx3-ubyte.gz": "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
        "train-labels-idx1-ubyte.gz": "25c81989df183df01b3e8a0aad5dffbe",
        "t10k-images-idx3-ubyte.gz": "bef4ecab320f06d8554ea6380940ec79",
        "t10k-labels-idx1-ubyte.gz": "bb300cfdad3c16e7a12a480ee83cd310",
    }
