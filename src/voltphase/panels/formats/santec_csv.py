"""Santec's text of grey levels."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from voltphase.core.errors import DeploymentError
from voltphase.panels.formats.base import AGAIN, FORMATS, Format, Frame, PanelFile

_CORNER: Final = "Y/X"
_MARK: Final = b"\xef\xbb\xbf"  # with which spreadsheets begin a file


@FORMATS.register("santec-csv")
@dataclass(frozen=True)
class SantecCsv(Format):
    """Santec's CSV: a header ``Y/X,0,1,2,…`` of column numbers, then each row of grey levels, led by its number."""

    @property
    def suffix(self) -> str:
        return ".csv"

    def obstacle(self, shape: tuple[int, int], bits: int) -> str | None:
        return None

    def write(self, frames: Sequence[Frame], bits: int) -> bytes:
        (frame,) = frames
        # Each number is made into a text once: a panel has two million pixels, and a thousand grey levels.
        texts = np.array([str(level) for level in range(2**bits)], dtype=object)
        lines = [f"{_CORNER},{','.join(map(str, range(frame.shape[1])))}"]
        lines += [f"{row},{','.join(levels)}" for row, levels in enumerate(texts[frame].tolist())]
        return ("\n".join(lines) + "\n").encode("ascii")

    def read(self, file: PanelFile) -> list[Frame]:
        name, (rows, columns) = file.name, file.shape
        header, _, rest = file.content.removeprefix(b"" if file.exact else _MARK).partition(b"\n")
        numbers = header.strip().split(b",")
        if numbers[0] != _CORNER.encode():
            raise DeploymentError(f"expected {name} to begin with {_CORNER},0,1,2 and so on, but it does not: {AGAIN}")
        try:
            none = np.empty((0, len(numbers)), dtype=np.int64)  # of which numpy would warn
            table = np.loadtxt(io.BytesIO(rest), np.int64, None, ",", ndmin=2) if rest.strip() else none
        except ValueError as error:
            problem = " ".join(str(error).split()).rstrip(".")
            raise DeploymentError(f"expected rows of whole numbers in {name}, but {problem:.200}: {AGAIN}") from error
        if table.shape != (rows, columns + 1) or len(numbers) != columns + 1:
            raise DeploymentError(
                f"expected {rows} rows x {columns} columns in {name}, but got {table.shape[0]} x {len(numbers) - 1}, "
                f"and {table.shape[1] - 1} values in a row: {AGAIN}"
            )
        if numbers[1:] != [b"%d" % number for number in range(columns)] or (table[:, 0] != np.arange(rows)).any():
            raise DeploymentError(f"expected {name} to number its rows and columns from 0, but it does not: {AGAIN}")
        levels = table[:, 1:]
        most = 2**file.bits - 1
        if levels.min() < 0 or levels.max() > most:
            row, column = np.argwhere((levels < 0) | (levels > most))[0]
            raise DeploymentError(
                f"expected grey levels from 0 to {most} in {name}, but got {levels[row, column]} at row {row}, "
                f"column {column}: {AGAIN}"
            )
        return [levels.astype(np.uint16)]

    def words(self, bits: int) -> str:
        return f"{bits}-bit CSV"
