"""MNIST, Fashion-MNIST and KMNIST, read from IDX files that are downloaded if need be."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import torch

from voltphase.core.errors import DataError
from voltphase.core.files import checked_path
from voltphase.data.base import DATASETS, ENVIRONMENT_VARIABLE, default_data_dir
from voltphase.data.dataset import ImageDataset
from voltphase.data.files.download import fetch
from voltphase.data.files.folders import find, stray
from voltphase.data.files.idx import read_idx

_FILE_PREFIX = {"train": "train", "test": "t10k"}


@dataclass(frozen=True)
class IdxFiles:
    """A data set of four IDX files in torchvision's layout, ``<dir>/<folder>/raw/<file>``, or one near to it.

    See :func:`voltphase.data.files.folders.find` for the other places and spellings.

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
        prefix = _FILE_PREFIX[split]
        images, labels = (
            self._file(f"{prefix}-{kind}-ubyte", download=download) for kind in ("images-idx3", "labels-idx1")
        )
        return read_images(images, labels, self.name, self.classes)

    def _file(self, stem: str, *, download: bool) -> Path:
        data_dir = default_data_dir() if self.dir is None else checked_path(self.dir, DataError)
        found = find(data_dir, self.folders, stem)
        if found is not None:
            return found
        folder = self.folders[0]
        raw, compressed = data_dir / folder / "raw", f"{stem}.gz"
        relatives = (Mnist, FashionMnist, Kmnist)
        others = [name for other in relatives if not isinstance(self, other) for name in other.folders]
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
        fetch(raw / compressed, self.mirrors, self.md5[compressed], advice=advice, download=download)
        return raw / compressed


def read_images(
    images_file: Path, labels_file: Path, name: str, classes: tuple[str, ...], first: int = 0
) -> ImageDataset:
    """Return the data set in two IDX files.

    They are held to their structure, not to a checksum: people repack them.

    Args:
        images_file: File of the images.
        labels_file: File of their labels.
        name: What the data set is called.
        classes: The name of each class.
        first: Label of the first class.

    Raises:
        DataError: if a file is damaged, or the two do not belong together.
    """
    images, labels = read_idx(images_file, dimensions=3), read_idx(labels_file, dimensions=1).to(torch.int64)
    if len(images) != len(labels):
        raise DataError(
            f"expected as many labels as images, but {images_file} holds {len(images)} images and "
            f"{labels_file} {len(labels)} labels: fetch both again"
        )
    last = first + len(classes) - 1
    if wrong := [label for label in (int(labels.min()), int(labels.max())) if not first <= label <= last]:
        raise DataError(
            f"expected labels between {first} and {last} in {labels_file}, but got {wrong[-1]}: fetch it again"
        )
    return ImageDataset(images, labels - first, name, classes)


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


@DATASETS.register("kmnist")
class Kmnist(IdxFiles):
    """Handwritten Japanese syllables (Kuzushiji-MNIST), 60,000 to train with and 10,000 to test with, 28 x 28.

    Args:
        dir: Folder that holds KMNIST/raw; None takes the one that VOLTPHASE_DATA names, else the user's cache.
    """

    name = "kmnist"
    folders = ("KMNIST", "kuzushiji-mnist", "k-mnist")
    classes = ("o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo")
    mirrors = (
        "https://codh.rois.ac.jp/kmnist/dataset/kmnist/",
        "http://codh.rois.ac.jp/kmnist/dataset/kmnist/",
    )
    # As torchvision has them.
    md5: ClassVar = {
        "train-images-idx3-ubyte.gz": "bdb82020997e1d708af4cf47b453dcf7",
        "train-labels-idx1-ubyte.gz": "e144d726b3acfaa3e44228e80efcd344",
        "t10k-images-idx3-ubyte.gz": "5c965bf0a639b31b8f53240b1b52f4d7",
        "t10k-labels-idx1-ubyte.gz": "7320c461ea6c1c855c0b718fb2a4b134",
    }
