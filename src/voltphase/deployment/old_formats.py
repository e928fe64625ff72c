"""Manifests of the format's versions 1 and 2, brought to the form of today's.

Version 1, of voltphase 0.1.0, names one method for all distances, and has no conventions, formulas, types of arrays,
test inputs, note or checksum. In both versions a layer has a picture, and each row of its table of states a level, the
grey value that stands for it, its control value and its state.
"""

from __future__ import annotations

from typing import Any, Final, Literal, Self

from pydantic import ConfigDict, model_validator

from voltphase.deployment.formulas import CONVENTIONS, FORMULAS, READINGS, readout_formula
from voltphase.deployment.records import FileRecord, Record, refuse

_PLACEHOLDER: Final = {"name": "fresnel", "parameters": {}}


class _Array(FileRecord):
    dtype: str | None = None


class _Image(FileRecord):
    bits: Literal[8, 16]


class _State(Record):
    level: int
    code: int
    control: float
    amplitude: float
    phase_rad: float


class _Table(Record):
    name: str
    source: str
    control_unit: str
    code_is_control: bool
    digest: str
    table: list[_State]

    @model_validator(mode="after")
    def _check(self) -> Self:
        if [state.level for state in self.table] != list(range(len(self.table))):
            raise refuse("expected the levels of the table to count 0, 1, 2, ...")
        if self.code_is_control != all(state.code == state.control for state in self.table):
            raise refuse("expected code_is_control to say whether codes equal control values, but it does not")
        return self

    @property
    def codes(self) -> list[int]:
        return [state.code for state in self.table]

    def columns(self) -> dict[str, Any]:
        """Return the table as `voltphase.devices` writes it."""
        return {
            "name": self.name,
            "control_unit": self.control_unit,
            "source": self.source,
            "control": [state.control for state in self.table],
            "amplitude": [state.amplitude for state in self.table],
            "phase": [state.phase_rad for state in self.table],
        }


class _Panel(Record):
    name: str
    digest: str
    inactive_value: list[float]
    tables: list[_Table]
    regions: _Array


class _Layer(Record):
    grid: Any
    image: _Image
    levels: _Array
    digital_gain: Any
    device: _Table | None = None
    panel: _Panel | None = None

    @model_validator(mode="after")
    def _check(self) -> Self:
        if (self.device is None) == (self.panel is None):
            raise refuse("expected the key device or panel, but one is missing or both are there: deploy again")
        if not self.tables or any(table.codes != self.tables[0].codes for table in self.tables):
            raise refuse("expected at least one table, and the same codes in all: one image is for all of them")
        return self

    @property
    def tables(self) -> list[_Table]:
        return [self.device] if self.device else self.panel.tables if self.panel else []

    def upgraded(self) -> dict[str, Any]:
        """Return the layer as it is today."""
        owner = self.device or self.panel
        assert owner is not None  # checked when it was read
        device: dict[str, Any] = {"name": owner.name, "digest": owner.digest}
        if self.panel is not None:
            device["inactive_value"] = self.panel.inactive_value
        return {
            "grid": self.grid,
            "device": device | {"tables": [table.columns() for table in self.tables]},
            "regions": self.panel.regions.model_dump() if self.panel is not None else None,
            "levels": self.levels.model_dump(),
            "digital_gain": self.digital_gain,
            "target": {
                "files": [self.image.model_dump(exclude={"bits"})],
                "details": {"bits": self.image.bits, "codes": self.tables[0].codes},
            },
        }


class _Manifest(Record):
    model_config = ConfigDict(extra="allow")  # the rest is as it is today, and is checked as that

    propagation: dict[str, Any]
    input: dict[str, Any]
    layers: list[_Layer]
    readout: dict[str, Any]
    reference: dict[str, Any] | None


def upgrade(content: dict[str, Any], version: int) -> tuple[dict[str, Any], Any]:
    """Return a manifest of version 1 or 2 as one of today's, and what version 1 has as its one method, or None.

    That may be ``"auto"``, which only the planes can tell; until then another takes its place.

    Raises:
        ValidationError: if what has changed since is not as that version wrote it.
    """
    old, method = _Manifest.model_validate(content), None
    propagation, reference = dict(old.propagation), old.reference
    readout = old.readout | {"task": {"name": "classification", "settings": {}}}
    result = content | {
        "format_version": 3,
        "conventions": CONVENTIONS,
        "propagation": propagation,
        "target": {"name": "slm-image", "settings": {}},
        "layers": [layer.upgraded() for layer in old.layers],
        "readout": readout,
    }
    if reference is not None:
        expected = reference.pop("expected_accuracy", None)
        result["reference"] = reference = reference | {"metric": "accuracy", "expected": expected}
    if version == 1:
        method = propagation.pop("method", "missing")
        distances, measure = propagation.get("distances_m"), readout.get("measure")
        propagation["methods"] = [_PLACEHOLDER] * (len(distances) if isinstance(distances, list) else 0)
        propagation["formulas"] = {"fresnel": FORMULAS["fresnel"]}
        if isinstance(measure, str) and measure in READINGS:
            readout["formula"] = readout_formula(measure, differential=readout.get("differential") is True)
        if reference is not None and isinstance(reference.get("logits"), dict):
            reference["logits"] = reference["logits"] | {"dtype": None}
        result |= {"input": old.input | {"align_corners": False}, "samples": None, "note": None}
    elif isinstance(methods := propagation.get("methods"), list):
        for each in methods:
            # Of the angular spectrum, before it was exact; with figures, it is refused for a key that is not known.
            if isinstance(each, dict) and each.get("sampling") == {}:
                del each["sampling"]
    return result, method
