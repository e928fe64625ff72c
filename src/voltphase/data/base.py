"""What a data set is, and where data lie."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable
from os import PathLike
from pathlib import Path
from typing import Final, Literal, Protocol

from voltphase.core import checks
from voltphase.core.errors import DataError
from voltphase.core.files import checked_path
from voltphase.core.registry import Registry
from voltphase.data.dataset import ImageDataset

ENVIRONMENT_VARIABLE: Final = "VOLTPHASE_DATA"
SPLITS: Final = ("train", "val", "test")
_ADVICE: Final = "correct it, or choose another data set"
#: What is done with colours.
Colour = Literal["refuse", "grey"]


class DataSource(Protocol):
    """Images to train with and images to test with.

    One that has images to validate with by themselves has an attribute ``splits`` that says so; see :func:`splits_of`.
    """

    def load(self, split: str, *, download: bool = True) -> ImageDataset:
        """Return one split.

        Args:
            split: ``train``, ``test`` or another that there is.
            download: Whether to fetch files that are not there.

        Raises:
            DataError: if files are missing and cannot be fetched, or are damaged.
            OutputError: if a downloaded file cannot be written.
        """
        ...


#: Every data set by name. Its parameters are its settings; one with files takes their folder as ``dir``.
DATASETS: Registry[Callable[..., DataSource]] = Registry("a data set", "voltphase.data", DataError)


def splits_of(source: DataSource) -> tuple[str, ...]:
    """Return what a data set can load: ``train``, ``test`` and, if there are images for it, ``val``."""
    return getattr(source, "splits", ("train", "test"))


def own_path(folder: str | None, name: str) -> Path:
    """Return the path of a file or a folder of one's own, named from a folder, or else from the current one."""
    return checked_path(Path(folder or ".").expanduser() / Path(name).expanduser(), DataError)


def load(name: str, split: str, data_dir: str | PathLike[str] | None = None, download: bool = True) -> ImageDataset:
    """Load one split of a data set by name.

    Args:
        name: ``digits``, ``mnist``, ``fashion-mnist``, ``kmnist``, ``emnist``, ``cifar-10``, or what another package
            adds; one that wants settings, such as ``arrays``, is made by its class.
        split: ``train``, ``test`` or, where there are images to validate with, ``val``.
        data_dir: Folder that holds ``MNIST/raw`` and the like; see `default_data_dir`.
        download: Whether to fetch files that are not there.

    Raises:
        DataError: if there is no such data set or split, or its files are missing and cannot be fetched, or
            are damaged.
        OutputError: if a downloaded file cannot be written.

    Examples:
        >>> load("digits", "test")
        ImageDataset('digits', 359 images of 8 x 8, 10 classes)
    """
    kind = DATASETS[name]
    checks.flag(download, "download")
    options = {} if data_dir is None else {"dir": str(checked_path(data_dir, DataError))}
    known = inspect.signature(kind).parameters  # digits come with scikit-learn and have no folder
    if wanted := [key for key, parameter in known.items() if parameter.default is parameter.empty]:
        raise DataError(
            f"expected a data set that its name says all of, but {name} wants {', '.join(wanted)}, too: use "
            f"voltphase.data.{getattr(kind, '__name__', name)}({wanted[0]}=...).load({split!r})"
        )
    with DATASETS.trying(name, asked=True, advice=_ADVICE):
        source = kind(**{key: value for key, value in options.items() if key in known})
    splits = splits_of(source)
    if split not in splits:
        raise DataError(f"expected the split {' or '.join(map(repr, splits))}, but got {checks.shown(split)}")
    return load_split(name, source, split, download=download)


def load_split(name: str, source: DataSource, split: str, *, download: bool = True) -> ImageDataset:
    """Return one split of a registered data set, which may be another package's, and may fail in any way.

    Args:
        name: Name of the data set.
        source: The data set itself.
        split: One of its splits.
        download: Whether to fetch files that are not there.

    Raises:
        DataError: if it fails, or what it loads is no ImageDataset.
    """
    with DATASETS.trying(name, asked=True, advice=_ADVICE):
        found, what = source.load(split, download=download), f"an ImageDataset of the data set {name}"
        return checks.instance(found, ImageDataset, what, error=DataError, advice="return one from its load")


def default_data_dir() -> Path:
    """Return the folder named by the environment variable ``VOLTPHASE_DATA``, else ``~/.cache/voltphase``."""
    return checked_path(os.environ.get(ENVIRONMENT_VARIABLE) or "~/.cache/voltphase", DataError)
