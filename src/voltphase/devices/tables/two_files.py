"""Devices measured into two files: one for the phase, one for the amplitude or the intensity."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from voltphase.core.errors import DeviceError
from voltphase.devices.states import DeviceStates
from voltphase.devices.tables.columns import in_radians
from voltphase.devices.tables.rows import wavelength_of
from voltphase.devices.tables.text_table import TableFormat, TextTable, check_decimals, read_table
from voltphase.devices.tables.validate import check_amplitudes, check_count, check_unique, check_width

_COLUMNS = ("control", "raw reading", "value")
_LIGHT = ("intensity", "amplitude")
_HALF = re.compile("(.*)-(phase|intensity|amplitude)\\.csv", re.DOTALL)

# How far values may stray from the law they are said to follow, root mean square relative to the largest. Readings of a
# camera are whole numbers of 0 to 255 or more: half a count at a tenth of the range is 2 %.
_TOLERANCE = 0.02
# How much better one law has to fit than the other where both fit.
_CLEARLY = 3.0


@dataclass(frozen=True)
class Pair:
    """The two files of one device."""

    prefix: str  # what the names of both have in common
    phase: Path
    light: Path
    kind: str  # what the name of the second says it holds: amplitude or intensity


def find_pair(path: Path) -> Pair | None:
    """Return the pair that a path stands for: either file, or the prefix of both; None if neither file is there."""
    folder, half = path.parent, _HALF.fullmatch(path.name)
    prefix, named = half.groups() if half else (path.name, None)
    phase = folder / f"{prefix}-phase.csv"
    lights = {kind: folder / f"{prefix}-{kind}.csv" for kind in _LIGHT}
    there = [kind for kind in _LIGHT if lights[kind].is_file() and named in ("phase", kind, None)]
    if not phase.is_file() and not there:
        return None
    if not phase.is_file():
        raise DeviceError(
            f"expected {phase.name} beside {lights[there[0]]}, but there is no such file: add the phases, "
            "or write both into one table with the columns level,control,amplitude,phase"
        )
    if not there:
        raise DeviceError(
            f"expected {lights['intensity'].name} or {lights['amplitude'].name} beside {phase}, but there is neither: "
            "add one, or write both into one table with the columns level,control,amplitude,phase"
        )
    if len(there) > 1:
        raise DeviceError(
            f"expected one file beside {phase}, but there are {lights['intensity'].name} and "
            f"{lights['amplitude'].name}: name the one to use, or remove the other"
        )
    return Pair(prefix, phase, lights[there[0]], there[0])


def is_half_of_pair(path: Path) -> bool:
    """Return whether a file is named like one of a pair."""
    return _HALF.fullmatch(path.name) is not None


def only_pair(folder: Path) -> Pair:
    """Return the one pair in a folder."""
    pairs = [pair for pair in map(find_pair, sorted(folder.glob("*-phase.csv"))) if pair is not None]
    if not pairs:
        tables = sorted(entry.name for entry in folder.glob("*.csv"))
        raise DeviceError(
            f"expected a pair X-phase.csv and X-intensity.csv in the folder {folder}, but there is none: "
            + (f"name a file in it, one of {', '.join(tables[:5])}" if tables else "name a table of states")
        )
    if len(pairs) > 1:
        prefixes = ", ".join(str(folder / pair.prefix) for pair in pairs)
        raise DeviceError(
            f"expected one device in the folder {folder}, but there are {len(pairs)}: name one of {prefixes}"
        )
    return pairs[0]


def load_pair(pair: Pair, form: TableFormat, phase_unit: str | None, given: Mapping[str, str]) -> DeviceStates:
    """Return the states of a device measured into two files, joined by control value, in ascending order of it."""
    phase_table, light_table = read_table(pair.phase, form), read_table(pair.light, form)
    phases = _columns(phase_table, "phase")
    light = _columns(light_table, pair.kind)
    _same_controls(phase_table, phases["control"], light_table, light["control"])
    _same_controls(light_table, light["control"], phase_table, phases["control"])
    phase, turned = in_radians(phase_table, phases["value"], given=phase_unit)
    check_amplitudes(light_table, light_table.rows, light["value"].tolist(), pair.kind)
    amplitude, decision = _amplitude(light["raw reading"], light["value"], pair)
    by_phase, by_light = np.argsort(phases["control"]), np.argsort(light["control"])
    notes = {**light_table.notes, **phase_table.notes, **given}
    own = notes.get("source")
    made_of = f"{pair.phase.name} and {pair.light.name}; {decision}" + (f"; {turned}" if turned else "")
    return DeviceStates(
        control=phases["control"][by_phase],
        amplitude=amplitude[by_light],
        phase=phase[by_phase],
        name=notes.get("name", pair.prefix),
        control_unit=notes.get("control_unit", "grey level"),
        source=f"{own}; {made_of}" if own else made_of,
        wavelength=wavelength_of(notes, pair.phase),
    )


def _columns(table: TextTable, value: str) -> dict[str, NDArray[np.float64]]:
    # A spreadsheet may have left empty columns between the others.
    filled = sorted({index for row in table.rows for index, cell in enumerate(row.fields) if cell})
    fields = (tuple(row.fields[index] for index in filled if index < len(row.fields)) for row in table.rows)
    rows = tuple(replace(row, fields=cells) for row, cells in zip(table.rows, fields, strict=True))
    table = replace(table, rows=rows)
    check_width(table.rows, _COLUMNS)
    check_count(table, table.rows)
    check_decimals(table, range(len(_COLUMNS)))
    whats = ("control value", "raw reading", value)
    columns = [[row.number(i, what) for row in table.rows] for i, what in enumerate(whats)]
    check_unique(table.rows, columns[0], "control value")
    return {name: np.array(numbers) for name, numbers in zip(_COLUMNS, columns, strict=True)}


def _same_controls(table: TextTable, own: NDArray[np.float64], other: TextTable, others: NDArray[np.float64]) -> None:
    alone = np.flatnonzero(~np.isin(own, others))
    for place in alone:
        raise table.rows[place].error(
            f"expected the same control values as in {other.path.name}, but {own[place]:.12g} is not there "
            f"({len(alone)} of {len(own)} are not): measure both at the same settings, or remove the rows without "
            "a partner"
        )


def _amplitude(reading: NDArray[np.float64], value: NDArray[np.float64], pair: Pair) -> tuple[NDArray[np.float64], str]:
    """Return the amplitudes, and a sentence on how they were had from the values of the file.

    A file named "intensity" may hold amplitudes, and does in tables in circulation; the readings, which are
    intensities, tell.
    """
    stray = _stray(reading, value)
    fitting = sorted((kind for kind in _LIGHT if stray[kind] <= _TOLERANCE), key=stray.__getitem__)
    if len(fitting) == 2 and stray[fitting[1]] <= _CLEARLY * stray[fitting[0]]:
        kind, reason = pair.kind, "as the name says, the readings allowing either"
    elif fitting:
        kind = fitting[0]
        law = "sqrt(reading / largest reading)" if kind == "amplitude" else "reading / largest reading"
        reason = f"as they follow {law} within {stray[kind]:.1e}"
    elif pair.kind == "amplitude":
        kind, reason = "amplitude", "as the name says, though they do not follow the readings"
    else:
        raise DeviceError(
            f"expected the values in {pair.light} to follow their readings as intensities (reading / largest) or as "
            f"amplitudes (square root of that), but they follow neither: rename the file to "
            f"{pair.prefix}-amplitude.csv if they are amplitudes, or mend the columns"
        )
    if kind == "amplitude":
        return value, f"values of {pair.light.name} taken as amplitude, {reason}"
    return np.sqrt(value), f"values of {pair.light.name} taken as intensity, {reason}; amplitude is their square root"


def _stray(reading: NDArray[np.float64], value: NDArray[np.float64]) -> dict[str, float]:
    """Return how far the values are from each law, root mean square, after the best common scale."""
    if reading.max() <= 0 or reading.min() < 0 or not 0 < value.max() < math.inf:
        return dict.fromkeys(_LIGHT, math.inf)
    relative, scaled = reading / reading.max(), value / value.max()

    def stray(law: NDArray[np.float64]) -> float:
        scale = float(law @ scaled) / float(law @ law)
        return float(np.sqrt(np.mean((scaled - scale * law) ** 2)))

    return {"intensity": stray(relative), "amplitude": stray(np.sqrt(relative))}
