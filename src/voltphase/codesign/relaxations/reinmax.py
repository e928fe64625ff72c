"""ReinMax: a drawn state with a gradient of second order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, get_args

import torch
from torch import Tensor

from voltphase.codesign.relaxations.base import RELAXATIONS, Relaxation, mixed
from voltphase.codesign.relaxations.sample_states import Mix, argmax_levels, gumbel_noise
from voltphase.codesign.state_table import StateTable
from voltphase.core import checks


@RELAXATIONS.register("reinmax")
@dataclass(frozen=True)
class ReinMax(Relaxation):
    """A draw from ``softmax(scores)`` with a straight-through gradient of second order.

    With the drawn one-hot ``d``, ``p = softmax(scores)`` and ``q = (d + softmax(scores / temperature)) / 2``, a
    gradient ``c`` with respect to the one-hot becomes ``2 J(q) c - J(p) c / 2`` with respect to the scores, where
    ``J(p) c = p * (c - p . c)``: Heun's method where straight-through is Euler's.

    Args:
        mix: What the soft weights mix: ``complex`` states, or amplitudes and phases apart (``polar``, the paper).

    Raises:
        ConfigError: if the mix is another word.

    Examples:
        >>> ReinMax()
        ReinMax(mix='complex')

    Source: Liu, Dong, Liu, Yu, Gao, "Bridging Discrete and Backpropagation: Straight-Through and Beyond", NeurIPS
    2023, algorithm 2.
    """

    mix: Mix = "complex"

    def __post_init__(self) -> None:
        checks.word(self.mix, "a mix", get_args(Mix))

    def modulation(
        self, design: Tensor, table: StateTable, temperature: float | Tensor, generator: torch.Generator
    ) -> Tensor:
        temperature = checks.softness(temperature)
        checks.require_plain("a relaxation")
        noisy = design.detach() + gumbel_noise(design.shape, generator, dtype=design.dtype, device=design.device)
        level = argmax_levels(noisy)
        drawn = torch.zeros_like(design).scatter_(0, level[None], 1.0)
        weighted = mixed(_SecondOrder.apply(design, drawn, temperature), table, self.mix)
        # The difference is zero, exactly, and carries the gradient.
        return table.over(lambda one: one.values[level]) + (weighted - weighted.detach())


class _SecondOrder(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, scores: Tensor, drawn: Tensor, temperature: float | Tensor) -> Tensor:
        ctx.save_for_backward(scores, drawn)
        ctx.temperature = temperature
        return drawn.clone()

    @staticmethod
    @checks.first_order
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        scores, drawn = ctx.saved_tensors

        def through(weights: Tensor) -> Tensor:
            return weights * (gradients[0] - (weights * gradients[0]).sum(0))

        halfway = (drawn + torch.softmax(scores / ctx.temperature, dim=0)) / 2
        return 2 * through(halfway) - through(torch.softmax(scores, dim=0)) / 2, None, None
