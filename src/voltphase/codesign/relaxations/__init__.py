"""Differentiable stand-ins for the choice of one device state per pixel, one file each."""

from __future__ import annotations

from voltphase.codesign.relaxations.base import RELAXATIONS, Relaxation
from voltphase.codesign.relaxations.gumbel import GumbelSoftmax
from voltphase.codesign.relaxations.proximity import Proximity
from voltphase.codesign.relaxations.reinmax import ReinMax
from voltphase.codesign.relaxations.rounded import Nearest, PostTraining, QuantizationAware
from voltphase.codesign.relaxations.sample_states import Mix
from voltphase.codesign.relaxations.softmax import Softmax
from voltphase.codesign.relaxations.unconstrained import Unconstrained

__all__ = [
    "RELAXATIONS",
    "GumbelSoftmax",
    "Mix",
    "Nearest",
    "PostTraining",
    "Proximity",
    "QuantizationAware",
    "ReinMax",
    "Relaxation",
    "Softmax",
    "Unconstrained",
]
