"""Behind a square hole."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from voltphase.optics.grid import Grid
from voltphase.optics.methods.formulas import carrier, fresnel_integral
from voltphase.validation.comparison import CLOSED_FORM, Comparison, Curve, Findings, worst
from voltphase.validation.light import DOUBLE, WAVELENGTH, through

# Closed forms over pixels and over the hole are sums and differences of the same Fresnel integrals.
_ROUNDING_OF_PIXELS = 1e-12
# Method, pitch, tolerance, and what limits the method.
_METHODS = (
    ("fresnel-pixels", 20e-6, _ROUNDING_OF_PIXELS, "nothing: pixels tile the hole; rounding"),
    ("fresnel", 5e-6, CLOSED_FORM, "light beyond the samples' band (pitch 5 µm)"),
    ("fresnel-impulse", 5e-6, CLOSED_FORM, "samples for an integral, second order in the pitch (5 µm)"),
    ("angular-spectrum", 5e-6, CLOSED_FORM, "light beyond the samples' band (pitch 5 µm)"),
    ("rayleigh-sommerfeld", 5e-6, CLOSED_FORM, "samples for an integral (5 µm), and the paraxial closed form"),
)


def compare() -> Findings:
    """Compare the field behind the hole with Fresnel integrals."""
    width, distance = 1e-3, 0.3
    target = Grid((41, 81), 25e-6)
    y, x = target.coordinates()
    expected = carrier(WAVELENGTH, distance) * _slit(y, width, distance)[:, None] * _slit(x, width, distance)
    comparisons, fields = [], {}
    for method, pitch, tolerance, limit in _METHODS:
        grid = Grid(round(width / pitch), pitch)
        fields[method] = through(torch.ones(grid.shape, dtype=DOUBLE), grid, target, distance=distance, method=method)
        comparisons.append(Comparison("square aperture", method, worst(fields[method], expected), tolerance, limit))
    middle = target.rows // 2
    curve = Curve(
        "Behind a square aperture",
        "x (mm)",
        "intensity",
        (x * 1e3, expected[middle].abs() ** 2),
        ((x * 1e3)[::2], (fields["fresnel"][middle].abs() ** 2)[::2]),
    )
    return [*comparisons, curve]


def _slit(x: Tensor, width: float, distance: float) -> Tensor:
    """Return the Fresnel diffraction of a slit, amplitude 1, without carrier (Born & Wolf, section 8.7.2)."""
    scale = math.sqrt(2 / (WAVELENGTH * distance))
    return (1 - 1j) / 2 * (fresnel_integral((x + width / 2) * scale) - fresnel_integral((x - width / 2) * scale))
