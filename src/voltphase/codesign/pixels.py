"""The pixels of a layer, by the table that each follows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor, nn

from voltphase.codesign.relaxations import Relaxation
from voltphase.codesign.state_table import StateTable
from voltphase.core.errors import ConfigError
from voltphase.devices import Device
from voltphase.devices.spectrum import parts_of


class Pixels(nn.Module):
    """Applies a relaxation to all pixels of a device, whether they are alike or not.

    A relaxation knows one table and pixels that all follow it. On a panel it works on one region after another, whose
    pixels are gathered into a ``numbers x pixels x 1`` design, with one generator for all. Inactive pixels have the
    panel's fixed value and level 0, always, and their design gets no gradient.

    The states are ``wavelengths x tables x levels`` tensors. Of several wavelengths, modulations and states have these
    as their first axis.
    """

    amplitude: Tensor
    phase: Tensor
    values: Tensor
    spread: Tensor | None
    regions: Tensor | None
    order: Tensor
    places: Tensor

    def __init__(self, device: Device, shape: tuple[int, int], dtype: torch.dtype) -> None:
        super().__init__()
        self.shape = shape
        parts = parts_of(device)
        each = [[StateTable.of(table, dtype) for table in part.tables] for part in parts]
        tables = each[0]
        # Not a buffer, which would move with the module.
        self.control = tables[0].control
        spreads = [table.spread for part in each for table in part if table.spread is not None]
        known = len(spreads) == len(parts) * len(tables)
        # The last row is that of -1, the inactive pixels.
        values = [
            torch.stack([*(table.values for table in part), torch.full_like(tables[0].values, at.inactive_value)])
            for part, at in zip(each, parts, strict=True)
        ]
        buffers = {
            "spread": torch.stack(spreads).unflatten(0, (len(parts), -1)) if known else None,
            "amplitude": torch.stack([torch.stack([table.amplitude for table in part]) for part in each]),
            "phase": torch.stack([torch.stack([table.phase for table in part]) for part in each]),
            "values": torch.stack(values),
            "regions": None,
        }
        if device.regions is not None:
            # Sorted by region: the inactive pixels first, then those of each table in turn.
            order = np.argsort(device.regions, axis=None, kind="stable")
            counts = np.bincount(device.regions.ravel() + 1, minlength=len(tables) + 1).tolist()
            self.inactive_count, *self.counts = counts
            buffers |= {
                "regions": torch.tensor(device.regions),
                "order": torch.tensor(order),
                "places": torch.tensor(np.argsort(order)),
            }
        for name, tensor in buffers.items():
            self.register_buffer(name, tensor, persistent=False)

    @property
    def table(self) -> StateTable:
        """The states of the first table, where and in the precision they are computed with."""
        return self._tables()[0]

    def initial(self, relaxation: Relaxation, generator: torch.Generator) -> Tensor:
        """Return a design to start from, ``numbers x rows x columns``; see :meth:`Relaxation.initial`."""
        if self.regions is None:
            return relaxation.initial(self.table, self.shape, generator)
        return self._scattered(
            relaxation.initial(table, (count, 1), generator)
            for table, count in zip(self._tables(), self.counts, strict=True)
            if count
        )

    def modulation(
        self, relaxation: Relaxation, design: Tensor, temperature: float | Tensor, generator: torch.Generator
    ) -> Tensor:
        """Return the differentiable modulation, complex ``rows x columns``; see :meth:`Relaxation.modulation`."""
        fixed = self.values[:, -1, 0] if len(self.values) > 1 else self.values[0, -1, 0]
        made = self._each(design, fixed, lambda part, table: relaxation.modulation(part, table, temperature, generator))
        if made.ndim - 2 != fixed.ndim:
            raise ConfigError(
                f"expected modulations at each of {len(self.values)} wavelengths from the relaxation {relaxation}, but "
                "it makes them at one: use StateTable.over in its modulation, or another relaxation"
            )
        return made

    def levels(self, relaxation: Relaxation, design: Tensor) -> Tensor:
        """Return the level of each pixel, int64 ``rows x columns``, 0 where it is inactive."""
        return self._each(design, torch.zeros((), dtype=torch.int64, device=design.device), relaxation.chosen_levels)

    def holding(self, relaxation: Relaxation, levels: Tensor) -> Tensor:
        """Return a design whose :meth:`levels` are the given ``rows x columns`` ones, wherever a pixel is active."""
        if self.regions is None:
            return relaxation.design_for(levels, self.table)
        return self._scattered(relaxation.design_for(part, table) for part, table in self._gathered(levels))

    def attainable(self, relaxation: Relaxation) -> Tensor:
        """Return which levels :meth:`holding` knows a design for, boolean ``levels x rows x columns``.

        What it says of inactive pixels does not matter.
        """
        levels = torch.arange(len(self.control), device=self.values.device)[:, None]
        known = torch.stack([~relaxation.design_for(levels, table).isnan().any(0)[:, 0] for table in self._tables()])
        if self.regions is None:
            return known[0, :, None, None].expand(-1, *self.shape)
        return known[self.regions].movedim(-1, 0)

    def states_at(self, levels: Tensor) -> Tensor:
        """Return the complex value of each pixel, ``rows x columns``, with these levels set."""
        if len(self.values) > 1:
            return self.values[:, 0][:, levels] if self.regions is None else self.values[:, self.regions, levels]
        return self.values[0, 0][levels] if self.regions is None else self.values[0][self.regions, levels]

    def _tables(self) -> list[StateTable]:
        parts = [self._tables_at(wavelength) for wavelength in range(len(self.values))]
        if len(parts) == 1:
            return parts[0]
        return [replace(first, others=tuple(others)) for first, *others in zip(*parts, strict=True)]

    def _tables_at(self, wavelength: int) -> list[StateTable]:
        amplitude, phase, values = (buffer[wavelength] for buffer in (self.amplitude, self.phase, self.values))
        spreads = [None] * len(amplitude) if self.spread is None else self.spread[wavelength]
        columns = zip(amplitude, phase, values[:-1], spreads, strict=True)
        return [StateTable(self.control, *column) for column in columns]

    def _each(self, design: Tensor, fixed: Tensor, make: Callable[[Tensor, StateTable], Tensor]) -> Tensor:
        if self.regions is None:
            return make(design, self.table)
        made = [make(part, table).flatten(-2) for part, table in self._gathered(design)]
        inactive = fixed[..., None].expand(*fixed.shape, self.inactive_count)
        return torch.cat([inactive, *made], dim=-1).index_select(-1, self.places).unflatten(-1, self.shape)

    def _gathered(self, values: Tensor) -> Iterator[tuple[Tensor, StateTable]]:
        """Yield the pixels of each table that has some, ``... x pixels x 1``, with the table."""
        # One permutation here and one back: indices are unique, so that the gradient is one too.
        parts = values.flatten(-2).index_select(-1, self.order).split([self.inactive_count, *self.counts], dim=-1)
        for part, table in zip(parts[1:], self._tables(), strict=True):
            if part.shape[-1]:
                yield part[..., None], table

    def _scattered(self, parts: Iterable[Tensor]) -> Tensor:
        made = [part.flatten(1) for part in parts]
        inactive = made[0].new_zeros(len(made[0]), self.inactive_count)
        return torch.cat([inactive, *made], dim=1).index_select(1, self.places).view(-1, *self.shape)
