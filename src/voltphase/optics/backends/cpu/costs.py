"""What the maps of this back end cost, by constants that were measured."""

from __future__ import annotations

import math
import operator
from dataclasses import astuple, dataclass

from voltphase.optics.backends.cpu.layout import FieldLayout

# Nanoseconds on one core with AVX-512, fitted to training steps of 64 x 64 to 800 x 800 (0.4 to 30 ms a map, within
# 8 %); `python scripts/calibrate_backends.py` measures and fits them again.
PER_MULTIPLICATION = 0.0525  # a complex multiplication and addition in a matrix product
PER_NUMBER = 5.0  # a number of a field, for all that is done to it between two products
PER_BUTTERFLY = 0.52  # a number of a Fourier transform and of its inverse, per factor of two of their length
# The same in two dimensions, where fields are transposed in between: at 64 to 256 samples a side these steps take 1.1
# to 1.5 times what the transforms of separable kernels predict.
PER_BUTTERFLY_2D = 0.65


@dataclass(frozen=True)
class Work:
    """The work of applying a map to one field, there or back."""

    multiplications: float = 0.0  # complex multiply-adds in matrix products
    numbers: float = 0.0  # of fields that are modulated, combined and summed up between products
    # Numbers times log2 of the length, summed over the Fourier transforms that have an inverse.
    butterflies: float = 0.0
    butterflies_2d: float = 0.0  # those in two-dimensional convolutions

    def __add__(self, other: Work) -> Work:
        return Work(*map(operator.add, astuple(self), astuple(other)))

    @property
    def nanoseconds(self) -> float:
        """The estimated time on one core."""
        return (
            self.multiplications * PER_MULTIPLICATION
            + self.numbers * PER_NUMBER
            + self.butterflies * PER_BUTTERFLY
            + self.butterflies_2d * PER_BUTTERFLY_2D
        )


def products(rows: int, columns: int, source: FieldLayout, target: FieldLayout) -> tuple[Work, bool]:
    """Return the work of a separable kernel by matrix products, and whether to apply the columns' matrix first.

    ``rows`` and ``columns`` are how many numbers its matrices, or their blocks, have.
    """
    columns_first = source.halves * (source.rows * columns + target.columns * rows)
    rows_first = source.halves * (source.columns * rows + target.rows * columns)
    work = Work(min(columns_first, rows_first), (source.numel + target.numel) / 2)
    return work, columns_first <= rows_first


def butterflies(count: float, length: int) -> float:
    """Return the numbers times log2 of the length of ``count`` transforms along one axis."""
    return count * length * math.log2(max(length, 2))
