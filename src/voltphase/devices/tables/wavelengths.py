"""One table of states at several wavelengths: a column says at which each was read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from voltphase.core.errors import DeviceError
from voltphase.core.units import LONGEST_WAVELENGTH, SHORTEST_WAVELENGTH, metres
from voltphase.devices.tables.columns import Column
from voltphase.devices.tables.rows import PER_METRE, Row, wavelength_of
from voltphase.devices.tables.text_table import TextTable


def by_wavelength(
    table: TextTable, columns: Mapping[str, Column], *, given: float | None = None, any_level: bool = False
) -> list[TextTable]:
    """Return the rows of each wavelength as a table of its own, the shortest first, with the levels in one order.

    Args:
        table: The whole table.
        columns: Its columns by what they are, that of the wavelength among them.
        given: Wavelength in metres that is wanted alone; None for all.
        any_level: Whether levels may be numbered anew, so that control values tell rows apart.

    Raises:
        DeviceError: if a cell is no wavelength, or a level is not at all of them, with one control value; it names file
            and line.
    """
    column, said = columns["wavelength"], wavelength_of(table.notes, table.path)
    parts: dict[float, list[Row]] = {}
    for row in table.rows:
        parts.setdefault(_wavelength(row, column), []).append(row)
    known = ", ".join(map(metres, sorted(parts)))
    if said is not None and given is None and list(parts) != [said]:
        raise DeviceError(
            f"expected the wavelength of {table.path} from its column {column.heading}, or from the line "
            f"'# wavelength:', but there are both, {known} and {metres(said)}: remove the line"
        )
    if given is not None:
        if given not in parts:
            raise DeviceError(f"expected readings of {table.path} at {metres(given)}, but it has them at {known}")
        parts = {given: parts[given]}
    key = columns["control" if any_level or "level" not in columns else "level"]
    what = "level" if key is columns.get("level") else "control value"
    _check_same(parts, key, what)
    if what == "level":
        _check_controls(table.rows, key, columns["control"], column)
    order = {value: place for place, value in enumerate(_values(next(iter(parts.values())), key, what))}
    return [
        replace(
            table,
            rows=tuple(sorted(parts[one], key=lambda row: order[row.number(key.index, what)])),
            notes={**table.notes, "wavelength": repr(one)},
        )
        for one in sorted(parts)
    ]


def _wavelength(row: Row, column: Column) -> float:
    # Divided: nanometres then give the very number that is written in metres.
    found = row.number(column.index, "wavelength") / PER_METRE[column.unit.lower()]
    if not SHORTEST_WAVELENGTH <= found <= LONGEST_WAVELENGTH:
        raise row.error(
            f"expected a wavelength from 1 nm to 1 cm, but got {found:g} m as {column.heading}: write it in metres, or "
            "its unit into the heading, as 'wavelength (nm)'"
        )
    return found


def _check_same(parts: Mapping[float, Sequence[Row]], key: Column, what: str) -> None:
    """Refuse tables of which one lacks what another has."""
    found = {at: {row.number(key.index, what): row for row in reversed(rows)} for at, rows in parts.items()}
    for at, own in found.items():
        for other, theirs in found.items():
            for value in own.keys() - theirs.keys():
                raise own[value].error(
                    f"expected each {what} at all wavelengths, but {value:.12g} is here at {metres(at)} and nowhere at "
                    f"{metres(other)}: measure it there, or leave it out at all; a level is one setting of the device, "
                    "whatever the light"
                )


def _check_controls(rows: Sequence[Row], level: Column, control: Column, wavelength: Column) -> None:
    """Refuse a level that has different control values at different wavelengths."""
    first: dict[float, Row] = {}
    seen: set[tuple[float, float]] = set()
    for row in rows:
        number, at = row.number(level.index, "level"), _wavelength(row, wavelength)
        before = first.setdefault(number, row)
        if (number, at) in seen:  # repeats are looked at by themselves
            continue
        seen.add((number, at))
        one, other = (each.number(control.index, "control") for each in (before, row))
        if one != other:
            raise row.error(
                f"expected one control value for level {number:g} at all wavelengths, but got {other:.12g} here at "
                f"{metres(at)} and {one:.12g} on line {before.line} at {metres(_wavelength(before, wavelength))}: a "
                "level is one setting of the device, whatever the light"
            )


def _values(rows: Sequence[Row], key: Column, what: str) -> dict[float, None]:
    return dict.fromkeys(row.number(key.index, what) for row in rows)
