"""The zero order of pixels that shine in part is the part squared; the next order follows the pixel's own."""

from __future__ import annotations

import numpy as np
import torch

from voltphase.optics import FresnelPixels
from voltphase.optics.grid import Grid
from voltphase.validation.comparison import CLOSED_FORM, Comparison, Curve, Findings, worst
from voltphase.validation.light import DOUBLE, WAVELENGTH, at_far_point


def compare() -> Findings:
    """Compare the intensities of two orders with the closed form of a pixel that shines in part."""
    pitch, distance = 8e-6, 2000.0
    source = Grid(16, pitch)
    light = torch.ones(source.shape, dtype=DOUBLE)
    factors = (0.1, 0.3, 0.5, 0.7, 0.9, 1.0)

    def intensities(x: float) -> torch.Tensor:
        full = at_far_point(light, source, (0.0, 0.0), distance=distance, method=FresnelPixels(1.0))
        fields = (at_far_point(light, source, (0.0, x), distance=distance, method=FresnelPixels(f)) for f in factors)
        found = [float((field / full).abs() ** 2) for field in fields]
        return torch.tensor(found, dtype=torch.float64)

    zero, first = intensities(0.0), intensities(WAVELENGTH * distance / pitch)
    parts = torch.tensor(factors, dtype=torch.float64)
    comparisons = [
        Comparison(case, "fresnel-pixels", worst(found, expected), CLOSED_FORM, "2 km instead of infinity")
        for case, found, expected in (
            ("zero order of a fill factor", zero, parts**2),
            ("first pixel order of a fill factor", first, (parts * torch.sinc(parts.sqrt())) ** 2),
        )
    ]
    between = np.linspace(0, 1, 100)
    curve = Curve(
        "Pixels that shine in part",
        "fill factor",
        "zero order over that of full pixels",
        (between, between**2),
        (parts, zero),
    )
    return [*comparisons, curve]
