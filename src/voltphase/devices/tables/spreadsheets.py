"""Spreadsheets, by the optional library openpyxl."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from voltphase.core.errors import DeviceError

_XLS: Final = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
# Expanded; many times what a million rows of four numbers take.
_LARGEST: Final = 256 << 20
_WIDEST: Final = 1024


def is_archive(data: bytes) -> bool:
    """Return whether a file is a spreadsheet, old or new, by its first bytes."""
    return data.startswith((b"PK\x03\x04", _XLS))


def read_sheet(path: Path, data: bytes, sheet: str | None, most: int) -> tuple[str, list[tuple[int, tuple[str, ...]]]]:
    """Read one sheet of a workbook: its name and, for each row, its number and its cells as text.

    The sheet is the one of a name or a number from 1; None takes the only one that holds something.
    """
    _check_kind(path, data)
    try:
        from openpyxl import load_workbook
    except ImportError as error:
        raise DeviceError(
            f"reading the spreadsheet {path} needs openpyxl: run pip install 'voltphase[spreadsheet]', or save the "
            "sheet as CSV"
        ) from error
    try:
        book = load_workbook(io.BytesIO(data), read_only=True, data_only=True, keep_links=False)
        sheets = {each.title: each for each in book.worksheets}
        name = sheet if sheet is None else _named(list(sheets), sheet, path)
        if name is not None:
            return name, list(_rows(sheets[name], path, most))
        filled = [(name, rows) for name, each in sheets.items() if (rows := list(_rows(each, path, most)))]
    except DeviceError:
        raise
    except Exception as error:  # a damaged workbook fails anywhere in zip, XML and what openpyxl makes of them
        raise DeviceError(
            f"expected a spreadsheet at {path}, but it cannot be read as one ({error!s:.100}): save the sheet as CSV"
        ) from error
    if not filled:
        raise DeviceError(
            f"expected a table of states in {path}, but there is nothing in it: write a row for each level"
        )
    if len(filled) > 1:
        listed = ", ".join(repr(name) for name, _ in filled)
        raise DeviceError(
            f"expected one sheet that holds something in {path}, but there are {listed}: name one with --sheet"
        )
    return filled[0]


def _check_kind(path: Path, data: bytes) -> None:
    wrong = "the old format .xls" if data.startswith(_XLS) else ""
    if not wrong:
        try:
            with zipfile.ZipFile(io.BytesIO(data)) as archive:
                names = archive.namelist()
                size = sum(entry.file_size for entry in archive.infolist())
        except (zipfile.BadZipFile, ValueError, OSError, NotImplementedError) as error:
            raise DeviceError(f"expected a device table, but {path} is a damaged archive: save it again") from error
        if size > _LARGEST:
            raise DeviceError(
                f"expected a spreadsheet of at most {_LARGEST >> 20} MiB, but {path} expands to {size >> 20} MiB: save "
                "the one sheet as CSV"
            )
        if "content.xml" in names:
            wrong = "in the format of OpenDocument"
        elif not any(name.startswith("xl/") for name in names):
            raise DeviceError(f"expected a device table, but {path} is an archive of other files: name the table in it")
    if wrong:
        raise DeviceError(f"expected a spreadsheet as .xlsx, but {path} is {wrong}: save it as .xlsx or as CSV")


def _named(names: list[str], sheet: str, path: Path) -> str:
    if sheet in names:
        return sheet
    if sheet.isdecimal() and 0 < int(sheet[:9]) <= len(names):
        return names[int(sheet) - 1]
    raise DeviceError(
        f"expected a sheet of {path}, but got {sheet!r:.60}: name one of {', '.join(names)}, or 1 to {len(names)}"
    )


def _rows(sheet: Any, path: Path, most: int) -> Iterator[tuple[int, tuple[str, ...]]]:
    # What the file says of the sheet's extent is not to be believed.
    sheet.reset_dimensions()
    for number, row in enumerate(sheet.iter_rows(values_only=True), start=1):
        if number > most:
            raise DeviceError(f"expected at most {most} rows, but {path} has more: leave out what is no state")
        cells = tuple("" if cell is None else str(cell) for cell in row[:_WIDEST])
        if any(cells):
            yield number, cells
