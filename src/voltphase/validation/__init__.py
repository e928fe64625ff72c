"""The physics against closed forms, invariants and itself: what ``voltphase validate`` prints."""

from __future__ import annotations

from voltphase.validation.comparison import Comparison
from voltphase.validation.suite import run

__all__ = ["Comparison", "run"]
