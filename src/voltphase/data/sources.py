"""Where each data set comes from."""

from __future__ import annotations

import os
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Final

import numpy as np
import torch

from voltphase.core.errors import DataError
from voltphase.core.files import checked_path
from voltphase.data.dataset import ImageDataset
from voltphase.data.download import fetch
from voltphase.data.folders import find, stray
from voltphase.data.idx import read_idx

ENVIRONMENT_VARIABLE: Final = "VOLTPHASE_DATA"
SPLITS: Final = ("train", "test")

_DIGIT_NAMES = tuple("0123456789")
_FILE_PREFIX = {"train": "train", "test": "t10k"}

# One digit in five is held out, drawn once for each class: another share or seed is another data set, whose
# accuracies cannot be compared.
_DIGITS_TEST_SHARE = 0.2
_DIGITS_SPLIT_SEED = 20220209


@dataclass(frozen=True)
class IdxSource:
    """A data set of four IDX files in torchvision's layout, ``<data_dir>/<folder>/raw/<file>``, or one near to it.

    See :func:`voltphase.data.folders.find` for the other places and spellings.

    Args:
        name: What the data set is called here.
        folders: What its folder is called, torchvision's name first; case and punctuation do not matter.
        classes: The name of each class.
        mirrors: Addresses of folders that hold the gzip files, each ending in a slash, tried in order.
        md5: Checksum of each gzip file by its name, as the mirrors serve it.
    """

    name: str
    folders: tuple[str, ...]
    classes: tuple[str, ...]
    mirrors: tuple[str, ...]
    md5: dict[str, str]

    def load(self, split: str, data_dir: Path, *, download: bool = True) -> ImageDataset:
        """Read one split, downloading first the files that are not there if ``download``.

        Files that are there are held to their structure, not to a checksum: people repack them.

        Raises:
            DataError: if a file is missing and cannot be had, or is damaged.
            OutputError: if a downloaded file cannot be written.
        """
        prefix = _FILE_PREFIX[split]
        images_file, labels_file = (
            self._file(data_dir, f"{prefix}-{kind}-ubyte", download=download) for kind in ("images-idx3", "labels-idx1")
        )
        images = read_idx(images_file, dimensions=3)
        labels = read_idx(labels_file, dimensions=1)
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

    def _file(self, data_dir: Path, stem: str, *, download: bool) -> Path:
        found = find(data_dir, self.folders, stem)
        if found is not None:
            return found
        folder = self.folders[0]
        raw, compressed = data_dir / folder / "raw", f"{stem}.gz"
        others = [name for source in _IDX_SOURCES.values() if source is not self for name in source.folders]
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


MNIST: Final = IdxSource(
    name="mnist",
    folders=("MNIST",),
    classes=_DIGIT_NAMES,
    mirrors=(
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
        "https://storage.googleapis.com/cvdf-datasets/mnist/",
    ),
    md5={
        "train-images-idx3-ubyte.gz": "f68b3c2dcbeaaa9fbdd348bbdeb94873",
        "train-labels-idx1-ubyte.gz": "d53e105ee54ea40749a09fcbcd1e9432",
        "t10k-images-idx3-ubyte.gz": "9fb629c4189551a2d022fa330f9573f3",
        "t10k-labels-idx1-ubyte.gz": "ec29112dd5afa0611ce80d1b7f02629c",
    },
)

FASHION_MNIST: Final = IdxSource(
    name="fashion-mnist",
    folders=("FashionMNIST", "fashion", "f-mnist"),
    classes=(
        "T-shirt/top",
        "Trouser",
        "Pullover",
        "Dress",
        "Coat",
        "Sandal",
        "Shirt",
        "Sneaker",
        "Bag",
        "Ankle boot",
    ),
    mirrors=(
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
        "https://storage.googleapis.com/tensorflow/tf-keras-datasets/",
    ),
    md5={
        "train-images-idx3-ubyte.gz": "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
        "train-labels-idx1-ubyte.gz": "25c81989df183df01b3e8a0aad5dffbe",
        "t10k-images-idx3-ubyte.gz": "bef4ecab320f06d8554ea6380940ec79",
        "t10k-labels-idx1-ubyte.gz": "bb300cfdad3c16e7a12a480ee83cd310",
    },
)

_IDX_SOURCES: Final[dict[str, IdxSource]] = {source.name: source for source in (MNIST, FASHION_MNIST)}
NAMES: Final = ("digits", *_IDX_SOURCES)


def load(name: str, split: str, data_dir: str | PathLike[str] | None = None, download: bool = True) -> ImageDataset:
    """Load one split of a data set by name.

    ``digits`` comes with scikit-learn: 8 x 8 images, values 0 to 16 scaled to 0 to 255, one in five held out.
    ``mnist`` and ``fashion-mnist`` are 28 x 28, read from torchvision's layout under ``data_dir``.

    Args:
        name: ``digits``, ``mnist`` or ``fashion-mnist``.
        split: ``train`` or ``test``.
        data_dir: The folder that holds ``MNIST/raw`` and ``FashionMNIST/raw``; see `default_data_dir`.
        download: Whether to fetch files that are not there.

    Raises:
        DataError: if there is no such data set or split, or its files are missing and cannot be fetched, or
            are damaged.
        OutputError: if a downloaded file cannot be written.
    """
    if split not in SPLITS:
        raise DataError(f"expected the split 'train' or 'test', but got {split!r}")
    if name == "digits":
        return _digits(split)
    if name not in _IDX_SOURCES:
        raise DataError(f"expected a data set among {', '.join(NAMES)}, but got {name!r}")
    folder = default_data_dir() if data_dir is None else checked_path(data_dir, DataError)
    return _IDX_SOURCES[name].load(split, folder, download=download)


def default_data_dir() -> Path:
    """The folder named by the environment variable ``VOLTPHASE_DATA``, else ``~/.cache/voltphase``."""
    named = os.environ.get(ENVIRONMENT_VARIABLE)
    return checked_path(named or "~/.cache/voltphase", DataError)


def _digits(split: str) -> ImageDataset:
    from sklearn.datasets import load_digits

    values, targets = load_digits(return_X_y=True)
    scaled = np.rint(np.asarray(values).reshape(-1, 8, 8) * (255 / 16)).astype(np.uint8)
    labels = torch.as_tensor(np.asarray(targets), dtype=torch.int64)
    generator = torch.Generator().manual_seed(_DIGITS_SPLIT_SEED)
    held_out = torch.zeros(len(labels), dtype=torch.bool)
    for label in range(len(_DIGIT_NAMES)):
        members = (labels == label).nonzero().squeeze(1)
        shuffled = members[torch.randperm(len(members), generator=generator)]
        held_out[shuffled[: round(_DIGITS_TEST_SHARE * len(members))]] = True
    chosen = held_out if split == "test" else ~held_out
    return ImageDataset(torch.from_numpy(scaled)[chosen], labels[chosen], "digits", _DIGIT_NAMES)
