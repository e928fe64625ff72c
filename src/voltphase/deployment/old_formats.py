"""Manifests of the format's versions 1 and 2, brought to the form of today's.

Version 1, of voltphase 0.1.0, names one method for all distances, and has no conventions, formulas, types of arrays,
test inputs, note or checksum. In both versions a layer has a picture, and each row of its table of states a level, the
grey value that stands for it, its control value and its state.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal, Self

from pydantic import AfterValidator, ConfigDict, Field, model_validator

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
            **{word: getattr(self, word) for word in ("name", "control_unit", "source")},
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


class _Reference(Record):
    data: Any
    split: Any
    images: Any
    data_sha256: Any
    expected_accuracy: Annotated[float, Field(ge=0, le=1)]
    logits: _Array

    def upgraded(self) -> dict[str, Any]:
        """Return the reference as it is today."""
        rest = self.model_dump(exclude={"expected_accuracy", "logits"})
        return rest | {"metric": "accuracy", "expected": self.expected_accuracy, "logits": self.logits.model_dump()}


def _no_figures(sampling: dict[str, Any]) -> dict[str, Any]:
    if sampling:
        raise refuse(
            f"expected no figures, as this version integrates the method exactly, but got {sorted(sampling)!s:.60}: "
            "verify with the voltphase that wrote the folder, or deploy the run again"
        )
    return sampling


class _Method(Record):
    name: Any
    parameters: Any
    sampling: Annotated[dict[str, Any], AfterValidator(_no_figures)]


class _Propagation(Record):
    precision: Any
    distances_m: list[Any]


class _Propagation1(_Propagation):
    method: str


class _Propagation2(_Propagation):
    methods: list[_Method]
    formulas: Any


class _Manifest(Record):
    model_config = ConfigDict(extra="allow")  # the rest is as it is today, and is checked as that

    layers: list[_Layer]
    readout: dict[str, Any]
    reference: _Reference | None


class _Manifest1(_Manifest):
    propagation: _Propagation1
    input: dict[str, Any]


class _Manifest2(_Manifest):
    propagation: _Propagation2


def upgrade(content: dict[str, Any], version: int) -> tuple[dict[str, Any], str | None]:
    """Return a manifest of an earlier version as one of today's, and the name of its one method in version 1.

    The method of version 1 may be ``"auto"``, which only the planes can tell; until then another takes its place.

    Args:
        content: The whole manifest.
        version: Version of its format, 1 or 2.

    Raises:
        ValidationError: if what has changed since is not as that version wrote it.
    """
    old = (_Manifest1 if version == 1 else _Manifest2).model_validate(content)
    result = content | {
        "format_version": 3,
        "conventions": CONVENTIONS,
        "target": {"name": "slm-image", "settings": {}},
        "layers": [layer.upgraded() for layer in old.layers],
        "readout": content["readout"] | {"task": "classification"},
        "reference": None if old.reference is None else old.reference.upgraded(),
    }
    if isinstance(old, _Manifest2):
        methods = [method.model_dump(exclude={"sampling"}) for method in old.propagation.methods]
        return result | {"propagation": old.propagation.model_dump() | {"methods": methods}}, None
    assert isinstance(old, _Manifest1)
    measure, differential = old.readout.get("measure"), old.readout.get("differential") is True
    if isinstance(measure, str) and measure in READINGS:
        result["readout"]["formula"] = readout_formula(measure, differential=differential)
    result["propagation"] = old.propagation.model_dump(exclude={"method"}) | {
        "methods": [_PLACEHOLDER] * len(old.propagation.distances_m),
        "formulas": {"fresnel": FORMULAS["fresnel"]},
    }
    result |= {"input": old.input | {"align_corners": False}, "samples": None, "note": None}
    return result, old.propagation.method
