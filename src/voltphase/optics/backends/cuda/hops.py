"""What takes light from one modulated plane to the next: a matrix product along each axis, for all images at once."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor, nn

from voltphase.optics.backends.cuda.layout import Packed
from voltphase.optics.kernels.axis import Axis
from voltphase.optics.kernels.even_odd import diagonal_blocks, transposed_blocks
from voltphase.optics.kernels.kernel import Diagonal, Kernel, Separable
from voltphase.optics.stack import Stack


class Plane(NamedTuple):
    """What multiplies light between two hops.

    Attributes:
        modulations: Indices of the modulations there: one, or none where a lens or an aperture stands by itself.
        factors: Fixed factors, such as those of lenses.
    """

    modulations: tuple[int, ...]
    factors: tuple[Diagonal, ...]


def alternate(stack: Stack) -> tuple[list[Separable], list[Plane]] | None:
    """Return a stack as separable kernels with a plane between each two of them, or None if it is none of such.

    Args:
        stack: Kernels between the planes; of those that do the same, the one that multiplies least is taken.
    """
    tokens: list[Kernel | int] = []
    for index, gap in enumerate(stack.gaps):
        able = [kernel for kernel in gap if all(isinstance(part, Separable | Diagonal) for part in kernel.parts)]
        if not able:
            return None
        tokens += [index - 1] if index else []
        tokens += min(able, key=lambda kernel: sum(map(multiplications, _separable(kernel.parts)))).parts
    # A lens that stands in the source or in the detector is modulated like all others, between hops that lead nowhere.
    for place, token in ((0, tokens[0]), (len(tokens) + 1, tokens[-1])):
        if isinstance(token, Diagonal):
            rows, columns = token.source_shape
            tokens.insert(place, Separable.select(range(rows), range(columns), token.source_shape))
    hops = _separable(tokens)
    places = [place for place, token in enumerate(tokens) if isinstance(token, Separable)]
    between = [tokens[start + 1 : stop] for start, stop in pairwise(places)]
    planes = [
        Plane(tuple(t for t in some if isinstance(t, int)), tuple(t for t in some if isinstance(t, Diagonal)))
        for some in between
    ]
    return hops, planes


def multiplications(kernel: Separable) -> int:
    """Return the complex multiply-adds that one field takes."""
    source, target = layouts(kernel)
    return min(_by_order(source, target))


def layouts(kernel: Separable) -> tuple[Packed, Packed]:
    """Return where fields lie before and after a kernel: in halves along each axis that keeps even light even."""
    split = kernel.rows.mirrored, kernel.columns.mirrored
    return Packed(kernel.source_shape, split), Packed(kernel.target_shape, split)


class Hop(nn.Module):
    """``rows @ field @ columns.T`` on fields in halves, in the order that multiplies less.

    Args:
        rows: Matrices from the source's rows to the target's, one for each half.
        columns: Matrices from the source's columns to the target's, likewise.
        source: Layout of the fields it takes.
        target: Layout of the fields it gives.
    """

    rows: Tensor
    columns: Tensor

    def __init__(self, rows: Tensor, columns: Tensor, source: Packed, target: Packed) -> None:
        super().__init__()
        self.source, self.target = source, target
        self.register_buffer("rows", rows.repeat(source.halves[1], 1, 1), persistent=False)
        self.register_buffer("columns", columns.mT.contiguous(), persistent=False)
        columns_first, rows_first = _by_order(source, target)
        self.columns_first = columns_first <= rows_first
        self.scratch = max(source.numel, target.numel, math.prod(self._between(1)))

    @classmethod
    def there_and_back(cls, kernel: Separable, dtype: torch.dtype) -> tuple[Hop, Hop]:
        """Return the map of a kernel, and its transpose, not conjugated.

        Args:
            kernel: A separable kernel.
            dtype: Complex type to compute in.
        """
        source, target = layouts(kernel)
        rows, rows_back = _blocks(kernel.rows, dtype)
        columns, columns_back = _blocks(kernel.columns, dtype)
        return cls(rows, columns, source, target), cls(rows_back, columns_back, target, source)

    def forward(self, field: Tensor, free: Tensor, out: Tensor) -> None:
        """Write the fields that arrive.

        Args:
            field: Fields on the source.
            free: A flat buffer for what is between both products.
            out: Memory of the fields on the target; that of ``field`` will do.
        """
        between = self.view_between(free, field.shape[3])
        first, second = self.along_columns, self.along_rows
        if not self.columns_first:
            first, second = second, first
        first(field, between)
        second(between, out)

    def along_columns(self, field: Tensor, out: Tensor) -> None:
        """Write what the matrices of the columns make of fields."""
        halves = len(self.columns)
        torch.bmm(field.view(halves, -1, field.shape[4]), self.columns, out=out.view(halves, -1, out.shape[4]))

    def along_rows(self, field: Tensor, out: Tensor) -> None:
        """Write what the matrices of the rows make of fields."""
        quadrants = len(self.rows)
        torch.bmm(self.rows, field.view(quadrants, field.shape[2], -1), out=out.view(quadrants, out.shape[2], -1))

    def view_between(self, buffer: Tensor, batch: int) -> Tensor:
        """Return the first numbers of a flat buffer as the fields after the first of the two products."""
        sizes = self._between(batch)
        return buffer[: math.prod(sizes)].view(sizes)

    def _between(self, batch: int) -> tuple[int, int, int, int, int]:
        """Return the sizes of the fields after the first of the two products."""
        first, last = (self.source, self.target) if self.columns_first else (self.target, self.source)
        column_halves, row_halves, rows, *_ = first.sizes(batch)
        return column_halves, row_halves, rows, batch, last.sides[1]


def _by_order(source: Packed, target: Packed) -> tuple[int, int]:
    """Return the complex multiply-adds of one field, columns first and rows first."""
    (rows, columns), (rows_out, columns_out) = source.sides, target.sides
    columns_first = rows * columns * columns_out + rows_out * rows * columns_out
    rows_first = rows_out * rows * columns + rows_out * columns * columns_out
    quadrants = math.prod(source.halves)
    return quadrants * columns_first, quadrants * rows_first


def _blocks(axis: Axis, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    if not axis.mirrored:
        matrix = axis.matrix[None].to(dtype)
        return matrix, matrix.mT
    blocks = diagonal_blocks(axis.matrix)
    return blocks.to(dtype), transposed_blocks(blocks, axis.targets, axis.sources).to(dtype)


def _separable(parts: Sequence[Kernel | int]) -> list[Separable]:
    return [part for part in parts if isinstance(part, Separable)]
