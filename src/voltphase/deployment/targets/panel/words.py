"""What a person at the bench has to know of a panel's files, in words."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import numpy as np

from voltphase.core.units import metres
from voltphase.deployment.targets.base import Layer, Written
from voltphase.devices import DeviceStates
from voltphase.panels import Profile

_FLIPS: Final = {
    "none": "",
    "rows": "mirrored top to bottom",
    "columns": "mirrored left to right",
    "both": "mirrored top to bottom and left to right",
}


def summary(panel: Profile, layer: Layer, written: Written) -> str:
    """Return what the command says of a layer, in a line."""
    told = written.details
    (top, bottom), (left, right) = told["rows"], told["columns"]
    parts = [f"rows {top}-{bottom}, columns {left}-{right} of {panel.name}", f"border {told['border']}"]
    parts += [f"{what}: states off by {_error(told[what])}" for what in ("resampled", "corrected") if what in told]
    parts += [_folded(told)] if "folded" in told else []
    return "; ".join(parts)


def instructions(panel: Profile, layer: Layer, written: Written) -> list[str]:
    """Return the paragraphs for README.txt."""
    return [text for text in _paragraphs(panel, layer, written) if text]


def loading(panel: Profile, written: Written) -> list[str]:
    """Return the paragraphs for the bench sheet."""
    down, across = written.details["pixels"]
    return [
        f"{panel.make} {panel.model}: {panel.rows} rows x {panel.columns} columns of {metres(panel.pitch, 6)}. Load a "
        f"file ({panel.file_words}) at 1:1. {panel.bench}",
        f"Each pixel of the design is {down:g} rows x {across:g} columns of the panel. "
        f"{_orientation(panel, written.details)}",
        _correction(panel, written),
        "What becomes of the answers on the panel's own pixels is said by voltphase deploy and verify; note it here: "
        "______________",
    ]


def _paragraphs(panel: Profile, layer: Layer, written: Written) -> Iterator[str]:
    told = written.details
    yield (
        f"For {panel.make} {panel.model}, {panel.rows} rows x {panel.columns} columns of pixels of "
        f"{metres(panel.pitch, 6)}, grey levels 0 to {2**panel.bits - 1}. The file has every pixel of the panel: load "
        f"it at 1:1, never scaled or smoothed, as a grey level in between is another state. {panel.bench}"
    )
    if "frame" in told:
        yield f"The layer is frame {told['frame']} of {told['frames']} in the file."
    yield _place(told)
    yield _orientation(panel, told)
    yield _border(layer.device.tables[0], told["border"])
    yield _correction(panel, written)
    if "resampled" in told:
        yield (
            f"Its pixels are no whole number of the panel's: the map was resampled, which leaves states off by "
            f"{_error(told['resampled'])}. `voltphase verify` says what that does to the answers."
        )
    yield (
        "Sign: the phase of a state is what the pixel adds to light that goes as exp(-i omega t), which gains "
        "+2 pi z / wavelength on its way. Of an opposite convention the table would have to be read anew, not the file."
    )
    yield _table(layer)
    if panel.unconfirmed:
        yield f"Not confirmed of this make, to check at the bench: {' '.join(panel.unconfirmed)}"


def _place(told: dict[str, Any]) -> str:
    (top, bottom), (left, right), (down, across) = told["rows"], told["columns"], told["pixels"]
    row, column = told["centre"]
    text = (
        f"Each pixel of the design is {down:g} rows x {across:g} columns of the panel; the map lies on rows "
        f"{top}-{bottom} and columns {left}-{right}, counted from 0. Its centre, row {row:g} and column "
        f"{column:g} (a whole number is the centre of a pixel), belongs on the axis of the light."
    )
    if abs(told["scale"] - 1) > 1e-9:
        text += (
            f" On the panel it is {told['scale']:.6g} times as large as in the design: something has to magnify it by "
            f"{1 / told['scale']:.6g}."
        )
    return text


def _orientation(panel: Profile, told: dict[str, Any]) -> str:
    turned = f"turned by {told['turn']} degrees counter-clockwise" if told["turn"] else ""
    done = " and then ".join(filter(None, (_FLIPS[told["flip"]], turned)))
    text = "Row 0 of the file is its top row, column 0 its left column"
    text += f": {panel.orientation}. " if panel.orientation else ". "
    if not done:
        return f"{text}The map lies as it is in the design, neither mirrored nor turned."
    return f"{text}For the file the map was {done}; the light has to meet it as it is in the design."


def _border(table: DeviceStates, border: int) -> str:
    level = np.flatnonzero(table.control == border)
    if not len(level):
        return f"Around it all pixels have the grey level {border}, which is no state of the device's table."
    amplitude = table.amplitude[level[0]]
    darkest = "the first of its darkest states" if amplitude == table.amplitude.min() else "a state"
    light = f"amplitude {amplitude:.3g}, phase {table.phase[level[0]]:.3g} rad"
    stop = ": put a stop there if light reaches it" if amplitude > 0 else ""
    return f"Around it all pixels have the grey level {border}, {darkest} ({light}){stop}."


def _correction(panel: Profile, written: Written) -> str:
    names = [name for name in written.files if name.startswith("correction")]
    if not names:
        return f"No correction of the panel's unevenness is in the file: {panel.no_correction}."
    if "corrected" not in written.details:
        return (
            f"The correction {names[0]} is in the file, added to grey levels modulo {panel.correction.modulo}"
            f"{' and scaled to the wavelength' if panel.correction.full_scale else ''}: no software may add it again."
            f"{f' Scaled so, {_folded(written.details)}.' if 'folded' in written.details else ''}"
        )
    plain = next(name for name in written.files if "-uncorrected" in name)
    return (
        f"The phase of {names[0]}, in radians, is in the file: added to each pixel's state, and the nearest state of "
        f"the device taken, which is off by {_error(written.details['corrected'])}. No software may add it again. "
        f"{plain} is the same without it."
    )


def _table(layer: Layer) -> str:
    device, known = layer.device, layer.device.wavelength
    light = f"measured or computed for {metres(known, 6)}" if known else "which does not say its wavelength"
    return (
        f"Grey levels are those of the table of {device.name}, {light}, used at {metres(layer.wavelength, 6)}; its "
        f"SHA-256 is {device.digest}."
    )


def _folded(told: dict[str, Any]) -> str:
    folded = told["folded"]
    return (
        f"{folded['distinct']} of {folded['levels']} levels remain distinct, and states sent as one grey level "
        f"differ by at most {folded['max']:.2g} of the largest amplitude"
    )


def _error(error: dict[str, float]) -> str:
    return f"{error['rms']:.2g} of the largest amplitude (root mean square), at most {error['max']:.2g}"
