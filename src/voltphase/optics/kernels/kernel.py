"""Kernels as data: how light gets from one plane to the next, with shapes that are known before anything is computed.

A kernel knows its ``source_shape`` and ``target_shape``, and what kind of map it is. Its arrays are complex128, made on
the CPU when they are first asked for, and only once. It knows nothing of what applies it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import NamedTuple

import torch
from torch import Tensor

from voltphase.core.dtypes import with_standard_torch
from voltphase.core.errors import GeometryError
from voltphase.optics.kernels.axis import Axis, Maker, Selection, Shape
from voltphase.optics.kernels.common_grid import CommonGrid


@dataclass(frozen=True, eq=False)
class Kernel:
    """How light gets from one plane to the next.

    Attributes:
        source_shape: (rows, columns) of the plane that light starts from.
        target_shape: (rows, columns) of the plane that light arrives on.
        numbers: How many complex numbers its arrays hold.
    """

    source_shape: Shape = field(init=False)
    target_shape: Shape = field(init=False)
    numbers: int = field(init=False)

    def _set(self, source_shape: Shape, target_shape: Shape, numbers: int) -> None:
        vars(self).update(source_shape=source_shape, target_shape=target_shape, numbers=numbers)

    def then(self, following: Kernel) -> Kernel:
        """Return this kernel and another one straight after it as one.

        Two separable kernels are one separable kernel, whose matrices are the products, and two diagonal ones are one.
        All others stay what they are, one after the other, in a :class:`Composition`.

        Args:
            following: Kernel that starts from the plane this one leads to.

        Raises:
            GeometryError: if it starts from a plane of another shape.

        Examples:
            >>> source, target = Diagonal((4, 4), partial(torch.ones, 4, 4)), Separable.select([1, 2], [0, 3], (4, 4))
            >>> source.then(target).target_shape
            (2, 2)
        """
        if self.target_shape != following.source_shape:
            (rows, columns), (other_rows, other_columns) = self.target_shape, following.source_shape
            raise GeometryError(
                f"expected a kernel that starts from {rows} x {columns} samples, where the one before it leads, but "
                f"got one that starts from {other_rows} x {other_columns}"
            )
        *before, last = self.parts
        first, *after = following.parts
        joined = last._joined(first)
        middle = (last, first) if joined is None else (joined,)
        parts = (*before, *middle, *after)
        return parts[0] if len(parts) == 1 else Composition(parts)

    @property
    def parts(self) -> tuple[Kernel, ...]:
        """The kernels that light meets one after the other: itself alone, unless it is a :class:`Composition`."""
        return (self,)

    def _joined(self, following: Kernel) -> Kernel | None:
        """Return one kernel for this one and another straight after it, or None if they are better left apart."""
        return None


@dataclass(frozen=True, eq=False)
class Separable(Kernel):
    """A kernel of a matrix along each axis: ``rows.matrix @ field @ columns.matrix.T``.

    Args:
        rows: What happens along y: target rows x source rows.
        columns: What happens along x: target columns x source columns.
    """

    rows: Axis
    columns: Axis

    @classmethod
    def select(cls, rows: Sequence[int], columns: Sequence[int], shape: Shape) -> Separable:
        """Return the kernel that keeps the rows and columns of some indices, in order, of a plane of a shape."""
        return cls(Selection.of(rows, shape[0]), Selection.of(columns, shape[1]))

    def __post_init__(self) -> None:
        rows, columns = self.rows, self.columns
        numbers = rows.targets * rows.sources + columns.targets * columns.sources
        self._set((rows.sources, columns.sources), (rows.targets, columns.targets), numbers)

    def _joined(self, following: Kernel) -> Kernel | None:
        if not isinstance(following, Separable):
            return None
        return Separable(self.rows.then(following.rows), self.columns.then(following.columns))


@dataclass(frozen=True, eq=False)
class Convolution(Kernel):
    """A kernel that depends on displacements alone and does not separate, over the points that both planes share.

    It stands for ``ifft2(fft2(spread, s=size) * transfer)`` at the points of the target, where ``spread`` has the
    source's samples at their points and zeros elsewhere.

    Args:
        rows: Points of the rows of both planes.
        columns: Points of the columns of both planes.
        size: (rows, columns) of the Fourier transforms; of planes that light wraps around on, that of the planes.
        make: Makes the transfer function, a complex128 array of that size.
    """

    rows: CommonGrid
    columns: CommonGrid
    size: Shape
    make: Maker

    @classmethod
    def of_table(cls, rows: CommonGrid, columns: CommonGrid, make: Maker) -> Convolution:
        """Return the linear convolution, which wraps around nowhere, of a kernel given at all displacements.

        Such a kernel is nearly a sum of a few separable ones, which could be applied as matrices. That was tried and
        left out. With errors of a few 1e-7 either way, the FFT takes 1.2 to 2.1 times the time of the sum at 32 x 32
        and 0.9 to 1.7 times at 48 x 48, but from 64 x 64 on it takes less wherever the paraxial error is above 0.05
        rad: 0.4 to 0.8 of the time at 64 x 64, 0.1 to 0.3 of it at 200 x 200, where the sum needs three to six terms.
        Sizes at which the sum would pay cost next to nothing anyway (``python scripts/low_rank.py``, one core;
        ``benchmarks/results/low-rank-cpu.json``).

        Args:
            rows: Points of the rows of both planes.
            columns: Points of the columns of both planes.
            make: Makes the kernel, complex128, row displacements x column displacements.
        """
        return cls(rows, columns, (rows.size, columns.size), partial(_transfer_of, rows, columns, make))

    def __post_init__(self) -> None:
        rows, columns = self.rows, self.columns
        self._set((rows.sources, columns.sources), (rows.targets, columns.targets), math.prod(self.size))

    @property
    def strided(self) -> bool:
        """Whether samples of either plane are farther apart than the points that both share."""
        return any(points.source_stride > 1 or points.target_stride > 1 for points in (self.rows, self.columns))

    @cached_property
    @with_standard_torch
    def transfer(self) -> Tensor:
        """The transfer function, complex128, of :attr:`size`."""
        return self.make()


class SpectralParts(NamedTuple):
    """The arrays of a :class:`Spectral` kernel, complex128: see there."""

    from_rows: Tensor
    from_columns: Tensor
    transfer: Tensor
    to_rows: Tensor
    to_columns: Tensor


@dataclass(frozen=True, eq=False)
class Spectral(Kernel):
    """A transfer function between matrix Fourier transforms, for any pitches, sizes and offsets.

    It stands for ``to_rows @ (transfer * (from_rows @ field @ from_columns.T)) @ to_columns.T``.

    Args:
        source: (rows, columns) of the plane that light starts from.
        target: (rows, columns) of the plane that light arrives on.
        waves: Numbers of frequencies along y and along x, the shape of ``transfer``.
        make: Makes the arrays.
    """

    source: Shape
    target: Shape
    waves: Shape
    make: Callable[[], SpectralParts]

    def __post_init__(self) -> None:
        pairs = zip(self.source, self.target, self.waves, strict=True)
        numbers = math.prod(self.waves) + sum(waves * (source + target) for source, target, waves in pairs)
        self._set(self.source, self.target, numbers)

    @cached_property
    @with_standard_torch
    def arrays(self) -> SpectralParts:
        """The matrices and the transfer function, complex128."""
        return self.make()


@dataclass(frozen=True, eq=False)
class Diagonal(Kernel):
    """A factor for each sample of a plane of a shape (rows, columns), such as that of a lens or an aperture.

    Args:
        shape: (rows, columns) of the plane.
        make: Makes the factors, real or complex, rows x columns.
    """

    shape: Shape
    make: Maker

    def __post_init__(self) -> None:
        self._set(self.shape, self.shape, math.prod(self.shape))

    @cached_property
    @with_standard_torch
    def factor(self) -> Tensor:
        """The factor of each sample, complex128, rows x columns."""
        return self.make().to(torch.complex128)

    def _joined(self, following: Kernel) -> Kernel | None:
        return Diagonal(self.shape, partial(_factors, self, following)) if isinstance(following, Diagonal) else None


@dataclass(frozen=True, eq=False)
class Composition(Kernel):
    """At least two kernels, each from the plane that the one before leads to, made by :meth:`Kernel.then`."""

    kernels: tuple[Kernel, ...]

    def __post_init__(self) -> None:
        numbers = sum(kernel.numbers for kernel in self.kernels)
        self._set(self.kernels[0].source_shape, self.kernels[-1].target_shape, numbers)

    @property
    def parts(self) -> tuple[Kernel, ...]:
        return self.kernels


def _factors(first: Diagonal, second: Diagonal) -> Tensor:
    return first.factor * second.factor


def _transfer_of(rows: CommonGrid, columns: CommonGrid, make: Maker) -> Tensor:
    return torch.fft.fft2(columns.to_dft_order(rows.to_dft_order(make(), 0), 1))
