"""A grating is its own image at the Talbot distance, and shifted by half a period at half of it."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from voltphase.optics.grid import Grid
from voltphase.validation.comparison import CLOSED_FORM, Comparison, Curve, Findings, worst
from voltphase.validation.light import DOUBLE, WAVELENGTH, through

_PERIOD = 4e-6
# Method, and what limits it.
_METHODS = (
    ("fresnel", "the window's edges, gentle as they are"),
    ("angular-spectrum", "the window's edges, gentle as they are"),
    ("angular-spectrum-wrapped", "rounding: the grating is endless"),
)


def compare() -> Findings:
    """Compare the images with the grating."""
    comparisons, curves = [], []
    for method, limit in _METHODS:
        sine = WAVELENGTH / _PERIOD
        exact = WAVELENGTH / (1 - math.sqrt(1 - sine**2))
        distance = 2 * _PERIOD**2 / WAVELENGTH if method == "fresnel" else exact
        periodic = method.endswith("wrapped")
        grid = Grid(64 if periodic else 400, 0.5e-6)
        y, x = grid.coordinates()
        window = torch.ones(grid.shape, dtype=torch.float64) if periodic else _flat_top(y)[:, None] * _flat_top(x)
        grating = window * (1 + 0.8 * torch.cos(2 * math.pi * x / _PERIOD))
        middle = slice(grid.rows // 2 - 20, grid.rows // 2 + 20)
        for name, part, shift in (("Talbot image", 1.0, 0), ("Talbot image at half distance", 0.5, 4)):
            # Unchecked: its samples are as steep as can be, but the paraxial image of the grating's own light is exact.
            light = through(grating.to(DOUBLE), grid, distance=part * distance, method=method, check=False)
            image = light.abs()[middle, middle]
            expected = torch.roll(grating, shift, 1)[middle, middle]
            comparisons.append(Comparison(name, method, worst(image, expected), CLOSED_FORM, limit))
            if method == "angular-spectrum" and shift:
                curves.append(_curve(x[middle], image[20]))
    return [*comparisons, *curves]


def _curve(x: Tensor, found: Tensor) -> Curve:
    between = torch.linspace(float(x[0]), float(x[-1]), 300, dtype=torch.float64)
    return Curve(
        "Talbot image at half the distance",
        "x (µm)",
        "amplitude",
        (between * 1e6, 1 - 0.8 * torch.cos(2 * math.pi * between / _PERIOD)),
        (x * 1e6, found),
    )


def _flat_top(x: Tensor) -> Tensor:
    """Return 1 over the middle 80 µm, gently falling to 0 at 100 µm from it."""
    return (torch.special.erfc((x.abs() - 70e-6) / 8e-6)) / 2
