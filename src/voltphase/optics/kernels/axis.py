"""One axis of a separable kernel as data: a matrix, whose kind says how it can be applied."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial

import torch
from torch import Tensor

from voltphase.core.dtypes import with_standard_torch
from voltphase.optics.kernels.common_grid import CommonGrid

Shape = tuple[int, int]
#: Makes an array when it is called. To be pickled with its kernel, it must be no lambda and no local function.
Maker = Callable[[], Tensor]


@dataclass(frozen=True, eq=False)
class Axis(ABC):
    """One axis of a separable kernel: a matrix of target samples x source samples.

    One that is mirrored keeps even light even and odd light odd: on sums and differences of mirrored samples it is two
    matrices of half the size.
    """

    mirrored: bool  # whether it is the same turned by half a turn (centrosymmetric)
    targets: int = field(init=False)  # number of target samples
    sources: int = field(init=False)  # number of source samples

    @cached_property
    @with_standard_torch
    def matrix(self) -> Tensor:
        """The ``targets x sources`` matrix, complex128."""
        return self._matrix()

    @abstractmethod
    def _matrix(self) -> Tensor: ...

    def then(self, following: Axis) -> Axis:
        """Return this axis and another one, which starts from the samples this one leads to, as one matrix."""
        both = self.mirrored and following.mirrored
        return Matrix(both, (following.targets, self.sources), partial(_product, following, self))


@dataclass(frozen=True, eq=False)
class Matrix(Axis):
    """An axis that is any matrix, real or complex, of ``shape`` (target samples, source samples)."""

    shape: Shape
    make: Maker

    def __post_init__(self) -> None:
        vars(self).update(targets=self.shape[0], sources=self.shape[1])

    def _matrix(self) -> Tensor:
        return self.make().to(torch.complex128)


@dataclass(frozen=True, eq=False)
class Toeplitz(Axis):
    """An axis whose matrix depends on displacements alone, over the points that both planes share.

    Where both strides of the points are 1, the matrix has constant diagonals (Toeplitz); with other strides it is a
    part of such a matrix. Either way Fourier transforms can apply it.
    """

    points: CommonGrid  # of both planes
    make: Maker  # makes the values at ``points.displacements()``
    kept: Selection | None = None  # which of the points' target samples are the axis's; all if None

    def __post_init__(self) -> None:
        targets = self.points.targets if self.kept is None else self.kept.targets
        vars(self).update(targets=targets, sources=self.points.sources)

    @cached_property
    @with_standard_torch
    def values(self) -> Tensor:
        """The kernel at every displacement of :attr:`points`, ascending, complex128."""
        return self.make()

    def _matrix(self) -> Tensor:
        matrix = self.values[self.points.indices()]
        return matrix if self.kept is None else matrix[list(self.kept.chosen)]

    @cached_property
    @with_standard_torch
    def transfer(self) -> Tensor:
        """The discrete Fourier transform of the kernel, of ``points.size`` frequencies, complex128."""
        return torch.fft.fft(self.points.to_dft_order(self.values, 0))

    def then(self, following: Axis) -> Axis:
        if self.kept is not None or not isinstance(following, Selection) or not following.chosen:
            return super().then(following)
        # Only to the points from the first to the last: transforms of a smaller size lead there.
        first, count = min(following.chosen), max(following.chosen) - min(following.chosen) + 1
        skipped = first * self.points.target_stride
        points = replace(self.points, first=self.points.first + skipped * self.points.step, targets=count)
        make = partial(_part, self, skipped, points.displacement_count)
        kept = Selection.of([index - first for index in following.chosen], count)
        mirrored = self.mirrored and following.mirrored
        return Toeplitz(mirrored, points, make, None if kept.chosen == tuple(range(count)) else kept)


@dataclass(frozen=True, eq=False)
class Selection(Axis):
    """An axis on which some of ``count`` samples, of the indices ``chosen``, are kept in order and others dropped."""

    chosen: tuple[int, ...]
    count: int

    def __post_init__(self) -> None:
        vars(self).update(targets=len(self.chosen), sources=self.count)

    @classmethod
    def of(cls, chosen: Sequence[int], count: int) -> Selection:
        """Return the axis that keeps the samples of some indices, with whether it is mirrored."""
        chosen = tuple(chosen)
        return cls(chosen == tuple(count - 1 - index for index in reversed(chosen)), chosen, count)

    def _matrix(self) -> Tensor:
        return torch.eye(self.count, dtype=torch.complex128)[list(self.chosen)]


def _part(axis: Toeplitz, start: int, count: int) -> Tensor:
    return axis.values[start : start + count]


def _product(second: Axis, first: Axis) -> Tensor:
    if isinstance(second, Selection):
        return first.matrix[list(second.chosen)]
    return second.matrix @ first.matrix
