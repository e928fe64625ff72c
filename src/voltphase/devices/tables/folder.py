"""Several measured devices in one folder."""

from __future__ import annotations

from pathlib import Path

from voltphase.core.errors import DeviceError
from voltphase.core.files import given_path, read_errors
from voltphase.core.units import metres
from voltphase.devices.states import DeviceStates
from voltphase.devices.tables.load import load_tables
from voltphase.devices.tables.text_table import read_table
from voltphase.devices.tables.two_files import find_pair, is_half_of_pair


def load_folder(path: str | Path) -> dict[str, DeviceStates]:
    """Read every device measured into a folder.

    Each ``NAME.csv``, and each pair ``NAME-phase.csv`` with ``NAME-intensity.csv`` or ``NAME-amplitude.csv``, is a
    device. Other files, hidden ones and folders within are left alone.

    Returns:
        The devices by the ``NAME`` of their files, in alphabetical order. The name within a file need not be unique,
        and stays with its states. One that is measured at several wavelengths comes once for each, as ``NAME at 532
        nm``.

    Raises:
        DeviceError: if there is no such folder, no table in it, a table and a pair of one name, or a malformed table;
            it says how many are bad and why the first is. `read_folder` gives the sound ones all the same.
    """
    devices, bad = read_folder(path)
    if bad:
        first = next(iter(bad.values()))
        if len(bad) == 1:
            raise first
        raise DeviceError(
            f"expected sound device tables in the folder {path}, but {len(bad)} of {len(bad) + len(devices)} are not "
            f"({', '.join(bad):.200}); the first: {first}"
        ) from first
    return devices


def read_folder(path: str | Path) -> tuple[dict[str, DeviceStates], dict[str, DeviceError]]:
    """Read every device measured into a folder, whatever is wrong with others.

    Returns:
        What `load_folder` returns, of the sound tables; and what is wrong with each of the others, by the same names.

    Raises:
        DeviceError: if there is no such folder or no table in it.
    """
    with given_path(path, DeviceError) as folder:
        found = _found(folder)
    devices: dict[str, DeviceStates] = {}
    bad: dict[str, DeviceError] = {}
    for name, file in sorted(found.items()):
        try:
            if isinstance(file, DeviceError):
                raise file
            tables = load_tables(file)
            several = len(tables) > 1
            devices |= {f"{name} at {metres(one.wavelength or 0)}" if several else name: one for one in tables}
        except DeviceError as error:
            bad[name] = error
    return devices, bad


def _found(folder: Path) -> dict[str, Path | DeviceError]:
    """Return the file of each device in a folder, of a pair the phases, or what is wrong with it."""
    if not folder.is_dir():
        what = "a file" if folder.exists() else "not there"
        raise DeviceError(f"expected a folder of device tables, but {folder} is {what}: check the path")
    found: dict[str, Path | DeviceError] = {}
    for file in sorted(folder.iterdir()):
        if file.suffix.lower() != ".csv" or file.is_dir() or file.name.startswith("."):
            continue
        name, made_of = _device(file)
        before = found.setdefault(name, made_of)
        if before != made_of and isinstance(before, Path) and isinstance(made_of, Path):
            found[name] = DeviceError(
                f"expected one device of the name {name} in {folder}, but {before.name} and {made_of.name} are two: "
                "rename one of them"
            )
    if not found:
        raise DeviceError(
            f"expected device tables in the folder {folder}, but there is no file NAME.csv: check the path, or write "
            "the tables there"
        )
    return found


def _device(file: Path) -> tuple[str, Path | DeviceError]:
    if is_half_of_pair(file):
        try:
            with read_errors(file, DeviceError):
                pair = None if read_table(file).header is not None else find_pair(file)
        except DeviceError as error:
            return file.stem, error
        if pair is not None:
            return pair.prefix, pair.phase
    return file.stem, file
