"""The kernel between the matrix products: unfold, modulate, fold, and sum the modulation's gradient, in one pass.

Complex numbers are read and written as int64, which is one access where two of float32 would be two, and taken apart
in registers. A program holds one row of the first quadrant and its mirror images, for all that it does to them. A batch
may hold more than 2**31 numbers: what can be as large is counted in int64.
"""

from __future__ import annotations

from typing import Any, Final, cast

import torch
import triton
import triton.language as tl
from torch import Tensor

from voltphase.optics.backends.cuda.layout import Images, Packed
from voltphase.optics.kernels.axis import Shape
from voltphase.optics.kernels.even_odd import half

# To a type checker kernels are Python, which they are not.
# pyright: reportArgumentType=false, reportOperatorIssue=false, reportPossiblyUnboundVariable=false

# Numbers of a quadrant that a program has in registers at a time, and images that it goes through: what the prototype
# was fastest with on an H200. Each program leaves its part of the sum over images, which 32 images keep small against
# the fields.
TILE: Final = 256
WIDEST: Final = 128
IMAGES: Final = 32


@triton.jit
def load_complex(pointer, offsets, mask):
    """Load complex64 numbers as their real and imaginary parts; 0 where the mask is off."""
    both = tl.load(pointer + offsets, mask, 0)
    real = both.to(tl.int32).to(tl.float32, bitcast=True)
    return real, (both >> 32).to(tl.int32).to(tl.float32, bitcast=True)


@triton.jit
def store_complex(pointer, offsets, real, imag, mask):
    """Store complex64 numbers."""
    low = real.to(tl.uint32, bitcast=True).to(tl.uint64)
    high = imag.to(tl.uint32, bitcast=True).to(tl.uint64)
    tl.store(pointer + offsets, (low | (high << 32)).to(tl.int64, bitcast=True), mask)


@triton.jit
def butterflies(a, b, c, d, ROWS: tl.constexpr, COLUMNS: tl.constexpr):
    """Return sums and differences of four quadrants (top left, top right, bottom left, bottom right) along axes."""
    if COLUMNS:
        a, b = a + b, a - b
        c, d = c + d, c - d
    if ROWS:
        a, c = a + c, a - c
        b, d = b + d, b - d
    return a, b, c, d


@triton.jit
def load_quadrants(
    pointer,
    top,
    bottom,
    left,
    right,
    mask,
    ROWS: tl.constexpr,
    COLUMNS: tl.constexpr,
    REAL: tl.constexpr,
):
    """Load the four mirror images of samples, unfolded along the axes that are held in halves."""
    if REAL:
        ar = tl.load(pointer + top + left, mask, 0)
        br = tl.load(pointer + top + right, mask, 0)
        cr = tl.load(pointer + bottom + left, mask, 0)
        dr = tl.load(pointer + bottom + right, mask, 0)
        ai = tl.zeros_like(ar)
        bi, ci, di = ai, ai, ai
    else:
        ar, ai = load_complex(pointer + top, left, mask)
        br, bi = load_complex(pointer + top, right, mask)
        cr, ci = load_complex(pointer + bottom, left, mask)
        dr, di = load_complex(pointer + bottom, right, mask)
    ar, br, cr, dr = butterflies(ar, br, cr, dr, ROWS, COLUMNS)
    ai, bi, ci, di = butterflies(ai, bi, ci, di, ROWS, COLUMNS)
    return ar, ai, br, bi, cr, ci, dr, di


@triton.jit
def store_quadrants(
    pointer,
    top,
    bottom,
    left,
    right,
    ar,
    ai,
    br,
    bi,
    cr,
    ci,
    dr,
    di,
    mask,
    below,
    beside,
    ROWS: tl.constexpr,
    COLUMNS: tl.constexpr,
):
    """Store the four mirror images of samples, folded along the axes that are held in halves.

    In natural order a sample in the middle is its own mirror image and stored once: ``below`` and ``beside`` say where
    the second half of the rows and of the columns has samples of its own.
    """
    ar, br, cr, dr = butterflies(ar, br, cr, dr, ROWS, COLUMNS)
    ai, bi, ci, di = butterflies(ai, bi, ci, di, ROWS, COLUMNS)
    if ROWS:
        low = mask
    else:
        low = mask & below
    store_complex(pointer + top, left, ar, ai, mask)
    store_complex(pointer + bottom, left, cr, ci, low)
    if COLUMNS:
        store_complex(pointer + top, right, br, bi, mask)
        store_complex(pointer + bottom, right, dr, di, low)
    else:
        store_complex(pointer + top, right, br, bi, mask & beside)
        store_complex(pointer + bottom, right, dr, di, low & beside)


@triton.jit
def times(ar, ai, br, bi):
    """Return the product of two complex numbers."""
    return ar * br - ai * bi, ar * bi + ai * br


# fmt: off
@triton.jit
def quadrants_times(ar, ai, br, bi, cr, ci, dr, di, xar, xai, xbr, xbi, xcr, xci, xdr, xdi):
    """Return the products of four complex numbers and four others."""
    ar, ai = times(ar, ai, xar, xai)
    br, bi = times(br, bi, xbr, xbi)
    cr, ci = times(cr, ci, xcr, xci)
    dr, di = times(dr, di, xdr, xdi)
    return ar, ai, br, bi, cr, ci, dr, di


@triton.jit
def _modulate(
    source, target, factor, field, sums, batch, rows, columns,
    source_image, source_row, source_second_row, source_row_step, source_second_column, source_column_step,
    target_image, target_row, target_second_row, target_row_step, target_second_column, target_column_step,
    UNFOLD_ROWS: tl.constexpr, UNFOLD_COLUMNS: tl.constexpr, FOLD_ROWS: tl.constexpr, FOLD_COLUMNS: tl.constexpr,
    REAL: tl.constexpr, CONJUGATE: tl.constexpr, FACTOR: tl.constexpr, STORE: tl.constexpr, SUMS: tl.constexpr,
    IMAGES: tl.constexpr, BM: tl.constexpr, BN: tl.constexpr,
):
    across = tl.cdiv((columns + 1) // 2, BN)
    r, group = (tl.program_id(0) // across).to(tl.int64), tl.program_id(1)
    c = (tl.program_id(0) % across) * BN + tl.arange(0, BN)
    inside, beside, below = c < (columns + 1) // 2, c < columns // 2, tl.zeros_like(c) + r < rows // 2
    source_top, source_bottom = r * source_row, source_second_row + r * source_row_step
    target_top, target_bottom = r * target_row, target_second_row + r * target_row_step
    source_right = (source_second_column + c.to(tl.int64) * source_column_step)[None, :]
    target_right = (target_second_column + c.to(tl.int64) * target_column_step)[None, :]
    top, bottom, mirrored = r * columns, (rows - 1 - r) * columns, columns - 1 - c
    if FACTOR:
        mar, mai, mbr, mbi, mcr, mci, mdr, mdi = load_quadrants(
            factor, top, bottom, c[None, :], mirrored[None, :], inside[None, :], False, False, False
        )
    if SUMS:
        sar = tl.zeros((BM, BN), tl.float32)
        sai, sbr, sbi, scr, sci, sdr, sdi = sar, sar, sar, sar, sar, sar, sar
    images = tl.arange(0, BM)[:, None]
    for step in range(0, tl.minimum(batch - group * IMAGES, IMAGES), BM):
        first = group * IMAGES + step
        mask = (first + images < batch) & inside[None, :]
        here, there = source + first.to(tl.int64) * source_image, first.to(tl.int64) * target_image
        ar, ai, br, bi, cr, ci, dr, di = load_quadrants(
            here, source_top, source_bottom, images * source_image + c[None, :], images * source_image + source_right,
            mask, UNFOLD_ROWS, UNFOLD_COLUMNS, REAL,
        )  # fmt: skip
        left, right = images * target_image + c[None, :], images * target_image + target_right
        if SUMS:
            far, fai, fbr, fbi, fcr, fci, fdr, fdi = load_quadrants(
                field + there, target_top, target_bottom, left, right, mask, FOLD_ROWS, FOLD_COLUMNS, False)
            far, fai, fbr, fbi, fcr, fci, fdr, fdi = quadrants_times(
                far, fai, fbr, fbi, fcr, fci, fdr, fdi, ar, ai, br, bi, cr, ci, dr, di)
            sar, sai, sbr, sbi = sar + far, sai + fai, sbr + fbr, sbi + fbi
            scr, sci, sdr, sdi = scr + fcr, sci + fci, sdr + fdr, sdi + fdi
        if FACTOR:
            ar, ai, br, bi, cr, ci, dr, di = quadrants_times(
                ar, ai, br, bi, cr, ci, dr, di, mar, mai, mbr, mbi, mcr, mci, mdr, mdi
            )
        if CONJUGATE:
            ai, bi, ci, di = -ai, -bi, -ci, -di
        if STORE:
            store_quadrants(
                target + there, target_top, target_bottom, left, right,
                ar, ai, br, bi, cr, ci, dr, di, mask, below[None, :], beside[None, :], FOLD_ROWS, FOLD_COLUMNS,
            )  # fmt: skip
    if SUMS:
        store_quadrants(
            sums + group.to(tl.int64) * rows * columns, top, bottom, c, mirrored,
            tl.sum(sar, 0), -tl.sum(sai, 0), tl.sum(sbr, 0), -tl.sum(sbi, 0),
            tl.sum(scr, 0), -tl.sum(sci, 0), tl.sum(sdr, 0), -tl.sum(sdi, 0),
            inside, below, beside, False, False,
        )
# fmt: on


def modulate(
    source: Tensor,
    source_layout: Images | Packed,
    target: Tensor | None,
    target_layout: Images | Packed,
    *,
    factor: Tensor | None = None,
    field: Tensor | None = None,
    conjugate: bool = False,
) -> Tensor | None:
    """Write fields in another layout, each sample multiplied by a factor; sum the factor's gradient on the way.

    On the way there that is what a modulated plane does to light. On the way back ``source`` is the conjugate of the
    gradient behind the plane, and ``field`` the light that arrived on it.

    Args:
        source: Fields, complex64, or real float32 ones.
        source_layout: Where they lie.
        target: Memory to write to; None to write nothing.
        target_layout: Where the results lie in it.
        factor: Factor of each sample, complex64 ``rows x columns``; None for 1.
        field: Fields in the layout of the target; None if no gradient is wanted.
        conjugate: Whether to write the conjugates.

    Returns:
        With ``field``, the conjugate of the sum over images of the products of ``field`` and ``source``,
        ``rows x columns``, which is the gradient of the factor.
    """
    batch = source.shape[0] if isinstance(source_layout, Images) else source.shape[3]
    rows, columns = source_layout.shape
    groups = triton.cdiv(batch, IMAGES)
    sums = source.new_empty((groups, rows, columns)) if field is not None else None
    BM, BN = tile(columns)
    anything = numbers(source)  # in place of what is not there: never read, never written
    cast(Any, _modulate)[(half(rows) * triton.cdiv(half(columns), BN), groups)](
        anything,
        *(anything if one is None else numbers(one) for one in (target, factor, field, sums)),
        batch, rows, columns, *source_layout.strides(batch), *target_layout.strides(batch),
        *source_layout.split, *target_layout.split,
        REAL=not source.is_complex(), CONJUGATE=conjugate, FACTOR=factor is not None, STORE=target is not None,
        SUMS=sums is not None, IMAGES=IMAGES, BM=BM, BN=BN, num_warps=4,
    )  # fmt: skip
    return None if sums is None else sums.sum(0)


def tile(columns: int) -> Shape:
    """Return how many images and how many columns of a half a program has in registers at a time."""
    across = min(WIDEST, triton.next_power_of_2(half(columns)))
    return min(TILE // across, IMAGES), across


def numbers(tensor: Tensor) -> Tensor:
    """Return complex64 numbers as the int64 that kernels read, all else as it is."""
    return tensor.view(torch.int64) if tensor.is_complex() else tensor
