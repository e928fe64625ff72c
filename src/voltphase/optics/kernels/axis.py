"""One axis of a separable kernel as data: a matrix, whose kind says how it can be applied."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
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

    Args:
        mirrored: Whether the matrix is the same turned by half a turn (centrosymmetric), which keeps even light even
            and odd light odd: on sums and differences of mirrored samples it is two matrices of half the size.

    Attributes:
        targets: Number of target samples.
        sources: Number of source samples.
    """

    mirrored: bool
    targets: int = field(init=False)
    sources: int = field(init=False)

    @cached_property
    @with_standard_torch
    def matrix(self) -> Tensor:
        """The ``targets x sources`` matrix, complex128."""
        return self._matrix()

    @abstractmethod
    def _matrix(self) -> Tensor: ...

    def then(self, following: Axis) -> Axis:
        """Return this axis and another one straight after it as one matrix.

        Args:
            following: Axis that starts from the samples this one leads to.
        """
        both = self.mirrored and following.mirrored
        return Matrix(both, (following.targets, self.sources), partial(_product, following, self))


@dataclass(frozen=True, eq=False)
class Matrix(Axis):
    """An axis that is any matrix.

    Args:
        mirrored: See :class:`Axis`.
        shape: Target samples, source samples.
        make: Makes the matrix, real or complex.
    """

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

    Args:
        mirrored: See :class:`Axis`.
        points: Points of both planes.
        make: Makes the values at ``points.displacements()``.
    """

    points: CommonGrid
    make: Maker

    def __post_init__(self) -> None:
        vars(self).update(targets=self.points.targets, sources=self.points.sources)

    @cached_property
    @with_standard_torch
    def values(self) -> Tensor:
        """The kernel at every displacement of :attr:`points`, ascending, complex128."""
        return self.make()

    def _matrix(self) -> Tensor:
        return self.values[self.points.indices()]

    @cached_property
    @with_standard_torch
    def transfer(self) -> Tensor:
        """The discrete Fourier transform of the kernel, of ``points.size`` frequencies, complex128."""
        return torch.fft.fft(self.points.to_dft_order(self.values, 0))


@dataclass(frozen=True, eq=False)
class Selection(Axis):
    """An axis on which some samples are kept and the others dropped.

    Args:
        mirrored: See :class:`Axis`; :meth:`of` finds it out.
        chosen: Indices of the source samples that are kept, in order.
        count: Number of source samples.
    """

    chosen: tuple[int, ...]
    count: int

    def __post_init__(self) -> None:
        vars(self).update(targets=len(self.chosen), sources=self.count)

    @classmethod
    def of(cls, chosen: Sequence[int], count: int) -> Selection:
        """Return the axis that keeps some samples.

        Args:
            chosen: Indices of the samples to keep, in order.
            count: Number of samples there are.
        """
        chosen = tuple(chosen)
        return cls(chosen == tuple(count - 1 - index for index in reversed(chosen)), chosen, count)

    def _matrix(self) -> Tensor:
        return torch.eye(self.count, dtype=torch.complex128)[list(self.chosen)]


def _product(second: Axis, first: Axis) -> Tensor:
    if isinstance(second, Selection):
        return first.matrix[list(second.chosen)]
    return second.matrix @ first.matrix
