"""What takes the fields of a micro-batch from one plane to the next, through Fourier transforms."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from voltphase.optics.backends.cpu.layout import Held, Plane
from voltphase.optics.backends.cpu.matrix import Bound, Hop, Kernel
from voltphase.optics.common_grid import good_size


def is_toeplitz(kernel: Tensor) -> bool:
    """Whether a matrix has constant diagonals, to the rounding of its dtype."""
    if min(kernel.shape) < 2:
        return True
    rounding = 64 * torch.finfo(kernel.dtype).eps * float(kernel.abs().max())
    return float((kernel[1:, 1:] - kernel[:-1, :-1]).abs().max()) <= rounding


@dataclass(frozen=True, eq=False)
class Transfer:
    """A kernel that is not separable: a linear convolution by its transfer function.

    Stands for ``ifft2(fft2(u, s=values.shape) * values)[:rows, :columns]``.

    Attributes:
        values: Complex, padded rows x padded columns: at least source plus target samples less one, or light wraps.
        source: (rows, columns) it is given.
        target: (rows, columns) it gives.
    """

    values: Tensor
    source: tuple[int, int]
    target: tuple[int, int]

    def transposed(self) -> Transfer:
        """The transpose, not conjugated: the same convolution with its kernel turned by half a turn."""
        return Transfer(self.values.flip(0, 1).roll((1, 1), (0, 1)), self.target, self.source)

    def turned(self) -> Transfer:
        """The same with rows and columns exchanged."""
        return Transfer(self.values.mT, (self.source[1], self.source[0]), (self.target[1], self.target[0]))


def fft_cost(count: float, length: int) -> float:
    """Nanoseconds of ``count`` transforms of ``length`` there and back, and of what is done between them.

    Fitted to steps of 64 x 64 to 800 x 800 on one core with AVX-512 (1.6 to 14 ms a hop, within 8 %).
    """
    return 0.52 * count * length * math.log2(length)


class ToeplitzHop(Hop):
    """``rows @ field @ columns.T`` with Toeplitz matrices, as a linear convolution along one axis after the other.

    Four transforms of each row or column against the six of a two-dimensional convolution, in half of the memory. The
    target is turned against the source: that saves turning the field back.

    Args:
        kernel: Target rows x source rows, and target columns x source columns, of the source as held.
        dtype: To compute in.
        turned: Whether the rows held on the source are its columns.
    """

    row_transfer: Tensor
    column_transfer: Tensor

    def __init__(self, kernel: Kernel, *, dtype: torch.dtype, turned: bool = False) -> None:
        super().__init__()
        rows, columns = kernel
        self.source = Plane((rows.shape[1], columns.shape[1]), turned=turned)
        self.target = Plane((columns.shape[0], rows.shape[0]), turned=not turned)
        self.register_buffer("row_transfer", _transfer(rows).to(dtype), persistent=False)
        self.register_buffer("column_transfer", _transfer(columns).to(dtype), persistent=False)
        sizes = [
            (plane.shape[0], len(t)) for plane, t in zip((self.source, self.target), self._transfers(), strict=True)
        ]
        self.scratch = max(n * padded for n, padded in sizes)
        self.cost = sum(fft_cost(n, padded) for n, padded in sizes)

    def _transfers(self) -> tuple[Tensor, Tensor]:
        return self.column_transfer, self.row_transfer

    def bind(self, batch: int, work: Tensor, *, real: bool = False) -> Bound:
        (rows, columns), (rows_out, columns_out) = self.source.shape, self.target.shape
        along_columns, along_rows = (len(transfer) for transfer in self._transfers())
        padded = work[0][: rows * batch * along_columns].view(rows, batch, along_columns)
        turned = work[1][: rows_out * batch * along_rows].view(rows_out, batch, along_rows)
        fft, ifft = torch.fft.fft, torch.fft.ifft

        def run(out: Held) -> None:
            padded[..., columns:].zero_()
            spectrum = fft(padded).mul_(self.column_transfer)
            turned[..., :rows].copy_(ifft(spectrum)[..., :rows_out].permute(2, 1, 0))
            turned[..., rows:].zero_()
            spectrum = fft(turned).mul_(self.row_transfer)
            out.field[0, 0].copy_(ifft(spectrum)[..., :columns_out])

        return Bound(padded[None, None, ..., :columns], run)


class TransferHop(Hop):
    """A two-dimensional convolution by a transfer function, with no transform of rows that are all padding.

    Args:
        kernel: As held.
        dtype: To compute in.
        turned: Whether the rows held are the columns of the planes.
    """

    transfer: Tensor

    def __init__(self, kernel: Transfer, *, dtype: torch.dtype, turned: bool = False) -> None:
        super().__init__()
        self.source, self.target = Plane(kernel.source, turned=turned), Plane(kernel.target, turned=turned)
        self.register_buffer("transfer", kernel.values.mT.to(dtype)[:, None].contiguous(), persistent=False)
        columns, _, rows = self.transfer.shape
        self.scratch = columns * max(rows, kernel.source[0])
        along_columns = (kernel.source[0] + kernel.target[0]) / 2
        self.cost = fft_cost(columns, rows) + fft_cost(along_columns, columns)

    def bind(self, batch: int, work: Tensor, *, real: bool = False) -> Bound:
        (rows, columns), (rows_out, columns_out) = self.source.shape, self.target.shape
        padded_columns, _, padded_rows = self.transfer.shape
        padded = work[0][: rows * batch * padded_columns].view(rows, batch, padded_columns)
        turned = work[1][: padded_columns * batch * padded_rows].view(padded_columns, batch, padded_rows)
        fft, ifft = torch.fft.fft, torch.fft.ifft

        def run(out: Held) -> None:
            padded[..., columns:].zero_()
            turned[..., :rows].copy_(fft(padded).permute(2, 1, 0))
            turned[..., rows:].zero_()
            spectrum = fft(turned).mul_(self.transfer)
            back = ifft(spectrum)[..., :rows_out].permute(2, 1, 0).contiguous()
            out.field[0, 0].copy_(ifft(back)[..., :columns_out])

        return Bound(padded[None, None, ..., :columns], run)


class Chain(Hop):
    """One hop straight after another.

    Args:
        first: From the source.
        second: To the target.
    """

    def __init__(self, first: Hop, second: Hop) -> None:
        super().__init__()
        self.first, self.second = first, second
        self.source, self.target = first.source, second.target
        self.scratch, self.cost = max(first.scratch, second.scratch), first.cost + second.cost

    def bind(self, batch: int, work: Tensor, *, real: bool = False) -> Bound:
        first, second = self.first.bind(batch, work, real=real), self.second.bind(batch, work)
        between = self.first.target.lay(work.new_empty(batch * self.first.target.numel), batch)

        def run(out: Held) -> None:
            first.run(between)
            second.inlet.copy_(between.field)
            second.run(out)

        return Bound(first.inlet, run)


def _transfer(kernel: Tensor) -> Tensor:
    """The DFT of a Toeplitz matrix's diagonals, long enough that nothing wraps around."""
    n_out, n_in = kernel.shape
    circle = kernel.new_zeros(good_size(n_out + n_in - 1))
    circle[:n_out] = kernel[:, 0]
    if n_in > 1:
        circle[1 - n_in :] = kernel[0, 1:].flip(0)
    return torch.fft.fft(circle)
