"""Which maps take light through a stack at the least cost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import reduce

import torch
from torch import Tensor

from voltphase.optics.backends.base import Engine
from voltphase.optics.backends.cpu.costs import Work, butterflies, products
from voltphase.optics.backends.cpu.fourier import Convolution2d, SeparableConvolution
from voltphase.optics.backends.cpu.layout import FieldLayout
from voltphase.optics.backends.cpu.matrices import EvenOddMatrixMap, MatrixMap
from voltphase.optics.backends.cpu.packed_map import Composition, DiagonalMap, PackedMap
from voltphase.optics.kernels.axis import Axis, Toeplitz
from voltphase.optics.kernels.even_odd import diagonal_blocks, full_blocks, half
from voltphase.optics.kernels.kernel import Convolution, Diagonal, Kernel, Separable
from voltphase.optics.stack import Stack


@dataclass(frozen=True)
class Plan:
    """How the kernel of each gap is applied."""

    gaps: tuple[Kernel, ...]  # the kernels from each plane to the next
    # Separable kernels that Fourier transforms apply instead of matrix products.
    by_transforms: frozenset[Kernel] = frozenset()
    even_odd: bool = False  # whether fields are held in halves

    @property
    def work(self) -> Work:
        """The work per image, forward and backward."""
        there = [self.work_of(gap) for gap in self.gaps]
        # The transpose of the first gap is needed for gradients of images alone.
        return sum((*there, *there[1:]), Work())

    @property
    def engines(self) -> tuple[str, ...]:
        """What applies the kernel of each gap: ``"matrix"``, ``"fft"``, or both."""
        return tuple(" + ".join(dict.fromkeys(map(self._engine, gap.parts))) for gap in self.gaps)

    def work_of(self, kernel: Kernel) -> Work:
        """Return the work per field of one kernel, which its transpose takes too."""
        return sum(map(self._work, kernel.parts), Work())

    def _engine(self, kernel: Kernel) -> str:
        return "fft" if isinstance(kernel, Convolution) or kernel in self.by_transforms else "matrix"

    def _work(self, kernel: Kernel) -> Work:
        (rows, _), (rows_out, columns_out) = kernel.source_shape, kernel.target_shape
        source, target = (FieldLayout(shape, self.even_odd) for shape in (kernel.source_shape, kernel.target_shape))
        if isinstance(kernel, Convolution):
            length, width = kernel.size
            return Work(butterflies_2d=butterflies(width, length) + butterflies((rows + rows_out) / 2, width))
        if not isinstance(kernel, Separable):
            return Work(numbers=source.numel)
        if kernel in self.by_transforms:
            axes = _toeplitz(kernel)
            length, width = (axis.points.size for axis in axes)
            picked = target.numel if any(axis.kept for axis in axes) else 0
            return Work(numbers=picked, butterflies=butterflies(rows, width) + butterflies(columns_out, length))
        numbers = [_numbers(axis, self.even_odd) for axis in (kernel.rows, kernel.columns)]
        work, _ = products(numbers[0], numbers[1], source, target)
        return work


def make_plan(stack: Stack, engine: Engine) -> Plan:
    """Return the plan that is estimated to cost least, for a stack of which :func:`missing` misses nothing."""
    plain = Plan(())
    gaps = tuple(
        min(_applicable(gap, engine), key=lambda kernel: plain.work_of(kernel).nanoseconds) for gap in stack.gaps
    )
    parts = [part for gap in gaps for part in gap.parts]
    separable = [part for part in parts if isinstance(part, Separable)]
    # Transforms want natural order.
    even_odd = not any(isinstance(part, Convolution) for part in parts) and any(
        axis.mirrored for part in separable for axis in (part.rows, part.columns)
    )
    matrices = Plan(gaps, even_odd=even_odd)
    transforms = Plan(gaps, frozenset(part for part in separable if _has_transforms(part)))
    if engine == "auto":
        cheaper = frozenset(
            part
            for part in transforms.by_transforms
            if transforms.work_of(part).nanoseconds < plain.work_of(part).nanoseconds
        )
        return min(matrices, Plan(gaps, cheaper), key=lambda plan: plan.work.nanoseconds)
    return matrices if engine == "matrix" else transforms


def missing(stack: Stack, engine: Engine) -> str | None:
    """Return why a stack has no plan, as the part of a sentence after "because", or None if it has one."""
    for number, gap in enumerate(stack.gaps, start=1):
        if not _applicable(gap, engine):
            kinds = ", ".join(type(part).__name__.lower() for part in gap[0].parts)
            return f"it has no map for the kernel of gap {number} ({kinds})"
    return None


def build_maps(plan: Plan, dtype: torch.dtype) -> list[PackedMap]:
    """Return a map for each gap, in a complex type; gaps that are alike share it."""
    layout = FieldLayout(plan.gaps[0].source_shape, plan.even_odd)
    made: dict[tuple[Kernel, FieldLayout], PackedMap] = {}
    maps = []
    for gap in plan.gaps:
        if (gap, layout) not in made:
            chain: list[PackedMap] = []
            for part in gap.parts:
                start = chain[-1].target if chain else layout
                chain.append(_build(part, start, part in plan.by_transforms, dtype))
            made[gap, layout] = reduce(Composition, chain)
        maps.append(made[gap, layout])
        layout = maps[-1].target
    return maps


def _build(kernel: Kernel, source: FieldLayout, by_transforms: bool, dtype: torch.dtype) -> PackedMap:
    if isinstance(kernel, Diagonal):
        return DiagonalMap(kernel.factor, source, dtype)
    if isinstance(kernel, Convolution):
        transfer = kernel.transfer if source.transposed else kernel.transfer.mT
        return Convolution2d(transfer.to(dtype).contiguous(), source, kernel.target_shape)
    assert isinstance(kernel, Separable)
    if by_transforms:
        rows, columns = reversed(_toeplitz(kernel)) if source.transposed else _toeplitz(kernel)
        transfers = rows.transfer.to(dtype), columns.transfer.to(dtype)
        arrives = (None if axis.kept is None else torch.tensor(axis.kept.chosen) for axis in (rows, columns))
        return SeparableConvolution(*transfers, source, kernel.target_shape, (None, None, *arrives))
    axes = (kernel.columns, kernel.rows) if source.transposed else (kernel.rows, kernel.columns)
    kind = EvenOddMatrixMap if source.even_odd else MatrixMap
    rows, columns = ((_blocks(axis) if source.even_odd else axis.matrix).to(dtype) for axis in axes)
    return kind(rows, columns, source, replace(source, shape=kernel.target_shape))


def _applicable(gap: Sequence[Kernel], engine: Engine) -> list[Kernel]:
    return [kernel for kernel in gap if all(_has_map(part, engine) for part in kernel.parts)]


def _has_map(kernel: Kernel, engine: Engine) -> bool:
    if isinstance(kernel, Convolution):
        return engine != "matrix" and not kernel.strided
    return isinstance(kernel, Separable | Diagonal)


def _has_transforms(kernel: Separable) -> bool:
    return all(
        isinstance(axis, Toeplitz) and axis.points.source_stride == axis.points.target_stride == 1
        for axis in (kernel.rows, kernel.columns)
    )


def _toeplitz(kernel: Separable) -> tuple[Toeplitz, Toeplitz]:
    rows, columns = kernel.rows, kernel.columns
    assert isinstance(rows, Toeplitz)
    assert isinstance(columns, Toeplitz)
    return rows, columns


def _blocks(axis: Axis) -> Tensor:
    return diagonal_blocks(axis.matrix) if axis.mirrored else full_blocks(axis.matrix)


def _numbers(axis: Axis, even_odd: bool) -> int:
    if not even_odd:
        return axis.targets * axis.sources
    return (2 if axis.mirrored else 4) * half(axis.targets) * half(axis.sources)
