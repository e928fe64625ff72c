"""One line of a table, and the numbers in it."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from pathlib import Path

from voltphase.core.errors import DeviceError
from voltphase.core.words import shell

_DECIMAL_COMMA = re.compile(r"[+-]?\d*,\d+(?:[eE][+-]?\d+)?")


@dataclass(frozen=True)
class Row:
    """The fields of one line of a file, spaces stripped."""

    path: Path
    line: int
    fields: tuple[str, ...]

    def error(self, message: str) -> DeviceError:
        """An error that names file and line."""
        return DeviceError(f"{self.path}:{self.line}: {message}")

    def number(self, index: int, what: str) -> float:
        """The finite number in a field.

        Raises:
            DeviceError: if it is empty, not a number, NaN or infinite.
        """
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
    """The number a text is, with a decimal point or comma, or None.

    NaN and infinities are numbers here, Python's ``1_000`` is not.
    """
    text = text.replace("\N{MINUS SIGN}", "-")
    if _DECIMAL_COMMA.fullmatch(text):
        text = text.replace(",", ".")
    try:
        return None if "_" in text else float(text)
    except ValueError:
        return None


def cure(path: Path, *options: str) -> str:
    """The command that converts a table, as it can be typed."""
    out = path.with_name(f"{path.stem}-clean.csv")
    return shell("voltphase", "device", "calibrate", path, *options, "--out", out)
