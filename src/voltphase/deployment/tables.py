"""What a layer's pixels can be, as JSON: a table of states, or a panel of several tables and a map beside them."""

from __future__ import annotations

from typing import Any

import numpy as np

from voltphase.core.errors import DeploymentError, VoltphaseError
from voltphase.deployment.reading import Reader
from voltphase.deployment.records import FileRecord, read_array
from voltphase.devices import Device, DevicePanel, DeviceStates

Codes = tuple[int, ...]


def code_is_control(device: Device, codes: Codes) -> bool:
    """Whether grey values of an image, one for each level, are the control values to send."""
    return list(codes) == device.control.tolist()


def device_json(device: Device, codes: Codes) -> dict[str, Any]:
    """A table of states, or a panel but for its map, which is a file of its own."""
    if device.regions is not None:
        return {
            "name": device.name,
            "digest": device.digest,
            "inactive_value": [device.inactive_value.real, device.inactive_value.imag],
            "tables": [device_json(table, codes) for table in device.tables],
        }
    (states,) = device.tables
    table = zip(codes, device.control, states.amplitude, states.phase, strict=True)
    return {
        "name": device.name,
        "source": states.source,
        "control_unit": device.control_unit,
        "code_is_control": code_is_control(device, codes),
        "digest": device.digest,
        "table": [
            {
                "level": level,
                "code": code,
                "control": float(control),
                "amplitude": float(amplitude),
                "phase_rad": float(phase),
            }
            for level, (code, control, amplitude, phase) in enumerate(table)
        ],
    }


def parse_device(device: Reader, shape: tuple[int, int], regions: FileRecord | None) -> tuple[Device, Codes]:
    """What :func:`device_json` wrote, and the codes of its levels.

    Args:
        device: The object it wrote.
        shape: (rows, columns) of the layer.
        regions: Of a panel, the file of its map; None where it is a table.

    Raises:
        DeploymentError: if anything is missing, of the wrong type, was changed or contradicts another.
    """
    return _parse_table(device) if regions is None else _parse_panel(device, shape, regions)


def in_manifest(reader: Reader, error: VoltphaseError) -> DeploymentError:
    """The error, as one that names the place in the manifest."""
    return error if isinstance(error, DeploymentError) else reader.error(str(error))


def _parse_table(device: Reader) -> tuple[DeviceStates, Codes]:
    rows = device.children("table")
    if [row.integer("level") for row in rows] != list(range(len(rows))):
        raise device.error("expected the levels of the table to count 0, 1, 2, ...")
    try:
        states = DeviceStates(
            control=np.array([row.number("control") for row in rows]),
            amplitude=np.array([row.number("amplitude") for row in rows]),
            phase=np.array([row.number("phase_rad") for row in rows]),
            name=device.text("name"),
            control_unit=device.text("control_unit"),
            source=device.text("source"),
        )
    except VoltphaseError as error:
        raise in_manifest(device, error) from error
    if states.digest != device.text("digest"):
        raise device.error("expected a device table with the digest written beside it, but the table was changed")
    codes = tuple(row.integer("code") for row in rows)
    if device.boolean("code_is_control") != code_is_control(states, codes):
        raise device.error("expected code_is_control to say whether codes equal control values, but it does not")
    return states, codes


def _parse_panel(device: Reader, shape: tuple[int, int], record: FileRecord) -> tuple[DevicePanel, Codes]:
    parsed = [_parse_table(table) for table in device.children("tables")]
    tables, codes = [table for table, _ in parsed], {codes for _, codes in parsed}
    if len(codes) != 1:
        raise device.error("expected at least one table, and the same codes in all: one image is for all of them")
    regions = read_array(device.path.parent, record, shape, "i", "whole numbers")
    real, imaginary = device.numbers("inactive_value", 2)
    try:
        panel = DevicePanel(tuple(tables), regions.astype(np.int64), complex(real, imaginary), device.text("name"))
    except VoltphaseError as error:
        raise in_manifest(device, error) from error
    if panel.digest != device.text("digest"):
        raise device.error("expected a panel with the digest written beside it, but it was changed")
    return panel, codes.pop()
