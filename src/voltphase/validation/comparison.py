"""What a validation finds: comparisons, and curves to look at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

# Sampled light against a closed form: the samples' own error, which each comparison names.
CLOSED_FORM = 1e-3
# One sum in two orders.
ROUNDING = 1e-10
ADJOINT = 1e-12

Reals = NDArray[np.float64] | Tensor


@dataclass(frozen=True)
class Comparison:
    """One comparison of what was computed with what is right.

    Args:
        case: What was compared.
        method: The method of propagation, or what stands in its place.
        error: The error found, relative to the largest value unless ``limited_by`` says to what.
        tolerance: The largest error that passes.
        limited_by: What makes the error what it is.

    Examples:
        >>> Comparison("square aperture", "fresnel", 2e-4, 1e-3, "light beyond the samples' band").passed
        True
    """

    case: str
    method: str
    error: float
    tolerance: float
    limited_by: str

    @property
    def passed(self) -> bool:
        """Whether the error is within the tolerance; one that is no number is not."""
        return self.error <= self.tolerance

    def as_json(self) -> dict[str, Any]:
        """Return the comparison under the table's column names; an error that is not finite becomes None."""
        finite = np.isfinite(self.error)
        return {
            "case": self.case,
            "method": self.method,
            "error": float(self.error) if finite else None,
            "tolerance": self.tolerance,
            "pass": bool(self.passed),
            "limited by": self.limited_by,
        }


@dataclass(frozen=True)
class Curve:
    """A closed form, and what was computed at some points."""

    title: str
    x_label: str  # with its unit
    y_label: str
    line: tuple[Reals, Reals]  # places and values of the closed form
    points: tuple[Reals, Reals]  # places and values that were computed


#: What one case found: comparisons in the order of the table, and curves of the figure.
Findings = Sequence[Comparison | Curve]


def worst(found: Tensor, expected: Tensor) -> float:
    """Return the largest difference over the largest expected value."""
    return float((found - expected).abs().max() / expected.abs().max())


def relative(found: Tensor, expected: Tensor) -> float:
    """Return the norm of the difference over that of what was expected."""
    return float(torch.linalg.vector_norm(found - expected) / torch.linalg.vector_norm(expected))


def largest(errors: Sequence[float]) -> float:
    """Return the largest error, or NaN if there is one: Python's ``max`` drops it, and a broken case would pass."""
    return float(np.max(errors))
