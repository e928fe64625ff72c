"""Sums of light over regions of a detector, straight from fields as they are held."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor

from voltphase.optics.backends.cpu.layout import Plane
from voltphase.optics.backends.cpu.mirrored import mirrored_order


class Masks(ABC):
    """Regions, each a weight of every row times a weight of every column.

    Args:
        plane: The detector.
        rows: ``rows x regions``.
        columns: ``columns x regions``.
        dtype: Real type to compute in.
    """

    def __init__(self, plane: Plane, rows: Tensor, columns: Tensor, dtype: torch.dtype) -> None:
        if plane.turned:
            rows, columns = columns, rows
        held, counted = [], []
        for mask, mirrored, n in zip((rows, columns), plane.mirrored, plane.shape, strict=True):
            held.append(mask.to(dtype)[mirrored_order(n).to(mask.device)] if mirrored else mask.to(dtype)[None])
            counted.append(held[-1].clone())
            if mirrored and n % 2:
                # The centre is held twice and counts once.
                counted[-1][1, -1] = 0
        self.rows, self.columns = counted[0].flatten(0, 1)[:, None], counted[1]
        self.all_rows, self.all_columns = held[0].flatten(0, 1)[:, None], held[1].mT

    @abstractmethod
    def sums(self, field: Tensor, free: Tensor) -> Tensor:
        """The weighted sums of light, ``batch x regions``.

        Args:
            field: On the detector, as held.
            free: A flat complex buffer of at least its size.
        """

    @abstractmethod
    def conjugate_gradient(self, gradient: Tensor, field: Tensor, out: Tensor) -> None:
        """Write the conjugate of the gradient of the field into ``out``.

        Args:
            gradient: Of the sums, ``batch x regions``.
            field: On the detector, as held.
            out: As ``field``.
        """

    def _sum(self, light: Tensor, batch: int) -> Tensor:
        by_column = torch.bmm(light.view(len(light), -1, self.columns.shape[1]), self.columns).sum(0)
        return (by_column.view(len(self.rows), batch, -1) * self.rows).sum(0)

    def _by_row(self, gradient: Tensor) -> Tensor:
        return (self.all_rows * gradient).flatten(0, 1).expand(len(self.all_columns), -1, -1)


class IntensityMasks(Masks):
    """Sums of ``abs(field)**2``."""

    def __init__(self, plane: Plane, rows: Tensor, columns: Tensor, dtype: torch.dtype) -> None:
        super().__init__(plane, rows, columns, dtype)
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


class AmplitudeMasks(Masks):
    """Sums of ``abs(field)``."""

    def sums(self, field: Tensor, free: Tensor) -> Tensor:
        magnitudes = torch.view_as_real(free[: field.numel()]).view(-1)[: field.numel()].view(field.shape)
        return self._sum(torch.abs(field, out=magnitudes), field.shape[3])

    def conjugate_gradient(self, gradient: Tensor, field: Tensor, out: Tensor) -> None:
        slopes = torch.bmm(self._by_row(gradient), self.all_columns).view(field.shape)
        # Of numbers below the normal ones torch finds no sign but one that is not a number.
        torch.mul(field.sgn().nan_to_num_(0.0, 0.0, 0.0).conj(), slopes, out=out)
