"""Planes folded about their axes, where a centred kernel costs half.

A kernel between two planes centred on each other sends even fields to even ones and odd to odd. Its matrix is
centrosymmetric, and in terms of even and odd parts it is two blocks of half the size: half the arithmetic for each
axis. To have sums and differences of mirrored samples without reversing anything on the way, each plane is kept in
*mirrored order*: the first half, then the second half backwards. An odd plane keeps its centre in both halves.
"""

from __future__ import annotations

import torch
from torch import Tensor


def half(n: int) -> int:
    """Samples in each half of ``n`` in mirrored order."""
    return (n + 1) // 2


def mirrored_order(n: int) -> Tensor:
    """Which of ``n`` samples stands where in mirrored order: a 2 x half(n) tensor of indices."""
    forwards = torch.arange(half(n), device="cpu")
    return torch.stack((forwards, n - 1 - forwards))


def is_centrosymmetric(kernel: Tensor) -> bool:
    """Whether a matrix is the same turned by half a turn, to the rounding of its dtype."""
    # Weights of bilinear interpolation differ from their mirror image by 20 times the precision.
    rounding = 64 * torch.finfo(kernel.dtype).eps * float(kernel.abs().max())
    return float((kernel - kernel.flip(0, 1)).abs().max()) <= rounding


def parity_blocks(kernel: Tensor) -> Tensor:
    """A centrosymmetric matrix as what it does to even and odd parts.

    Args:
        kernel: n_out x n_in.

    Returns:
        2 x half(n_out) x half(n_in), to be applied to the *sum and difference* of the two halves of a plane in
        mirrored order (not to their means: the factor 1/2 is in here). The sum and difference of the two results are
        the halves of the result in mirrored order.
    """
    n_out, n_in = kernel.shape
    rows = kernel[: half(n_out)]
    there, mirrored = rows[:, : half(n_in)], rows.flip(1)[:, : half(n_in)]
    blocks = torch.stack((there + mirrored, there - mirrored)) / 2
    if n_in % 2:
        # The centre is in both halves, so the sum counts it twice.
        blocks[:, :, -1] /= 2
    return blocks


def mirrored_blocks(kernel: Tensor) -> Tensor:
    """Any matrix, for planes in mirrored order.

    Args:
        kernel: n_out x n_in.

    Returns:
        2 x 2 x half(n_out) x half(n_in): output half, input half, sample, sample.
    """
    n_out, n_in = kernel.shape
    blocks = kernel[mirrored_order(n_out)][..., mirrored_order(n_in)]
    if n_in % 2:
        blocks[..., 1, -1] = 0
    return blocks.movedim(2, 1)
