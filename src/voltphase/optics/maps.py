"""What applies a kernel to a field: matrices, or Fourier transforms.

Every engine takes a complex ``... x rows x columns`` tensor on the source plane to one on the target plane, and has the
conjugate transpose of that as ``adjoint``. Kernels come in double precision and are kept in the engine's own.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from voltphase.optics.common_grid import CommonGrid
from voltphase.optics.even_odd import diagonal_blocks as parity_blocks
from voltphase.optics.even_odd import half

Points = tuple[slice, slice]

# Points worked on at a time on a CPU, where several passes are made over them: a megabyte stays in the cache, and FFTs
# of fields of 64 to 400 samples square take a third to a half of the time that a whole batch of 16 takes, most of which
# goes into fresh memory.
POINTS_AT_A_TIME = 2**17


class Engine(nn.Module, ABC):
    """A linear map between planes."""

    @abstractmethod
    def forward(self, field: Tensor) -> Tensor:
        """From the source plane to the target plane."""

    @abstractmethod
    def adjoint(self, field: Tensor) -> Tensor:
        """The conjugate transpose, from the target plane to the source plane."""


class MatrixEngine(Engine):
    """A separable kernel: ``rows @ field @ columns.T``.

    Args:
        rows: Target rows x source rows.
        columns: Target columns x source columns.
        dtype: To keep them in.
    """

    rows: Tensor
    columns: Tensor

    def __init__(self, rows: Tensor, columns: Tensor, dtype: torch.dtype) -> None:
        super().__init__()
        self.register_buffer("rows", rows.to(dtype), persistent=False)
        self.register_buffer("columns", columns.to(dtype), persistent=False)

    def forward(self, field: Tensor) -> Tensor:
        return sandwich(self.rows, field, self.columns.mT)

    def adjoint(self, field: Tensor) -> Tensor:
        return sandwich(self.rows.mH, field, self.columns.conj())


class MirroredEngine(Engine):
    """A separable kernel between planes centred on each other, which keeps even light even and odd light odd.

    On sums and differences of mirrored samples each matrix is two of half the size: half the arithmetic, at the price
    of taking the sums.

    Args:
        rows: Target rows x source rows, the same turned by half a turn.
        columns: Target columns x source columns, the same.
        dtype: To keep them in.
    """

    def __init__(self, rows: Tensor, columns: Tensor, dtype: torch.dtype) -> None:
        super().__init__()
        self.source_shape = (rows.shape[1], columns.shape[1])
        self.target_shape = (rows.shape[0], columns.shape[0])
        for name, kernel in (("rows", rows), ("columns", columns)):
            self.register_buffer(name, parity_blocks(kernel).to(dtype), persistent=False)
            self.register_buffer(f"{name}_back", parity_blocks(kernel.mH).to(dtype), persistent=False)

    def forward(self, field: Tensor) -> Tensor:
        return self._apply_halves(field, self.get_buffer("rows"), self.get_buffer("columns"), self.target_shape)

    def adjoint(self, field: Tensor) -> Tensor:
        rows, columns = self.get_buffer("rows_back"), self.get_buffer("columns_back")
        return self._apply_halves(field, rows, columns, self.source_shape)

    def _apply_halves(self, field: Tensor, rows: Tensor, columns: Tensor, shape: tuple[int, int]) -> Tensor:
        def apply(some: Tensor) -> Tensor:
            even, odd = _fold(_fold(some, -2), -1).unbind(0)
            across = _unfold(even @ columns[0].mT, odd @ columns[1].mT, -1, shape[1])
            even, odd = (rows[:, None] @ across).unbind(0)
            return _unfold(even, odd, -2, shape[0])

        return in_parts(apply, field, max(field.shape[-2] * field.shape[-1], shape[0] * shape[1]))


class ConvolutionEngine(Engine):
    """A linear convolution by zero-padded FFTs, on the common grid that holds both planes' samples.

    Args:
        transfer: The DFT of the kernel, of the points' sizes.
        points: Of rows and of columns.
        dtype: To keep it in.
    """

    transfer: Tensor

    def __init__(self, transfer: Tensor, points: Sequence[CommonGrid], dtype: torch.dtype) -> None:
        super().__init__()
        self.register_buffer("transfer", transfer.to(dtype), persistent=False)
        rows, columns = points
        self.source_points = _points(rows.source_span, rows.source_stride, columns.source_span, columns.source_stride)
        self.target_points = _points(rows.target_span, rows.target_stride, columns.target_span, columns.target_stride)

    def forward(self, field: Tensor) -> Tensor:
        return self._convolve(field, self.source_points, self.transfer, self.target_points)

    def adjoint(self, field: Tensor) -> Tensor:
        return self._convolve(field, self.target_points, self.transfer.conj(), self.source_points)

    def _convolve(self, field: Tensor, points: Points, transfer: Tensor, wanted: Points) -> Tensor:
        def convolve(some: Tensor) -> Tensor:
            spectrum = torch.fft.fft2(_spread(some, points), s=transfer.shape)
            spectrum *= transfer
            # Contiguous, or the padded plane would be kept in memory for the part of it that is wanted.
            return torch.fft.ifft2(spectrum)[(..., *wanted)].contiguous()

        return in_parts(convolve, field, transfer.numel())


class SpectrumEngine(Engine):
    """A transfer function between matrix Fourier transforms: any pitches, sizes and offsets.

    ``to_rows @ (transfer * (from_rows @ field @ from_columns.T)) @ to_columns.T``

    Args:
        from_rows, from_columns: Frequencies x source samples.
        transfer: Row frequencies x column frequencies.
        to_rows, to_columns: Target samples x frequencies.
        dtype: To keep them in.
    """

    from_rows: Tensor
    from_columns: Tensor
    transfer: Tensor
    to_rows: Tensor
    to_columns: Tensor

    def __init__(
        self,
        from_rows: Tensor,
        from_columns: Tensor,
        transfer: Tensor,
        to_rows: Tensor,
        to_columns: Tensor,
        dtype: torch.dtype,
    ) -> None:
        super().__init__()
        self.register_buffer("from_rows", from_rows.to(dtype), persistent=False)
        self.register_buffer("from_columns", from_columns.to(dtype), persistent=False)
        self.register_buffer("transfer", transfer.to(dtype), persistent=False)
        self.register_buffer("to_rows", to_rows.to(dtype), persistent=False)
        self.register_buffer("to_columns", to_columns.to(dtype), persistent=False)

    def forward(self, field: Tensor) -> Tensor:
        spectrum = self.transfer * sandwich(self.from_rows, field, self.from_columns.mT)
        return sandwich(self.to_rows, spectrum, self.to_columns.mT)

    def adjoint(self, field: Tensor) -> Tensor:
        spectrum = self.transfer.conj() * sandwich(self.to_rows.mH, field, self.to_columns.conj())
        return sandwich(self.from_rows.mH, spectrum, self.from_columns.conj())


def in_parts(apply: Callable[[Tensor], Tensor], field: Tensor, points: int) -> Tensor:
    """Apply a map of ``fields x rows x columns`` to a field of any leading shape, as many at a time as a cache holds.

    Args:
        apply: The map, of each field by itself.
        field: A ``... x rows x columns`` tensor.
        points: How many points a field has at its largest.
    """
    fields = field.reshape(-1, *field.shape[-2:])
    at_a_time = max(1, POINTS_AT_A_TIME // points) if field.device.type == "cpu" else len(fields)
    if len(fields) <= at_a_time:
        result = apply(fields)
    else:
        result = torch.cat([apply(some) for some in fields.split(at_a_time)])
    return result.reshape(*field.shape[:-2], *result.shape[-2:])


def sandwich(left: Tensor, field: Tensor, right: Tensor) -> Tensor:
    """``left @ field @ right`` in the order that multiplies less."""
    rows, columns = field.shape[-2:]
    if columns * right.shape[1] * rows + left.shape[0] * rows * right.shape[1] <= (
        left.shape[0] * rows * columns + left.shape[0] * columns * right.shape[1]
    ):
        return left @ (field @ right)
    return (left @ field) @ right


def _points(row_span: int, row_stride: int, column_span: int, column_stride: int) -> Points:
    return slice(0, row_span, row_stride), slice(0, column_span, column_stride)


def _spread(field: Tensor, points: Points) -> Tensor:
    if points[0].step == points[1].step == 1:
        return field
    spread = field.new_zeros((*field.shape[:-2], points[0].stop, points[1].stop))
    spread[(..., *points)] = field
    return spread


def _fold(field: Tensor, dim: int) -> Tensor:
    """Sums and differences of mirrored samples along an axis, as a new first axis; a centre counts for both."""
    n = field.shape[dim]
    first, second = field.narrow(dim, 0, half(n)), field.narrow(dim, n // 2, half(n)).flip(dim)
    return torch.stack((first + second, first - second))


def _unfold(even: Tensor, odd: Tensor, dim: int, n: int) -> Tensor:
    """The whole axis of ``n`` samples of which these are the even and the odd part."""
    return torch.cat((even + odd, (even - odd).narrow(dim, 0, n // 2).flip(dim)), dim)
