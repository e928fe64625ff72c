"""Sums of light over regions of a detector, straight from packed fields."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor

from voltphase.optics.backends.cpu.layout import FieldLayout
from voltphase.optics.kernels.even_odd import split_halves


class RegionSums(ABC):
    """Sums over regions, each a weight of every row (``rows x regions``) times one of every column, in a real type."""

    def __init__(self, layout: FieldLayout, rows: Tensor, columns: Tensor, dtype: torch.dtype) -> None:
        halves, counted = [], []
        for weights in (columns, rows) if layout.transposed else (rows, columns):
            packed = weights.to(dtype)
            halves.append(split_halves(packed, 0) if layout.even_odd else packed[None])
            counted.append(halves[-1].clone())
            if layout.even_odd and len(weights) % 2:
                # The centre is held twice and counts once.
                counted[-1][1, -1] = 0
        self.rows, self.columns = counted[0].flatten(0, 1)[:, None], counted[1]
        self.count = rows.shape[1]
        self.all_rows, self.all_columns = halves[0].flatten(0, 1)[:, None], halves[1].mT

    def empty(self, images: Tensor) -> Tensor:
        """Return room for the sums of a batch of images."""
        return images.new_empty(len(images), self.count, dtype=self.rows.dtype)

    @abstractmethod
    def sums(self, field: Tensor, free: Tensor) -> Tensor:
        """Return the weighted sums of light, ``batch x regions``; ``free`` is flat, complex and of the field's size."""

    @abstractmethod
    def conjugate_gradient(self, gradient: Tensor, field: Tensor, out: Tensor) -> None:
        """Write the conjugate of the packed field's gradient into ``out``, from that of the sums."""

    def _sum(self, light: Tensor, batch: int) -> Tensor:
        by_column = torch.bmm(light.view(len(light), -1, self.columns.shape[1]), self.columns).sum(0)
        return (by_column.view(len(self.rows), batch, -1) * self.rows).sum(0)

    def _by_row(self, gradient: Tensor) -> Tensor:
        return (self.all_rows * gradient).flatten(0, 1).expand(len(self.all_columns), -1, -1)


class IntensitySums(RegionSums):
    """Sums of ``abs(field)**2``."""

    def __init__(self, layout: FieldLayout, rows: Tensor, columns: Tensor, dtype: torch.dtype) -> None:
        super().__init__(layout, rows, columns, dtype)
        # Real and imaginary parts stand beside each other as if they were columns.
        sign = self.columns.new_tensor([2.0, -2.0]).repeat(self.columns.shape[1])
        self.columns = self.columns.repeat_interleave(2, 1)
        self.all_columns = self.all_columns.repeat_interleave(2, 2) * sign

    def sums(self, field: Tensor, free: Tensor) -> Tensor:
        parts = torch.view_as_real(field)
        squares = torch.mul(parts, parts, out=torch.view_as_real(free[: field.numel()]).view_as(parts))
        return self._sum(squares, field.shape[3])

    def conjugate_gradient(self, gradient: Tensor, field: Tensor, out: Tensor) -> None:
        slopes = torch.view_as_real(out).view(len(field), -1, self.all_columns.shape[2])
        torch.bmm(self._by_row(gradient), self.all_columns, out=slopes)
        slopes.mul_(torch.view_as_real(field).view_as(slopes))


class AmplitudeSums(RegionSums):
    """Sums of ``abs(field)``."""

    def sums(self, field: Tensor, free: Tensor) -> Tensor:
        magnitudes = torch.view_as_real(free[: field.numel()]).view(-1)[: field.numel()].view(field.shape)
        return self._sum(torch.abs(field, out=magnitudes), field.shape[3])

    def conjugate_gradient(self, gradient: Tensor, field: Tensor, out: Tensor) -> None:
        slopes = torch.bmm(self._by_row(gradient), self.all_columns).view(field.shape)
        # Of subnormal numbers torch finds no sign but one that is not a number.
        torch.mul(field.sgn().nan_to_num_(0.0, 0.0, 0.0).conj(), slopes, out=out)
