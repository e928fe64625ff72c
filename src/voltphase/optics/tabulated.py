"""Kernels that do not separate into y and x, tabulated over every displacement between two planes."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from voltphase.optics.cost import convolution_cost
from voltphase.optics.engines import ConvolutionEngine, Engine
from voltphase.optics.lattice import Lattice
from voltphase.optics.methods import Plan


def table_plan(lattices: tuple[Lattice, Lattice], table: Callable[[], Tensor]) -> Plan:
    """An FFT convolution with a kernel given as a complex128 table over the displacements of two lattices.

    Such a kernel is nearly a sum of a few separable ones, which could be applied as matrices. That was tried and left
    out: with errors of the same 1e-7, two terms take 0.8 to 0.9 of the FFT's time up to 64 x 64, but are enough near
    the paraxial limit only; the three to six that 0.1 to 8 rad of paraxial error need take more than the FFT from
    32 x 32 on, and five times as much at 256 x 256 (``python scripts/low_rank.py``, one core).

    Args:
        lattices: Of rows and of columns.
        table: Makes the kernel, row displacements x column displacements.
    """
    rows, columns = lattices
    size = (rows.size, columns.size)

    def build(dtype: torch.dtype) -> Engine:
        kernel = columns.circulate(rows.circulate(table(), 0), 1)
        return ConvolutionEngine(torch.fft.fft2(kernel), lattices, dtype)

    return Plan("fft", convolution_cost(size), f"padded to {size[0]} x {size[1]}", build)
