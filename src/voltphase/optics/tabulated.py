"""Kernels that do not separate into y and x, tabulated over every displacement between two planes."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from voltphase.optics.common_grid import CommonGrid
from voltphase.optics.cost import convolution_cost
from voltphase.optics.maps import ConvolutionEngine, Engine
from voltphase.optics.methods.base import Plan


def table_plan(points: tuple[CommonGrid, CommonGrid], table: Callable[[], Tensor]) -> Plan:
    """An FFT convolution with a kernel given as a complex128 table over the displacements of two points.

    Such a kernel is nearly a sum of a few separable ones, which could be applied as matrices. That was tried and left
    out. With errors of a few 1e-7 either way, the FFT takes 1.2 to 2.1 times the time of the sum at 32 x 32 and 0.9 to
    1.7 times at 48 x 48, but from 64 x 64 on it takes less wherever the paraxial error is above 0.05 rad: 0.4 to 0.8 of
    the time at 64 x 64, 0.1 to 0.3 of it at 200 x 200, where the sum needs three to six terms. Sizes at which the sum
    would pay cost next to nothing anyway (``python scripts/low_rank.py``, one core;
    ``benchmarks/results/low-rank-cpu.json``).

    Args:
        points: Of rows and of columns.
        table: Makes the kernel, row displacements x column displacements.
    """
    rows, columns = points
    size = (rows.size, columns.size)

    def build(dtype: torch.dtype) -> Engine:
        kernel = columns.to_dft_order(rows.to_dft_order(table(), 0), 1)
        return ConvolutionEngine(torch.fft.fft2(kernel), points, dtype)

    return Plan("fft", convolution_cost(size), f"padded to {size[0]} x {size[1]}", build)
