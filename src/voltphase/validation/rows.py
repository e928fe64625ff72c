"""What a validation says: rows of a table, and curves to look at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

# Sampled light against a closed form: the samples' own error, which each row names.
CLOSED_FORM = 1e-3
# One sum in two orders.
ROUNDING = 1e-10
ADJOINT = 1e-12


@dataclass(frozen=True)
class Row:
    """One comparison.

    Args:
        case: What was compared.
        method: Of propagation, or what stands in its place.
        error: Found; what it is relative to is said in ``limited_by`` where that is not the largest value.
        tolerance: Up to which it passes.
        limited_by: What makes the error what it is.
    """

    case: str
    method: str
    error: float
    tolerance: float
    limited_by: str

    @property
    def passed(self) -> bool:
        return self.error <= self.tolerance

    def as_json(self) -> dict[str, Any]:
        """The row under the table's column names; an error that is not finite becomes None."""
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
    """A closed form, and what was computed at some points.

    ``line`` is (x, y) of the closed form, ``points`` of what was computed.
    """

    title: str
    x_label: str
    y_label: str
    line: tuple[NDArray[np.float64], NDArray[np.float64]]
    points: tuple[NDArray[np.float64], NDArray[np.float64]]


@dataclass(frozen=True)
class Outcome:
    """What one group of cases found."""

    rows: Sequence[Row]
    curves: Sequence[Curve] = field(default=())


def worst(found: Tensor, expected: Tensor) -> float:
    """The largest difference over the largest expected value."""
    return float((found - expected).abs().max() / expected.abs().max())


def relative(found: Tensor, expected: Tensor) -> float:
    """The norm of the difference over that of what was expected."""
    return float(torch.linalg.vector_norm(found - expected) / torch.linalg.vector_norm(expected))


def largest(errors: Sequence[float]) -> float:
    """The largest error, or NaN if there is one: Python's ``max`` drops it, and a broken case would pass."""
    return float(np.max(errors))


def array(values: Tensor) -> NDArray[np.float64]:
    """A real tensor for a curve."""
    return values.detach().double().numpy()
