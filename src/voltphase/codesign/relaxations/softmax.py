"""The softmax without noise, straight-through or mixed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, get_args

import torch
from torch import Tensor

from voltphase.codesign.relaxations.base import RELAXATIONS, Relaxation, mixed
from voltphase.codesign.relaxations.sample_states import Mix, gumbel_noise, sample_states
from voltphase.codesign.state_table import StateTable
from voltphase.core import checks


@RELAXATIONS.register("softmax")
@dataclass(frozen=True)
class Softmax(Relaxation):
    """A softmax of the scores, ``softmax(scores / temperature)``, without noise.

    With ``hard``, light sees the state of the highest score, as in evaluation, and the gradient goes through the
    weights (straight-through). Without, it sees the mix of all states: the temperature must end far below the spread
    of the scores, or the deployed states have little to do with what was trained.

    Args:
        hard: Whether light sees the state of the highest score or the weighted mix of all states.
        mix: What the soft weights mix: ``complex`` states, or amplitudes and phases apart (``polar``, the paper).

    Raises:
        ConfigError: if an argument is of another kind.

    Examples:
        >>> Softmax()
        Softmax(hard=False, mix='complex')

    Source: Bengio, Leonard, Courville, "Estimating or Propagating Gradients Through Stochastic Neurons", 2013.
    """

    hard: bool = False
    mix: Mix = "complex"
    sampled: ClassVar[bool] = False  # whether there is noise

    def __post_init__(self) -> None:
        checks.flag(self.hard, "hard")
        checks.word(self.mix, "a mix", get_args(Mix))

    def modulation(
        self, design: Tensor, table: StateTable, temperature: float | Tensor, generator: torch.Generator
    ) -> Tensor:
        if self.hard:
            return sample_states(design, table, temperature, generator, self.mix, sampled=self.sampled)
        temperature = checks.softness(temperature)
        if self.sampled:
            design = design + gumbel_noise(design.shape, generator, dtype=design.dtype, device=design.device)
        return mixed(torch.softmax(design / temperature, dim=0), table, self.mix)
