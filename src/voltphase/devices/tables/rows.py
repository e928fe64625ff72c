"""One line of a table, and the numbers in it."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from voltphase.core.advice import advise
from voltphase.core.errors import DeviceError, VoltphaseWarning
from voltphase.core.units import LONGEST_WAVELENGTH, SHORTEST_WAVELENGTH
from voltphase.core.words import shell

#: What a length is divided by to be in metres, by the name of its unit.
PER_METRE = {"nm": 1e9, "um": 1e6, "µm": 1e6, "μm": 1e6, "mm": 1e3, "m": 1.0, "": 1.0}
_LENGTH = re.compile(rf"([0-9.,e+-]+)\s*({'|'.join(PER_METRE)})", re.IGNORECASE)
_DECIMAL_COMMA = re.compile(r"[+-]?\d*,\d+(?:[eE][+-]?\d+)?")


@dataclass(frozen=True)
class Row:
    """The fields of one line of a file, spaces stripped."""

    path: Path
    line: int
    fields: tuple[str, ...]

    def error(self, message: str) -> DeviceError:
        """Return an error that names file and line."""
        return DeviceError(f"{self.path}:{self.line}: {message}")

    def number(self, index: int, what: str) -> float:
        """Return the finite number in a field."""
        text = self.fields[index]
        value = as_number(text)
        if value is None:
            raise self.error(
                f"expected a number as {what}, but got {text!r:.60}: write it like 0.25, or leave the whole row out"
            )
        if not math.isfinite(value):
            raise self.error(
                f"expected a finite number as {what}, but got {text!r:.60}: measure this state again, or leave it out"
            )
        return value


def as_number(text: str) -> float | None:
    """Return the number a text is, with a decimal point or comma, or None.

    NaN and infinities are numbers here, Python's ``1_000`` is not.
    """
    text = text.replace("\N{MINUS SIGN}", "-")
    if _DECIMAL_COMMA.fullmatch(text):
        text = text.replace(",", ".")
    try:
        return None if "_" in text else float(text)
    except ValueError:
        return None


def wavelength_of(notes: Mapping[str, str], path: Path) -> float | None:
    """Return the wavelength in metres that the comments of a table say it was measured at, or None.

    Warns:
        VoltphaseWarning: if it says something that is no wavelength, which is left out.
    """
    text = notes.get("wavelength", "")
    if (match := _LENGTH.fullmatch(text)) and (number := as_number(match[1])) is not None:
        # Divided: nanometres then give the very number that is written in metres.
        metres = number / PER_METRE[match[2].lower()]
        if SHORTEST_WAVELENGTH <= metres <= LONGEST_WAVELENGTH:
            return metres
    if text:
        advise(
            f"{path} says '# wavelength: {text:.60}', which is left out: write it in metres, such as 532e-9, or with "
            "its unit, such as 532 nm",
            VoltphaseWarning,
        )
    return None


def cure(path: Path, *options: str) -> str:
    """Return the command that converts a table, as it can be typed."""
    out = path.with_name(f"{path.stem}-clean.csv")
    return shell("voltphase", "device", "calibrate", path, *options, "--out", out)
