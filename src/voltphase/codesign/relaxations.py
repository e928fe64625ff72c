"""Differentiable stand-ins for the choice of one device state per pixel.

A relaxation turns class scores into a modulation. Its gradient is its own; its forward value decides what light
sees in training. In evaluation no relaxation is used: a layer takes the state of the highest score.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, get_args

import torch
from torch import Tensor

from voltphase.codesign.fused import Mix, draw, highest, noise
from voltphase.errors import ConfigError


class Relaxation(ABC):
    """From class scores to the modulation used in training."""

    @abstractmethod
    def modulation(
        self, scores: Tensor, amplitude: Tensor, phase: Tensor, temperature: float, generator: torch.Generator
    ) -> Tensor:
        """The differentiable modulation.

        Args:
            scores: A real ``levels x rows x columns`` tensor.
            amplitude: The device's amplitudes, ``levels``.
            phase: The device's phases in radians, ``levels``.
            temperature: How soft the choice is, above zero.
            generator: Where randomness comes from, on the device of ``scores``.

        Returns:
            A complex ``rows x columns`` tensor.
        """


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
        _check_mix(self.mix)

    def modulation(
        self, scores: Tensor, amplitude: Tensor, phase: Tensor, temperature: float, generator: torch.Generator
    ) -> Tensor:
        if self.hard:
            return draw(scores, amplitude, phase, temperature, generator, self.mix)
        gumbel = noise(scores.shape, generator, dtype=scores.dtype, device=scores.device)
        return _mixed(torch.softmax((scores + gumbel) / temperature, dim=0), amplitude, phase, self.mix)


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
        _check_mix(self.mix)

    def modulation(
        self, scores: Tensor, amplitude: Tensor, phase: Tensor, temperature: float, generator: torch.Generator
    ) -> Tensor:
        if self.hard:
            return draw(scores, amplitude, phase, temperature, generator, self.mix, sampled=False)
        return _mixed(torch.softmax(scores / temperature, dim=0), amplitude, phase, self.mix)


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

    def modulation(
        self, scores: Tensor, amplitude: Tensor, phase: Tensor, temperature: float, generator: torch.Generator
    ) -> Tensor:
        noisy = scores.detach() + noise(scores.shape, generator, dtype=scores.dtype, device=scores.device)
        drawn = torch.zeros_like(scores).scatter_(0, highest(noisy)[None], 1.0)
        return _mixed(_SecondOrder.apply(scores, drawn, float(temperature)), amplitude, phase, self.mix)


class _SecondOrder(torch.autograd.Function):
    """The drawn one-hot forward, ReinMax backward."""

    @staticmethod
    def forward(ctx: Any, scores: Tensor, drawn: Tensor, temperature: float) -> Tensor:
        ctx.save_for_backward(scores, drawn)
        ctx.temperature = temperature
        return drawn.clone()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        scores, drawn = ctx.saved_tensors

        def through(weights: Tensor) -> Tensor:
            return weights * (gradients[0] - (weights * gradients[0]).sum(0))

        halfway = (drawn + torch.softmax(scores / ctx.temperature, dim=0)) / 2
        return 2 * through(halfway) - through(torch.softmax(scores, dim=0)) / 2, None, None


def _mixed(weights: Tensor, amplitude: Tensor, phase: Tensor, mix: Mix) -> Tensor:
    if mix == "complex":
        return torch.einsum("k,kyx->yx", torch.polar(amplitude, phase), weights.to(amplitude.dtype.to_complex()))
    return torch.polar(torch.einsum("k,kyx->yx", amplitude, weights), torch.einsum("k,kyx->yx", phase, weights))


def _check_mix(mix: str) -> None:
    if mix not in get_args(Mix):
        raise ConfigError(f"expected a mix out of {', '.join(get_args(Mix))}, but got {mix!r}")
