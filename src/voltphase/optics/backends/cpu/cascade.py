"""The stack of a network from matrices and transfer functions, until networks are made of kernels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from voltphase.core.dtypes import with_standard_torch
from voltphase.optics.backends.base import Engine, Options
from voltphase.optics.backends.cpu.backend import CpuBackend
from voltphase.optics.common_grid import CommonGrid
from voltphase.optics.even_odd import is_centrosymmetric
from voltphase.optics.kernel import Axis, Convolution, Matrix, Separable, Toeplitz
from voltphase.optics.kernel import Kernel as AnyKernel
from voltphase.optics.stack import Stack

Kernel = tuple[Tensor, Tensor]


@dataclass(frozen=True, eq=False)
class Transfer:
    """A convolution by its transfer function."""

    values: Tensor
    source: tuple[int, int]
    target: tuple[int, int]


Step = Kernel | Transfer | list[Kernel | Transfer]


def joined(kernel: Kernel | Transfer, following: Kernel | Transfer) -> Step:
    """Return two kernels, one straight after the other, as one step."""
    if isinstance(kernel, Transfer) or isinstance(following, Transfer):
        return [kernel, following]
    return following[0] @ kernel[0], following[1] @ kernel[1]


class Cascade(nn.Module):
    """Images through modulated planes to a detector."""

    @with_standard_torch
    def __init__(
        self,
        *,
        first: Step,
        between: Sequence[Step],
        last: Step,
        dtype: torch.dtype = torch.complex64,
        engine: Engine = "auto",
        tf32: bool = False,
    ) -> None:
        super().__init__()
        made: dict[int, AnyKernel] = {}
        for step in (first, *between, last):
            parts = [_kernel(each) for each in (step if isinstance(step, list) else [step])]
            kernel = parts[0]
            for part in parts[1:]:
                kernel = kernel.then(part)
            made.setdefault(id(step), kernel)
        stack = Stack(tuple((made[id(step)],) for step in (first, *between, last)))
        self.executor = CpuBackend().compile(stack, Options(dtype, engine, tf32))

    def forward(self, images: Tensor, modulations: Sequence[Tensor]) -> Tensor:
        """Return the field on the detector."""
        return self.executor(images, modulations)

    def intensities(self, images: Tensor, modulations: Sequence[Tensor], rows: Tensor, columns: Tensor) -> Tensor:
        """Return sums of intensity."""
        return self.executor.sums(images, modulations, rows, columns)

    def amplitudes(self, images: Tensor, modulations: Sequence[Tensor], rows: Tensor, columns: Tensor) -> Tensor:
        """Return sums of amplitude."""
        return self.executor.sums(images, modulations, rows, columns, amplitude=True)


def _kernel(given: Kernel | Transfer) -> AnyKernel:
    if isinstance(given, Transfer):
        rows, columns = (CommonGrid(1.0, 0.0, a, 1, b, 1) for a, b in zip(given.source, given.target, strict=True))
        size = given.values.shape[0], given.values.shape[1]
        return Convolution(rows, columns, size, partial(_same, given.values))
    return Separable(_axis(given[0]), _axis(given[1]))


def _axis(matrix: Tensor) -> Axis:
    targets, sources = matrix.shape
    mirrored = is_centrosymmetric(matrix)
    rounding = 1e-14 * float(matrix.abs().max())
    if min(matrix.shape) > 1 and float((matrix[1:, 1:] - matrix[:-1, :-1]).abs().max()) <= rounding:
        values = torch.cat((matrix[0].flip(0), matrix[1:, 0]))
        return Toeplitz(mirrored, CommonGrid(1.0, 0.0, sources, 1, targets, 1), partial(_same, values))
    return Matrix(mirrored, (targets, sources), partial(_same, matrix))


def _same(values: Tensor) -> Tensor:
    return values
