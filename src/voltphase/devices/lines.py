"""Text tables line by line, so that an error can say in which line something is wrong."""

from __future__ import annotations

import codecs
import csv
import difflib
import math
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Final
from warnings import warn

from voltphase.devices.spreadsheets import is_archive, read_sheet
from voltphase.errors import DeviceError, VoltphaseWarning
from voltphase.words import shell

# Far more than a device has levels and a bench repeats them: 65536 levels read 16 times.
_LARGEST: Final = 64 << 20
_MOST_ROWS: Final = 1 << 20

#: Separators by the words for them; None is any number of spaces.
SEPARATORS: Final[dict[str, str | None]] = {
    "comma": ",",
    "semicolon": ";",
    "tab": "\t",
    "\\t": "\t",
    "space": None,
    " ": None,
}
# What is tried, the first of equals being taken.
_CANDIDATES: Final = ("\t", ";", ",", "|", None)
# What text that is not Unicode is taken for: Western Windows, of which Latin-1 is nearly a part.
_GUESS: Final = "cp1252"
# Lines of a table that are looked at to find its separator.
_LOOKED_AT: Final = 200
# Lines that one quoted cell may span.
_LONGEST_CELL: Final = 8

_DECIMAL_COMMA = re.compile(r"[+-]?\d*,\d+(?:[eE][+-]?\d+)?")
# "1,234" may be a number above one with three decimals, or more than a thousand.
_DOUBTFUL = re.compile(r"[+-]?[1-9]\d{0,2},\d{3}")
_THOUSANDS = {
    ".": re.compile(r"[+-]?\d{1,3}(?:,\d{3})+(?:\.\d*)?(?:[eE][+-]?\d+)?"),
    ",": re.compile(r"[+-]?\d{1,3}(?:\.\d{3})+(?:,\d*)?(?:[eE][+-]?\d+)?"),
}
# What spreadsheets write where a formula failed; some begin like a comment.
_FAILED = re.compile(r"#(?:N/A|DIV/0!|VALUE!|REF!|NAME\?|NUM!|NULL!|WERT!|BEZUG!|NV|ZAHL!)", re.IGNORECASE)
_EXCEL_SEPARATOR = re.compile(r'"?sep=(.)"?[,;\t]*', re.IGNORECASE)


@dataclass(frozen=True)
class TableFormat:
    """How a file is written, where one knows better than can be seen from it.

    Attributes:
        encoding: Name of the encoding; None finds out: by a byte order mark, as UTF-8, or else as Windows-1252.
        separator: Character between columns or a word of `SEPARATORS`; None finds out.
        decimal: Decimal mark, ``"."`` or ``","``; None finds out and refuses what is in doubt.
        sheet: Name, or number from 1, of the sheet of a spreadsheet; None takes the only one.
        spreadsheets: Whether a spreadsheet is read at all.
    """

    encoding: str | None = None
    separator: str | None = None
    decimal: str | None = None
    sheet: str | None = None
    spreadsheets: bool = False


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


@dataclass(frozen=True)
class TextTable:
    """A file: its rows of readings, and what it says about them.

    Attributes:
        path: The file.
        rows: The rows below the header, each at least as wide as that.
        notes: The ``# key: value`` comments, keys in lower case with underscores.
        header: The row that names the columns, if there is one.
        preamble: Rows above the header.
        commented: The last comment before the rows, split like a row: as some programs write the header.
        seen: What was found out about how the file is written, in words, for whoever converts it.
        decimal: The decimal mark, where it was given.
    """

    path: Path
    rows: tuple[Row, ...]
    notes: dict[str, str]
    header: Row | None = None
    preamble: tuple[Row, ...] = ()
    commented: Row | None = None
    seen: tuple[str, ...] = ()
    decimal: str | None = None

    @property
    def has_header(self) -> bool:
        """Whether a row of words names the columns."""
        return self.header is not None


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


def read_table(path: Path, form: TableFormat | None = None) -> TextTable:
    """Read a file of rows of values, whatever separates them; blank lines and comments (``#``) are left out.

    Raises:
        DeviceError: if it is missing, is no text (or spreadsheet, where these are read) or holds no rows.
        OSError: if it cannot be read.
    """
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
        lines = _of_text(path, data, form)
    if not lines.rows:
        raise DeviceError(
            f"expected a table of states in {path}, but there is nothing in it"
            + (" but comments" if lines.comments else "")
            + ": write a row for each level"
        )
    return _table(path, lines, form.decimal)


def check_decimals(table: TextTable, indices: Sequence[int]) -> None:
    """Refuse columns of which the decimal mark is in doubt.

    Raises:
        DeviceError: if some numbers have a point and others a comma, or all that have a comma may be thousands.
    """
    marks: dict[str, tuple[Row, str]] = {}
    doubtful: tuple[Row, str] | None = None
    sure = False
    for row in table.rows:
        for index in indices:
            text = row.fields[index] if index < len(row.fields) else ""
            if as_number(text) is None:
                continue
            for mark in ".,":
                if mark in text:
                    marks.setdefault(mark, (row, text))
            if _DOUBTFUL.fullmatch(text):
                doubtful = doubtful or (row, text)
            elif "," in text:
                sure = True
    wrong = {".": ",", ",": "."}.get(table.decimal or "", "")
    if wrong in marks:
        row, text = marks[wrong]
        raise row.error(f"expected numbers with a decimal {table.decimal!r}, but got {text!r}: give the other one")
    if len(marks) == 2:
        (first, one), (second, other) = marks.values()
        raise max(first, second, key=lambda row: row.line).error(
            f"expected one decimal mark in all numbers, but got {one!r} and {other!r}: write all with a point"
        )
    if doubtful and not sure and table.decimal is None:
        row, text = doubtful
        raise row.error(
            f"expected numbers with one meaning, but {text!r} may be {text.replace(',', '.')} or "
            f"{text.replace(',', '')}: run {cure(table.path, '--decimal', ',')} if the comma is a decimal one, with "
            "--decimal . if it sets off thousands"
        )


@dataclass(frozen=True)
class _Lines:
    """What a file holds, before it is known which row is which."""

    rows: list[Row]
    comments: list[str]
    commented: Row | None
    seen: tuple[str, ...]


def _table(path: Path, lines: _Lines, decimal: str | None) -> TextTable:
    rows = [replace(row, fields=_trimmed(row.fields)) for row in lines.rows]
    if decimal is not None:
        rows = [replace(row, fields=tuple(_without_thousands(cell, decimal) for cell in row.fields)) for row in rows]
    counts = [sum(as_number(cell) is not None for cell in row.fields) for row in rows]
    first = next((index for index, count in enumerate(counts) if count > 1), None)
    # Words only, and the nearest such row above the numbers.
    named = next((index for index in range((first or 1) - 1, -1, -1) if counts[index] == 0), None)
    if first == 0:
        named = None
    elif first is None:
        named = 0 if counts[0] == 0 else None
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
    notes: dict[str, str] = {}
    for text in comments:
        key, colon, value = text.partition(":")
        if colon:
            notes["_".join(re.split(r"[\s_-]+", key.strip().lower()))] = value.strip()
    return notes


def _of_text(path: Path, data: bytes, form: TableFormat) -> _Lines:
    text, encoding = _decoded(path, data, form.encoding)
    seen = [f"text in {encoding}"]
    lines = list(_logical(text))
    given = _given_separator(form.separator)
    if lines and (match := _EXCEL_SEPARATOR.fullmatch(lines[0][1])):
        lines = lines[1:]
        given = given or (match[1],)
    comments = [(number, line) for number, line in lines if _is_comment(line)]
    lines = _unwrapped([(number, line) for number, line in lines if not _is_comment(line)])
    if len(lines) > _MOST_ROWS:
        raise DeviceError(
            f"expected at most {_MOST_ROWS} rows, but {path} has {len(lines)}: leave out what is no state"
        )
    separator = given[0] if given else _found_separator([line for _, line in lines])
    word = next((word for word, mark in SEPARATORS.items() if mark == separator), repr(separator))
    seen.append(f"columns separated by {word}")
    rows: list[Row] = []
    for number, line in lines:
        if match := _FAILED.match(line.lstrip(' "\t')):
            raise DeviceError(
                f"{path}:{number}: expected a number, but got {match[0]!r}, where a spreadsheet's formula failed: mend "
                "the formula, or leave the whole row out"
            )
        try:
            fields = _split(line, separator)
        except csv.Error as error:
            raise DeviceError(f"{path}:{number}: expected values separated by {word}s, but {error}") from error
        if any(fields):
            rows.append(Row(path, number, fields))
    # A table of ours was written with commas: where one of them has become another mark, a spreadsheet did it, which
    # would have quoted a mark that was there before.
    ours = any("voltphase-device" in line for _, line in comments)
    texts = [_comment(line, separator, "," if ours or separator is None else separator) for _, line in comments]
    if encoding == _GUESS and any(not text.isascii() for text in [*texts, *(rows[0].fields if rows else ())]):
        warn(
            f"{path} is not UTF-8: its words are read as Windows-1252; if they are garbled, run "
            f"{cure(path, '--encoding', 'NAME')} with the name of its encoding",
            VoltphaseWarning,
            stacklevel=2,
        )
    above = [comment for comment in comments if not rows or comment[0] < rows[0].line]
    commented = Row(path, above[-1][0], _split(above[-1][1].strip(' \t"').lstrip("# "), separator)) if above else None
    return _Lines(rows, texts, commented, tuple(seen))


def _of_sheet(path: Path, data: bytes, form: TableFormat) -> _Lines:
    for option, given in (("encoding", form.encoding), ("separator", form.separator)):
        if given is not None:
            raise DeviceError(f"expected no {option} for {path}, which is a spreadsheet: leave it out")
    name, cells = read_sheet(path, data, form.sheet, _MOST_ROWS)
    rows: list[Row] = []
    comments: list[str] = []
    commented = None
    for number, fields in cells:
        if _is_comment(fields[0]):
            words = _trimmed((fields[0].lstrip("# "), *fields[1:]))
            comments.append(",".join(words))
            commented = commented if rows else Row(path, number, tuple(cell.strip() for cell in words))
        elif any(cell.strip() for cell in fields):
            rows.append(Row(path, number, tuple(" ".join(cell.split()) for cell in fields)))
    return _Lines(rows, comments, commented, (f"sheet {name!r} of a spreadsheet",))


def _logical(text: str) -> Iterator[tuple[int, str]]:
    """The lines that are not blank with their numbers, a quoted cell's line breaks turned into spaces."""
    lines = text.split("\n")
    index = 0
    while index < len(lines):
        line, end = lines[index], index + 1
        if not _is_comment(line) and _is_open(line):
            joined = line
            for other in range(index + 1, min(index + _LONGEST_CELL, len(lines))):
                joined = f"{joined} {lines[other]}"
                if not _is_open(joined):
                    line, end = joined, other + 1
                    break
        if line.strip():
            yield index + 1, line.strip(" ")
        index = end


def _is_open(line: str) -> bool:
    """Whether a line ends within a quoted cell."""
    quoted, at_start, index = False, True, 0
    while index < len(line):
        character = line[index]
        if quoted and character == '"':
            if line[index + 1 : index + 2] == '"':
                index += 1
            else:
                quoted = False
        elif not quoted:
            quoted = at_start and character == '"'
            at_start = character in ",;\t" or (at_start and character == " ")
        index += 1
    return quoted


def _is_comment(line: str) -> bool:
    bare = line.lstrip(' "\t')
    return bare.startswith("#") and not _FAILED.match(bare)


def _unwrapped(lines: list[tuple[int, str]]) -> list[tuple[int, str]]:
    """The lines, without quotes around each whole one: what is left of a table that was opened as a single column."""
    if not any(line.startswith('"') for _, line in lines):
        return lines
    found: list[list[tuple[int, str]]] = []
    for separator in (",", ";", "\t"):
        try:
            split = [(number, _split(line, separator)) for number, line in lines]
        except csv.Error:
            continue
        if all(not any(fields[1:]) and any(mark in fields[0] for mark in ",;\t") for _, fields in split):
            found.append([(number, fields[0]) for number, fields in split])
    # Separators after the quotes belong to another table than those within: that of the spreadsheet.
    return min(found, key=lambda cells: sum(len(cell) for _, cell in cells), default=lines)


def _found_separator(lines: list[str]) -> str | None:
    """The separator with which a table's cells are numbers; of a table without any, the one that its header has."""

    def fit(separator: str | None) -> tuple[int, int, int]:
        counts: Counter[tuple[int, int]] = Counter()
        widest = 0
        for line in lines[:_LOOKED_AT]:
            try:
                cells = [cell for cell in _split(line, separator) if cell]
            except csv.Error:
                continue
            widest = max(widest, len(cells))
            numbers = sum(as_number(cell) is not None for cell in cells)
            if numbers > 1:
                counts[numbers, -len(cells)] += 1
        # Rows that are alike: in a line above them, words and numbers may be separated by anything.
        scores = ((numbers * count, width, 0) for (numbers, width), count in counts.items())
        return max(scores, default=(0, 0, widest if separator else 0))

    best = max(_CANDIDATES, key=fit)
    return best if fit(best) > (0, 0, 1) else ","


def _given_separator(text: str | None) -> tuple[str | None] | None:
    if text is None:
        return None
    mark = SEPARATORS.get(text, text)
    if mark is not None and (len(mark) != 1 or mark.isalnum() or mark in "\"'.-+\n\r#"):
        raise DeviceError(
            "expected a separator of one character or one of the words "
            f"{', '.join(word for word in SEPARATORS if len(word) > 2)}, but got {text!r:.60}"
        )
    return (mark,)


def _split(line: str, separator: str | None) -> tuple[str, ...]:
    if separator is None:
        return tuple(line.split())
    cells = next(csv.reader([line], delimiter=separator, skipinitialspace=separator != "\t"), [])
    return tuple(" ".join(cell.split()) for cell in cells)


def _comment(line: str, separator: str | None, mark: str) -> str:
    """A comment's text, without what a spreadsheet has put around it and with ``mark`` where it was cut into cells."""
    bare = line.strip(" \t")
    if bare.startswith('"') or (separator is not None and separator in bare):
        with suppress(csv.Error):
            bare = mark.join(_trimmed(tuple(next(csv.reader([bare], delimiter=separator or ","), []))))
        if bare.startswith('"'):
            # Quoted before a spreadsheet took the line for one cell and quoted it again.
            return _comment(bare.removeprefix('"').removesuffix('"').replace('""', '"'), separator, mark)
    return bare.lstrip("# ")


def _trimmed(cells: tuple[str, ...]) -> tuple[str, ...]:
    """The cells without empty ones at the end."""
    end = len(cells)
    while end and not cells[end - 1].strip():
        end -= 1
    return cells[:end]


def _without_thousands(cell: str, decimal: str) -> str:
    other = "," if decimal == "." else "."
    return cell.replace(other, "") if _THOUSANDS[decimal].fullmatch(cell) else cell


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


def _bytes(path: Path) -> bytes:
    try:
        if path.exists() and not path.is_file():
            raise DeviceError(f"expected a device table at {path}, but it is no regular file: name a file")
        size = path.stat().st_size
        if size > _LARGEST:
            raise DeviceError(
                f"expected a device table of at most {_LARGEST >> 20} MiB, but {path} has {size >> 20} MiB: leave out "
                "what is no state"
            )
        return path.read_bytes()
    except FileNotFoundError:
        raise missing(path) from None


def _decoded(path: Path, data: bytes, encoding: str | None) -> tuple[str, str]:
    """The text and the name of its encoding."""
    if encoding is not None:
        try:
            text = data.decode(encoding)
        except LookupError as error:
            raise DeviceError(f"expected the name of a text encoding, but got {encoding!r:.60}: try utf-8") from error
        except ValueError as error:
            raise DeviceError(f"expected {path} to be text in {encoding}, but it is not: try another") from error
        name = encoding
    else:
        text, name = _guessed(path, data)
    text = text.lstrip("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    if any(character in text for character in map(chr, chain(range(9), range(14, 28)))):
        raise _not_text(path)
    return text, name


def _guessed(path: Path, data: bytes) -> tuple[str, str]:
    for mark, name in (
        (codecs.BOM_UTF8, "utf-8-sig"),
        (codecs.BOM_UTF32_LE, "utf-32"),
        (codecs.BOM_UTF32_BE, "utf-32"),
        (codecs.BOM_UTF16_LE, "utf-16"),
        (codecs.BOM_UTF16_BE, "utf-16"),
    ):
        if data.startswith(mark):
            names = (name,)
            break
    else:
        # Numbers and their separators are ASCII: in UTF-16 every other byte of them is zero.
        even, odd = data[::2].count(0), data[1::2].count(0)
        half = len(data) // 4
        names = ("utf-16-be",) if even > half > odd else ("utf-16-le",) if odd > half > even else ("utf-8", _GUESS)
    for name in names:
        try:
            return data.decode(name), name
        except UnicodeDecodeError:
            continue
    raise _not_text(path)


def _not_text(path: Path) -> DeviceError:
    return DeviceError(
        f"expected a device table as text, but {path} is binary or in another encoding: save it as CSV in UTF-8"
    )
