"""The regular points that hold the samples of two planes, where there are such points."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import torch
from torch import Tensor

from voltphase.optics.methods.geometry import Geometry

# Pitches whose ratio is a fraction of larger numbers than this share a lattice too fine to be worth transforming.
LARGEST_STRIDE = 8
# Samples may miss the lattice by this part of its step, far below what changes a phase.
MISS = 1e-7


@dataclass(frozen=True)
class Lattice:
    """One axis: source sample j sits on point ``j * source_stride``, target sample i on ``i * target_stride``.

    ``step`` is the distance between points, ``first`` the distance from the first source sample to the first target
    sample, both in metres.
    """

    step: float
    first: float
    sources: int
    source_stride: int
    targets: int
    target_stride: int

    @property
    def source_span(self) -> int:
        return (self.sources - 1) * self.source_stride + 1

    @property
    def target_span(self) -> int:
        return (self.targets - 1) * self.target_stride + 1

    @property
    def displacement_count(self) -> int:
        return self.source_span + self.target_span - 1

    @property
    def size(self) -> int:
        """The smallest DFT in which a convolution from source to target does not wrap around, and that is fast."""
        return good_size(self.displacement_count)

    def displacements(self) -> Tensor:
        """Every displacement from source to target there is, ascending, in metres, float64."""
        points = torch.arange(1 - self.source_span, self.target_span, dtype=torch.float64)
        return points * self.step + self.first

    def indices(self) -> Tensor:
        """Which of :meth:`displacements` lies between which samples, ``targets x sources``, int64."""
        target = torch.arange(self.targets) * self.target_stride
        source = torch.arange(self.sources) * self.source_stride
        return target[:, None] - source[None, :] + self.source_span - 1

    def circulate(self, kernel: Tensor, dim: int) -> Tensor:
        """Lay a kernel over :meth:`displacements` out for a DFT of :attr:`size` points, displacement 0 first."""
        missing = self.size - kernel.shape[dim]
        padding = kernel.new_zeros([missing if d == dim % kernel.ndim else n for d, n in enumerate(kernel.shape)])
        return torch.roll(torch.cat((kernel, padding), dim), 1 - self.source_span, dim)


def lattice(geometry: Geometry, axis: int) -> Lattice | None:
    """The points shared by both planes along an axis, or None if the pitches have no simple ratio."""
    source, target = geometry.source, geometry.target
    ratio = target.pitch[axis] / source.pitch[axis]
    simple = Fraction(ratio).limit_denominator(LARGEST_STRIDE)
    if not 0 < simple.numerator <= LARGEST_STRIDE:
        return None
    if abs(float(simple) / ratio - 1) * max(source.shape[axis], target.shape[axis]) > MISS:
        return None
    first = target.coordinates()[axis][0] - source.coordinates()[axis][0]
    return Lattice(
        step=source.pitch[axis] / simple.denominator,
        first=float(first),
        sources=source.shape[axis],
        source_stride=simple.denominator,
        targets=target.shape[axis],
        target_stride=simple.numerator,
    )


def good_size(n: int) -> int:
    """The smallest size of at least ``n`` with no prime factor above 5, which an FFT is fast at."""
    while True:
        rest = n
        for prime in (2, 3, 5):
            while rest % prime == 0:
                rest //= prime
        if rest == 1:
            return n
        n += 1
