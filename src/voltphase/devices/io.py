"""Measured devices from files."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from voltphase.devices.checks import (
    check_amplitudes,
    check_count,
    check_phases,
    check_repeats,
    check_unique,
    check_width,
)
from voltphase.devices.lines import Row, TextTable, missing, read_table
from voltphase.devices.pairs import find_pair, is_half_of_pair, load_pair, only_pair
from voltphase.devices.paths import given_path
from voltphase.devices.repeats import mean_of_repeats
from voltphase.devices.states import DeviceStates
from voltphase.errors import DeviceError

COLUMNS = ("level", "control", "amplitude", "phase")
OPTIONAL = ("repeat", "spread")
VERSION = "1"


def load(path: str | Path) -> DeviceStates:
    """Read a device's measured states.

    One file: comma-separated with a header naming the columns ``level,control,amplitude,phase``, in any order; others
    are ignored. Levels count 0, 1, 2, ... in any order of the rows; amplitude is of the field, not its intensity; phase
    is in radians. Lines starting with ``#`` are comments, and of these ``# name:``, ``# control_unit:``, ``# source:``
    are kept. ``# phase_unit: rad`` vouches for phases of more than 50 rad, otherwise taken for degrees.
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
    with given_path(path) as path:
        if path.is_dir():
            return load_pair(only_pair(path))
        if not path.exists():
            pair = find_pair(path)
            if pair is None:
                raise missing(path)
            return load_pair(pair)
        table = read_table(path)
        if is_half_of_pair(path) and not table.has_header:
            pair = find_pair(path)
            if pair is not None:
                return load_pair(pair)
        return _one_file(table)


def _one_file(table: TextTable) -> DeviceStates:
    version = table.notes.get("voltphase-device", VERSION)
    if version != VERSION:
        raise DeviceError(
            f"expected version {VERSION} of the device format, but {table.path} says {version!r}: "
            "use the voltphase it was written with, or correct its line '# voltphase-device:'"
        )
    header = _header(table)
    rows = table.rows[1:]
    check_width(rows, header)
    check_count(table, rows)
    level, control, amplitude, phase = (_numbers(rows, header, column) for column in COLUMNS)
    _check_levels(rows, level.tolist())
    check_amplitudes(table, rows, amplitude.tolist(), "amplitude")
    check_phases(table, rows, phase.tolist())
    note = ""
    if "repeat" in header:
        check_repeats(rows, level.tolist(), control.tolist(), _numbers(rows, header, "repeat").tolist())
        mean = mean_of_repeats(level, amplitude, phase)
        rows = tuple(rows[i] for i in mean.first)
        level, control = level[mean.first], control[mean.first]
        amplitude, phase, spread, note = mean.amplitude, mean.phase, mean.spread, mean.note
        check_count(table, rows)
    else:
        check_unique(
            rows,
            level.tolist(),
            "level",
            "remove one of the rows, correct it, or number repeated readings in a column repeat",
        )
        spread = _spreads(rows, header)
    _check_complete(rows, level.tolist())
    check_unique(rows, control.tolist(), "control value")
    order = np.argsort(level)
    states = DeviceStates(
        control=control[order],
        amplitude=amplitude[order],
        phase=phase[order],
        name=table.notes.get("name", table.path.stem),
        control_unit=table.notes.get("control_unit", "grey level"),
        source=table.notes.get("source", table.path.name),
        spread=None if spread is None else spread[order],
    )
    return states.noting(note) if note else states


def _numbers(rows: tuple[Row, ...], header: list[str], column: str) -> NDArray[np.float64]:
    return np.array([row.number(header.index(column), column) for row in rows])


def _spreads(rows: tuple[Row, ...], header: list[str]) -> NDArray[np.float64] | None:
    """The column of spreads, NaN where a field is empty; None without such a column."""
    if "spread" not in header:
        return None
    at = header.index("spread")
    spreads = [row.number(at, "spread") if row.fields[at] else math.nan for row in rows]
    for row, spread in zip(rows, spreads, strict=True):
        if spread < 0:
            raise row.error(
                f"expected a spread of at least zero, but got {spread:g}: give a standard deviation, or leave the "
                "field empty"
            )
    return np.array(spreads)


def _header(table: TextTable) -> list[str]:
    """The names of the columns, in lower case."""
    first = table.rows[0]
    if not table.has_header:
        raise first.error(
            f"expected a header naming the columns {','.join(COLUMNS)}, but got {','.join(first.fields)!r}: "
            "add the header as first line"
        )
    header = [field.lower() for field in first.fields]
    lacking = [column for column in COLUMNS if column not in header]
    if lacking:
        separator = next((mark for mark in (";", "\t") if len(header) == 1 and mark in header[0]), None)
        advice = (
            f"separate columns by commas instead of {separator!r}, and write decimals with a point"
            if separator
            else "add it to header and rows"
        )
        raise first.error(
            f"expected the columns {', '.join(COLUMNS)}, but {' and '.join(lacking)} "
            f"{'is' if len(lacking) == 1 else 'are'} missing among {', '.join(first.fields)}: {advice}"
        )
    twice = [column for column in (*COLUMNS, *OPTIONAL) if header.count(column) > 1]
    if twice:
        raise first.error(f"expected each column once, but {twice[0]} comes twice: remove or rename one")
    if "repeat" in header and "spread" in header:
        raise first.error(
            "expected a column repeat or a column spread, but there are both: leave out the spread, which follows from "
            "the repeats"
        )
    return header


def _check_levels(rows: tuple[Row, ...], levels: list[float]) -> None:
    for row, level in zip(rows, levels, strict=True):
        if level < 0 or level != int(level):
            raise row.error(f"expected a level of 0, 1, 2, ..., but got {level:g}: number the levels from 0")


def _check_complete(rows: tuple[Row, ...], levels: list[float]) -> None:
    """Refuse levels, each given once by now, that are not 0, 1, 2, ... without a gap."""
    for expected, (level, row) in enumerate(sorted(zip(levels, rows, strict=True), key=lambda pair: pair[0])):
        if level != expected:
            raise row.error(
                f"expected the {len(rows)} levels to be 0 to {len(rows) - 1}, but level {expected} is missing before "
                f"level {level:.0f}: add its row, or number the levels anew"
            )
