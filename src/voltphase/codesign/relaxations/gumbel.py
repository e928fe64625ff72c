"""The straight-through Gumbel-Softmax."""

from __future__ import annotations

from dataclasses import dataclass
from typing import get_args

import torch
from torch import Tensor

from voltphase.codesign.relaxations.base import RELAXATIONS, Relaxation, mixed
from voltphase.codesign.relaxations.sample_states import Mix, gumbel_noise, sample_states
from voltphase.codesign.state_table import StateTable
from voltphase.core import checks


@RELAXATIONS.register("gumbel-softmax")
@dataclass(frozen=True)
class GumbelSoftmax(Relaxation):
    """A Gumbel draw that gives amplitude *and* phase of one state (the paper's eq. 2 to 4).

    With weights ``w = softmax((log softmax(scores) + g) / temperature)`` and ``g ~ Gumbel(0, 1)``, the modulation is
    ``w . (amplitude * exp(i phase))`` for the mix ``"complex"``, and ``(w . amplitude) * exp(i w . phase)`` for
    ``"polar"``, the paper's. With ``hard``, the forward value uses the one-hot argmax of ``w``, for which both are
    the same state of the device, and the gradient goes through ``w`` (straight-through).

    The complex mix is the default because its gradient does not depend on where a device's phase wraps: it learns
    several times faster.

    Args:
        hard: Whether light sees the drawn state itself (the paper) or the weighted mix of all states.
        mix: What the soft weights mix: ``complex`` states, or amplitudes and phases apart (``polar``, the paper).

    Raises:
        ConfigError: if an argument is of another kind.

    Examples:
        >>> GumbelSoftmax(mix="polar")
        GumbelSoftmax(hard=True, mix='polar')

    Source: Jang, Gu, Poole, "Categorical Reparameterization with Gumbel-Softmax", ICLR 2017.
    """

    hard: bool = True
    mix: Mix = "complex"

    def __post_init__(self) -> None:
        checks.flag(self.hard, "hard")
        checks.word(self.mix, "a mix", get_args(Mix))

    def modulation(self, design: Tensor, table: StateTable, temperature: float, generator: torch.Generator) -> Tensor:
        if self.hard:
            return sample_states(design, table, temperature, generator, self.mix)
        temperature = checks.temperature(temperature)
        gumbel = gumbel_noise(design.shape, generator, dtype=design.dtype, device=design.device)
        return mixed(torch.softmax((design + gumbel) / temperature, dim=0), table, self.mix)
