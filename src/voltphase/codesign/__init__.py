"""Choosing one device state per pixel, differentiably."""

from __future__ import annotations

from voltphase.codesign.layer import CodesignLayer
from voltphase.codesign.relaxations.gumbel import GumbelSoftmax, ReinMax, Relaxation, Softmax
from voltphase.codesign.relaxations.proximity import Proximity
from voltphase.codesign.relaxations.rounded import Nearest, PostTraining, QuantizationAware, Unconstrained
from voltphase.codesign.relaxations.sample_states import Mix
from voltphase.codesign.schedules import (
    PAPER_SCHEDULES,
    CosineSchedule,
    ExponentialSchedule,
    LinearSchedule,
    PiecewiseSchedule,
    Schedule,
    StaticSchedule,
)
from voltphase.codesign.state_table import StateTable

__all__ = [
    "PAPER_SCHEDULES",
    "CodesignLayer",
    "CosineSchedule",
    "ExponentialSchedule",
    "GumbelSoftmax",
    "LinearSchedule",
    "Mix",
    "Nearest",
    "PiecewiseSchedule",
    "PostTraining",
    "Proximity",
    "QuantizationAware",
    "ReinMax",
    "Relaxation",
    "Schedule",
    "Softmax",
    "StateTable",
    "StaticSchedule",
    "Unconstrained",
]
