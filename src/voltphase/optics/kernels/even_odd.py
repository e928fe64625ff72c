"""Fields in halves, on which a kernel between centred planes costs half.

A kernel between two planes centred on each other takes even fields to even ones and odd fields to odd ones. Its matrix
is centrosymmetric, and on even and odd parts it is two blocks of half the size: half the arithmetic for each axis. An
axis is held as its first half, then its second half backwards; the sum and the difference of the two halves are the
even and the odd part. An axis with an odd number of samples keeps its centre in both halves.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def half(n: int) -> int:
    """Return the number of samples in each half of an axis of ``n`` samples.

    Examples:
        >>> half(4), half(5)
        (2, 3)
    """
    return (n + 1) // 2


def split_halves(values: Tensor, dim: int) -> Tensor:
    """Return the two halves of the axis ``dim``, the second one backwards, stacked along a new first axis.

    Examples:
        >>> split_halves(torch.arange(5), 0).tolist()
        [[0, 1, 2], [4, 3, 2]]
    """
    n = values.shape[dim]
    return torch.stack((values.narrow(dim, 0, half(n)), values.narrow(dim, n // 2, half(n)).flip(dim)))


def join_halves(halves: Tensor | Sequence[Tensor], dim: int, n: int) -> Tensor:
    """Return the axis of ``n`` samples that :func:`split_halves` split; ``dim`` is counted without the first one.

    Examples:
        >>> join_halves(split_halves(torch.arange(5), 0), 0, 5).tolist()
        [0, 1, 2, 3, 4]
    """
    return torch.cat((halves[0], halves[1].narrow(dim, 0, n // 2).flip(dim)), dim)


def diagonal_blocks(matrix: Tensor) -> Tensor:
    """Return what a centrosymmetric matrix does to even and to odd parts, ``2 x half(n_out) x half(n_in)``.

    The blocks are applied to the sum and the difference of the two halves of the source (not to their means: a factor
    of 1/2 is in the blocks). The sum and the difference of the results are the two halves of the target.
    """
    n_out, n_in = matrix.shape
    rows = matrix[: half(n_out)]
    same, other = rows[:, : half(n_in)], rows.flip(1)[:, : half(n_in)]
    blocks = torch.stack((same + other, same - other)) / 2
    if n_in % 2:
        # The centre is in both halves, so the sum counts it twice.
        blocks[:, :, -1] /= 2
    return blocks


def full_blocks(matrix: Tensor) -> Tensor:
    """Return what any matrix does to even and odd parts, ``2 x 2 x half(n_out) x half(n_in)``.

    Like :func:`diagonal_blocks`, with blocks from even to odd and from odd to even: output parity, input parity.
    """
    halves = split_halves(split_halves(matrix, 1), 1)  # output half, input half, rows, columns
    if matrix.shape[1] % 2:
        halves[..., -1] /= 2
    butterfly = torch.tensor([[1.0, 1.0], [1.0, -1.0]], dtype=matrix.dtype)
    return torch.einsum("po,oiyx,iq->pqyx", butterfly, halves, butterfly) / 4


def transposed_blocks(blocks: Tensor, n_out: int, n_in: int) -> Tensor:
    """Return the blocks, of either kind, of the transpose from those of an ``n_out x n_in`` matrix."""
    swapped = (blocks.transpose(0, 1) if blocks.ndim == 4 else blocks).mT.clone(memory_format=torch.contiguous_format)
    if n_in % 2:
        swapped[..., -1, :] *= 2
    if n_out % 2:
        swapped[..., :, -1] /= 2
    return swapped
