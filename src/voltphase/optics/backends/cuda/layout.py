"""Where the numbers of a batch of fields lie in memory, as kernels are told of it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

from torch import Tensor

from voltphase.optics.kernels.axis import Shape
from voltphase.optics.kernels.even_odd import half


class Strides(NamedTuple):
    """Where the four mirror images of a sample lie, counted in numbers from the start of a field.

    A sample in row ``r`` and column ``c`` of the first quadrant is at ``r * row + c``; its mirror image in the second
    half of the rows at ``second_row + r * row_step``, with the same column, and so on.

    Attributes:
        image: From one image to the next.
        row: From one row of the first half to the next.
        second_row: Start of the first row of the second half.
        row_step: From one row of the second half to the next.
        second_column: First column of the second half.
        column_step: From one column of the second half to the next.
    """

    image: int
    row: int
    second_row: int
    row_step: int
    second_column: int
    column_step: int


@dataclass(frozen=True)
class Images:
    """Fields as ``batch x rows x columns``, as people have them.

    Args:
        shape: (rows, columns) of the plane.
    """

    shape: Shape
    split: ClassVar[tuple[bool, bool]] = (False, False)

    def strides(self, batch: int) -> Strides:
        """Return where the samples lie."""
        rows, columns = self.shape
        return Strides(rows * columns, columns, (rows - 1) * columns, -columns, columns - 1, -1)


@dataclass(frozen=True)
class Packed:
    """Fields as halves of columns x halves of rows x rows x batch x columns.

    With the batch between rows and columns, the products along either axis are large matrix products of all images.

    Args:
        shape: (rows, columns) of the plane.
        split: Whether the rows, and the columns, are held as their even and their odd part, half of each, see
            :mod:`voltphase.optics.kernels.even_odd`; an axis that is not counts as one half, in natural order.
    """

    shape: Shape
    split: tuple[bool, bool]

    @property
    def halves(self) -> Shape:
        """The number of halves of the rows and of the columns."""
        return 1 + self.split[0], 1 + self.split[1]

    @property
    def sides(self) -> Shape:
        """The number of rows and of columns in memory of each half."""
        rows, columns = (half(n) if split else n for n, split in zip(self.shape, self.split, strict=True))
        return rows, columns

    @property
    def numel(self) -> int:
        """The number of samples in memory of one field."""
        return math.prod((*self.halves, *self.sides))

    def sizes(self, batch: int) -> tuple[int, int, int, int, int]:
        """Return the shape in memory of ``batch`` fields."""
        (row_halves, column_halves), (rows, columns) = self.halves, self.sides
        return column_halves, row_halves, rows, batch, columns

    def view(self, buffer: Tensor, batch: int) -> Tensor:
        """Return the first numbers of a flat buffer as ``batch`` fields."""
        return buffer[: batch * self.numel].view(self.sizes(batch))

    def strides(self, batch: int) -> Strides:
        """Return where the samples of ``batch`` fields lie."""
        rows, columns = self.sides
        row = batch * columns
        second_row, row_step = (rows * row, row) if self.split[0] else ((rows - 1) * row, -row)
        second_column = self.halves[0] * rows * row if self.split[1] else columns - 1
        return Strides(columns, row, second_row, row_step, second_column, 1 if self.split[1] else -1)
