"""Measured devices from files."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from voltphase.core.errors import DeviceError
from voltphase.core.files import given_path
from voltphase.core.units import metres
from voltphase.devices.calibration.intensities import amplitude_of
from voltphase.devices.states import DeviceStates
from voltphase.devices.tables.columns import Column, columns_of, in_radians, is_relative, unit_of_control
from voltphase.devices.tables.repeats import mean_of_repeats
from voltphase.devices.tables.rows import Row, cure, wavelength_of
from voltphase.devices.tables.text_table import TableFormat, TextTable, check_decimals, read_table
from voltphase.devices.tables.two_files import Pair, find_pair, is_half_of_pair, load_pair, only_pair
from voltphase.devices.tables.validate import check_amplitudes, check_count, check_repeats, check_unique, check_width
from voltphase.devices.tables.wavelengths import by_wavelength

VERSION: Final = "1"

# Above 1 by more than rounding, an intensity is not relative to all the light.
_ROUNDING: Final = 1e-6


@dataclass(frozen=True)
class Reading:
    """How to read a table from elsewhere, where it does not say so itself."""

    # Name, or number from 1, of the column for some of `columns.ROLES`; others are found by their names in the header.
    columns: Mapping[str, str] = field(default_factory=dict)
    phase_unit: str | None = None  # one of `columns.PHASE_UNITS`
    intensity: bool = False  # whether the column named amplitude holds intensities or powers
    # Intensity without the device or with an ideal one, or "brightest" for that of the brightest state; None takes the
    # column chosen as reference, or intensities as they are if none is above 1.
    reference: float | str | None = None
    dark: float | None = None  # intensity read without light
    notes: Mapping[str, str] = field(default_factory=dict)  # name, control_unit, source and wavelength of the device
    form: TableFormat = field(default_factory=TableFormat)
    # Whether levels may be numbered anew, repeated readings found by their control values, and rows above the header
    # left out; all of which is noted.
    any_level: bool = False


def load_table(path: str | Path) -> DeviceStates:
    """Read a table of measured states, the same for all pixels.

    One file with a header naming the columns ``level,control,amplitude,phase``, in any order; others are ignored.
    Levels count 0, 1, 2, ... in any order of the rows, and without the column in the order of the rows; amplitude is
    of the field, but a column ``intensity`` or ``power`` instead, of at most 1, is read as its square; phase is in
    radians, or in a unit that the heading (``phase (deg)``, ``phase/pi``) or a comment ``# phase_unit: deg`` names.
    Each such conversion is recorded in ``source``. What cannot be read without a doubt is refused with the command
    ``voltphase device calibrate ...`` that converts it.

    Columns are separated by commas, semicolons, tabs or spaces, decimals written with a point or a comma, the encoding
    UTF-8, UTF-16 or Windows-1252: as spreadsheets save a table. Lines starting with ``#`` are comments, and of these
    ``# name:``, ``# control_unit:``, ``# source:`` and ``# wavelength:`` (in metres, or with its unit: ``532 nm``) are
    kept. ``# phase_unit: rad`` vouches for phases of more than 50 rad, otherwise taken for degrees.
    ``# voltphase-device: 1`` is the version of the format.

    With a column ``repeat`` (0, 1, 2, ...) a level may come on several lines, all with one control value. Its state is
    the mean of the complex readings, the phase kept on the turn of the level's first line; their standard deviation
    becomes ``spread``, and ``source`` says so. A column ``spread`` gives it outright, empty where it is not known.

    Two files without header, ``X-phase.csv`` and ``X-intensity.csv`` (or ``X-amplitude.csv``), with the columns
    control, raw reading, value: addressed by either, by ``X``, or by a folder with just one such pair. They are joined
    by control value. Whether the values of the second are amplitudes or intensities is decided from its readings, and
    the decision is recorded in ``source``.

    Raises:
        DeviceError: if the table is missing or malformed; it names file and line, and what to do.
    """
    return read_states(path, Reading())[0]


def load_tables(path: str | Path) -> list[DeviceStates]:
    """Read measured states as `load_table` does, at each of several wavelengths.

    A column ``wavelength``, in metres or in a unit that its heading names, such as ``wavelength (nm)``, says at which
    a state was measured. Each has the same levels, with the same control values.

    Returns:
        The table at each wavelength, the shortest first; a single one of a file without such a column.

    Raises:
        DeviceError: if the table is missing or malformed; it names file and line, and what to do.
    """
    return [states for states, _ in _read(path, Reading())]


def read_states(path: str | Path, how: Reading) -> tuple[DeviceStates, list[str]]:
    """Read a device's measured states as `load_table` does, and say what was seen and done, a line each."""
    found = _read(path, how)
    if len(found) > 1:
        each = [states.wavelength or math.nan for states, _ in found]
        raise DeviceError(
            f"expected a table of states at one wavelength, but {path} has {', '.join(map(metres, each))}: take one, "
            f"by --wavelength {each[0]:g} of voltphase device calibrate, or load all with voltphase.devices.load"
        )
    return found[0]


def _read(path: str | Path, how: Reading) -> list[tuple[DeviceStates, list[str]]]:
    with given_path(path, DeviceError) as path:
        if path.is_dir():
            return [_pair(only_pair(path), how)]
        if not path.exists() and (pair := find_pair(path)) is not None:
            return [_pair(pair, how)]
        table = read_table(path, how.form)
        if is_half_of_pair(path) and table.header is None and not how.columns:
            pair = find_pair(path)
            if pair is not None:
                return [_pair(pair, how)]
        table = replace(table, notes={**table.notes, **how.notes})
        return [_one_file(part, how) for part in _at_each_wavelength(table, how)]


def _at_each_wavelength(table: TextTable, how: Reading) -> list[TextTable]:
    header, columns = columns_of(table, how.columns, any_level=how.any_level)
    if "wavelength" not in columns:
        return [table]
    check_width(table.rows, header.fields if header is not None else table.rows[0].fields)
    check_decimals(table, [column.index for column in columns.values()])
    given = how.notes.get("wavelength")
    return by_wavelength(table, columns, given=None if given is None else float(given), any_level=how.any_level)


def _pair(pair: Pair, how: Reading) -> tuple[DeviceStates, list[str]]:
    given = (how.columns, how.intensity, how.reference is not None, how.dark is not None)
    for option, value in zip(("columns", "intensity", "reference", "dark"), given, strict=True):
        if value:
            raise DeviceError(
                f"expected no {option} for the two files of {pair.prefix}, whose columns are known and whose readings "
                "tell amplitudes from intensities: leave it out"
            )
    states = load_pair(pair, how.form, how.phase_unit, how.notes)
    return states, states.source.split("; ")


@dataclass(frozen=True)
class _Readings:
    """The numbers of a table, one of each for every row."""

    rows: tuple[Row, ...]
    level: NDArray[np.float64]
    control: NDArray[np.float64]
    amplitude: NDArray[np.float64]
    phase: NDArray[np.float64]
    spread: NDArray[np.float64] | None


def _one_file(table: TextTable, how: Reading) -> tuple[DeviceStates, list[str]]:
    version = table.notes.get("voltphase_device", VERSION)
    if version != VERSION:
        raise DeviceError(
            f"expected version {VERSION} of the device format, but {table.path} says {version!r}: "
            "use the voltphase it was written with, or correct its line '# voltphase-device:'"
        )
    header, columns = columns_of(table, how.columns, any_level=how.any_level)
    check_width(table.rows, header.fields if header is not None else table.rows[0].fields)
    check_count(table, table.rows)
    check_decimals(table, [column.index for column in columns.values()])
    readings, notes = _readings(table, columns, how)
    readings, mean = _one_a_level(table, readings, columns, how)
    notes += [mean] if mean else []
    _check_complete(readings.rows, readings.level.tolist())
    check_unique(
        readings.rows,
        readings.control.tolist(),
        "control value",
        f"remove one of the rows, correct it, or if these are repeated readings run {cure(table.path)}",
    )
    order = np.argsort(readings.level)
    states = DeviceStates(
        control=readings.control[order],
        amplitude=readings.amplitude[order],
        phase=readings.phase[order],
        name=table.notes.get("name", table.path.stem),
        control_unit=_control_unit(table, columns["control"], how),
        source="; ".join(note for note in (table.notes.get("source", table.path.name), *notes) if note),
        spread=None if readings.spread is None else readings.spread[order],
        wavelength=wavelength_of(table.notes, table.path),
    )
    return states, _seen(table, header, columns) + notes


def _seen(table: TextTable, header: Row | None, columns: Mapping[str, Column]) -> list[str]:
    said = [*table.seen, "columns: " + ", ".join(f"{role} = {column.heading}" for role, column in columns.items())]
    used = {column.index for column in columns.values()}
    unused = [words for index, words in enumerate(header.fields if header else ()) if words and index not in used]
    if unused:
        said.append(f"columns left out: {', '.join(unused)}")
    if table.preamble:
        said.append(f"left out above the header: {len(table.preamble)} rows")
    return said


def _readings(table: TextTable, columns: Mapping[str, Column], how: Reading) -> tuple[_Readings, list[str]]:
    """Return the numbers of a table, and what was done to get them."""
    rows = table.rows
    control, phase = (_numbers(rows, columns[what], what) for what in ("control", "phase"))
    phase, turned = in_radians(table, phase, columns["phase"].unit, how.phase_unit)
    amplitude, rooted = _amplitude(table, columns, how)
    level, numbered = _levels(rows, columns, control, how)
    readings = _Readings(rows, level, control, amplitude, phase, _spreads(rows, columns))
    return readings, [note for note in (turned, rooted, numbered) if note]


def _one_a_level(
    table: TextTable, given: _Readings, columns: Mapping[str, Column], how: Reading
) -> tuple[_Readings, str]:
    """Return the mean of repeated readings, and a note on it; without repeats the readings themselves."""
    if "repeat" in columns and not how.any_level:
        repeats = _numbers(given.rows, columns["repeat"], "repeat")
        check_repeats(given.rows, given.level.tolist(), given.control.tolist(), repeats.tolist())
    if "repeat" not in columns and not (how.any_level and len(np.unique(given.level)) < len(given.level)):
        advice = "remove one of the rows, correct it, or number repeated readings in a column repeat"
        check_unique(given.rows, given.level.tolist(), "level", advice)
        return given, ""
    if given.spread is not None:
        raise given.rows[0].error(
            "expected repeated readings or a column spread, but there are both: leave out the spread, which "
            "follows from the repeats"
        )
    mean = mean_of_repeats(given.level, given.amplitude, given.phase)
    rows = tuple(given.rows[i] for i in mean.first)
    check_count(table, rows)
    level, control = given.level[mean.first], given.control[mean.first]
    return _Readings(rows, level, control, mean.amplitude, mean.phase, mean.spread), mean.note


def _numbers(rows: tuple[Row, ...], column: Column, what: str) -> NDArray[np.float64]:
    return np.array([row.number(column.index, what) for row in rows])


def _amplitude(table: TextTable, columns: Mapping[str, Column], how: Reading) -> tuple[NDArray[np.float64], str]:
    """Return the amplitudes, and what was done to get them."""
    rows = table.rows
    rooting = "intensity" in columns or how.intensity
    column = columns["intensity" if "intensity" in columns else "amplitude"]
    values = _numbers(rows, column, "intensity" if rooting else "amplitude")
    whole = 100.0 if column.unit == "%" else 1.0
    measured = how.reference is not None or how.dark is not None or "reference" in columns
    if not rooting:
        if measured:
            raise DeviceError(
                f"expected intensities for a reference and a dark reading, but {table.path} has amplitudes: name the "
                "column as intensity, or leave these out"
            )
        check_amplitudes(table, rows, values.tolist(), "amplitude")
        return values / whole, "" if whole == 1 else "amplitude converted from percent"
    if column.unit.casefold().startswith("db"):
        raise (table.header or rows[0]).error(
            f"expected a linear intensity, but got {column.heading!r}: convert the column, 10**(x / 10) for x dB"
        )
    if "spread" in columns:
        raise rows[0].error(
            "expected a spread of amplitudes, but the table has intensities: leave out the column spread, or write "
            "amplitudes"
        )
    if measured:
        return amplitude_of(values, _reference(table, columns, how, values), how.dark or 0.0, str(table.path))
    check_amplitudes(table, rows, values.tolist(), "intensity")
    worst = int(values.argmax())
    if values[worst] > whole * (1 + _ROUNDING) or not (is_relative(column.unit) or column.unit == "%"):
        raise rows[worst].error(
            f"expected intensities relative to all the light, at most {whole:g}, but got {values[worst]:g} as "
            f"{column.heading}: run {_rooting(table, how, '--reference', 'brightest')}, or with the reading without "
            "the device instead of brightest"
        )
    note = f"amplitude is the square root of the column {column.heading}"
    return np.sqrt(values / whole), note if whole == 1 else f"{note} as a share of 100"


def _reference(
    table: TextTable, columns: Mapping[str, Column], how: Reading, values: NDArray[np.float64]
) -> float | NDArray[np.float64]:
    if "reference" in columns:
        if how.reference is not None:
            raise DeviceError(f"expected one reference for {table.path}, but got a column and {how.reference}")
        return _numbers(table.rows, columns["reference"], "reference")
    if how.reference is None:
        raise DeviceError(
            f"expected a reference beside the dark reading for {table.path}, but got none: run "
            f"{_rooting(table, how, '--dark', f'{how.dark:g}', '--reference', 'brightest')}, or with the reading "
            "without the device instead of brightest"
        )
    return float(values.max()) if how.reference == "brightest" else float(how.reference)


def _rooting(table: TextTable, how: Reading, *options: str) -> str:
    chosen = ",".join(f"{role}={text}" for role, text in how.columns.items())
    unit = ["--phase-unit", how.phase_unit] if how.phase_unit else []
    flags = ["--intensity"] if how.intensity else []
    return cure(table.path, *(["--columns", chosen] if chosen else []), *unit, *flags, *options)


def _levels(
    rows: tuple[Row, ...], columns: Mapping[str, Column], control: NDArray[np.float64], how: Reading
) -> tuple[NDArray[np.float64], str]:
    """Return the level of each row, and how it was found if the table does not say."""
    _, first, group = np.unique(control, return_index=True, return_inverse=True)
    by_order = np.argsort(np.argsort(first))[group].astype(np.float64)
    if "level" in columns:
        levels = _numbers(rows, columns["level"], "level")
        if not how.any_level:
            for row, level in zip(rows, levels.tolist(), strict=True):
                if level < 0 or level != int(level):
                    raise row.error(f"expected a level of 0, 1, 2, ..., but got {level:g}: number the levels from 0")
            return levels, ""
        pairs = np.unique(np.stack([levels, control]), axis=1)
        if pairs.shape[1] == len(first) and np.array_equal(np.sort(pairs[0]), np.arange(len(first))):
            return levels, ""
        return by_order, "levels numbered in the order of the rows, not as the table has them"
    one_a_row = np.arange(len(rows), dtype=np.float64)
    return by_order if "repeat" in columns or how.any_level else one_a_row, "levels numbered in the order of the rows"


def _control_unit(table: TextTable, column: Column, how: Reading) -> str:
    said = table.notes.get("control_unit")
    if said and "control_unit" not in how.notes and column.unit and said != column.unit:
        raise DeviceError(
            f"expected one unit of the control values in {table.path}, but the header says {column.unit} and the line "
            f"'# control_unit:' {said}: correct one, or run {cure(table.path, '--unit', column.unit)}"
        )
    return said if said is not None else unit_of_control(column) or "grey level"


def _spreads(rows: tuple[Row, ...], columns: Mapping[str, Column]) -> NDArray[np.float64] | None:
    """Return the column of spreads, NaN where a field is empty; None without such a column."""
    if "spread" not in columns:
        return None
    at = columns["spread"].index
    # A spread is on the scale of the amplitudes: in per cent if either column says so.
    units = [columns[role].unit for role in ("spread", "amplitude") if role in columns]
    whole = 100.0 if "%" in units else 1.0
    spreads = [row.number(at, "spread") / whole if row.fields[at] else math.nan for row in rows]
    for row, spread in zip(rows, spreads, strict=True):
        if spread < 0:
            raise row.error(
                f"expected a spread of at least zero, but got {spread:g}: give a standard deviation, or leave the "
                "field empty"
            )
    return np.array(spreads)


def _check_complete(rows: tuple[Row, ...], levels: list[float]) -> None:
    """Refuse levels, each given once by now, that are not 0, 1, 2, ... without a gap."""
    for expected, (level, row) in enumerate(sorted(zip(levels, rows, strict=True), key=lambda pair: pair[0])):
        if level != expected:
            raise row.error(
                f"expected the {len(rows)} levels to be 0 to {len(rows) - 1}, but level {expected} is missing before "
                f"level {level:.0f}: add its row, number the levels anew, or run {cure(row.path)}, which does"
            )
