"""The regular points that hold the samples of two planes, where there are such points."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import torch
from scipy.fft import next_fast_len
from torch import Tensor

from voltphase.optics.grid import Grid

# Pitches whose ratio is a fraction of larger numbers than this share a grid too fine to be worth transforming.
LARGEST_STRIDE = 8
# Samples may miss the common grid by this part of its step, far below what changes a phase.
ALIGNMENT = 1e-7
# Displacements may miss their mirror image by this part of a step: by the rounding of coordinates, and no more.
_MIRROR = 1e-11


@dataclass(frozen=True)
class CommonGrid:
    """One axis of the points that two planes share.

    Source sample j sits on point ``j * source_stride``, target sample i on ``i * target_stride``.
    """

    step: float  # distance between points in metres
    first: float  # distance from the first source sample to the first target sample in metres
    sources: int
    source_stride: int  # points from one source sample to the next
    targets: int
    target_stride: int  # points from one target sample to the next

    @property
    def source_span(self) -> int:
        """The number of points from the first source sample to the last."""
        return (self.sources - 1) * self.source_stride + 1

    @property
    def target_span(self) -> int:
        """The number of points from the first target sample to the last."""
        return (self.targets - 1) * self.target_stride + 1

    @property
    def source_points(self) -> slice:
        """The points that source samples sit on."""
        return slice(0, self.source_span, self.source_stride)

    @property
    def target_points(self) -> slice:
        """The points that target samples sit on, counted from the first of them."""
        return slice(0, self.target_span, self.target_stride)

    @property
    def displacement_count(self) -> int:
        """The number of different displacements from source to target."""
        return self.source_span + self.target_span - 1

    @property
    def size(self) -> int:
        """The smallest size with no prime factor above 5, fast for a DFT, in which nothing wraps around."""
        size: Any = next_fast_len(self.displacement_count, real=True)
        return size

    @property
    def mirrored(self) -> bool:
        """Whether the displacements are those of two planes centred on each other: minus them, they are the same."""
        return abs(2 * self.first / self.step + self.target_span - self.source_span) <= _MIRROR

    def displacements(self) -> Tensor:
        """Return every displacement from source to target, ascending, in metres, float64."""
        points = torch.arange(1 - self.source_span, self.target_span, dtype=torch.float64)
        return points * self.step + self.first

    def indices(self) -> Tensor:
        """Return which of :meth:`displacements` lies between which samples, ``targets x sources``, int64."""
        target, source = torch.arange(self.target_span), torch.arange(self.source_span)
        return target[self.target_points, None] - source[self.source_points] + self.source_span - 1

    def to_dft_order(self, kernel: Tensor, dim: int) -> Tensor:
        """Return a kernel over :meth:`displacements` along ``dim``, padded to :attr:`size`, displacement 0 first."""
        missing = self.size - kernel.shape[dim]
        padding = kernel.new_zeros([missing if d == dim % kernel.ndim else n for d, n in enumerate(kernel.shape)])
        return torch.roll(torch.cat((kernel, padding), dim), 1 - self.source_span, dim)


def common_grid(source: Grid, target: Grid, axis: int) -> CommonGrid | None:
    """Return the points that two planes share along an axis, or None if the pitches have no simple ratio.

    Args:
        source: Plane that light starts from.
        target: Plane that light arrives on.
        axis: 0 for rows (y), 1 for columns (x).

    Examples:
        >>> common_grid(Grid(4, 10e-6), Grid(6, 15e-6), 0).displacement_count
        22
    """
    ratio = target.pitch[axis] / source.pitch[axis]
    simple = Fraction(ratio).limit_denominator(LARGEST_STRIDE)
    if not 0 < simple.numerator <= LARGEST_STRIDE:
        return None
    if abs(float(simple) / ratio - 1) * max(source.shape[axis], target.shape[axis]) > ALIGNMENT:
        return None
    return CommonGrid(
        step=source.pitch[axis] / simple.denominator,
        first=float(target.coordinates()[axis][0] - source.coordinates()[axis][0]),
        sources=source.shape[axis],
        source_stride=simple.denominator,
        targets=target.shape[axis],
        target_stride=simple.numerator,
    )


def common_grids(source: Grid, target: Grid) -> tuple[CommonGrid, CommonGrid] | None:
    """Return the points that two planes share, of rows and of columns, or None if an axis has none."""
    rows, columns = common_grid(source, target, 0), common_grid(source, target, 1)
    return None if rows is None or columns is None else (rows, columns)
