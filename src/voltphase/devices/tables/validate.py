"""What every measured table is held to, whatever its form; errors name file and line."""

from __future__ import annotations

from collections.abc import Sequence

from voltphase.core.errors import DeviceError
from voltphase.devices.tables.rows import Row
from voltphase.devices.tables.text_table import TextTable


def check_count(table: TextTable, rows: Sequence[Row]) -> None:
    """Refuse a table with fewer than two states."""
    if len(rows) < 2:
        raise DeviceError(
            f"expected at least two states in {table.path}, but got {len(rows)}: a pixel needs a choice of levels"
        )


def check_width(rows: Sequence[Row], columns: Sequence[str]) -> None:
    """Refuse rows that do not have one value for each column."""
    for row in rows:
        if len(row.fields) != len(columns):
            raise row.error(
                f"expected {len(columns)} values ({', '.join(columns)}), but got {len(row.fields)}: "
                "separate values by commas and write decimals with a point"
            )


def check_unique(
    rows: Sequence[Row], values: Sequence[float], what: str, advice: str = "remove one of the rows, or correct it"
) -> None:
    """Refuse a value that comes twice."""
    seen: dict[float, int] = {}
    for row, value in zip(rows, values, strict=True):
        if value in seen:
            raise row.error(f"expected each {what} once, but {value:.12g} is on line {seen[value]} already: {advice}")
        seen[value] = row.line


def check_repeats(
    rows: Sequence[Row], levels: Sequence[float], controls: Sequence[float], repeats: Sequence[float]
) -> None:
    """Refuse repeats that are not numbered, come twice for a level, or were taken at another control value."""
    seen: dict[tuple[float, float], int] = {}
    sent: dict[float, tuple[float, int]] = {}
    for row, level, control, repeat in zip(rows, levels, controls, repeats, strict=True):
        if repeat < 0 or repeat != int(repeat):
            raise row.error(f"expected a repeat of 0, 1, 2, ..., but got {repeat:g}: number the repeats of each level")
        if (level, repeat) in seen:
            raise row.error(
                f"expected each repeat of a level once, but repeat {repeat:.0f} of level {level:.0f} is on line "
                f"{seen[level, repeat]} already: remove one of the rows, or number them apart"
            )
        seen[level, repeat] = row.line
        first, line = sent.setdefault(level, (control, row.line))
        if control != first:
            raise row.error(
                f"expected one control value for all repeats of level {level:.0f}, but got {control:.12g} here and "
                f"{first:.12g} on line {line}: correct one of them, or give the reading a level of its own"
            )


def check_amplitudes(table: TextTable, rows: Sequence[Row], amplitudes: Sequence[float], what: str) -> None:
    """Refuse negative amplitudes (or intensities, as ``what`` says), and a device that lets no light through."""
    for row, amplitude in zip(rows, amplitudes, strict=True):
        if amplitude < 0:
            raise row.error(
                f"expected an {what} of at least zero, but got {amplitude:g}: correct the value, or put its sign into "
                "the phase as a shift by pi"
            )
    if not any(amplitudes):
        raise DeviceError(
            f"expected some light, but every {what} in {table.path} is zero: check how the column was written"
        )
