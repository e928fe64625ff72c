"""What light keeps, whatever the distance."""

from __future__ import annotations

import torch
from torch import Tensor

from voltphase.optics import Propagator, gaussian_beam
from voltphase.optics.grid import Grid
from voltphase.validation.rows import Outcome, Row, relative

WAVELENGTH = 532e-9
# The light outside the grid, which is lost: 1e-9 of the amplitude at the edge of the widest beam.
KEPT = 1e-6


def conservation() -> Outcome:
    """Energy; two distances for their sum; there and back."""
    grid = Grid((180, 200), 10e-6)
    field = _uneven_light(grid)
    rows = []
    for method in ("fresnel", "angular-spectrum"):

        def through(distance: float, method: str = method) -> Propagator:
            return Propagator(grid, wavelength=WAVELENGTH, distance=distance, method=method, dtype=torch.complex128)

        there = through(0.02)(field)
        energy = abs(float(there.abs().square().sum() / field.abs().square().sum()) - 1)
        limit = "the light beyond the grid"
        rows += [
            Row("energy conservation", method, energy, KEPT, limit),
            Row("z1 + z2 composition", method, relative(through(0.013)(through(0.007)(field)), there), KEPT, limit),
            Row("round trip z, -z", method, relative(through(-0.02)(there), field), KEPT, limit),
        ]
    for method in ("fresnel-wrapped", "angular-spectrum-wrapped"):
        noise = torch.randn(grid.shape, dtype=torch.complex128, generator=torch.Generator().manual_seed(0))
        propagate = Propagator(
            grid, wavelength=WAVELENGTH, distance=0.02, method=method, dtype=torch.complex128, check=False
        )
        energy = abs(float(propagate(noise).abs().square().sum() / noise.abs().square().sum()) - 1)
        rows.append(Row("energy conservation", method, energy, 1e-12, "rounding: nothing leaves a periodic plane"))
    return Outcome(rows)


def _uneven_light(grid: Grid) -> Tensor:
    """Three beams beside each other, which interfere and have no symmetry."""
    beams = (
        (80e-6, (1e-4, -1.5e-4), 1.0),
        (120e-6, (-1.2e-4, 0.5e-4), 0.7j),
        (90e-6, (0.2e-4, 1.4e-4), -0.5 + 0.3j),
    )
    return sum(
        (
            weight * gaussian_beam(grid, wavelength=WAVELENGTH, waist=waist, centre=centre, dtype=torch.complex128)
            for waist, centre, weight in beams
        ),
        start=torch.zeros(grid.shape, dtype=torch.complex128),
    )
