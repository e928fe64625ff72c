"""Which map applies a kernel at the least cost: what the reference back end and a propagator run, and why."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Sequence
from dataclasses import astuple, dataclass
from functools import partial
from typing import NamedTuple

import torch

from voltphase.optics.kernels.axis import Selection, Shape, Toeplitz
from voltphase.optics.kernels.kernel import Composition, Convolution, Diagonal, Kernel, Separable, Spectral
from voltphase.optics.kernels.maps import (
    CompositionMap,
    DiagonalMap,
    EvenOddMap,
    FourierMap,
    LinearMap,
    MatrixMap,
    SelectionMap,
    SpectralMap,
)

# Measured with `python scripts/calibrate_backends.py --threads 1` (complex64, torch 2.13 with MKL, one core of a Xeon
# with AVX-512 and 2 MiB of its own cache), which they meet within a fifth from 64 x 64 on; only their ratios decide
# anything. Nanoseconds.
PER_MULTIPLICATION = 0.055  # a complex multiplication and addition inside a matrix product
PER_BUTTERFLY = 0.09  # an FFT's point, per factor of two of the transform's size
PER_POINT = 1.3  # reading and writing a point once, where a step has to pass over it
PER_FAR_POINT = 5.3  # a point of a transform that goes through main memory, all passes over it together
PER_CALL = 20_000.0  # one operation, shared by the fields of a batch
_BATCH = 16

# Padded points from which on transforms slow down, gradually: 256 x 256. A propagation alone slows down from 400 x 400
# on, but in a training step more is in flight: of the angular spectrum, the walk over these maps takes 0.73 of the time
# of the blocked machine at 64 x 64, 0.96 at 160 x 160 and 1.24 at 200 x 200.
POINTS_IN_CACHE = 65_536


@dataclass(frozen=True)
class Cost:
    """The work of applying a map to one field."""

    multiplications: float = 0.0  # complex multiply-adds in matrix products
    butterflies: float = 0.0  # points times log2 of the size, summed over the Fourier transforms
    points: float = 0.0  # points read and written outside of these
    far: float = 0.0  # points of transforms beyond those the cache holds
    calls: int = 0  # operations started

    def __add__(self, other: Cost) -> Cost:
        return Cost(*map(operator.add, astuple(self), astuple(other)))

    @property
    def megaflops(self) -> float:
        """Real additions and multiplications, in millions: 8 a complex multiply-add, 5 a butterfly."""
        return (8 * self.multiplications + 5 * self.butterflies + 6 * self.points) / 1e6

    @property
    def nanoseconds(self) -> float:
        """The time expected for one complex64 field of a batch of 16, on the machine the constants were measured on."""
        return (
            self.multiplications * PER_MULTIPLICATION
            + self.butterflies * PER_BUTTERFLY
            + self.points * PER_POINT
            + self.far * PER_FAR_POINT
            + self.calls * PER_CALL / _BATCH
        )


class Way(NamedTuple):
    """One way to apply a kernel."""

    name: str  # the engine: "matrix", "fft", both for a composition of such parts, or nothing for a mere factor
    note: str  # sizes, in words
    cost: Cost
    build: Callable[[torch.dtype], LinearMap]  # makes the map, of a complex type

    def __str__(self) -> str:
        milliseconds, megaflops = self.cost.nanoseconds / 1e6, self.cost.megaflops
        return f"{self.name} ({self.note}): {milliseconds:.3g} ms, {megaflops:.3g} Mflop a field"


def ways(kernel: Kernel, engine: str = "auto") -> list[Way]:
    """Return how a kernel of any kind can be applied.

    A separable one is applied by ``engine``: ``"matrix"``, ``"fft"`` where that can, or ``"auto"``, which is either.
    """
    if isinstance(kernel, Composition):
        return [_composed([cheapest([part], engine) for part in kernel.parts])]
    if isinstance(kernel, Convolution):
        return [_by_transforms(kernel, kernel.size)]
    if isinstance(kernel, Spectral):
        return [_through_waves(kernel)]
    if isinstance(kernel, Diagonal):
        return [Way("", "a factor", Cost(points=math.prod(kernel.shape), calls=1), partial(DiagonalMap, kernel))]
    if not isinstance(kernel, Separable):
        raise TypeError(f"no map is known for a kernel of type {type(kernel).__name__}")
    rows, columns = kernel.rows, kernel.columns
    if isinstance(rows, Selection) and isinstance(columns, Selection):
        return [_some_samples(rows, columns)]
    found = [_by_matrices(kernel)]
    if isinstance(rows, Toeplitz) and isinstance(columns, Toeplitz):
        way = _by_transforms(kernel, (rows.points.size, columns.points.size))
        if rows.kept or columns.kept:
            kept = (axis.kept or Selection.of(range(axis.targets), axis.targets) for axis in (rows, columns))
            way = _composed([way, _some_samples(*kept)])
        found.append(way)
    return [way for way in found if way.name == engine] or found


def cheapest(kernels: Sequence[Kernel], engine: str = "auto") -> Way:
    """Return the way that costs least to apply one of several equivalent kernels; ``engine`` as for :func:`ways`."""
    return min((way for kernel in kernels for way in ways(kernel, engine)), key=lambda way: way.cost.nanoseconds)


def product_cost(left: Shape, field: Shape, right: Shape) -> Cost:
    """Return the cost of ``left @ field @ right`` in the cheaper order, from their shapes.

    Examples:
        >>> product_cost((2, 10), (10, 10), (10, 100)).multiplications
        2200
    """
    rows, columns = field
    right_first = rows * columns * right[1] + left[0] * rows * right[1]
    left_first = left[0] * rows * columns + left[0] * columns * right[1]
    return Cost(multiplications=min(right_first, left_first), calls=2)


def _by_matrices(kernel: Separable) -> Way:
    """Two matrix products, of even and odd halves where both axes are mirrored and that is cheaper."""
    source, target = kernel.source_shape, kernel.target_shape
    whole = product_cost((target[0], source[0]), source, (source[1], target[1]))
    # Twice as many points as there are sums: mirroring is a copy.
    sums = 2 * (2 * source[0] * source[1] + source[0] * target[1] + target[0] * target[1])
    halves = Cost(multiplications=whole.multiplications / 2, points=sums, calls=18)
    note = f"{target[0]} x {source[0]} and {target[1]} x {source[1]}"
    if kernel.rows.mirrored and kernel.columns.mirrored and halves.nanoseconds < whole.nanoseconds:
        return Way("matrix", f"{note}, even and odd halves", halves, partial(EvenOddMap, kernel))
    return Way("matrix", note, whole, partial(MatrixMap, kernel))


def _by_transforms(kernel: Convolution | Separable, size: Shape) -> Way:
    points = math.prod(size)
    far = max(0, points - POINTS_IN_CACHE)
    cost = Cost(butterflies=2 * points * math.log2(max(points, 2)), points=2 * points, far=far, calls=4)
    padded = "unpadded" if size == kernel.source_shape else f"padded to {size[0]} x {size[1]}"
    return Way("fft", padded, cost, partial(FourierMap, kernel))


def _some_samples(rows: Selection, columns: Selection) -> Way:
    cost = Cost(points=2 * rows.targets * columns.targets, calls=2)
    return Way("", "some samples", cost, lambda dtype: SelectionMap(rows, columns))


def _through_waves(kernel: Spectral) -> Way:
    source, target, (rows, columns) = kernel.source, kernel.target, kernel.waves
    there = product_cost((rows, source[0]), source, (source[1], columns))
    back = product_cost((target[0], rows), (rows, columns), (columns, target[1]))
    cost = there + back + Cost(points=rows * columns, calls=1)
    return Way("matrix", f"through {rows} x {columns} plane waves", cost, partial(SpectralMap, kernel))


def _composed(parts: list[Way]) -> Way:
    return Way(
        name=" + ".join(dict.fromkeys(part.name for part in parts if part.name)),
        note="; then ".join(part.note for part in parts),
        cost=sum((part.cost for part in parts), Cost()),
        build=lambda dtype: CompositionMap(part.build(dtype) for part in parts),
    )
