"""The words of before, for the cases that still use them."""

from __future__ import annotations

from voltphase.validation.comparison import ADJOINT, CLOSED_FORM, ROUNDING, largest, relative
from voltphase.validation.comparison import CaseResult as Outcome
from voltphase.validation.comparison import Comparison as Row

__all__ = ["ADJOINT", "CLOSED_FORM", "ROUNDING", "Outcome", "Row", "largest", "relative"]
