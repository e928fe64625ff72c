"""Manifests of the format's versions 1 and 2, brought to the form of today's.

Version 1, of voltphase 0.1.0, names one method for all distances, and has no conventions, formulas, types of arrays,
test inputs, note or checksum. In both versions a layer has a picture, and each row of its table of states a level, the
grey value that stands for it, its control value and its state.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from voltphase.core.errors import DeploymentError
from voltphase.deployment.formulas import CONVENTIONS, FORMULAS, readout_formula

_PLACEHOLDER: Final = {"name": "fresnel", "parameters": {}}


def upgrade(path: Path, content: dict[str, Any], version: int) -> tuple[dict[str, Any], Any]:
    """Return a manifest of version 1 or 2 as one of today's, and what version 1 has as its one method, or None.

    That may be ``"auto"``, which only the planes can tell; until then another takes its place.

    Raises:
        DeploymentError: if what has changed since is not as that version wrote it.
    """
    try:
        return _upgraded(content, version)
    except (KeyError, ValueError) as error:
        reason = f"the key {error} is missing" if isinstance(error, KeyError) else str(error)
    except (TypeError, AttributeError):
        reason = "a part of it is of another type"
    raise DeploymentError(
        f"{path}: expected a manifest as format version {version} was written, but {reason}: restore the file, or "
        "deploy again"
    )


def _upgraded(content: dict[str, Any], version: int) -> tuple[dict[str, Any], Any]:
    result, method = dict(content), None
    propagation, readout, reference = dict(content["propagation"]), dict(content["readout"]), content["reference"]
    if reference is not None:
        reference = {**reference, "metric": "accuracy"}
        reference["expected"] = reference.pop("expected_accuracy")
    if version == 1:
        method = propagation.pop("method")
        propagation["methods"] = [_PLACEHOLDER] * len(propagation["distances_m"])
        propagation["formulas"] = {"fresnel": FORMULAS["fresnel"]}
        readout["formula"] = readout_formula(readout["measure"], differential=readout["differential"])
        if reference is not None:
            reference["logits"] = {**reference["logits"], "dtype": None}
        result |= {"input": {**content["input"], "align_corners": False}, "samples": None, "note": None}
    else:
        # Of the angular spectrum, before it was exact; with figures, it is refused for a key that is not known.
        propagation["methods"] = [
            {key: value for key, value in each.items() if (key, value) != ("sampling", {})}
            for each in propagation["methods"]
        ]
    result |= {
        "format_version": 3,
        "conventions": CONVENTIONS,
        "propagation": propagation,
        "target": {"name": "slm-image", "settings": {}},
        "layers": list(map(_layer, content["layers"])),
        "readout": readout | {"task": {"name": "classification", "settings": {}}},
        "reference": reference,
    }
    return result, method


def _layer(layer: Mapping[str, Any]) -> dict[str, Any]:
    kind = "panel" if "panel" in layer else "device"
    grid, image, levels, gain, owner = _values(layer, "grid", "image", "levels", "digital_gain", kind)
    file, sha256, bits = _values(image, "file", "sha256", "bits")
    more, tables, regions = {}, [owner], None
    if kind == "panel":
        *_, inactive, tables, regions = _values(owner, "name", "digest", "inactive_value", "tables", "regions")
        more = {"inactive_value": inactive}
    columns, codes = zip(*map(_table, tables), strict=True)
    if any(each != codes[0] for each in codes):
        raise ValueError("the tables of a layer have different codes, and one image is for all of them")
    return {
        "grid": grid,
        "device": {"name": owner["name"], "digest": owner["digest"], **more, "tables": list(columns)},
        "regions": regions and {"dtype": None, **regions},
        "levels": {"dtype": None, **levels},
        "digital_gain": gain,
        "target": {"files": [{"file": file, "sha256": sha256}], "details": {"bits": bits, "codes": codes[0]}},
    }


def _table(table: Mapping[str, Any]) -> tuple[dict[str, Any], list[Any]]:
    """Return a table as `voltphase.devices` writes it, and its codes."""
    keys = ("name", "source", "control_unit", "code_is_control", "digest", "table")
    name, source, unit, code_is_control, _, states = _values(table, *keys)
    rows = [_values(state, "level", "code", "control", "amplitude", "phase_rad") for state in states]
    level, codes, control, amplitude, phase = map(list, zip(*rows, strict=True))
    if level != list(range(len(level))) or code_is_control is not (codes == control):
        raise ValueError("levels of a table do not count 0, 1, 2, ..., or code_is_control is not true of it")
    columns = {"control": control, "amplitude": amplitude, "phase": phase}
    return {"name": name, "control_unit": unit, "source": source, **columns}, codes


def _values(group: Mapping[str, Any], *keys: str) -> list[Any]:
    """Return what is under the keys of a group, which has no others."""
    if other := sorted(group.keys() ^ set(keys)):
        raise ValueError(f"the key {other[0]:.80} is missing, or is there and was not")
    return [group[key] for key in keys]
