"""Kernels made ready to apply: one plain linear map for each kind, with its adjoint.

Every map takes a complex ``... x rows x columns`` tensor on the source plane to one on the target plane, and has the
conjugate transpose of that as ``adjoint``. The arrays of kernels are complex128; a map keeps them in its own precision.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn

from voltphase.core.dtypes import FixedDtype
from voltphase.optics.kernels.axis import Selection, Toeplitz
from voltphase.optics.kernels.even_odd import diagonal_blocks, half, join_halves
from voltphase.optics.kernels.kernel import Convolution, Diagonal, Separable, Spectral

Points = tuple[slice, slice]

# Points worked on at a time on a CPU, where several passes are made over them: a megabyte stays in the cache, and FFTs
# of fields of 64 to 400 samples square take a third to a half of the time that a whole batch of 16 takes, most of which
# goes into fresh memory.
POINTS_AT_A_TIME = 2**17


class LinearMap(FixedDtype, ABC):
    """A linear map between planes: of a kernel, in a complex dtype, with the arrays that it is given as buffers."""

    def __init__(self, **arrays: Tensor) -> None:
        super().__init__()
        for name, array in arrays.items():
            self.register_buffer(name, array, persistent=False)

    @abstractmethod
    def forward(self, field: Tensor) -> Tensor:
        """Return the field on the target plane for one on the source plane."""

    @abstractmethod
    def adjoint(self, field: Tensor) -> Tensor:
        """Return what the conjugate transpose makes of a field on the target plane, on the source plane."""


class MatrixMap(LinearMap):
    """A separable kernel as two matrix products."""

    rows: Tensor
    columns: Tensor

    def __init__(self, kernel: Separable, dtype: torch.dtype) -> None:
        super().__init__(rows=kernel.rows.matrix.to(dtype), columns=kernel.columns.matrix.to(dtype))

    def forward(self, field: Tensor) -> Tensor:
        return sandwich(self.rows, field, self.columns.mT)

    def adjoint(self, field: Tensor) -> Tensor:
        return sandwich(self.rows.mH, field, self.columns.conj())


class EvenOddMap(LinearMap):
    """A separable kernel, both axes of which are mirrored: it keeps even light even and odd light odd.

    On sums and differences of mirrored samples each matrix is two of half the size: half the arithmetic, at the price
    of taking the sums.
    """

    rows: Tensor
    columns: Tensor
    rows_back: Tensor
    columns_back: Tensor

    def __init__(self, kernel: Separable, dtype: torch.dtype) -> None:
        rows, columns = kernel.rows.matrix, kernel.columns.matrix
        matrices = {"rows": rows, "columns": columns, "rows_back": rows.mH, "columns_back": columns.mH}
        super().__init__(**{name: diagonal_blocks(matrix).to(dtype) for name, matrix in matrices.items()})
        self.source_shape, self.target_shape = kernel.source_shape, kernel.target_shape

    def forward(self, field: Tensor) -> Tensor:
        return self._apply_blocks(field, self.rows, self.columns, self.target_shape)

    def adjoint(self, field: Tensor) -> Tensor:
        return self._apply_blocks(field, self.rows_back, self.columns_back, self.source_shape)

    def _apply_blocks(self, field: Tensor, rows: Tensor, columns: Tensor, shape: tuple[int, int]) -> Tensor:
        def apply(some: Tensor) -> Tensor:
            even, odd = _even_and_odd(_even_and_odd(some, -2), -1).unbind(0)
            even, odd = even @ columns[0].mT, odd @ columns[1].mT
            across = join_halves((even + odd, even - odd), -1, shape[1])
            even, odd = (rows[:, None] @ across).unbind(0)
            return join_halves((even + odd, even - odd), -2, shape[0])

        return in_parts(apply, field, max(field.shape[-2] * field.shape[-1], shape[0] * shape[1]))


class FourierMap(LinearMap):
    """A convolution, or a separable kernel of displacements, by zero-padded Fourier transforms over common points."""

    transfer: Tensor

    def __init__(self, kernel: Convolution | Separable, dtype: torch.dtype) -> None:
        if isinstance(kernel, Convolution):
            transfer, rows, columns = kernel.transfer, kernel.rows, kernel.columns
        elif isinstance(kernel.rows, Toeplitz) and isinstance(kernel.columns, Toeplitz):
            transfer = kernel.rows.transfer[:, None] * kernel.columns.transfer
            rows, columns = kernel.rows.points, kernel.columns.points
        else:
            raise TypeError("expected a kernel of displacements along both axes")
        super().__init__(transfer=transfer.to(dtype))
        self.source_points = rows.source_points, columns.source_points
        self.target_points = rows.target_points, columns.target_points

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


class SpectralMap(LinearMap):
    """A transfer function between matrix Fourier transforms."""

    from_rows: Tensor
    from_columns: Tensor
    transfer: Tensor
    to_rows: Tensor
    to_columns: Tensor

    def __init__(self, kernel: Spectral, dtype: torch.dtype) -> None:
        super().__init__(**{name: array.to(dtype) for name, array in kernel.arrays._asdict().items()})

    def forward(self, field: Tensor) -> Tensor:
        spectrum = self.transfer * sandwich(self.from_rows, field, self.from_columns.mT)
        return sandwich(self.to_rows, spectrum, self.to_columns.mT)

    def adjoint(self, field: Tensor) -> Tensor:
        spectrum = self.transfer.conj() * sandwich(self.to_rows.mH, field, self.to_columns.conj())
        return sandwich(self.from_rows.mH, spectrum, self.from_columns.conj())


class DiagonalMap(LinearMap):
    """A factor for each sample."""

    factor: Tensor

    def __init__(self, kernel: Diagonal, dtype: torch.dtype) -> None:
        super().__init__(factor=kernel.factor.to(dtype))

    def forward(self, field: Tensor) -> Tensor:
        return field * self.factor

    def adjoint(self, field: Tensor) -> Tensor:
        return field * self.factor.conj()


class SelectionMap(LinearMap):
    """Some rows and some columns of a plane."""

    rows: Tensor
    columns: Tensor

    def __init__(self, rows: Selection, columns: Selection) -> None:
        super().__init__(rows=torch.tensor(rows.chosen), columns=torch.tensor(columns.chosen))
        self.source_shape = rows.sources, columns.sources

    def forward(self, field: Tensor) -> Tensor:
        return field.index_select(-2, self.rows).index_select(-1, self.columns)

    def adjoint(self, field: Tensor) -> Tensor:
        whole = field.new_zeros((*field.shape[:-2], *self.source_shape))
        whole[..., self.rows[:, None], self.columns] = field
        return whole


class CompositionMap(LinearMap):
    """Maps one after another, in the order light meets them."""

    def __init__(self, maps: Iterable[LinearMap]) -> None:
        super().__init__()
        self.maps = nn.ModuleList(maps)

    def forward(self, field: Tensor) -> Tensor:
        for one in self.maps:
            field = one(field)
        return field

    def adjoint(self, field: Tensor) -> Tensor:
        for one in reversed(self.maps):
            assert isinstance(one, LinearMap)
            field = one.adjoint(field)
        return field


def in_parts(apply: Callable[[Tensor], Tensor], field: Tensor, points: int) -> Tensor:
    """Apply a map of ``fields x rows x columns`` to a field of any leading shape, as many at a time as a cache holds.

    Each has so many ``points`` at its largest.
    """
    fields = field.reshape(-1, *field.shape[-2:])
    at_a_time = max(1, POINTS_AT_A_TIME // points) if field.device.type == "cpu" else len(fields)
    found = [apply(some) for some in fields.split(at_a_time)]
    result = found[0] if len(found) == 1 else torch.cat(found)
    return result.reshape(*field.shape[:-2], *result.shape[-2:])


def sandwich(left: Tensor, field: Tensor, right: Tensor) -> Tensor:
    """Return ``left @ field @ right`` of a ``... x rows x columns`` field, multiplied in the order that takes less."""
    rows, columns = field.shape[-2:]
    if columns * right.shape[1] * rows + left.shape[0] * rows * right.shape[1] <= (
        left.shape[0] * rows * columns + left.shape[0] * columns * right.shape[1]
    ):
        return left @ (field @ right)
    return (left @ field) @ right


def _spread(field: Tensor, points: Points) -> Tensor:
    if points[0].step == points[1].step == 1:
        return field
    spread = field.new_zeros((*field.shape[:-2], points[0].stop, points[1].stop))
    spread[(..., *points)] = field
    return spread


def _even_and_odd(field: Tensor, dim: int) -> Tensor:
    """Return sums and differences of mirrored samples along an axis, as a new first axis; a centre counts for both."""
    n = field.shape[dim]
    first, second = field.narrow(dim, 0, half(n)), field.narrow(dim, n // 2, half(n)).flip(dim)
    return torch.stack((first + second, first - second))
