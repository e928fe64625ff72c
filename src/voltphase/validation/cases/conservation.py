"""What light keeps, whatever the distance."""

from __future__ import annotations

import torch
from torch import Tensor

from voltphase.optics import gaussian_beam
from voltphase.optics.grid import Grid
from voltphase.validation.comparison import Comparison, relative
from voltphase.validation.light import DOUBLE, WAVELENGTH, noise, through

# The light outside the grid, which is lost: 1e-9 of the amplitude at the edge of the widest beam.
KEPT = 1e-6


def compare() -> list[Comparison]:
    """Compare energies, two distances with their sum, and light with itself there and back."""
    grid = Grid((180, 200), 10e-6)
    field = _uneven_light(grid)
    comparisons = []
    for method in ("fresnel", "angular-spectrum"):
        there = through(field, grid, distance=0.02, method=method)
        first = through(field, grid, distance=0.007, method=method)
        in_two = through(first, grid, distance=0.013, method=method)
        back = through(there, grid, distance=-0.02, method=method)
        comparisons += [
            Comparison(case, method, error, KEPT, "the light beyond the grid")
            for case, error in (
                ("energy conservation", _energy_change(field, there)),
                ("z1 + z2 composition", relative(in_two, there)),
                ("round trip z, -z", relative(back, field)),
            )
        ]
    for method in ("fresnel-wrapped", "angular-spectrum-wrapped"):
        light = noise(grid.shape)
        error = _energy_change(light, through(light, grid, distance=0.02, method=method, check=False))
        limit = "rounding: nothing leaves a periodic plane"
        comparisons.append(Comparison("energy conservation", method, error, 1e-12, limit))
    return comparisons


def _energy_change(before: Tensor, after: Tensor) -> float:
    return abs(float(after.abs().square().sum() / before.abs().square().sum()) - 1)


def _uneven_light(grid: Grid) -> Tensor:
    """Return three beams beside each other, which interfere and have no symmetry."""
    beams = (
        (80e-6, (1e-4, -1.5e-4), 1.0),
        (120e-6, (-1.2e-4, 0.5e-4), 0.7j),
        (90e-6, (0.2e-4, 1.4e-4), -0.5 + 0.3j),
    )
    return sum(
        (
            weight * gaussian_beam(grid, wavelength=WAVELENGTH, waist=waist, centre=centre, dtype=DOUBLE)
            for waist, centre, weight in beams
        ),
        start=torch.zeros(grid.shape, dtype=DOUBLE),
    )
