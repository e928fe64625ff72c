"""How the fields of a micro-batch are held on a plane while light walks through a cascade."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn

from voltphase.optics.backends.cpu.mirrored import half, mirrored_order


class Plane(nn.Module):
    """A plane whose fields are held as halves of columns x halves of rows x rows x batch x columns.

    With the batch between rows and columns, the products along either are one large matrix product. An axis in natural
    order counts as one half; see :mod:`voltphase.optics.backends.cpu.mirrored` for the other order.

    Args:
        shape: (rows, columns) as held.
        mirrored: Whether rows, columns are in mirrored order.
        turned: Whether the rows held are the plane's columns.
    """

    there: Tensor
    back: Tensor

    def __init__(
        self, shape: tuple[int, int], mirrored: tuple[bool, bool] = (False, False), turned: bool = False
    ) -> None:
        super().__init__()
        self.shape, self.mirrored, self.turned = shape, mirrored, turned
        (rows, columns), (by_row, by_column) = shape, mirrored
        self.halves = (2 if by_column else 1, 2 if by_row else 1)
        self.half_rows, self.half_columns = half(rows) if by_row else rows, half(columns) if by_column else columns
        self.held_shape = (self.halves[1] * self.half_rows, self.halves[0] * self.half_columns)
        self.numel = math.prod(self.held_shape)

        samples = torch.arange(rows * columns).view(columns, rows).T if turned else torch.arange(rows * columns)
        row_order, column_order = (
            mirrored_order(n) if mirror else torch.arange(n)[None] for n, mirror in zip(shape, mirrored, strict=True)
        )
        there = samples.reshape(shape)[row_order][..., column_order].permute(2, 0, 1, 3).flatten()
        back = torch.empty(rows * columns, dtype=torch.int64)
        back[there] = torch.arange(len(there))
        self.register_buffer("there", there, persistent=False)
        self.register_buffer("back", back, persistent=False)

    @property
    def natural_shape(self) -> tuple[int, int]:
        """(rows, columns) of the plane."""
        return (self.shape[1], self.shape[0]) if self.turned else self.shape

    def sizes(self, batch: int) -> tuple[int, int, int, int, int]:
        """Halves of columns, halves of rows, rows, batch, columns."""
        return (*self.halves, self.half_rows, batch, self.half_columns)

    def hold(self, fields: Tensor) -> Tensor:
        """Fields on the plane, ``batch x rows x columns``, as they are held."""
        held = fields.flatten(1).index_select(1, self.there)
        return held.view(-1, *self.halves, self.half_rows, self.half_columns).permute(1, 2, 3, 0, 4)

    def release(self, held: Tensor) -> Tensor:
        """The inverse of :meth:`hold`."""
        fields = held.permute(3, 0, 1, 2, 4).flatten(1).index_select(1, self.back)
        return fields.view(-1, *self.natural_shape)

    def lay(self, buffer: Tensor, batch: int) -> Held:
        """Fields in the first numbers of a flat complex buffer."""
        numbers = buffer[: batch * self.numel]
        return Held(numbers.view(self.sizes(batch)), torch.view_as_real(numbers).view(math.prod(self.halves), -1))


class Held(NamedTuple):
    """The same memory seen twice.

    Attributes:
        field: Complex, as a :class:`Plane` holds it.
        flat: Real, ``halves x numbers``.
    """

    field: Tensor
    flat: Tensor
