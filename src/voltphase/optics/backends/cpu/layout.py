"""The order in which the fields of a micro-batch lie in memory."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

from torch import Tensor

from voltphase.optics.kernels.even_odd import join_halves, split_halves


@dataclass(frozen=True)
class FieldLayout:
    """Fields of a plane as halves of columns x halves of rows x rows x batch x columns.

    With the batch between rows and columns, the products along either axis are one large matrix product.
    """

    shape: tuple[int, int]  # (rows, columns) of the plane
    # Whether both axes are held in halves, see kernels.even_odd; else each is one half, in natural order.
    even_odd: bool = False
    transposed: bool = False  # whether the rows in memory are the plane's columns

    @cached_property
    def halves(self) -> int:
        """The number of halves of each axis: 2, or 1 in natural order."""
        return 2 if self.even_odd else 1

    @cached_property
    def rows(self) -> int:
        """The number of rows in memory of each half."""
        return -(-self.shape[1 if self.transposed else 0] // self.halves)

    @cached_property
    def columns(self) -> int:
        """The number of columns in memory of each half."""
        return -(-self.shape[0 if self.transposed else 1] // self.halves)

    @cached_property
    def numel(self) -> int:
        """The number of samples in memory of one field."""
        return math.prod(self.sizes(1))

    def sizes(self, batch: int) -> tuple[int, int, int, int, int]:
        """Return the shape in memory of ``batch`` fields: halves of columns, halves of rows, rows, batch, columns."""
        return self.halves, self.halves, self.rows, batch, self.columns

    def view(self, buffer: Tensor, batch: int) -> Tensor:
        """Return the first numbers of a flat buffer as ``batch`` packed fields."""
        return buffer[: batch * self.numel].view(self.sizes(batch))

    def pack(self, fields: Tensor) -> Tensor:
        """Return ``batch x rows x columns`` fields in this layout, possibly as a view of them."""
        packed = fields.mT if self.transposed else fields
        for axis in (-2, -1):
            packed = split_halves(packed, axis) if self.even_odd else packed[None]
        return packed.transpose(2, 3)

    def unpack(self, packed: Tensor) -> Tensor:
        """Return packed fields as ``batch x rows x columns``: the inverse of :meth:`pack`."""
        fields = packed.transpose(2, 3)
        rows, columns = reversed(self.shape) if self.transposed else self.shape
        for axis, n in ((-1, columns), (-2, rows)):
            fields = join_halves(fields, axis, n) if self.even_odd else fields[0]
        return fields.mT if self.transposed else fields
