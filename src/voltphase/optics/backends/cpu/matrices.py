"""Separable kernels as matrix products on packed fields."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from voltphase.optics.backends.cpu.costs import matrix_work
from voltphase.optics.backends.cpu.layout import FieldLayout
from voltphase.optics.backends.cpu.packed_map import PackedMap
from voltphase.optics.even_odd import transposed_blocks


class MatrixMap(PackedMap):
    """``rows @ field @ columns.T``, in the order that multiplies less.

    Args:
        rows: Target rows x source rows, as the rows lie in memory.
        columns: Target columns x source columns, likewise.
        source: Layout of the fields it takes.
        target: Layout of the fields it gives.
    """

    rows: Tensor
    columns: Tensor

    def __init__(self, rows: Tensor, columns: Tensor, source: FieldLayout, target: FieldLayout) -> None:
        super().__init__()
        self.source, self.target = source, target
        self.register_buffer("rows", rows, persistent=False)
        self.register_buffer("columns", columns.mT.contiguous(), persistent=False)
        _, self.columns_first = matrix_work(rows.numel(), columns.numel(), source, target)
        self.scratch = max(source.numel, target.numel, math.prod(self._between(1)))

    def run(self, work: Tensor, out: Tensor) -> None:
        field = self.inlet(work, out.shape[3])
        self.multiply(field, work[1], out)

    def transposed(self) -> PackedMap:
        return MatrixMap(self.rows.mT.contiguous(), self.columns, self.target, self.source)

    def multiply(self, field: Tensor, free: Tensor, out: Tensor) -> None:
        sizes = self._between(out.shape[3])
        between = free[: math.prod(sizes)].view(sizes)
        if self.columns_first:
            self._along_columns(field, between)
            self._along_rows(between, out)
        else:
            self._along_rows(field, between)
            self._along_columns(between, out)

    def _between(self, batch: int) -> tuple[int, ...]:
        """Return the sizes of the fields after the first of the two products."""
        first, last = (self.source, self.target) if self.columns_first else (self.target, self.source)
        return first.halves, first.halves, first.rows, batch, last.columns

    def _along_columns(self, field: Tensor, out: Tensor) -> None:
        torch.mm(field.view(-1, field.shape[4]), self.columns, out=out.view(-1, out.shape[4]))

    def _along_rows(self, field: Tensor, out: Tensor) -> None:
        torch.mm(self.rows, field.view(field.shape[2], -1), out=out.view(out.shape[2], -1))


class EvenOddMatrixMap(MatrixMap):
    """``rows @ field @ columns.T`` on even and odd parts: a centrosymmetric matrix is two blocks of half the size.

    Args:
        rows: Blocks for the rows, as :func:`voltphase.optics.even_odd.diagonal_blocks` or
            :func:`voltphase.optics.even_odd.full_blocks` makes them.
        columns: Blocks for the columns, likewise.
        source: Layout of the fields it takes.
        target: Layout of the fields it gives.
    """

    butterfly: Tensor

    def __init__(self, rows: Tensor, columns: Tensor, source: FieldLayout, target: FieldLayout) -> None:
        super().__init__(rows, columns, source, target)
        # Sums and differences along both axes as one small matrix: one pass through memory instead of one per axis.
        halves = torch.tensor([[1, 1], [1, -1]], dtype=rows.dtype.to_real(), device=rows.device)
        self.register_buffer("butterfly", torch.kron(halves, halves), persistent=False)

    def run(self, work: Tensor, out: Tensor) -> None:
        batch = out.shape[3]
        field, parts = (self.source.view(buffer, batch) for buffer in work)
        self._combine(field, parts)
        arrived = self.target.view(work[1], batch)
        self.multiply(parts, work[0], arrived)
        self._combine(arrived, out)

    def transposed(self) -> PackedMap:
        (rows_in, columns_in), (rows_out, columns_out) = self.source.shape, self.target.shape
        rows = transposed_blocks(self.rows, rows_out, rows_in)
        return EvenOddMatrixMap(
            rows, transposed_blocks(self.columns, columns_out, columns_in), self.target, self.source
        )

    def _combine(self, halves: Tensor, out: Tensor) -> None:
        flat, flat_out = (torch.view_as_real(x).view(4, -1) for x in (halves, out))
        torch.mm(self.butterfly, flat, out=flat_out)

    def _along_columns(self, field: Tensor, out: Tensor) -> None:
        x, y = (fields.view(2, -1, fields.shape[4]) for fields in (field, out))
        if self.columns.ndim == 3:
            torch.bmm(x, self.columns, out=y)
            return
        for to, blocks in zip(y, self.columns, strict=True):
            torch.mm(x[0], blocks[0], out=to).addmm_(x[1], blocks[1])

    def _along_rows(self, field: Tensor, out: Tensor) -> None:
        for x, y in zip(field.flatten(3), out.flatten(3), strict=True):  # each half of the columns
            if self.rows.ndim == 3:
                torch.bmm(self.rows, x, out=y)
                continue
            for to, blocks in zip(y, self.rows, strict=True):
                torch.mm(blocks[0], x[0], out=to).addmm_(blocks[1], x[1])
