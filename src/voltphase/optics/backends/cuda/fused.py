"""A modulated plane and the matrix products of the hop behind it, as two kernels that pass over the fields once each.

In place of the three passes of :mod:`voltphase.optics.backends.cuda.kernels` and of cuBLAS. Which is faster has not
been measured: the executor takes these only if it is told to, by ``CudaExecutor(..., fused=True)``.
"""

from __future__ import annotations

from typing import Any, Final, Literal, cast

import triton
import triton.language as tl
from torch import Tensor

from voltphase.optics.backends.cuda.hops import Hop
from voltphase.optics.backends.cuda.kernels import (
    butterflies,
    load_complex,
    load_quadrants,
    numbers,
    quadrants_times,
    store_complex,
    store_quadrants,
)
from voltphase.optics.backends.cuda.layout import Packed
from voltphase.optics.kernels.even_odd import half

# To a type checker kernels are Python, which they are not.
# pyright: reportArgumentType=false, reportOperatorIssue=false, reportPossiblyUnboundVariable=false

#: How factors of products are rounded: not at all, to TF32, or to three parts of it, nearly single precision.
InputPrecision = Literal["ieee", "tf32", "tf32x3"]

# Tiles of the products: images of one row x columns, and rows x (images and columns); terms added up at a time. Of
# those tried they are the ones that spill no registers when compiled for an H100, or the fewest.
IMAGES: Final = 16
COLUMNS: Final = 128
ROWS: Final = 64
TERMS: Final = 16


@triton.jit
def multiply_add(ar, ai, br, bi, sr, si, PRECISION: tl.constexpr):
    """Return a sum of complex matrices with the product of two others added."""
    sr = tl.dot(ar, br, sr, input_precision=PRECISION)
    sr = tl.dot(-ai, bi, sr, input_precision=PRECISION)
    si = tl.dot(ar, bi, si, input_precision=PRECISION)
    si = tl.dot(ai, br, si, input_precision=PRECISION)
    return sr, si


# fmt: off
@triton.jit
def _modulated_columns(
    source, target, factor, field, sums, matrices, batch, rows, columns, targets,
    source_image, source_row, source_second_row, source_row_step, source_second_column, source_column_step,
    field_image, field_row, field_second_row, field_row_step, field_second_column, field_column_step,
    target_image, target_row, target_second_row, target_row_step, target_second_column, target_column_step,
    UNFOLD_ROWS: tl.constexpr, UNFOLD_COLUMNS: tl.constexpr, FOLD_ROWS: tl.constexpr, SUMS: tl.constexpr,
    PRECISION: tl.constexpr, BM: tl.constexpr, BN: tl.constexpr, BK: tl.constexpr,
):
    across, terms = tl.cdiv(targets, BN), (columns + 1) // 2
    r, block, part = (tl.program_id(0) // across).to(tl.int64), tl.program_id(1), tl.program_id(0) % across
    images, n = tl.arange(0, BM)[:, None], part * BN + tl.arange(0, BN)[None, :]
    live, first = block * BM + images < batch, block.to(tl.int64) * BM
    source_top, source_bottom = r * source_row, source_second_row + r * source_row_step
    field_top, field_bottom = r * field_row, field_second_row + r * field_row_step
    top, bottom = r * columns, (rows - 1 - r) * columns
    tar = tl.zeros((BM, BN), tl.float32)
    tai, tbr, tbi, tcr, tci, tdr, tdi = tar, tar, tar, tar, tar, tar, tar
    for start in range(0, terms, BK):
        c, k = start + tl.arange(0, BK)[None, :], start + tl.arange(0, BK)[:, None]
        inside, mask, mirrored = c < terms, live & (c < terms), columns - 1 - c
        ar, ai, br, bi, cr, ci, dr, di = load_quadrants(
            source + first * source_image, source_top, source_bottom, images * source_image + c,
            images * source_image + source_second_column + c.to(tl.int64) * source_column_step,
            mask, UNFOLD_ROWS, UNFOLD_COLUMNS, False)
        if SUMS:
            far, fai, fbr, fbi, fcr, fci, fdr, fdi = load_quadrants(
                field + first * field_image, field_top, field_bottom, images * field_image + c,
                images * field_image + field_second_column + c.to(tl.int64) * field_column_step,
                mask, FOLD_ROWS, True, False)
            far, fai, fbr, fbi, fcr, fci, fdr, fdi = quadrants_times(
                far, fai, fbr, fbi, fcr, fci, fdr, fdi, ar, ai, br, bi, cr, ci, dr, di)
            kept = inside & (tl.zeros_like(c) + part == 0)  # one of the programs that have the same images will do
            store_quadrants(
                sums + block.to(tl.int64) * rows * columns, top, bottom, c, mirrored,
                tl.sum(far, 0)[None, :], -tl.sum(fai, 0)[None, :], tl.sum(fbr, 0)[None, :], -tl.sum(fbi, 0)[None, :],
                tl.sum(fcr, 0)[None, :], -tl.sum(fci, 0)[None, :], tl.sum(fdr, 0)[None, :], -tl.sum(fdi, 0)[None, :],
                kept, tl.zeros_like(c) + r < rows // 2, c < columns // 2, False, False)
        mar, mai, mbr, mbi, mcr, mci, mdr, mdi = load_quadrants(
            factor, top, bottom, c, mirrored, inside, False, False, False)
        ar, ai, br, bi, cr, ci, dr, di = quadrants_times(
            ar, ai, br, bi, cr, ci, dr, di, mar, mai, mbr, mbi, mcr, mci, mdr, mdi)
        ar, br, cr, dr = butterflies(ar, br, cr, dr, FOLD_ROWS, True)
        ai, bi, ci, di = butterflies(ai, bi, ci, di, FOLD_ROWS, True)
        evr, evi = load_complex(matrices, k * targets + n, (k < terms) & (n < targets))
        odr, odi = load_complex(matrices + terms * targets, k * targets + n, (k < terms) & (n < targets))
        tar, tai = multiply_add(ar, ai, evr, evi, tar, tai, PRECISION)
        tbr, tbi = multiply_add(br, bi, odr, odi, tbr, tbi, PRECISION)
        tcr, tci = multiply_add(cr, ci, evr, evi, tcr, tci, PRECISION)
        tdr, tdi = multiply_add(dr, di, odr, odi, tdr, tdi, PRECISION)
    mask, below = live & (n < targets), tl.zeros_like(n) + r < rows // 2
    here = target + first * target_image
    upper, lower = here + r * target_row, here + target_second_row + r * target_row_step
    left = images * target_image + n
    right = images * target_image + target_second_column + n.to(tl.int64) * target_column_step
    store_complex(upper, left, tar, tai, mask)
    store_complex(upper, right, tbr, tbi, mask)
    low = mask & (below | FOLD_ROWS)
    store_complex(lower, left, tcr, tci, low)
    store_complex(lower, right, tdr, tdi, low)


@triton.jit
def _rows_product(
    matrices, source, target, rows, terms, columns,
    PRECISION: tl.constexpr, BM: tl.constexpr, BN: tl.constexpr, BK: tl.constexpr,
):
    quadrant = tl.program_id(2).to(tl.int64)
    m, n = tl.program_id(1) * BM + tl.arange(0, BM)[:, None], tl.arange(0, BN)[None, :]
    start = tl.program_id(0).to(tl.int64) * BN
    some = start + n < columns
    matrices += quadrant * rows * terms
    source += quadrant * terms * columns + start
    sr = tl.zeros((BM, BN), tl.float32)
    si = sr
    for first in range(0, terms, BK):
        across, k = first + tl.arange(0, BK)[None, :], first + tl.arange(0, BK)[:, None]
        ar, ai = load_complex(matrices, m * terms + across, (m < rows) & (across < terms))
        br, bi = load_complex(source, k.to(tl.int64) * columns + n, (k < terms) & some)
        sr, si = multiply_add(ar, ai, br, bi, sr, si, PRECISION)
    place = quadrant * rows * columns + start
    store_complex(target + place, m.to(tl.int64) * columns + n, sr, si, (m < rows) & some)
# fmt: on


def modulated_columns(
    source: Tensor,
    source_layout: Packed,
    hop: Hop,
    target: Tensor,
    *,
    factor: Tensor,
    field: Tensor | None = None,
    precision: InputPrecision = "ieee",
) -> Tensor | None:
    """Modulate fields and write what the matrices of a hop's columns make of them.

    Args:
        source: Fields, complex64.
        source_layout: Where they lie.
        hop: Hop whose source holds its columns in halves.
        target: Memory to write to, as :meth:`Hop.view_between` gives it.
        factor: Factor of each sample, complex64 ``rows x columns``.
        field: Fields in the layout of the hop's source, with which the factor's gradient is summed; None for none.
        precision: How factors of products are rounded.

    Returns:
        The gradient of the factor, as :func:`voltphase.optics.backends.cuda.kernels.modulate` returns it.
    """
    batch, (rows, columns), targets = source.shape[3], source_layout.shape, hop.target.sides[1]
    blocks = triton.cdiv(batch, IMAGES)
    sums = source.new_empty((blocks, rows, columns)) if field is not None else None
    between = Packed((rows, hop.target.shape[1]), hop.source.split)
    BN = min(COLUMNS, max(16, triton.next_power_of_2(targets)))
    anything = numbers(source)
    cast(Any, _modulated_columns)[(half(rows) * triton.cdiv(targets, BN), blocks)](
        anything,
        *(anything if one is None else numbers(one) for one in (target, factor, field, sums, hop.columns)),
        batch, rows, columns, targets, *source_layout.strides(batch), *hop.source.strides(batch),
        *between.strides(batch), *source_layout.split, hop.source.split[0], SUMS=sums is not None,
        PRECISION=precision, BM=IMAGES, BN=BN, BK=TERMS, num_warps=8, num_stages=2 if precision == "tf32" else 1,
    )  # fmt: skip
    return None if sums is None else sums.sum(0)


def rows_product(hop: Hop, field: Tensor, target: Tensor, *, precision: InputPrecision = "ieee") -> None:
    """Write what the matrices of a hop's rows make of fields, as :meth:`Hop.along_rows` does.

    Args:
        hop: Hop between two planes.
        field: Fields after the product along the columns.
        target: Memory of the fields on the hop's target.
        precision: How factors of products are rounded.
    """
    quadrants, rows, terms = hop.rows.shape
    columns = field.shape[3] * field.shape[4]
    grid = triton.cdiv(columns, ROWS), triton.cdiv(rows, ROWS), quadrants
    cast(Any, _rows_product)[grid](
        numbers(hop.rows), numbers(field), numbers(target), rows, terms, columns,
        PRECISION=precision, BM=ROWS, BN=ROWS, BK=TERMS, num_warps=8, num_stages=3,
    )  # fmt: skip
