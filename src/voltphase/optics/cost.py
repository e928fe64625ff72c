"""What applying a kernel costs, so that the cheaper engine can be picked before either is run."""

from __future__ import annotations

import math
from dataclasses import dataclass

# Measured with `python scripts/calibrate_engines.py --threads 1` (complex64, torch 2.13 with MKL, one core of a Xeon
# with AVX-512 and 2 MiB of its own cache), which they meet within a fifth from 64 x 64 on; only their ratios decide
# anything. Nanoseconds.
PER_MULTIPLICATION = 0.055  # a complex multiplication and addition inside a matrix product
PER_BUTTERFLY = 0.09  # an FFT's point, per factor of two of the transform's size
PER_POINT = 1.3  # reading and writing a point once, where a step has to pass over it
PER_FAR_POINT = 5.3  # a point of a transform that goes through main memory, all passes over it together
PER_CALL = 20_000.0  # one operation, shared by the fields of a batch

# Padded points from which on transforms slow down: from 400 x 400, gradually.
POINTS_IN_CACHE = 200_000


@dataclass(frozen=True)
class Cost:
    """The work of one propagation of one field.

    Args:
        multiplications: Complex multiply-adds in matrix products.
        butterflies: Points times log2 of the size, summed over the Fourier transforms.
        points: Points read and written outside of these.
        far: Points of transforms beyond those the cache holds.
        calls: Operations started.
    """

    multiplications: float = 0.0
    butterflies: float = 0.0
    points: float = 0.0
    far: float = 0.0
    calls: int = 0

    def __add__(self, other: Cost) -> Cost:
        return Cost(
            self.multiplications + other.multiplications,
            self.butterflies + other.butterflies,
            self.points + other.points,
            self.far + other.far,
            self.calls + other.calls,
        )

    @property
    def megaflops(self) -> float:
        """Real additions and multiplications, in millions: 8 a complex multiply-add, 5 a butterfly."""
        return (8 * self.multiplications + 5 * self.butterflies + 6 * self.points) / 1e6

    @property
    def nanoseconds(self) -> float:
        """Expected for one complex64 field of a batch of 16, on the machine the constants were measured on."""
        return (
            self.multiplications * PER_MULTIPLICATION
            + self.butterflies * PER_BUTTERFLY
            + self.points * PER_POINT
            + self.far * PER_FAR_POINT
            + self.calls * PER_CALL / 16
        )


def product_cost(left: tuple[int, int], field: tuple[int, int], right: tuple[int, int]) -> Cost:
    """Of ``left @ field @ right`` in the cheaper order."""
    rows, columns = field
    right_first = rows * columns * right[1] + left[0] * rows * right[1]
    left_first = left[0] * rows * columns + left[0] * columns * right[1]
    return Cost(multiplications=min(right_first, left_first), calls=2)


def mirrored_cost(source: tuple[int, int], target: tuple[int, int]) -> Cost:
    """Of products with the even and odd halves of two centrosymmetric matrices, and of the sums they take."""
    whole = product_cost((target[0], source[0]), source, (source[1], target[1]))
    # Twice as many as there are sums: mirroring is a copy.
    sums = 2 * (2 * source[0] * source[1] + source[0] * target[1] + target[0] * target[1])
    return Cost(multiplications=whole.multiplications / 2, points=sums, calls=18)


def convolution_cost(size: tuple[int, int]) -> Cost:
    """Of a transform, a product and a transform back, of ``size`` points."""
    points = size[0] * size[1]
    return Cost(
        butterflies=2 * points * math.log2(max(points, 2)),
        points=2 * points,
        far=max(0, points - POINTS_IN_CACHE),
        calls=4,
    )
