"""The light that the cases have in common: one wavelength, double precision."""

from __future__ import annotations

import warnings
from typing import Any

import torch
from torch import Tensor

from voltphase.core.units import UnitWarning
from voltphase.optics import Propagator
from voltphase.optics.grid import Grid

WAVELENGTH = 532e-9
DOUBLE = torch.complex128


def noise(shape: tuple[int, ...], seed: int = 0) -> Tensor:
    """Return complex normal noise, the same each time."""
    return torch.randn(shape, dtype=DOUBLE, generator=torch.Generator().manual_seed(seed))


def through(field: Tensor, source: Grid, target: Grid | None = None, *, distance: float, **options: Any) -> Tensor:
    """Propagate a field through free space, with the options of :class:`voltphase.optics.Propagator`."""
    return Propagator(source, target, wavelength=WAVELENGTH, distance=distance, dtype=DOUBLE, **options)(field)


def at_far_point(field: Tensor, source: Grid, point: tuple[float, float], *, distance: float, method: Any) -> Tensor:
    """Return the field at one point (y, x) of a far plane."""
    # Unchecked: the point is kilometres off the axis, where the paraxial far field is still the closed form's.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UnitWarning)
        target = Grid(1, 1e-3, offset=point)
    return through(field, source, target, distance=distance, method=method, check=False)[0, 0]
