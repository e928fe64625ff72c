"""Heights as numbers: a table of text, and a picture of 16 bits."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from voltphase.core.errors import DeploymentError
from voltphase.core.units import metres
from voltphase.deployment.targets.base import TARGETS, Layer, Written
from voltphase.deployment.targets.fabrication.relief import Relief, csv_table
from voltphase.panels.formats.pictures import read_picture

_LARGEST_GREY: Final = 2**16 - 1
_SMALLEST_STEP: Final = 1e-9
# Characters of a height.
_LONGEST: Final = 24


@TARGETS.register("heights")
@dataclass(frozen=True)
class Heights(Relief):
    """The height of each pixel in um as CSV, and as a grey PNG of 16 bits, for each device."""

    def write(self, folder: Path, layers: Sequence[Layer], levels: Sequence[NDArray[np.integer]]) -> list[Written]:
        written = []
        for layer, level in zip(layers, levels, strict=True):
            step, words, greys = self._values(layer)
            table, picture = f"layer-{layer.number}-heights.csv", f"layer-{layer.number}-heights.png"
            (folder / table).write_bytes(csv_table(np.array(words)[level].tolist()))
            Image.fromarray(greys[level]).save(folder / picture, format="PNG", optimize=True)
            written.append(Written([table, picture], {"um_per_grey": step * 1e6, **self.measured(layer, level)}))
        return written

    def read(
        self, layers: Sequence[Layer], written: Sequence[Written], contents: Mapping[str, bytes]
    ) -> list[NDArray[np.integer]]:
        return [self._read(layer, one.files, contents) for layer, one in zip(layers, written, strict=True)]

    def largest_file(self, layers: Sequence[Layer]) -> int:
        return max(layer.grid.rows * layer.grid.columns for layer in layers) * _LONGEST

    def format(self, written: Written) -> str:
        return "CSV, 16-bit PNG"

    def instructions(self, layer: Layer, written: Written) -> list[str]:
        table, picture = written.files
        return [
            f"{table} has a row of numbers, heights in um, for each row of pixels, row 0 first. {picture} has the "
            f"same: a grey level is {written.details['um_per_grey']:g} um.",
            "An eye that looks along the light onto the relief sees row 0 at the top and column 0 at the left; heights "
            "grow towards it, to the source.",
            *super().instructions(layer, written),
        ]

    def _values(self, layer: Layer) -> tuple[float, list[str], NDArray[np.uint16]]:
        """Return the height that a grey level stands for in metres, and what stands for each level in both files."""
        highest = float(self.heights(layer).max())
        # A power of ten, that nobody has to look up twice.
        step = 10.0 ** max(-9, math.ceil(math.log10(max(highest, _SMALLEST_STEP) / _LARGEST_GREY)))
        heights = self.distinct_heights(layer, step, f"a picture with grey levels of {metres(step)}")
        return step, [f"{height * 1e6:.9g}" for height in heights], np.rint(heights / step).astype(np.uint16)

    def _read(self, layer: Layer, files: Sequence[str], contents: Mapping[str, bytes]) -> NDArray[np.int64]:
        if len(files) != 2:
            raise DeploymentError(
                f"expected a table and a picture of a layer, but got {len(files)} files: deploy again"
            )
        _, words, greys = self._values(layer)
        table, picture = files
        rows = [line.split(",") for line in contents[table].decode("ascii", "replace").splitlines()]
        level_of = {word: level for level, word in enumerate(words)}
        levels = np.full(layer.grid.shape, -1, dtype=np.int64)
        if [len(row) for row in rows] != [layer.grid.columns] * layer.grid.rows:
            raise _damaged(table, f"{layer.grid.rows} rows of {layer.grid.columns} numbers", "another number of them")
        for number, row in enumerate(rows):
            levels[number] = [level_of.get(word, -1) for word in row]
        if (levels < 0).any():
            row, column = np.argwhere(levels < 0)[0]
            raise _damaged(table, "the heights of levels", f"{rows[row][column]:.20} at row {row}, column {column}")
        grey = read_picture(contents[picture], picture, layer.grid.shape, 16, "png")
        if (different := grey != greys[levels]).any():
            row, column = np.argwhere(different)[0]
            raise _damaged(picture, f"the heights in {table}", f"another at row {row}, column {column}")
        return levels


def _damaged(name: str, wanted: str, got: str) -> DeploymentError:
    return DeploymentError(f"expected {wanted} in {name}, but got {got}: restore the file or deploy again")
