"""What the maps of this back end cost, by constants that were measured."""

from __future__ import annotations

import math
from typing import Final

from voltphase.optics.backends.cpu.layout import FieldLayout

# Nanoseconds on one core with AVX-512, fitted to training steps of 64 x 64 to 800 x 800 (0.4 to 30 ms a map, within
# 8 %); `python scripts/calibrate_backends.py` measures and fits them again.
#: A complex multiplication and addition in a matrix product.
PER_MULTIPLICATION: Final = 0.0525
#: A number of a field, for all that is done to it between two products.
PER_NUMBER: Final = 5.0
#: A number of a Fourier transform and of its inverse, per factor of two of their length.
PER_BUTTERFLY: Final = 0.52
#: What a two-dimensional convolution takes over its transforms, as fields are turned in between: at 64 to 256 samples
#: a side its steps take 1.1 to 1.5 times what the transforms of separable kernels predict.
TURNING: Final = 1.25


def matrix_work(rows: int, columns: int, source: FieldLayout, target: FieldLayout) -> tuple[int, bool]:
    """Return the multiplications of a separable kernel for one field, and whether to apply the columns' matrix first.

    Args:
        rows: Numbers in the matrix, or in the blocks, along the rows.
        columns: Numbers in the matrix, or in the blocks, along the columns.
        source: Layout of the fields to start from.
        target: Layout of the fields that arrive.
    """
    columns_first = source.halves * (source.rows * columns + target.columns * rows)
    rows_first = source.halves * (source.columns * rows + target.rows * columns)
    return min(columns_first, rows_first), columns_first <= rows_first


def matrix_cost(rows: int, columns: int, source: FieldLayout, target: FieldLayout) -> float:
    """Return the estimated nanoseconds for one field of a separable kernel by matrix products.

    Args:
        rows, columns, source, target: As for :func:`matrix_work`.
    """
    multiplications, _ = matrix_work(rows, columns, source, target)
    return PER_MULTIPLICATION * multiplications + PER_NUMBER * (source.numel + target.numel) / 2


def transform_cost(count: float, length: int) -> float:
    """Return the estimated nanoseconds for ``count`` transforms of some length, their inverses and what is between."""
    return PER_BUTTERFLY * count * length * math.log2(max(length, 2))
