"""The pixels of a layer, by the table they follow: one for all, or one for each region of a panel."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
import torch
from torch import Tensor, nn

from voltphase.codesign.relaxations.gumbel import Relaxation
from voltphase.codesign.state_table import StateTable
from voltphase.devices import DevicePanel, DeviceStates


class UniformPixels(nn.Module):
    """Applies a relaxation to pixels that all have the same states.

    Args:
        states: The states.
        shape: (rows, columns) of pixels.
        dtype: Complex type of the modulation.
    """

    amplitude: Tensor
    phase: Tensor
    values: Tensor
    spread: Tensor | None

    def __init__(self, states: DeviceStates, shape: tuple[int, int], dtype: torch.dtype) -> None:
        super().__init__()
        self.shape = shape
        table = StateTable.of(states, dtype)
        # Not a buffer, which would move with the module.
        self.control = table.control
        for column in ("amplitude", "phase", "values", "spread"):
            self.register_buffer(column, getattr(table, column), persistent=False)

    @property
    def table(self) -> StateTable:
        """The states, where and in the precision they are computed with."""
        return StateTable(self.control, self.amplitude, self.phase, self.values, self.spread)

    def initial(self, relaxation: Relaxation, generator: torch.Generator) -> Tensor:
        """A design to start from; see :meth:`Relaxation.initial`."""
        return relaxation.initial(self.table, self.shape, generator)

    def modulation(
        self, relaxation: Relaxation, design: Tensor, temperature: float, generator: torch.Generator
    ) -> Tensor:
        """The differentiable modulation, complex ``rows x columns``; see :meth:`Relaxation.modulation`."""
        return relaxation.modulation(design, self.table, temperature, generator)

    def levels(self, relaxation: Relaxation, design: Tensor) -> Tensor:
        """The level of each pixel, int64 ``rows x columns``."""
        return relaxation.levels(design, self.table)

    def holding(self, relaxation: Relaxation, levels: Tensor) -> Tensor:
        """A design whose :meth:`levels` are the given ``rows x columns`` ones."""
        return relaxation.holding(levels, self.table)

    def attainable(self, relaxation: Relaxation) -> Tensor:
        """Which levels :meth:`holding` knows a design for at each pixel, boolean ``levels x rows x columns``."""
        return _attainable(relaxation, self.table)[:, None, None].expand(-1, *self.shape)

    def values_at(self, levels: Tensor) -> Tensor:
        """The complex value of each pixel, ``rows x columns``, with these levels set."""
        return self.values[levels]


class PanelPixels(nn.Module):
    """Applies a relaxation to a panel, whose pixels do not all have the same states, as :class:`UniformPixels` does.

    A relaxation knows one table and pixels that all follow it. Here it works on one region of the panel after another,
    whose pixels are gathered into a ``numbers x pixels x 1`` design, with one generator for all. Inactive pixels have
    the panel's fixed value and level 0, always, and their design gets no gradient.

    Args:
        panel: The tables, and which pixel follows which.
        dtype: Complex type of the modulation.
    """

    amplitude: Tensor
    phase: Tensor
    values: Tensor
    spread: Tensor | None
    regions: Tensor
    order: Tensor
    places: Tensor

    def __init__(self, panel: DevicePanel, dtype: torch.dtype) -> None:
        super().__init__()
        tables = [StateTable.of(table, dtype) for table in panel.tables]
        # Sorted by region: the inactive pixels first, then those of each table in turn.
        order = np.argsort(panel.regions, axis=None, kind="stable")
        inactive, *self.counts = np.bincount(panel.regions.ravel() + 1, minlength=len(tables) + 1).tolist()
        self.inactive_count, self.shape = inactive, panel.shape
        # Not a buffer, which would move with the module.
        self.control = tables[0].control
        spreads = [table.spread for table in tables if table.spread is not None]
        for name, tensor in {
            "spread": torch.stack(spreads) if len(spreads) == len(tables) else None,
            "amplitude": torch.stack([table.amplitude for table in tables]),
            "phase": torch.stack([table.phase for table in tables]),
            # The last row is that of -1, the inactive pixels.
            "values": torch.tensor(panel.table_values(), dtype=dtype),
            "regions": torch.tensor(panel.regions),
            "order": torch.tensor(order),
            "places": torch.tensor(np.argsort(order)),
        }.items():
            self.register_buffer(name, tensor, persistent=False)

    @property
    def table(self) -> StateTable:
        """The states of the first table, where and in the precision they are computed with."""
        return self._tables()[0]

    def initial(self, relaxation: Relaxation, generator: torch.Generator) -> Tensor:
        """A design to start from, ``numbers x rows x columns``; see :meth:`Relaxation.initial`."""
        shapes = ((count, 1) for count in self.counts)
        return self._design(
            relaxation.initial(table, shape, generator)
            for table, shape in zip(self._tables(), shapes, strict=True)
            if shape[0]
        )

    def modulation(
        self, relaxation: Relaxation, design: Tensor, temperature: float, generator: torch.Generator
    ) -> Tensor:
        """The differentiable modulation, complex ``rows x columns``; see :meth:`Relaxation.modulation`."""
        fixed = self.values[-1, :1].expand(self.inactive_count)

        def relaxed(part: Tensor, table: StateTable) -> Tensor:
            return relaxation.modulation(part, table, temperature, generator)

        return self._each(design, fixed, relaxed)

    def levels(self, relaxation: Relaxation, design: Tensor) -> Tensor:
        """The level of each pixel, int64 ``rows x columns``, 0 where it is inactive."""
        return self._each(design, self.order.new_zeros(self.inactive_count), relaxation.levels)

    def holding(self, relaxation: Relaxation, levels: Tensor) -> Tensor:
        """A design whose :meth:`levels` are the given ``rows x columns`` ones, whatever they are at inactive pixels."""
        parts = levels.flatten()[self.order].split([self.inactive_count, *self.counts])
        return self._design(
            relaxation.holding(part[:, None], table)
            for table, part in zip(self._tables(), parts[1:], strict=True)
            if len(part)
        )

    def attainable(self, relaxation: Relaxation) -> Tensor:
        """As :meth:`UniformPixels.attainable`; what it says of inactive pixels does not matter."""
        return torch.stack([_attainable(relaxation, table) for table in self._tables()])[self.regions].movedim(-1, 0)

    def values_at(self, levels: Tensor) -> Tensor:
        """The complex value of each pixel, ``rows x columns``, with these levels set."""
        return self.values[self.regions, levels]

    def _tables(self) -> list[StateTable]:
        spreads = [None] * len(self.amplitude) if self.spread is None else self.spread
        columns = zip(self.amplitude, self.phase, self.values[:-1], spreads, strict=True)
        return [StateTable(self.control, *column) for column in columns]

    def _each(self, design: Tensor, fixed: Tensor, make: Callable[[Tensor, StateTable], Tensor]) -> Tensor:
        # One permutation there and one back: indices are unique, so that the gradient is one too.
        parts = design.flatten(1).index_select(1, self.order).split([self.inactive_count, *self.counts], dim=1)
        made = [
            make(part[:, :, None], table).flatten()
            for table, part in zip(self._tables(), parts[1:], strict=True)
            if part.shape[1]
        ]
        return torch.cat([fixed, *made]).index_select(0, self.places).view(self.shape)

    def _design(self, parts: Iterable[Tensor]) -> Tensor:
        made = [part.flatten(1) for part in parts]
        inactive = made[0].new_zeros(len(made[0]), self.inactive_count)
        return torch.cat([inactive, *made], dim=1).index_select(1, self.places).view(-1, *self.shape)


def _attainable(relaxation: Relaxation, table: StateTable) -> Tensor:
    levels = torch.arange(len(table), device=table.values.device)
    return ~relaxation.holding(levels[:, None], table).isnan().any(0)[:, 0]
