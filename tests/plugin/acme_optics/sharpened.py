"""A softmax with a sharper choice."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import torch
from annotated_types import Gt
from torch import Tensor

from voltphase.codesign import Relaxation, StateTable


@dataclass(frozen=True)
class Sharpened(Relaxation):
    """A softmax of scores that are multiplied by a factor.

    Args:
        factor: Factor of the scores; a larger one chooses more sharply at the same temperature.
    """

    factor: Annotated[float, Gt(0)] = 2.0

    def modulation(
        self, design: Tensor, table: StateTable, temperature: float | Tensor, generator: torch.Generator
    ) -> Tensor:
        """Return the mix of all states; see :meth:`Relaxation.modulation`."""
        weights = torch.softmax(self.factor * design / temperature, dim=0)
        return torch.einsum("k,kyx->yx", table.values, weights.to(table.values.dtype))
