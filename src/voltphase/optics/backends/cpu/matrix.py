"""What takes the fields of a micro-batch from one plane to the next, through matrices."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor, nn

from voltphase.optics.backends.cpu.layout import Held, Plane
from voltphase.optics.backends.cpu.mirrored import is_centrosymmetric, mirrored_blocks, parity_blocks

Kernel = tuple[Tensor, Tensor]

# Nanoseconds of a complex multiplication and addition in a matrix product, and of what is done to a number between
# two products, fitted to steps of 64 x 64 to 800 x 800 on one core with AVX-512 (0.4 to 30 ms a hop, within 5 %).
_PER_PRODUCT, _PER_NUMBER = 0.0525, 5.0


class Bound(NamedTuple):
    """A hop with its buffers in place, to be run many times at little cost per run.

    Attributes:
        inlet: Where the field to start from is written to, as the source plane holds it.
        run: Writes what arrives into its argument, of the target plane. What is in the inlet is lost.
    """

    inlet: Tensor
    run: Callable[[Held], None]


class Hop(nn.Module, ABC):
    """A linear map between two planes.

    Attributes:
        source: The plane it starts from.
        target: The plane it leads to.
        scratch: Complex numbers per field that it needs in each buffer of the workspace.
        cost: Estimated nanoseconds per field on one core.
    """

    source: Plane
    target: Plane
    scratch: int
    cost: float

    @abstractmethod
    def bind(self, batch: int, work: Tensor, *, real: bool = False) -> Bound:
        """Prepare for micro-batches of one size.

        Args:
            batch: Number of fields.
            work: A 2 x numbers complex workspace.
            real: Whether the fields to start from are real.
        """


class MatrixHop(Hop):
    """``rows @ field @ columns.T``.

    Args:
        kernel: Target rows x source rows, and target columns x source columns.
        mirrored: Whether rows, columns of both planes are in mirrored order.
        dtype: To compute in.
        turned: Whether the rows held are the columns of the planes; the kernel is as held.
    """

    row_kernel: Tensor
    column_kernel: Tensor
    fold: Tensor | None

    def __init__(
        self, kernel: Kernel, *, mirrored: tuple[bool, bool], dtype: torch.dtype, turned: bool = False
    ) -> None:
        super().__init__()
        rows, columns = kernel
        self.source = Plane((rows.shape[1], columns.shape[1]), mirrored, turned)
        self.target = Plane((rows.shape[0], columns.shape[0]), mirrored, turned)
        self.split = tuple(m and is_centrosymmetric(k) for m, k in zip(mirrored, kernel, strict=True))
        row_kernel, column_kernel = (
            (parity_blocks if split else mirrored_blocks)(matrix) if mirror else matrix[None, None]
            for matrix, mirror, split in zip(kernel, mirrored, self.split, strict=True)
        )
        # The order of the two products matters where one plane is smaller than the other.
        (rows_in, columns_in), (rows_out, columns_out) = self.source.held_shape, self.target.held_shape
        columns_first = rows_in * column_kernel.numel() + columns_out * row_kernel.numel()
        rows_first = columns_in * row_kernel.numel() + rows_out * column_kernel.numel()
        self.columns_first = columns_first <= rows_first
        self.cost = _PER_PRODUCT * min(columns_first, rows_first) + _PER_NUMBER * self.target.numel
        self.scratch = max(
            *(self.source.numel, self.target.numel),
            *(math.prod(self._between(columns_first, 1)) for columns_first in (True, False)),
        )
        if self.split[0]:
            row_kernel = row_kernel.repeat(self.source.halves[0], 1, 1)
        self.register_buffer("row_kernel", row_kernel.to(dtype).contiguous(), persistent=False)
        self.register_buffer("column_kernel", column_kernel.mT.to(dtype).contiguous(), persistent=False)
        self.register_buffer("fold", self._fold(dtype.to_real()), persistent=False)

    def bind(self, batch: int, work: Tensor, *, real: bool = False) -> Bound:
        columns_first = self.columns_first or real
        first, second = self._along_columns, self._along_rows
        if not columns_first:
            first, second = second, first
        if real:
            sizes = self.source.sizes(batch)
            inlet, folded = (torch.empty(sizes, dtype=work.dtype.to_real(), device=work.device) for _ in range(2))
            flat, flat_folded = (x.view(math.prod(self.source.halves), -1) for x in (inlet, folded))
        else:
            inlet, flat = self.source.lay(work[0], batch)
            folded, flat_folded = self.source.lay(work[1], batch)
        between_sizes = self._between(columns_first, batch)

        if self.fold is None:
            between = work[1][: math.prod(between_sizes)].view(between_sizes)
            steps = first(inlet, between)

            def run_plain(out: Held) -> None:
                for step in (*steps, *second(between, out.field)):
                    step()

            return Bound(inlet, run_plain)

        between = work[0][: math.prod(between_sizes)].view(between_sizes)
        arrived = self.target.lay(work[1], batch)
        fold, mix = self.fold, torch.mm
        steps = (*first(folded, between), *second(between, arrived.field))

        def run(out: Held) -> None:
            mix(fold, flat, out=flat_folded)
            for step in steps:
                step()
            mix(fold, arrived.flat, out=out.flat)

        return Bound(inlet, run)

    def _between(self, columns_first: bool, batch: int) -> tuple[int, ...]:
        source, target = self.source.sizes(batch), self.target.sizes(batch)
        return (target[0], *source[1:4], target[4]) if columns_first else (source[0], *target[1:4], source[4])

    def _along_columns(self, field: Tensor, out: Tensor) -> list[Callable[[], object]]:
        kernel = self.column_kernel
        if not field.is_complex():
            # Real and imaginary parts of a column as two columns: half the arithmetic of a complex product.
            kernel, out = torch.view_as_real(kernel).flatten(-2), torch.view_as_real(out).flatten(-2)
        x, y = field.view(len(field), -1, field.shape[-1]), out.view(len(out), -1, out.shape[-1])
        if self.split[1]:
            return [partial(torch.bmm, x, kernel, out=y)]
        return [
            partial(torch.mm, x[i], kernel[o, i], out=y[o]) if i == 0 else partial(y[o].addmm_, x[i], kernel[o, i])
            for o in range(len(y))
            for i in range(len(x))
        ]

    def _along_rows(self, field: Tensor, out: Tensor) -> list[Callable[[], object]]:
        kernel = self.row_kernel
        x, y = field.flatten(3), out.view(*out.shape[:3], -1)
        if self.split[0]:
            return [partial(torch.bmm, kernel, x.flatten(0, 1), out=y.view(-1, *y.shape[2:]))]
        return [
            partial(torch.mm, kernel[o, i], x[c, i], out=y[c, o])
            if i == 0
            else partial(y[c, o].addmm_, kernel[o, i], x[c, i])
            for c in range(len(y))
            for o in range(y.shape[1])
            for i in range(x.shape[1])
        ]

    def _fold(self, dtype: torch.dtype) -> Tensor | None:
        """Sums and differences of halves as one small matrix: one pass through memory instead of one per axis."""
        if not any(self.split):
            return None
        butterfly = torch.tensor([[1, 1], [1, -1]], dtype=dtype)
        by_row, by_column = (
            butterfly if split else torch.eye(2 if mirrored else 1, dtype=dtype)
            for split, mirrored in zip(self.split, self.source.mirrored, strict=True)
        )
        return torch.kron(by_column, by_row)
