"""Separable kernels as matrix products on packed fields."""

from __future__ import annotations

import math
from functools import partial

import torch
from torch import Tensor

from voltphase.optics.backends.cpu.costs import products
from voltphase.optics.backends.cpu.layout import FieldLayout
from voltphase.optics.backends.cpu.packed_map import PackedMap, Step
from voltphase.optics.kernels.even_odd import transposed_blocks


class MatrixMap(PackedMap):
    """``rows @ field @ columns.T``, matrices as the axes lie in memory, in the order that multiplies less."""

    rows: Tensor
    columns: Tensor

    def __init__(self, rows: Tensor, columns: Tensor, source: FieldLayout, target: FieldLayout) -> None:
        super().__init__(source, target, 0, rows=rows, columns=columns.mT.contiguous())
        _, self.columns_first = products(rows.numel(), columns.numel(), source, target)
        self.scratch = max(source.numel, target.numel, math.prod(self._between(1)))

    def steps(self, work: Tensor, out: Tensor) -> list[Step]:
        return self.products(self.inlet(work, out.shape[3]), work[1], out)

    def transposed(self) -> PackedMap:
        return MatrixMap(self.rows.mT.contiguous(), self.columns, self.target, self.source)

    def products(self, field: Tensor, free: Tensor, out: Tensor) -> list[Step]:
        """Return the matrix products, from a field through a free flat buffer to another field."""
        sizes = self._between(out.shape[3])
        between = free[: math.prod(sizes)].view(sizes)
        if self.columns_first:
            return [*self._along_columns(field, between), *self._along_rows(between, out)]
        return [*self._along_rows(field, between), *self._along_columns(between, out)]

    def _between(self, batch: int) -> tuple[int, ...]:
        """Return the sizes of the fields after the first of the two products."""
        first, last = (self.source, self.target) if self.columns_first else (self.target, self.source)
        return first.halves, first.halves, first.rows, batch, last.columns

    def _along_columns(self, field: Tensor, out: Tensor) -> list[Step]:
        return [partial(torch.mm, field.view(-1, field.shape[4]), self.columns, out=out.view(-1, out.shape[4]))]

    def _along_rows(self, field: Tensor, out: Tensor) -> list[Step]:
        return [partial(torch.mm, self.rows, field.view(field.shape[2], -1), out=out.view(out.shape[2], -1))]


class EvenOddMatrixMap(MatrixMap):
    """``rows @ field @ columns.T`` on even and odd parts: a centrosymmetric matrix is two blocks of half the size.

    Rows and columns are blocks made by :func:`voltphase.optics.kernels.even_odd.diagonal_blocks` or ``full_blocks``.
    """

    butterfly: Tensor

    def __init__(self, rows: Tensor, columns: Tensor, source: FieldLayout, target: FieldLayout) -> None:
        super().__init__(rows, columns, source, target)
        # Sums and differences along both axes as one small matrix: one pass through memory instead of one per axis.
        halves = torch.tensor([[1, 1], [1, -1]], dtype=rows.dtype.to_real(), device=rows.device)
        self.register_buffer("butterfly", torch.kron(halves, halves), persistent=False)

    def steps(self, work: Tensor, out: Tensor) -> list[Step]:
        batch = out.shape[3]
        field, parts = (self.source.view(buffer, batch) for buffer in work)
        arrived = self.target.view(work[1], batch)
        products = self.products(parts, work[0], arrived)
        return [self._combine(field, parts), *products, self._combine(arrived, out)]

    def transposed(self) -> PackedMap:
        (rows_in, columns_in), (rows_out, columns_out) = self.source.shape, self.target.shape
        rows = transposed_blocks(self.rows, rows_out, rows_in)
        return EvenOddMatrixMap(
            rows, transposed_blocks(self.columns.mT, columns_out, columns_in), self.target, self.source
        )

    def _combine(self, halves: Tensor, out: Tensor) -> Step:
        flat, flat_out = (torch.view_as_real(fields).view(4, -1) for fields in (halves, out))
        return partial(torch.mm, self.butterfly, flat, out=flat_out)

    def _along_columns(self, field: Tensor, out: Tensor) -> list[Step]:
        x, y = (fields.view(2, -1, fields.shape[4]) for fields in (field, out))
        if self.columns.ndim == 3:
            return [partial(torch.bmm, x, self.columns, out=y)]
        return [
            call
            for to, blocks in zip(y, self.columns, strict=True)
            for call in (partial(torch.mm, x[0], blocks[0], out=to), partial(to.addmm_, x[1], blocks[1]))
        ]

    def _along_rows(self, field: Tensor, out: Tensor) -> list[Step]:
        columns = list(zip(field.flatten(3), out.flatten(3), strict=True))  # each half of them
        if self.rows.ndim == 3:
            return [partial(torch.bmm, self.rows, x, out=y) for x, y in columns]
        return [
            call
            for x, y in columns
            for to, blocks in zip(y, self.rows, strict=True)
            for call in (partial(torch.mm, blocks[0], x[0], out=to), partial(to.addmm_, blocks[1], x[1]))
        ]
