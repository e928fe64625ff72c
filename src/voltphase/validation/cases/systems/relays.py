"""Relays, against the field that they image, and light that goes on behind them."""

from __future__ import annotations

import torch

from voltphase.optics import Relay, SourceLight
from voltphase.optics.grid import Grid
from voltphase.optics.methods.formulas import carrier
from voltphase.validation.comparison import ROUNDING, Comparison, Findings, largest, relative
from voltphase.validation.light import WAVELENGTH
from voltphase.validation.systems import clear_system, intensity

_GRID = Grid((36, 40), 10e-6, (2e-5, -3e-5))
_FOCAL_LENGTHS = ((0.05, 0.05), (0.05, 0.08))


def compare() -> Findings:
    """Compare the field behind a relay with its closed form, and its light farther on with that of no relay."""
    image = torch.rand(1, *_GRID.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    source = SourceLight("both", phase_range=3.0)
    alone, behind = [], []
    for first, second in _FOCAL_LENGTHS:
        relay, larger = Relay((first, second)), second / first
        plane = relay.image(_GRID)
        model = clear_system([_GRID, plane, plane], [(relay,), 0.0], source=source)
        planes = model.planes(image)
        # i from each lens's transform, and the carrier of four focal lengths.
        factor = -carrier(WAVELENGTH, 2 * (first + second)) / larger
        alone.append(relative(planes["layer 1 in"], factor * planes["source"].flip(-2, -1)))

        # Distances behind a relay count as if shortened by the square of its magnification.
        distance = 0.02
        relayed = clear_system([_GRID, plane, plane], [(relay, distance), 0.0], source=source)
        direct = clear_system([_GRID] * 3, [distance / larger**2, 0.0], source=source)
        found = intensity(relayed, image) * larger**2
        behind.append(relative(found, intensity(direct, image).flip(-2, -1)))
    return [
        Comparison("field behind a relay", "focal-plane", largest(alone), ROUNDING, "rounding"),
        Comparison("light a distance behind a relay", "fresnel", largest(behind), ROUNDING, "rounding"),
    ]
