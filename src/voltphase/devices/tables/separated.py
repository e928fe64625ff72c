"""Lines of text cut into cells, whatever separates them and however the text is encoded."""

from __future__ import annotations

import codecs
import csv
import re
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from itertools import accumulate, chain
from pathlib import Path
from typing import Final, NamedTuple

from voltphase.core.advice import advise
from voltphase.core.errors import DeviceError, VoltphaseWarning
from voltphase.devices.tables.rows import Row, as_number, cure

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
# Byte order marks; that of UTF-16 begins one of UTF-32.
_MARKS: Final = {
    "utf-8-sig": codecs.BOM_UTF8,
    "utf-32": (codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE),
    "utf-16": (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE),
}
# Signs of units, which are understood or refused as such: that they were read right is seen by that.
_UNIT_SIGNS: Final = dict.fromkeys(map(ord, "°µμπ²"))
# Lines of a table that are looked at to find its separator.
_LOOKED_AT: Final = 200
# Lines that one quoted cell may span.
_LONGEST_CELL: Final = 8
# A quote opens a cell at its start only; two within are one that belongs to it.
_QUOTED = re.compile(r'((?:^|[,;\t]) *)"(?:[^"]|"")*+"')
_OPEN_QUOTE = re.compile(r'(?:^|[,;\t]) *"')

# What spreadsheets write where a formula failed; some begin like a comment.
_FAILED = re.compile(r"#(?:N/A|DIV/0!|VALUE!|REF!|NAME\?|NUM!|NULL!|WERT!|BEZUG!|NV|ZAHL!)", re.IGNORECASE)
_EXCEL_SEPARATOR = re.compile(r'"?sep=(.)"?[,;\t]*', re.IGNORECASE)


class Lines(NamedTuple):
    """The rows of a file, before it is known which of them is the header, and its comments."""

    rows: list[Row]
    comments: list[str]
    commented: Row | None  # the last comment before the rows, cut into cells too
    seen: tuple[str, ...]  # what was found out about how the file is written, in words


def lines_of_text(path: Path, data: bytes, encoding: str | None, separator: str | None, most: int) -> Lines:
    """Cut the bytes of a file into rows, at most so many, and comments; find encoding and separator where not given."""
    text, name = _decoded(path, data, encoding)
    seen = [f"text in {name}"]
    lines = list(_logical(text))
    given = _given_separator(separator)
    if lines and (match := _EXCEL_SEPARATOR.fullmatch(lines[0][1])):
        lines = lines[1:]
        given = given or (match[1],)
    comments = [(number, line) for number, line in lines if is_comment(line)]
    lines = _unwrapped([(number, line) for number, line in lines if not is_comment(line)])
    if len(lines) > most:
        raise DeviceError(f"expected at most {most} rows, but {path} has {len(lines)}: leave out what is no state")
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
    if (
        encoding is None
        and name == _GUESS
        and any(not text.translate(_UNIT_SIGNS).isascii() for text in [*texts, *(rows[0].fields if rows else ())])
    ):
        advise(
            f"{path} is not UTF-8: its words are read as Windows-1252; if they are garbled, run "
            f"{cure(path, '--encoding', 'NAME')} with the name of its encoding",
            VoltphaseWarning,
        )
    above = [comment for comment in comments if not rows or comment[0] < rows[0].line]
    commented = Row(path, above[-1][0], _split(above[-1][1].strip(' \t"').lstrip("# "), separator)) if above else None
    return Lines(rows, texts, commented, tuple(seen))


def _logical(text: str) -> Iterator[tuple[int, str]]:
    """Return the lines that are not blank with their numbers, a quoted cell's line breaks turned into spaces."""
    lines = text.split("\n")
    index = 0
    while index < len(lines):
        line, end = lines[index], index + 1
        if not is_comment(line) and _is_open(line):
            joined = enumerate(accumulate(lines[index : index + _LONGEST_CELL], "{} {}".format), index + 1)
            line, end = next(((cell, after) for after, cell in joined if not _is_open(cell)), (line, end))
        if line.strip():
            yield index + 1, line.strip(" ")
        index = end


def _is_open(line: str) -> bool:
    """Return whether a line ends within a quoted cell."""
    return '"' in line and _OPEN_QUOTE.search(_QUOTED.sub(r"\1cell", line)) is not None


def is_comment(line: str) -> bool:
    """Return whether a line, or the first cell of one, begins a comment."""
    bare = line.lstrip(' "\t')
    return bare.startswith("#") and not _FAILED.match(bare)


def _unwrapped(lines: list[tuple[int, str]]) -> list[tuple[int, str]]:
    """Return the lines without quotes around each whole one, as a table opened as a single column has them."""
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
    """Return the separator with which cells are numbers; of a table without any, the one that its header has."""

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
    """Return a comment without what a spreadsheet has put around it, with ``mark`` where it was cut into cells."""
    bare = line.strip(" \t")
    if bare.startswith('"') or (separator is not None and separator in bare):
        with suppress(csv.Error):
            bare = mark.join(trimmed(tuple(next(csv.reader([bare], delimiter=separator or ","), []))))
        if bare.startswith('"'):
            # Quoted before a spreadsheet took the line for one cell and quoted it again.
            return _comment(bare.removeprefix('"').removesuffix('"').replace('""', '"'), separator, mark)
    return bare.lstrip("# ")


def trimmed(cells: tuple[str, ...]) -> tuple[str, ...]:
    """Return the cells without empty ones at the end."""
    return cells[: max((index + 1 for index, cell in enumerate(cells) if cell.strip()), default=0)]


def _decoded(path: Path, data: bytes, encoding: str | None) -> tuple[str, str]:
    """Return the text and the name of its encoding."""
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
    # Numbers and their separators are ASCII: in UTF-16 every other byte of them is zero.
    even, odd, half = data[::2].count(0), data[1::2].count(0), len(data) // 4
    guesses = ["utf-16-be"] if even > half > odd else ["utf-16-le"] if odd > half > even else ["utf-8", _GUESS]
    for name in [name for name, marks in _MARKS.items() if data.startswith(marks)][:1] or guesses:
        with suppress(UnicodeDecodeError):
            return data.decode(name), name
    raise _not_text(path)


def _not_text(path: Path) -> DeviceError:
    return DeviceError(
        f"expected a device table as text, but {path} is binary or in another encoding: save it as CSV in UTF-8"
    )
