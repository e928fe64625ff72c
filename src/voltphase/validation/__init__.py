"""The physics against closed forms, invariants and itself: what ``voltphase validate`` prints."""

from __future__ import annotations

from voltphase.validation.rows import Row
from voltphase.validation.table import run

__all__ = ["Row", "run"]
