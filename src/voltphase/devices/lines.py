"""Text tables line by line, so that an error can say in which line something is wrong."""

from __future__ import annotations

import csv
import difflib
import math
from dataclasses import dataclass
from pathlib import Path

from voltphase.errors import DeviceError


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
                f"expected a number as {what}, but got {text!r}: write it like 0.25, or leave the whole row out"
            )
        if not math.isfinite(value):
            raise self.error(
                f"expected a finite number as {what}, but got {text!r}: measure this state again, or leave it out"
            )
        return value


@dataclass(frozen=True)
class TextTable:
    """A file: its rows, and the ``# key: value`` comments that say something about them."""

    path: Path
    rows: tuple[Row, ...]
    notes: dict[str, str]

    @property
    def has_header(self) -> bool:
        """Whether the first row is words only."""
        return bool(self.rows) and not any(as_number(text) is not None for text in self.rows[0].fields)


def as_number(text: str) -> float | None:
    """The number a text is, or None; NaN and infinities are numbers here, Python's ``1_000`` is not."""
    try:
        return None if "_" in text else float(text)
    except ValueError:
        return None


def read_table(path: Path) -> TextTable:
    """Read a file of comma-separated rows; blank lines and comments (``#``) are left out.

    Raises:
        DeviceError: if it is missing, is not text or holds no rows.
        OSError: if it cannot be read.
    """
    text = _text(path)
    rows: list[Row] = []
    notes: dict[str, str] = {}
    for number, line in enumerate(text.split("\n"), start=1):
        stripped = line.strip()
        if stripped.startswith("#"):
            key, colon, value = stripped.lstrip("#").partition(":")
            if colon:
                notes[key.strip().lower()] = value.strip()
            continue
        try:
            fields = tuple(cell.strip() for cell in next(csv.reader([stripped]), []))
        except csv.Error as error:
            raise DeviceError(f"{path}:{number}: expected values separated by commas, but {error}") from error
        if any(fields):
            rows.append(Row(path, number, fields))
    if not rows:
        raise DeviceError(
            f"expected a table of states in {path}, but there is nothing in it"
            + (" but comments" if text.strip() else "")
            + ": write a row for each level"
        )
    return TextTable(path, tuple(rows), notes)


def missing(path: Path) -> DeviceError:
    """The error for a file that is not there; it names files of that folder whose names are close."""
    folder = path.parent
    if not folder.is_dir():
        return DeviceError(f"expected a device table at {path}, but there is no folder {folder}: check the path")
    names = sorted(entry.name for entry in folder.iterdir())
    close = difflib.get_close_matches(path.name, names, n=3)
    if not close:
        close = difflib.get_close_matches(path.stem, names, n=3)
    advice = f"did you mean {' or '.join(close)}?" if close else "check the path"
    return DeviceError(f"expected a device table at {path}, but there is no such file: {advice}")


def _text(path: Path) -> str:
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise missing(path) from None
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise _not_text(path) from error
    if "\0" in text:
        raise _not_text(path)
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _not_text(path: Path) -> DeviceError:
    return DeviceError(
        f"expected a device table as text, but {path} is binary or in another encoding: save it as CSV in UTF-8"
    )
