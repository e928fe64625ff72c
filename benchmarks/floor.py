"""The arithmetic of a cascade and nothing else: its matrix products and Fourier transforms on buffers in the cache."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import cast

import torch

from voltphase.optics.backends.cpu.cascade import Cascade
from voltphase.optics.backends.cpu.fourier import ToeplitzHop
from voltphase.optics.backends.cpu.matrix import Hop, MatrixHop

Call = Callable[[], object]


def floor_calls(cascade: Cascade, batch: int) -> tuple[Call, Call]:
    """The products of a forward pass of ``batch`` images, and of the backward pass to all modulations."""
    first = cascade.hops[0].get_buffer("row_kernel")
    step = cascade.go([first.new_empty(plane.sizes(1)) for plane in cascade.planes[:-1]], batch).step
    hops, adjoints = (cast(list[Hop], list(modules)) for modules in (cascade.hops, cascade.adjoints))
    there = [call for index, hop in enumerate(hops) for call in _products(hop, step, real=index == 0)]
    back = [call for hop in adjoints[1:] for call in _products(hop, step)]
    pieces = batch / step
    return partial(_repeat, there, pieces), partial(_repeat, back, pieces)


def _repeat(calls: Iterable[Call], times: float) -> None:
    whole, part = divmod(times, 1)
    for _ in range(int(whole) + (part > 0)):
        for call in calls:
            call()


def _products(hop: Hop, batch: int, *, real: bool = False) -> list[Call]:
    if isinstance(hop, MatrixHop):
        return _matrix_products(hop, batch, real=real)
    if isinstance(hop, ToeplitzHop):
        calls: list[Call] = []
        for plane, transfer in ((hop.source, hop.column_transfer), (hop.target, hop.row_transfer)):
            rows = transfer.new_ones(plane.shape[0], batch, len(transfer))
            calls += [partial(torch.fft.fft, rows), partial(torch.fft.ifft, rows)]
        return calls
    raise TypeError(f"no floor is known for {type(hop).__name__}")


def _matrix_products(hop: MatrixHop, batch: int, *, real: bool) -> list[Call]:
    calls: list[Call] = []
    rows, columns, wide, high = _shapes(hop, real=real)
    column_kernel = hop.column_kernel.flatten(0, -3)
    if real:
        column_kernel = torch.view_as_real(column_kernel).flatten(-2)
    field = torch.ones(len(column_kernel), rows * batch, wide, dtype=column_kernel.dtype, device=column_kernel.device)
    calls.append(partial(torch.bmm, field, column_kernel, out=torch.bmm(field, column_kernel)))
    row_kernel = hop.row_kernel.flatten(0, -3)
    field = row_kernel.new_ones(len(row_kernel), high, columns * batch)
    calls.append(partial(torch.bmm, row_kernel, field, out=torch.bmm(row_kernel, field)))
    return calls


def _shapes(hop: MatrixHop, *, real: bool) -> tuple[int, int, int, int]:
    """Rows of the field multiplied by each column kernel, columns by each row kernel, and the inner sizes."""
    columns_first = hop.columns_first or real
    rows = (hop.source if columns_first else hop.target).held_shape[0]
    columns = (hop.target if columns_first else hop.source).held_shape[1]
    if hop.split[0]:
        # The row kernels are repeated for each half of the columns.
        columns //= hop.source.halves[0]
    return rows, columns, hop.column_kernel.shape[-2], hop.row_kernel.shape[-1]
