"""Free phases: the ceiling that devices of a few states are compared with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, NoReturn

import torch
from torch import Tensor

from voltphase.codesign.relaxations.base import RELAXATIONS, Relaxation
from voltphase.codesign.state_table import StateTable
from voltphase.core import checks
from voltphase.core.errors import ConfigError


@RELAXATIONS.register("unconstrained")
@dataclass(frozen=True)
class Unconstrained(Relaxation):
    """A free phase per pixel with amplitude 1, a ceiling that no device of a few states reaches.

    The design, ``1 x rows x columns``, is the phase in radians; at several wavelengths there is a free phase at each.
    It stands for no levels: evaluation, too, sees the continuous phases, and nothing can be deployed. Nothing of the
    device is used.

    Examples:
        >>> Unconstrained.discrete
        False

    Source: Lin et al., "All-optical machine learning using diffractive deep neural networks", Science 361, 1004 (2018).
    """

    discrete: ClassVar[bool] = False

    def initial(self, table: StateTable, shape: tuple[int, int], generator: torch.Generator) -> Tensor:
        """Return random phases, spread evenly over a turn."""
        count = len(table.each)
        return (
            2 * torch.pi * torch.rand((count, *shape), generator=generator, dtype=table.amplitude.dtype, device="cpu")
        )

    def modulation(
        self, design: Tensor, table: StateTable, temperature: float | Tensor, generator: torch.Generator
    ) -> Tensor:
        checks.softness(temperature)
        phase = design if table.others else design[0]
        return torch.polar(torch.ones_like(phase), phase)

    def chosen_levels(self, design: Tensor, table: StateTable) -> NoReturn:
        """Refuse: free phases stand for no levels."""
        raise ConfigError(
            "expected pixels in states of a device, but unconstrained phases have no levels: they are a ceiling to "
            "compare accuracies with, train with another codesign.relaxation for a device"
        )

    def design_for(self, levels: Tensor, table: StateTable) -> NoReturn:
        self.chosen_levels(levels, table)
