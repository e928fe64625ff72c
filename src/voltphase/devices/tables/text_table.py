"""Text tables line by line, so that an error can say in which line something is wrong."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from voltphase.core.errors import DeviceError
from voltphase.core.files import require_file
from voltphase.devices.tables.rows import Row, as_number, cure
from voltphase.devices.tables.separated import Lines, is_comment, lines_of_text, trimmed
from voltphase.devices.tables.spreadsheets import is_archive, read_sheet

# Far more than a device has levels and a bench repeats them: 65536 levels read 16 times.
_LARGEST: Final = 64 << 20
_MOST_ROWS: Final = 1 << 20

# "1,234" may be a number above one with three decimals, or more than a thousand.
_DOUBTFUL = re.compile(r"[+-]?[1-9]\d{0,2},\d{3}")
_THOUSANDS = {
    ".": re.compile(r"[+-]?\d{1,3}(?:,\d{3})+(?:\.\d*)?(?:[eE][+-]?\d+)?"),
    ",": re.compile(r"[+-]?\d{1,3}(?:\.\d{3})+(?:,\d*)?(?:[eE][+-]?\d+)?"),
}


@dataclass(frozen=True)
class TableFormat:
    """How a file is written, where one knows better than can be seen from it; None finds out."""

    encoding: str | None = None  # its name; else by a byte order mark, as UTF-8, or as Windows-1252
    separator: str | None = None  # the character between columns, or a word of `separated.SEPARATORS`
    decimal: str | None = None  # the decimal mark, "." or ","; else what is in doubt is refused
    sheet: str | None = None  # name, or number from 1, of the sheet of a spreadsheet; else the only one
    spreadsheets: bool = False  # whether a spreadsheet is read at all


@dataclass(frozen=True)
class TextTable:
    """A file: its rows of readings, and what it says about them."""

    path: Path
    rows: tuple[Row, ...]  # those below the header, each at least as wide as that
    notes: dict[str, str]  # the comments "# key: value", keys in lower case with underscores
    header: Row | None  # the row that names the columns
    preamble: tuple[Row, ...]  # rows above the header
    commented: Row | None  # the last comment before the rows, cut into cells: as some programs write the header
    seen: tuple[str, ...]  # what was found out about how the file is written, in words
    decimal: str | None  # the decimal mark, where it was given


def read_table(path: Path, form: TableFormat | None = None) -> TextTable:
    """Read a file of rows of values, whatever separates them; blank lines and comments (``#``) are left out."""
    form = form or TableFormat()
    if form.decimal not in (None, ".", ","):
        raise DeviceError(f"expected a decimal mark . or , but got {form.decimal!r:.60}")
    data = _bytes(path)
    if is_archive(data):
        if not form.spreadsheets:
            raise DeviceError(f"expected a device table as text, but {path} is a spreadsheet: run {cure(path)}")
        lines = _of_sheet(path, data, form)
    elif form.sheet is not None:
        raise DeviceError(f"expected a spreadsheet to take the sheet {form.sheet} of, but {path} is none: leave it out")
    else:
        lines = lines_of_text(path, data, form.encoding, form.separator, _MOST_ROWS)
    if not lines.rows:
        raise DeviceError(
            f"expected a table of states in {path}, but there is nothing in it"
            + (" but comments" if lines.comments else "")
            + ": write a row for each level"
        )
    return _table(path, lines, form.decimal)


def check_decimals(table: TextTable, indices: Sequence[int]) -> None:
    """Refuse columns of which the decimal mark is in doubt."""
    cells = ((row, row.fields[index]) for row in table.rows for index in indices if index < len(row.fields))
    numbers = [cell for cell in cells if as_number(cell[1]) is not None]
    points, commas = ([cell for cell in numbers if mark in cell[1]] for mark in ".,")
    for row, text in {".": commas, ",": points}.get(table.decimal or "", []):
        raise row.error(f"expected numbers with a decimal {table.decimal!r}, but got {text!r}: give the other one")
    if points and commas:
        (_, one), (row, other) = sorted([points[0], commas[0]], key=numbers.index)
        raise row.error(
            f"expected one decimal mark in all numbers, but got {one!r} and {other!r}: write all with a point"
        )
    doubtful = [cell for cell in commas if _DOUBTFUL.fullmatch(cell[1])]
    if doubtful and len(doubtful) == len(commas) and table.decimal is None:
        row, text = doubtful[0]
        raise row.error(
            f"expected numbers with one meaning, but {text!r} may be {text.replace(',', '.')} or "
            f"{text.replace(',', '')}: run {cure(table.path, '--decimal', ',')} if the comma is a decimal one, with "
            "--decimal . if it sets off thousands"
        )


def _table(path: Path, lines: Lines, decimal: str | None) -> TextTable:
    rows = [replace(row, fields=trimmed(row.fields)) for row in lines.rows]
    if decimal is not None:
        rows = [replace(row, fields=tuple(_without_thousands(cell, decimal) for cell in row.fields)) for row in rows]
    counts = [sum(as_number(cell) is not None for cell in row.fields) for row in rows]
    first = next((index for index, count in enumerate(counts) if count > 1), 1)
    # Words only, and the nearest such row above the numbers.
    named = next((index for index in reversed(range(first)) if counts[index] == 0), None)
    header = None if named is None else rows[named]
    body = rows if named is None else rows[named + 1 :]
    if header is not None:
        width = len(header.fields)
        body = [replace(row, fields=row.fields + ("",) * (width - len(row.fields))) for row in body]
    return TextTable(
        path=path,
        rows=tuple(body),
        notes=_notes(lines.comments),
        header=header,
        preamble=tuple(rows[: named or 0]),
        commented=lines.commented,
        seen=lines.seen,
        decimal=decimal,
    )


def _notes(comments: list[str]) -> dict[str, str]:
    parts = (text.partition(":") for text in comments)
    return {"_".join(re.split(r"[\s_-]+", key.strip().lower())): text.strip() for key, colon, text in parts if colon}


def _of_sheet(path: Path, data: bytes, form: TableFormat) -> Lines:
    for option, given in (("encoding", form.encoding), ("separator", form.separator)):
        if given is not None:
            raise DeviceError(f"expected no {option} for {path}, which is a spreadsheet: leave it out")
    name, cells = read_sheet(path, data, form.sheet, _MOST_ROWS)
    rows: list[Row] = []
    comments: list[str] = []
    commented = None
    for number, fields in cells:
        if is_comment(fields[0]):
            words = trimmed((fields[0].lstrip("# "), *fields[1:]))
            comments.append(",".join(words))
            commented = commented if rows else Row(path, number, tuple(cell.strip() for cell in words))
        elif any(cell.strip() for cell in fields):
            rows.append(Row(path, number, tuple(" ".join(cell.split()) for cell in fields)))
    return Lines(rows, comments, commented, (f"sheet {name!r} of a spreadsheet",))


def _without_thousands(cell: str, decimal: str) -> str:
    other = "," if decimal == "." else "."
    return cell.replace(other, "") if _THOUSANDS[decimal].fullmatch(cell) else cell


def _missing(path: Path) -> DeviceError:
    folder = path.parent
    if not folder.is_dir():
        return DeviceError(f"expected a device table at {path}, but there is no folder {folder}: check the path")
    names = sorted(entry.name for entry in folder.iterdir())
    close = difflib.get_close_matches(path.name, names, n=3) or difflib.get_close_matches(path.stem, names, n=3)
    advice = f"did you mean {' or '.join(close)}?" if close else "check the path"
    return DeviceError(f"expected a device table at {path}, but there is no such file: {advice}")


def _bytes(path: Path) -> bytes:
    try:
        require_file(path, DeviceError)
        size = path.stat().st_size
        if size > _LARGEST:
            raise DeviceError(
                f"expected a device table of at most {_LARGEST >> 20} MiB, but {path} has {size >> 20} MiB: leave out "
                "what is no state"
            )
        return path.read_bytes()
    except FileNotFoundError:
        raise _missing(path) from None
