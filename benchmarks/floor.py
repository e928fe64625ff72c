"""The arithmetic of a network and nothing else: its matrix products and Fourier transforms on buffers in the cache."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial

import torch

from voltphase.optics.backends.cpu.backend import CpuExecutor
from voltphase.optics.backends.cpu.fourier import SeparableConvolution
from voltphase.optics.backends.cpu.matrices import MatrixMap
from voltphase.optics.backends.cpu.packed_map import PackedMap

Call = Callable[[], object]


def floor_calls(executor: CpuExecutor, batch: int) -> tuple[Call, Call]:
    """Return the products of a forward pass of ``batch`` images, and of the backward pass to all modulations."""
    device = next(executor.buffers()).device
    modulations = [torch.ones(layout.sizes(1), dtype=executor.dtype, device=device) for layout in executor.layouts[:-1]]
    step = executor.micro_batches(modulations, batch).step
    there, back = (
        [call for each in maps if isinstance(each, PackedMap) for call in _products(each, step, executor.dtype, device)]
        for maps in (executor.maps, list(executor.transposes)[1:])
    )
    return partial(_repeat, there, batch / step), partial(_repeat, back, batch / step)


def _repeat(calls: Iterable[Call], times: float) -> None:
    whole, part = divmod(times, 1)
    for _ in range(int(whole) + (part > 0)):
        for call in calls:
            call()


def _products(each: PackedMap, batch: int, dtype: torch.dtype, device: torch.device) -> list[Call]:
    if isinstance(each, MatrixMap):
        field, out = (
            torch.ones(layout.sizes(batch), dtype=dtype, device=device) for layout in (each.source, each.target)
        )
        free = torch.ones(batch * each.scratch, dtype=dtype, device=device)
        return each.products(field, free, out)
    if isinstance(each, SeparableConvolution):
        calls: list[Call] = []
        for layout, transfer in ((each.source, each.columns), (each.target, each.rows)):
            rows = torch.ones(layout.rows, batch, len(transfer), dtype=dtype, device=device)
            calls += [partial(torch.fft.fft, rows), partial(torch.fft.ifft, rows)]
        return calls
    raise TypeError(f"no floor is known for {type(each).__name__}")
