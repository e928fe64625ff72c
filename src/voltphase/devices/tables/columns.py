"""Which column of a table is what, and in which unit, by the words in its header."""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from voltphase.core.errors import DeviceError
from voltphase.core.units import beyond_radians
from voltphase.devices.tables.rows import PER_METRE, Row, as_number, cure
from voltphase.devices.tables.text_table import TextTable

#: What a phase is multiplied by to be in radians, by the name of its unit.
PHASE_UNITS: Final[dict[str, float]] = {
    "rad": 1.0,
    "mrad": 1e-3,
    "deg": math.pi / 180,
    "pi": math.pi,
    "turns": 2 * math.pi,
}
#: What a column can be used as.
ROLES: Final = ("level", "control", "amplitude", "intensity", "phase", "repeat", "spread", "reference", "wavelength")

_PHASE_WORDS: Final[dict[str, str]] = {
    **dict.fromkeys(("rad", "rads", "radian", "radians"), "rad"),
    **dict.fromkeys(("mrad", "milliradians"), "mrad"),
    **dict.fromkeys(("deg", "degs", "degree", "degrees", "°"), "deg"),
    **dict.fromkeys(("pi", "pi rad", "rad/pi", "units of pi", "multiples of pi", "pi radians", "pi units"), "pi"),
    **dict.fromkeys(("turn", "turns", "cycle", "cycles", "wave", "waves", "λ", "lambda", "rev"), "turns"),
    **dict.fromkeys(("2pi", "2 pi", "2pi rad", "2 pi rad", "rad/2pi", "units of 2pi", "units of 2 pi"), "turns"),
}
#: What these units are called in a sentence.
PHASE_SHOWN: Final = {"mrad": "milliradians", "deg": "degrees", "pi": "units of pi", "turns": "turns"}
_RELATIVE: Final = {
    *("", "1", "-", "a.u.", "a.u", "au", "a. u.", "arb. u.", "arb.u.", "arb. units", "arb"),
    *("norm", "norm.", "normalised", "normalized", "rel", "rel.", "relative"),
}
_POWERS: Final = frozenset(
    [prefix + unit for prefix in ("", *"nuµμmk") for unit in ("w", "v", "a", "w/cm2", "w/cm²")]
) | {"counts", "count", "cts", "adu"}
_DRIVES: Final = frozenset(prefix + unit for prefix in ("", *"mkuµμ") for unit in "va")

# Names by which a column is known without doubt. Of transmission, delay and the like one cannot say: they are used of
# amplitudes and of powers, with either sign.
_NAMES: Final[dict[str, tuple[str, ...]]] = {
    "level": ("level", "levels"),
    "control": ("control value", "control", "voltage", "grey level", "gray level", "grey value", "gray value"),
    "amplitude": ("field amplitude", "amplitude"),
    "intensity": ("optical power", "intensity", "power"),
    "phase": ("phase shift", "phase"),
    "repeat": ("repeat",),
    "spread": ("spread",),
    "wavelength": ("wavelength",),
}


@dataclass(frozen=True)
class Column:
    """A column of a table that is used."""

    index: int  # its position, counted from 0
    heading: str  # its name in the header, or "column 1" without one
    unit: str  # as the header writes it


def phase_unit(words: str) -> str | None:
    """Return the unit of `PHASE_UNITS` that some words are, or None."""
    bare = re.sub(r"[·*×]", " ", words.casefold().replace("π", "pi"))
    return _PHASE_WORDS.get(" ".join(bare.split()).removeprefix("x ").strip(" ."))


def in_radians(
    table: TextTable, values: NDArray[np.float64], heading: str = "", given: str | None = None
) -> tuple[NDArray[np.float64], str]:
    """Return the phases in radians, and what was done to get them; empty if nothing was.

    The unit is the one of `PHASE_UNITS` that someone gave, else what the column's heading or a comment
    ``# phase_unit:`` of the table says, else radians.
    """
    said = table.notes.get("phase_unit", "")
    unit = given
    if unit is None:
        units = {words: phase_unit(words) for words in (heading, said) if words}
        for words, known in units.items():
            if known is None:
                raise DeviceError(
                    f"expected phases in a unit that is known, but {table.path} has them in {words!r:.60}: convert the "
                    f"column, or run {cure(table.path, '--phase-unit', 'UNIT')} with one of {', '.join(PHASE_UNITS)}"
                )
        if len(set(units.values())) > 1:
            raise DeviceError(
                f"expected one unit of phase in {table.path}, but the header says {heading} and the line "
                f"'# phase_unit:' {said}: correct one, or run "
                f"{cure(table.path, '--phase-unit', units[heading] or 'rad')}"
            )
        unit = next(iter(units.values()), None)
    elif unit not in PHASE_UNITS:
        raise DeviceError(f"expected a unit of phase, but got {unit!r:.60}: use one of {', '.join(PHASE_UNITS)}")
    if unit is None:
        if (worst := beyond_radians(values)) is not None:
            raise table.rows[worst].error(
                f"expected phases in radians, but {values[worst]:g} looks like degrees: run "
                f"{cure(table.path, '--phase-unit', 'deg')}, or add the line '# phase_unit: rad' if these are radians"
            )
        return values, ""
    return (values, "") if unit == "rad" else (values * PHASE_UNITS[unit], f"phase converted from {PHASE_SHOWN[unit]}")


def is_relative(unit: str) -> bool:
    """Return whether a unit says that values are relative to something."""
    return unit.casefold() in _RELATIVE


def columns_of(table: TextTable, chosen: Mapping[str, str], *, any_level: bool) -> tuple[Row | None, dict[str, Column]]:
    """Return the row that names the columns, if there is one, and the columns by what they are.

    ``chosen`` has the name or number of the column for some of `ROLES`; rows above the header, which are left out, are
    allowed with ``any_level``.
    """
    header = table.header
    _check_roles(chosen)
    if table.preamble and not any_level:
        raise table.preamble[0].error(
            f"expected a header naming the columns as first line, but it seems to be line {table.rows[0].line - 1}: "
            f"write # before what is above it, or run {cure(table.path)}"
        )
    if header is None and table.commented is not None and len(table.commented.fields) == len(table.rows[0].fields):
        header = table.commented
    skipped = {*chosen, *({"amplitude", "intensity"} if {"amplitude", "intensity"} & chosen.keys() else ())}
    found = _find_columns(header, skipped) if header is not None else {}
    if chosen:
        picked = _chosen_columns(header, table.rows[0], chosen)
        taken = {column.index for column in picked.values()}
        found = {role: column for role, column in found.items() if column.index not in taken} | picked
    lacking = _lacking(found)
    if lacking and not found and all(as_number(cell) is None for row in table.rows for cell in row.fields):
        raise DeviceError(
            f"expected a device table, a row of numbers for each level, but {table.path} has no number where a table "
            "has its own: give the CSV file or spreadsheet of a device, or the folder of a panel"
        )
    if lacking and (header is None or (header is table.commented and not found)):
        raise table.rows[0].error(
            f"expected a header naming the columns level,control,amplitude,phase, but got "
            f"{','.join(table.rows[0].fields)[:60]!r}: add the header as first line, or run "
            f"{cure(table.path, '--columns', 'control=A,amplitude=B,phase=C')} with numbers from 1 for A, B and C"
        )
    if lacking:
        assert header is not None
        raise _missing_columns(header, found, lacking)
    if "repeat" in found and "spread" in found:
        raise (header or table.rows[0]).error(
            "expected a column repeat or a column spread, but there are both: leave out the spread, which follows from "
            "the repeats"
        )
    return header, found


def _find_columns(header: Row, but: Collection[str]) -> dict[str, Column]:
    """Return the columns of a header by what they are, but for some; what has no name that is known is left out."""
    found: dict[str, Column] = {}
    doubtful: dict[str, Column] = {}
    for index, heading in enumerate(header.fields):
        role, unit = _role(heading)
        if not role or role in but:
            continue
        column = Column(index, heading, unit)
        if not _is_known(role, unit, heading):
            doubtful.setdefault(role, column)
        elif role in found:
            raise header.error(
                f"expected each column once, but {role} comes twice, as {found[role].heading!r} and {heading!r}: "
                f"remove or rename one, or run {_choosing(header, {role: heading})} for the second"
            )
        else:
            found[role] = column
    if "amplitude" in found:
        # The amplitude is what is wanted; a power beside it is more of the same.
        found.pop("intensity", None)
    lacking = _lacking(found)
    for role, column in doubtful.items():
        if role == "wavelength" and _names_unit(column.heading):
            raise header.error(
                f"expected wavelengths in {', '.join(filter(None, PER_METRE))}, but got {column.heading!r}: convert "
                "the column, and write its unit into the heading"
            )
        if role in lacking or (role == "intensity" and "amplitude" in lacking and "amplitude" not in but):
            raise header.error(
                f"expected {role} in a unit that is known, but got {column.heading!r}: convert the column, or "
                + (
                    f"run {_choosing(header, {role: column.heading}, (), '--phase-unit', 'UNIT')} with its unit, of "
                    f"{', '.join(PHASE_UNITS)}"
                    if role == "phase"
                    else f"if it is one as it stands run {_choosing(header, {role: column.heading})}"
                )
            )
    return found


def _lacking(found: Collection[str]) -> list[str]:
    needed = ("control", "phase") if "intensity" in found else ("control", "amplitude", "phase")
    return [role for role in needed if role not in found]


def _missing_columns(header: Row, found: Mapping[str, Column], lacking: Sequence[str]) -> DeviceError:
    known = {role: column.heading for role, column in found.items()}
    if list(lacking) == ["control"] and "level" in found:
        cured = _choosing(header, {"control": known["level"]})
        advice = f"add it, or if the levels are what the driver is sent run {cured}"
    else:
        names = " and ".join(role.upper() for role in lacking)
        stand = "stands for the name or number of a column" if len(lacking) == 1 else "stand for names or numbers"
        advice = f"add what is missing, or run {_choosing(header, known, lacking)}, where {names} {stand}"
    return header.error(
        f"expected the columns control, amplitude and phase, but {' and '.join(lacking)} "
        f"{'is' if len(lacking) == 1 else 'are'} missing among {', '.join(header.fields):.200}: {advice}"
    )


def _check_roles(chosen: Mapping[str, str]) -> None:
    for role in chosen:
        if role not in ROLES:
            raise DeviceError(f"expected columns as {', '.join(ROLES)}, but got {role!r:.60}: use one of these words")
    if {"amplitude", "intensity"} <= chosen.keys():
        raise DeviceError("expected a column as amplitude or as intensity, but got both: leave one out")


def _chosen_columns(header: Row | None, first: Row, chosen: Mapping[str, str]) -> dict[str, Column]:
    """Return the columns that someone chose by name or by number from 1."""
    fields = header.fields if header is not None else ()
    width = max(len(fields), len(first.fields))
    plain = [_plain(field) for field in fields]
    bare = [_plain(_bare(field)) for field in fields]
    found: dict[str, Column] = {}
    for role, text in chosen.items():
        matches = [index for index, name in enumerate(plain) if name == _plain(text)]
        matches = matches or [index for index, name in enumerate(bare) if name == _plain(text)]
        if not matches and text.isdecimal() and 0 < int(text[:9]) <= width:
            matches = [int(text) - 1]
        if len(matches) != 1:
            close = difflib.get_close_matches(_plain(text), plain, n=1)
            raise (header or first).error(
                f"expected one column {text!r:.60} as {role}, but there "
                + (f"are {len(matches)}: " if matches else "is none: ")
                + (f"did you mean {fields[plain.index(close[0])]!r}? " if close and not matches else "")
                + f"give a number from 1 to {width}"
                + (f" or a name, of {', '.join(fields):.200}" if fields else ", as no header names them")
            )
        heading = fields[matches[0]] if matches[0] < len(fields) else f"column {matches[0] + 1}"
        found[role] = Column(matches[0], heading, _unit(heading))
    return found


def unit_of_control(column: Column) -> str:
    """Return the unit that a column's heading gives control values, or what it calls them; empty if neither."""
    bare = _bare(column.heading)
    named = _plain(bare) in _NAMES["control"]
    return column.unit or ("" if _plain(bare).startswith("control") else _plain(bare) if named else bare)


def _choosing(header: Row, known: Mapping[str, str], lacking: Sequence[str] = (), *options: str) -> str:
    """Return the command that converts a table with these columns chosen, and those that are lacking in capitals."""
    words = ("control", "amplitude", "intensity", "phase", "spread", "repeat")
    pairs = [f"{role}={known[role]}" for role in words if role in known]
    quoted = [f'"{pair}"' if "," in pair else pair for pair in pairs]
    return cure(header.path, "--columns", ",".join(quoted + [f"{role}={role.upper()}" for role in lacking]), *options)


def _role(heading: str) -> tuple[str, str]:
    """Return what a column is by its name, and its unit as written; empty if it is none that is known."""
    words = _plain(heading)
    for role, names in _NAMES.items():
        for name in names:
            if words == name or (words.startswith(name) and not words[len(name)].isalnum()):
                return role, _unit(heading, name)
    return "", ""


def _unit(heading: str, name: str | None = None) -> str:
    """Return the unit in a heading such as ``phase (rad)``, ``phase [rad]``, ``phase / rad`` or ``phase_rad``."""
    text = " ".join(heading.replace("_", " ").split())
    rest = text[len(name) :] if name is not None else text[len(_bare(heading)) :]
    rest = rest.strip(" /,:;-").removeprefix("in ")
    for opening, closing in ("()", "[]", "{}"):
        if rest.startswith(opening) and rest.endswith(closing):
            rest = rest[1:-1].strip()
    return rest.removeprefix("in ").strip()


def _names_unit(heading: str) -> bool:
    return any(mark in heading for mark in "([{/")


def _bare(heading: str) -> str:
    text = " ".join(heading.replace("_", " ").split())
    return re.split(r"\s*[(\[{/]", text, maxsplit=1)[0]


def _plain(text: str) -> str:
    return " ".join(text.replace("_", " ").casefold().split())


def _is_known(role: str, unit: str, heading: str) -> bool:
    word = unit.casefold()
    match role:
        case "phase":
            return not word or phase_unit(word) is not None
        case "amplitude" | "spread":
            return word in _RELATIVE or word == "%"
        case "intensity":
            return word in _RELATIVE or word == "%" or word in _POWERS
        case "control":
            # Any unit will do, but "voltage error" is no control value.
            return word in _RELATIVE or word in _DRIVES or _names_unit(heading)
        case "wavelength":
            return word in PER_METRE
        case _:
            return not word
