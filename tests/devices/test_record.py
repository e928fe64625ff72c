"""Devices as JSON and back."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from voltphase.core.errors import DeviceError
from voltphase.devices import Device, DevicePanel, dmd, tn_slm
from voltphase.devices.record import from_json, to_json

TABLE = replace(tn_slm(4), spread=np.array([0.1, np.nan, 0.0, 0.2]), wavelength=633e-9, source="bench; 3")
PANEL = DevicePanel((TABLE, replace(TABLE, name="other", phase=-TABLE.phase)), np.array([[0, 1], [-1, 0]]), 0.5 - 0.1j)


@pytest.mark.parametrize("device", [TABLE, PANEL, dmd()], ids=lambda device: type(device).__name__)
def test_a_device_comes_back_from_json_as_it_was(device: Device) -> None:
    again = from_json(json.loads(json.dumps(to_json(device), allow_nan=False)), device.regions)
    assert type(again) is type(device)
    assert (again.digest, again.name, again.wavelength) == (device.digest, device.name, device.wavelength)
    for one, other in zip(again.tables, device.tables, strict=True):
        assert (one.name, one.control_unit, one.source) == (other.name, other.control_unit, other.source)
        np.testing.assert_array_equal(one.values(), other.values())
        assert (one.spread is None) == (other.spread is None)
        if one.spread is not None and other.spread is not None:
            np.testing.assert_array_equal(one.spread, other.spread)


def table(record: dict[str, Any]) -> dict[str, Any]:
    return record["tables"][0]


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda record: record.pop("digest"), "expected digest of a device"),
        (lambda record: record.update(colour="red"), "but got colour"),
        (lambda record: record.update(tables={}), "expected tables of a device as a list"),
        (lambda record: record.update(tables=[3]), "expected a table of states as an object"),
        (lambda record: record["tables"].append(record["tables"][0]), "expected one table of states, but got 2"),
        (lambda record: record.update(digest="0" * 64), "it was changed"),
        (lambda record: table(record).update(name=3), "expected name of a table of states as text"),
        (lambda record: table(record)["phase"].pop(), "expected 4 numbers as phase"),
        (lambda record: table(record)["phase"].__setitem__(0, "1"), "expected 4 numbers as phase"),
        (lambda record: table(record)["phase"].__setitem__(0, True), "expected 4 numbers as phase"),
        (lambda record: table(record)["phase"].__setitem__(0, None), "expected 4 numbers as phase"),
        (lambda record: table(record)["phase"].__setitem__(0, 10**400), "at most 1e100 as phase"),
        (lambda record: table(record).update(wavelength=532), "expected a wavelength in metres"),
        (lambda record: table(record).update(wavelength="532e-9"), "expected a wavelength in metres"),
    ],
)
def test_records_that_are_no_device_are_refused(change: Callable[[dict[str, Any]], Any], sentence: str) -> None:
    record = to_json(TABLE)
    change(record)
    with pytest.raises(DeviceError, match=sentence):
        from_json(record)


def test_a_panel_wants_its_map_and_its_inactive_value() -> None:
    with pytest.raises(DeviceError, match=r"nothing else .* inactive_value"):
        from_json(to_json(PANEL))
    with pytest.raises(DeviceError, match="expected inactive_value"):
        from_json(to_json(TABLE), PANEL.regions)
