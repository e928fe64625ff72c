"""Sums of light over regions of the detector, and their gradient, straight from fields in halves."""

from __future__ import annotations

from typing import Any, Final, cast

import triton
import triton.language as tl
from torch import Tensor

from voltphase.optics.backends.cuda.kernels import load_quadrants, numbers, store_quadrants
from voltphase.optics.backends.cuda.layout import Packed
from voltphase.optics.kernels.even_odd import half

# To a type checker kernels are Python, which they are not.
# pyright: reportArgumentType=false, reportOperatorIssue=false, reportPossiblyUnboundVariable=false

# Images that a program has at a time: the least that a product of tiles takes. Rows that it goes through: about 500
# programs for 500 images and the window of the paper's regions. Columns of a half, and the most regions, at a time:
# what eight warps hold in registers when it is compiled for an H100, where twice the columns spill.
IMAGES: Final = 16
ROWS: Final = 4
WIDEST: Final = 32
MOST_REGIONS: Final = 64


@triton.jit
def _light(real, imag, AMPLITUDE: tl.constexpr):
    if AMPLITUDE:
        # Scaled by the larger part: the square of a faint one is 0.
        real, imag = tl.abs(real), tl.abs(imag)
        most = tl.maximum(real, imag)
        part = tl.minimum(real, imag) / tl.where(most > 0, most, 1)
        return most * tl.sqrt(1 + part * part)
    else:
        return real * real + imag * imag


@triton.jit
def _slope(real, imag, slope, AMPLITUDE: tl.constexpr):
    """Return the conjugate of the gradient of a field by the slope of its light."""
    if AMPLITUDE:
        # Numbers below the normal ones are dark, and there is no slope in the dark.
        most = tl.maximum(tl.abs(real), tl.abs(imag))
        scale = tl.where(most < 1.1754944e-38, 1, most)
        slope = tl.where(most < 1.1754944e-38, 0, slope)
        real, imag = real / scale, imag / scale
        slope = slope / tl.sqrt(tl.maximum(real * real + imag * imag, 0.5))
    else:
        slope = 2 * slope
    return real * slope, -imag * slope


# fmt: off
@triton.jit
def _region_sums(
    field, row_weights, column_weights, sums, batch, rows, columns, regions,
    image, row, second_row, row_step, second_column, column_step,
    UNFOLD_ROWS: tl.constexpr, UNFOLD_COLUMNS: tl.constexpr, AMPLITUDE: tl.constexpr,
    ROWS: tl.constexpr, BM: tl.constexpr, BN: tl.constexpr, BK: tl.constexpr,
):
    # fmt: on
    images = tl.program_id(0) * BM + tl.arange(0, BM)
    chunk = tl.program_id(1)
    k = tl.program_id(2) * BK + tl.arange(0, BK)
    some, count = images < batch, k < regions
    here = field + tl.program_id(0).to(tl.int64) * BM * image
    local = tl.arange(0, BM)[:, None] * image
    total = tl.zeros((BM, BK), tl.float32)
    for step in range(ROWS):
        r = chunk * ROWS + step
        upper, lower = tl.zeros((BM, BK), tl.float32), tl.zeros((BM, BK), tl.float32)
        for start in range(0, (columns + 1) // 2, BN):
            c = start + tl.arange(0, BN)
            # A sample in the middle is its own mirror image, and counts once.
            inside, beside = c < (columns + 1) // 2, c < columns // 2
            mask = some[:, None] & (inside & (tl.zeros_like(c) + r < (rows + 1) // 2))[None, :]
            ar, ai, br, bi, cr, ci, dr, di = load_quadrants(
                here, r.to(tl.int64) * row, second_row + r.to(tl.int64) * row_step,
                local + c[None, :], local + (second_column + c.to(tl.int64) * column_step)[None, :],
                mask, UNFOLD_ROWS, UNFOLD_COLUMNS, False,
            )  # fmt: skip
            left = tl.load(column_weights + c[:, None] * regions + k[None, :], inside[:, None] & count[None, :], 0)
            mirrored = (columns - 1 - c)[:, None] * regions + k[None, :]
            right = tl.load(column_weights + mirrored, beside[:, None] & count[None, :], 0)
            upper = tl.dot(_light(ar, ai, AMPLITUDE), left, upper, input_precision="ieee")
            upper = tl.dot(_light(br, bi, AMPLITUDE), right, upper, input_precision="ieee")
            lower = tl.dot(_light(cr, ci, AMPLITUDE), left, lower, input_precision="ieee")
            lower = tl.dot(_light(dr, di, AMPLITUDE), right, lower, input_precision="ieee")
        above = tl.load(row_weights + r * regions + k, count & (tl.zeros_like(k) + r < (rows + 1) // 2), 0)
        below = tl.load(row_weights + (rows - 1 - r) * regions + k, count & (tl.zeros_like(k) + r < rows // 2), 0)
        total += upper * above[None, :] + lower * below[None, :]
    at = sums + (chunk.to(tl.int64) * batch + images[:, None]) * regions + k[None, :]
    tl.store(at, total, some[:, None] & count[None, :])


# fmt: off
@triton.jit
def _region_gradient(
    field, row_weights, column_weights, gradient, target, batch, rows, columns, regions,
    image, row, second_row, row_step, second_column, column_step,
    FOLD_ROWS: tl.constexpr, FOLD_COLUMNS: tl.constexpr, AMPLITUDE: tl.constexpr,
    BM: tl.constexpr, BN: tl.constexpr, BK: tl.constexpr,
):
    # fmt: on
    images = tl.program_id(0) * BM + tl.arange(0, BM)
    r = tl.program_id(1)
    c = tl.program_id(2) * BN + tl.arange(0, BN)
    inside, beside, below = c < (columns + 1) // 2, c < columns // 2, tl.zeros_like(c) + r < rows // 2
    some = images < batch
    a, b = tl.zeros((BM, BN), tl.float32), tl.zeros((BM, BN), tl.float32)
    lower_left, lower_right = tl.zeros((BM, BN), tl.float32), tl.zeros((BM, BN), tl.float32)
    for start in range(0, regions, BK):
        k = start + tl.arange(0, BK)
        count = k < regions
        slopes = tl.load(
            gradient + images[:, None].to(tl.int64) * regions + k[None, :], some[:, None] & count[None, :], 0
        )
        upper = slopes * tl.load(row_weights + r * regions + k, count, 0)[None, :]
        lower = slopes * tl.load(row_weights + (rows - 1 - r) * regions + k, count, 0)[None, :]
        mask = count[:, None] & inside[None, :]
        left = tl.load(column_weights + c[None, :] * regions + k[:, None], mask, 0)
        right = tl.load(column_weights + (columns - 1 - c)[None, :] * regions + k[:, None], mask, 0)
        a = tl.dot(upper, left, a, input_precision="ieee")
        b = tl.dot(upper, right, b, input_precision="ieee")
        lower_left = tl.dot(lower, left, lower_left, input_precision="ieee")
        lower_right = tl.dot(lower, right, lower_right, input_precision="ieee")
    mask = some[:, None] & inside[None, :]
    start = tl.program_id(0).to(tl.int64) * BM * image
    top, bottom = r.to(tl.int64) * row, second_row + r.to(tl.int64) * row_step
    local = tl.arange(0, BM)[:, None] * image
    at_left, at_right = local + c[None, :], local + (second_column + c.to(tl.int64) * column_step)[None, :]
    ar, ai, br, bi, cr, ci, dr, di = load_quadrants(
        field + start, top, bottom, at_left, at_right, mask, FOLD_ROWS, FOLD_COLUMNS, False
    )
    ar, ai = _slope(ar, ai, a, AMPLITUDE)
    br, bi = _slope(br, bi, b, AMPLITUDE)
    cr, ci = _slope(cr, ci, lower_left, AMPLITUDE)
    dr, di = _slope(dr, di, lower_right, AMPLITUDE)
    store_quadrants(
        target + start, top, bottom, at_left, at_right,
        ar, ai, br, bi, cr, ci, dr, di, mask, below[None, :], beside[None, :], FOLD_ROWS, FOLD_COLUMNS,
    )  # fmt: skip


def region_sums(
    field: Tensor, layout: Packed, row_weights: Tensor, column_weights: Tensor, *, amplitude: bool
) -> Tensor:
    """Return sums of light, each sample weighted by its row and its column: float32 ``batch x regions``.

    Args:
        field: Fields on the detector, complex64.
        layout: Where they lie.
        row_weights: ``rows x regions``, float32.
        column_weights: ``columns x regions``, float32.
        amplitude: Whether to sum the amplitude instead of the intensity.
    """
    batch, (rows, columns), regions = field.shape[3], layout.shape, row_weights.shape[1]
    chunks = triton.cdiv(half(rows), ROWS)
    BN, BK = _tiles(columns, regions)
    sums = row_weights.new_empty((chunks, batch, regions))
    cast(Any, _region_sums)[(triton.cdiv(batch, IMAGES), chunks, triton.cdiv(regions, BK))](
        numbers(field), row_weights, column_weights, sums, batch, rows, columns, regions, *layout.strides(batch),
        *layout.split, AMPLITUDE=amplitude, ROWS=ROWS, BM=IMAGES, BN=BN, BK=BK, num_warps=8, num_stages=1,
    )  # fmt: skip
    return sums.sum(0)


def region_gradient(
    field: Tensor,
    layout: Packed,
    row_weights: Tensor,
    column_weights: Tensor,
    gradient: Tensor,
    target: Tensor,
    *,
    amplitude: bool,
) -> None:
    """Write the conjugate of the gradient of fields, by the gradient of what :func:`region_sums` made of them.

    Args:
        field: Fields on the detector, complex64.
        layout: Where they lie, and the gradient as well.
        row_weights: ``rows x regions``, float32.
        column_weights: ``columns x regions``, float32.
        gradient: Gradient of the sums, float32 ``batch x regions``.
        target: Memory to write to.
        amplitude: Whether the sums are of the amplitude.
    """
    batch, (rows, columns), regions = field.shape[3], layout.shape, row_weights.shape[1]
    BN, BK = _tiles(columns, regions)
    grid = triton.cdiv(batch, IMAGES), half(rows), triton.cdiv(half(columns), BN)
    cast(Any, _region_gradient)[grid](
        numbers(field), row_weights, column_weights, gradient, numbers(target), batch, rows, columns, regions,
        *layout.strides(batch), *layout.split, AMPLITUDE=amplitude, BM=IMAGES, BN=BN, BK=BK, num_warps=8, num_stages=1,
    )  # fmt: skip


def _tiles(columns: int, regions: int) -> tuple[int, int]:
    """Return how many columns of a half, and how many regions, a program has at a time; a product takes no fewer."""
    least = 16
    return (
        min(WIDEST, max(least, triton.next_power_of_2(half(columns)))),
        min(MOST_REGIONS, max(least, triton.next_power_of_2(regions))),
    )
