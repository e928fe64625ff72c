"""Differentiable stand-ins for the choice of one device state per pixel.

A relaxation says what is learned for each pixel (its *design*: a score for each level, say), how a design becomes the
modulation that light sees in training, and which level it stands for. In evaluation light sees the states of these
levels and nothing else, unless the relaxation says that it is not `discrete`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar, get_args

import torch
from torch import Tensor

from voltphase.codesign.relaxations.sample_states import Mix, draw, highest, noise
from voltphase.codesign.state_table import StateTable
from voltphase.core import checks


class Relaxation(ABC):
    """From what is learned for each pixel to the modulation used in training, and to a level.

    Attributes:
        discrete: Whether a design stands for levels. If not, evaluation sees the modulation of training, and nothing
            can be deployed.
    """

    discrete: ClassVar[bool] = True

    def initial(self, table: StateTable, shape: tuple[int, int], generator: torch.Generator) -> Tensor:
        """A design to start from: a real ``numbers x rows x columns`` tensor, here scores of unit variance.

        Args:
            table: The device's states.
            shape: (rows, columns) of pixels.
            generator: Where randomness comes from.
        """
        return torch.randn((len(table), *shape), generator=generator, dtype=table.amplitude.dtype, device="cpu")

    @abstractmethod
    def modulation(self, design: Tensor, table: StateTable, temperature: float, generator: torch.Generator) -> Tensor:
        """The differentiable modulation.

        Args:
            design: A real ``numbers x rows x columns`` tensor, here a score for each level.
            table: The device's states.
            temperature: How soft the choice is, above zero.
            generator: Where randomness comes from, on the device of ``design``.

        Returns:
            A complex ``rows x columns`` tensor.

        Raises:
            ConfigError: if the temperature is not a number above zero.
        """

    def levels(self, design: Tensor, table: StateTable) -> Tensor:
        """The level each pixel's design stands for, an int64 ``rows x columns`` tensor: here that of its highest score.

        Args:
            design: As for :meth:`modulation`.
            table: The device's states.
        """
        return highest(design)

    def unit(self, table: StateTable) -> float:
        """What a learning rate is measured in: a design's own units here, as scores do not depend on the table.

        Args:
            table: The device's states.
        """
        return 1.0

    def holding(self, levels: Tensor, table: StateTable) -> Tensor:
        """A design whose :meth:`levels` are the given ones, or others of the same states; NaN where none is known.

        Args:
            levels: An int64 ``rows x columns`` tensor.
            table: The device's states.
        """
        design = torch.zeros((len(table), *levels.shape), dtype=table.amplitude.dtype, device=levels.device)
        return design.scatter_(0, levels[None], 1.0)


@dataclass(frozen=True)
class GumbelSoftmax(Relaxation):
    """One Gumbel draw gives amplitude *and* phase (the paper's eq. 2 to 4).

    With weights ``w = softmax((log softmax(scores) + g) / temperature)`` and ``g ~ Gumbel(0, 1)``, the modulation is
    ``w . (amplitude * exp(i phase))`` for the mix ``"complex"``, and ``(w . amplitude) * exp(i w . phase)`` for
    ``"polar"``, the paper's. With ``hard``, the forward value uses the one-hot argmax of ``w``, for which both are
    the same state of the device, and the gradient goes through ``w`` (straight-through).

    The complex mix is the default because its gradient does not depend on where a device's phase wraps: it learns
    several times faster.

    Source: Jang, Gu, Poole, "Categorical Reparameterization with Gumbel-Softmax", ICLR 2017.
    """

    hard: bool = True
    mix: Mix = "complex"

    def __post_init__(self) -> None:
        checks.flag(self.hard, "hard")
        _check_mix(self.mix)

    def modulation(self, design: Tensor, table: StateTable, temperature: float, generator: torch.Generator) -> Tensor:
        if self.hard:
            return draw(design, table, temperature, generator, self.mix)
        temperature = checks.temperature(temperature)
        gumbel = noise(design.shape, generator, dtype=design.dtype, device=design.device)
        return _mixed(torch.softmax((design + gumbel) / temperature, dim=0), table, self.mix)


@dataclass(frozen=True)
class Softmax(Relaxation):
    """Weights ``softmax(scores / temperature)`` without noise.

    With ``hard``, light sees the state of the highest score, as in evaluation, and the gradient goes through the
    weights (straight-through). Without, it sees the mix of all states: the temperature must end far below the spread
    of the scores, or the deployed states have little to do with what was trained.

    Source: Bengio, Leonard, Courville, "Estimating or Propagating Gradients Through Stochastic Neurons", 2013.
    """

    hard: bool = False
    mix: Mix = "complex"

    def __post_init__(self) -> None:
        checks.flag(self.hard, "hard")
        _check_mix(self.mix)

    def modulation(self, design: Tensor, table: StateTable, temperature: float, generator: torch.Generator) -> Tensor:
        if self.hard:
            return draw(design, table, temperature, generator, self.mix, sampled=False)
        temperature = checks.temperature(temperature)
        return _mixed(torch.softmax(design / temperature, dim=0), table, self.mix)


@dataclass(frozen=True)
class ReinMax(Relaxation):
    """A draw from ``softmax(scores)`` with a straight-through gradient of second order.

    With the drawn one-hot ``d``, ``p = softmax(scores)`` and ``q = (d + softmax(scores / temperature)) / 2``, a
    gradient ``c`` with respect to the one-hot becomes ``2 J(q) c - J(p) c / 2`` with respect to the scores, where
    ``J(p) c = p * (c - p . c)``: Heun's method where straight-through is Euler's.

    Source: Liu, Dong, Liu, Yu, Gao, "Bridging Discrete and Backpropagation: Straight-Through and Beyond", NeurIPS
    2023, algorithm 2.
    """

    mix: Mix = "complex"

    def __post_init__(self) -> None:
        _check_mix(self.mix)

    def modulation(self, design: Tensor, table: StateTable, temperature: float, generator: torch.Generator) -> Tensor:
        temperature = checks.temperature(temperature)
        checks.require_plain("a relaxation")
        noisy = design.detach() + noise(design.shape, generator, dtype=design.dtype, device=design.device)
        level = highest(noisy)
        drawn = torch.zeros_like(design).scatter_(0, level[None], 1.0)
        mixed = _mixed(_SecondOrder.apply(design, drawn, temperature), table, self.mix)
        # The difference is zero, exactly, and carries the gradient.
        return table.values[level] + (mixed - mixed.detach())


class _SecondOrder(torch.autograd.Function):
    """The drawn one-hot forward, ReinMax backward."""

    @staticmethod
    def forward(ctx: Any, scores: Tensor, drawn: Tensor, temperature: float) -> Tensor:
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


def _mixed(weights: Tensor, table: StateTable, mix: Mix) -> Tensor:
    if mix == "complex":
        return torch.einsum("k,kyx->yx", table.values, weights.to(table.values.dtype))
    amplitude, phase = (torch.einsum("k,kyx->yx", column, weights) for column in (table.amplitude, table.phase))
    # torch.polar knows no slope of the amplitude where that is zero: there it is added, to a value that stays zero.
    dark = amplitude < torch.finfo(amplitude.dtype).tiny
    lit = torch.polar(torch.where(dark, 0, amplitude), phase)
    return lit + torch.where(dark, amplitude, 0) * torch.polar(torch.ones_like(phase), phase)


def _check_mix(mix: str) -> None:
    checks.word(mix, "a mix", get_args(Mix))
