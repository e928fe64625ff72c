"""The straight-through Gumbel-Softmax."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from voltphase.codesign.relaxations.base import RELAXATIONS
from voltphase.codesign.relaxations.softmax import Softmax


@RELAXATIONS.register("gumbel-softmax")
@dataclass(frozen=True)
class GumbelSoftmax(Softmax):
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
    sampled: ClassVar[bool] = True
