"""Choosing one device state per pixel, differentiably."""

from __future__ import annotations

from voltphase.codesign.layer import CodesignLayer
from voltphase.codesign.relaxations import (
    RELAXATIONS,
    GumbelSoftmax,
    Mix,
    Nearest,
    PostTraining,
    Proximity,
    QuantizationAware,
    ReinMax,
    Relaxation,
    Softmax,
    Unconstrained,
)
from voltphase.codesign.schedules import (
    SCHEDULES,
    CosineSchedule,
    ExponentialSchedule,
    LinearSchedule,
    PiecewiseSchedule,
    Schedule,
    StaticSchedule,
)
from voltphase.codesign.state_table import StateTable

__all__ = [
    "RELAXATIONS",
    "SCHEDULES",
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
