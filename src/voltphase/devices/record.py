"""Devices as JSON, for the files of runs and of deployments."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from voltphase.core import checks
from voltphase.core.errors import DeviceError
from voltphase.devices.device import Device
from voltphase.devices.panel import DevicePanel
from voltphase.devices.spectrum import DeviceSpectrum
from voltphase.devices.states import DeviceStates

WORDS: Final = ("name", "control_unit", "source")
#: The columns of a table, of which it may lack the spread.
COLUMNS: Final = ("control", "amplitude", "phase", "spread")


def to_json(device: Device) -> dict[str, Any]:
    """Return what JSON can hold of a device: all but the map of a panel, which is an array to be stored beside it.

    That is ``name``, ``digest``, of a panel ``inactive_value``, and ``tables``, each with its words, its wavelength if
    known and its columns as lists of numbers; None stands for a spread that is not known. Of a device at several
    wavelengths it is ``name``, ``digest`` and ``spectrum``, a list of such objects.

    Examples:
        >>> from voltphase.devices import dmd
        >>> record = to_json(dmd())
        >>> record["tables"][0]["amplitude"]
        [0.0, 1.0]
        >>> from_json(record).digest == dmd().digest
        True
    """
    record: dict[str, Any] = {"name": device.name, "digest": device.digest}
    if isinstance(device, DeviceSpectrum):
        return record | {"spectrum": [to_json(one) for one in device.devices]}
    if device.regions is not None:
        record["inactive_value"] = [device.inactive_value.real, device.inactive_value.imag]
    return record | {"tables": [_table_to_json(table) for table in device.tables]}


def from_json(record: object, regions: NDArray[np.integer] | None = None) -> Device:
    """Return the device that :func:`to_json` made a record of; ``regions`` is the map of a panel, None of a table.

    Raises:
        DeviceError: if something is missing, unknown or of another type, no device can have such states, or they do
            not have the digest beside them.
    """
    if isinstance(record, Mapping) and "spectrum" in record:
        return _spectrum_from_json(record, regions)
    needed = {"name", "digest", "tables"} | (set() if regions is None else {"inactive_value"})
    fields = _fields(record, "a device", needed, set())
    name = checks.instance(fields["name"], str, "name of a device as text", error=DeviceError)
    tables = [_table_from_json(table) for table in _list(fields, "tables")]
    if regions is not None:
        real, imaginary = _numbers(fields, "inactive_value", 2)
        device: Device = DevicePanel(tuple(tables), regions.astype(np.int64), complex(real, imaginary), name)
    elif len(tables) == 1:
        device = tables[0]
    else:
        raise DeviceError(f"expected one table of states, but got {len(tables)} without a map of the pixels of each")
    return _unchanged(device, fields["digest"])


def _spectrum_from_json(record: object, regions: NDArray[np.integer] | None) -> Device:
    fields = _fields(record, "a device at several wavelengths", {"name", "digest", "spectrum"}, set())
    parts = [from_json(part, regions) for part in _list(fields, "spectrum")]
    if not all(isinstance(part, DeviceStates | DevicePanel) for part in parts):
        raise DeviceError("expected a table or a panel at each wavelength, but got a device at several")
    return _unchanged(DeviceSpectrum(tuple(parts)), fields["digest"])  # pyright: ignore[reportArgumentType]


def _unchanged(device: Device, digest: object) -> Device:
    if device.digest != digest:
        raise DeviceError(
            f"expected {device.name} to have the digest {checks.shown(digest)} written beside it, but it has "
            f"{device.digest[:12]}…: it was changed"
        )
    return device


def _table_to_json(table: DeviceStates) -> dict[str, Any]:
    record: dict[str, Any] = {word: getattr(table, word) for word in WORDS}
    if table.wavelength is not None:
        record["wavelength"] = table.wavelength
    known = {column: getattr(table, column) for column in COLUMNS if getattr(table, column) is not None}
    return record | {
        column: [None if math.isnan(number) else number for number in numbers.tolist()]
        for column, numbers in known.items()
    }


def _table_from_json(record: object) -> DeviceStates:
    fields = dict(_fields(record, "a table of states", {*WORDS, *COLUMNS} - {"spread"}, {"spread", "wavelength"}))
    for word in WORDS:
        checks.instance(fields[word], str, f"{word} of a table of states as text", error=DeviceError)
    count = len(_list(fields, "control"))
    if "spread" in fields:
        fields["spread"] = [math.nan if number is None else number for number in _list(fields, "spread")]
    columns: dict[str, Any] = {
        column: np.array(_numbers(fields, column, count)) for column in COLUMNS if column in fields
    }
    return DeviceStates(**(fields | columns))


def _fields(given: object, what: str, needed: set[str], optional: set[str]) -> Mapping[str, Any]:
    record = checks.instance(given, Mapping, f"{what} as an object of JSON", error=DeviceError)
    for key in sorted(needed - record.keys()):
        raise DeviceError(f"expected {key} of {what}, but it is missing")
    for key in sorted(map(str, record.keys() - needed - optional)):
        raise DeviceError(f"expected nothing else of {what} than {', '.join(sorted(needed | optional))}, but got {key}")
    return record


def _list(fields: Mapping[str, Any], key: str) -> list[Any]:
    return checks.instance(fields[key], list, f"{key} of a device as a list", error=DeviceError)


def _numbers(fields: Mapping[str, Any], key: str, count: int) -> list[float]:
    numbers = _list(fields, key)
    if len(numbers) != count or not all(type(number) in (int, float) for number in numbers):
        raise DeviceError(f"expected {count} numbers as {key} of a device, but got {checks.shown(numbers)}")
    try:
        return [float(number) for number in numbers]
    except OverflowError as error:
        raise DeviceError(
            f"expected numbers of at most 1e100 as {key} of a device, but got {checks.shown(numbers)}"
        ) from error
