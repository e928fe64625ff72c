"""Several measured devices in one folder."""

from __future__ import annotations

from pathlib import Path

from voltphase.devices.io import load
from voltphase.devices.lines import read_table
from voltphase.devices.pairs import find_pair, is_half_of_pair
from voltphase.devices.paths import given_path
from voltphase.devices.states import DeviceStates
from voltphase.errors import DeviceError


def load_folder(path: str | Path) -> dict[str, DeviceStates]:
    """Read every device measured into a folder.

    Each ``NAME.csv``, and each pair ``NAME-phase.csv`` with ``NAME-intensity.csv`` or ``NAME-amplitude.csv``, is a
    device. Other files, hidden ones and folders within are left alone.

    Returns:
        The devices by the ``NAME`` of their files, in alphabetical order. The name within a file need not be unique,
        and stays with its states.

    Raises:
        DeviceError: if there is no such folder, no table in it, a table and a pair of one name, or a malformed table.
    """
    with given_path(path) as folder:
        found = _found(folder)
    return {name: load(made_of[0]) for name, made_of in sorted(found.items())}


def _found(folder: Path) -> dict[str, tuple[Path, ...]]:
    """The files that each device in a folder is made of."""
    if not folder.is_dir():
        what = "a file" if folder.exists() else "not there"
        raise DeviceError(f"expected a folder of device tables, but {folder} is {what}: check the path")
    files = sorted(entry for entry in folder.iterdir() if entry.suffix.lower() == ".csv" and entry.is_file())
    found: dict[str, tuple[Path, ...]] = {}
    for file in files:
        if file.name.startswith("."):
            continue
        name, made_of = _device(file)
        before = found.setdefault(name, made_of)
        if before != made_of:
            raise DeviceError(
                f"expected one device of the name {name} in {folder}, but {before[0].name} and {made_of[0].name} are "
                "two: rename one of them"
            )
    if not found:
        raise DeviceError(
            f"expected device tables in the folder {folder}, but there is no file NAME.csv: check the path, or write "
            "the tables there"
        )
    return found


def _device(file: Path) -> tuple[str, tuple[Path, ...]]:
    """What a device is called and the files it is made of."""
    if is_half_of_pair(file) and not read_table(file).has_header:
        pair = find_pair(file)
        if pair is not None:
            return pair.prefix, (pair.phase, pair.light)
    return file.stem, (file,)
