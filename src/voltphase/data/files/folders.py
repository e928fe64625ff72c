"""Finding the files of a data set under the names that people and their programs give them."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

from voltphase.core.errors import DataError
from voltphase.core.files import read_errors

# Folders below that of a data set: FOLDER/FOLDER/raw/FILE/FILE is what two archivers in a row make of it.
_DEPTH: Final = 3
_SPLITS: Final = {"t10k": "t10k|test"}


def find(root: Path, names: Collection[str], stem: str) -> Path | None:
    """Return the file ``stem`` of a data set, plain or compressed, from torchvision's folder or where else it is.

    It is looked for in folders of ``root`` that are called as the data set, and in ``root`` if it is such a folder
    itself or the ``raw`` in one. Case, dots, underscores and blanks in names do not matter, nor what browsers and
    archivers add to them: ``train-images.idx3-ubyte``, ``Train_Images_idx3_ubyte (1).gz``,
    ``train-images-idx3-ubyte/train-images-idx3-ubyte``.

    Args:
        root: Folder of all data sets.
        names: Names of folders of this data set, torchvision's first.
        stem: Official name of the file without ``.gz``.

    Raises:
        DataError: if a folder that is there cannot be read.
    """
    folder = next(iter(names))
    with read_errors(root, DataError):
        for exact in (root / folder / "raw" / stem, root / folder / "raw" / f"{stem}.gz"):
            if exact.is_file():
                return exact
        if not root.is_dir():
            return None
        known, pattern = {_plain(name) for name in names}, _pattern(stem)
        homes = [place for place in _entries(root)[1] if _plain(place.name) in known]
        # The official spelling first.
        homes.sort(key=lambda home: home.name != folder)
        if _called(root, names):
            homes.append(root)
        return next(
            (file for home in homes for file in _below(home, known, _DEPTH) if pattern.fullmatch(file.name)), None
        )


def stray(root: Path, others: Collection[str], stem: str) -> Path | None:
    """Return a file called as ``stem`` in ``root``, or there in ``raw`` or a folder of its own, if there is one.

    The files of MNIST and all its relatives have the same names: whose this one is, only its owner knows. In a ``root``
    that is called like one of the ``others``, it is theirs.
    """
    if _called(root, others):
        return None
    pattern = _pattern(stem)
    with suppress(OSError):
        files, folders = _entries(root)
        for place in folders:
            if _plain(place.name) == "raw" or pattern.fullmatch(place.name):
                files += _entries(place)[0]
        return next((file for file in files if pattern.fullmatch(file.name)), None)
    return None


def _pattern(stem: str) -> re.Pattern[str]:
    *names, kind, idx, ubyte = stem.split("-")
    # The number of a copy stands before or after the suffix; where suffixes are hidden, people add another.
    blank = r"[\W_]*"
    words = [
        *(f"(?:{_SPLITS.get(name, name)})" for name in names),
        kind,
        f"(?:{idx}{blank}{ubyte}|{idx}|{ubyte})",
        r"\d?",
    ]
    return re.compile(blank.join((*words, r"(?:(?:gz|gzip|bin|dat|txt)[\W_]*)*\d?", "")), re.IGNORECASE)


def _called(place: Path, names: Collection[str]) -> bool:
    place = place.absolute()
    place = place.parent if _plain(place.name) == "raw" else place
    return _plain(place.name) in {_plain(name) for name in names}


def _plain(name: str) -> str:
    return re.sub(r"(?<=.)(?:data|dataset|database|original|master|main)$", "", re.sub(r"[\W_]", "", name.casefold()))


def _below(home: Path, known: Collection[str], depth: int) -> Iterator[Path]:
    """Yield the files in ``home`` and in folders in it, nearest first; not in those of data sets not ``known``."""
    files, folders = _entries(home)
    for _ in range(depth + 1):
        yield from files
        level = [place for place in folders if _plain(place.name) in known or not _names_a_relative(place.name)]
        files, folders = [], []
        for place in level:
            with suppress(OSError):
                more_files, more_folders = _entries(place)
                files, folders = files + more_files, folders + more_folders


def _names_a_relative(name: str) -> bool:
    return any(word in _plain(name) for word in ("mnist", "fashion"))


def _entries(folder: Path) -> tuple[list[Path], list[Path]]:
    """Return the files and the folders in a folder but hidden ones: macOS leaves a ``._name`` beside each."""
    with os.scandir(folder) as found:
        entries = sorted(
            (entry for entry in found if not entry.name.startswith((".", "__MACOSX"))), key=lambda entry: entry.name
        )
        return (
            [Path(entry.path) for entry in entries if entry.is_file()],
            [Path(entry.path) for entry in entries if entry.is_dir()],
        )
