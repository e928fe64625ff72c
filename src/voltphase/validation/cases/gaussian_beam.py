"""Gaussian beams, against the textbook's."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from voltphase.optics import gaussian_beam
from voltphase.optics.grid import Grid
from voltphase.optics.methods.formulas import carrier
from voltphase.validation.comparison import CLOSED_FORM, Comparison, Curve, Findings, worst
from voltphase.validation.light import DOUBLE, WAVELENGTH, through

WAIST = 100e-6
RAYLEIGH = math.pi * WAIST**2 / WAVELENGTH
GRID = Grid(160, 12e-6)
METHODS = ("fresnel", "angular-spectrum")


def compare() -> Findings:
    """Compare width, curvature, Gouy phase, intensity on the axis, and the whole field."""
    distance = 1.7 * RAYLEIGH
    comparisons = []
    for method in METHODS:
        field = _through(distance, method)
        expected = gaussian_beam(GRID, wavelength=WAVELENGTH, waist=WAIST, distance=distance, dtype=DOUBLE)
        stretch = math.sqrt(1 + (distance / RAYLEIGH) ** 2)
        radius = distance * (1 + (RAYLEIGH / distance) ** 2)
        gouy = math.atan(distance / RAYLEIGH)
        centre, curvature = _wavefront(field)
        on_axis = _on_axis(field)
        figures = {
            "field": worst(field, expected),
            "width": abs(_width(field) / (WAIST * stretch) - 1),
            "curvature": abs(curvature * radius - 1),
            "Gouy phase": abs(centre + gouy) / gouy,
            "on-axis intensity": abs(on_axis * stretch**2 - 1),
        }
        limit = "rounding" if method == "fresnel" else "the closed form, which is paraxial"
        comparisons += [
            Comparison(f"Gaussian beam, {name}", method, error, CLOSED_FORM, limit) for name, error in figures.items()
        ]
    return [*comparisons, _widths()]


def _through(distance: float, method: str) -> Tensor:
    waist = gaussian_beam(GRID, wavelength=WAVELENGTH, waist=WAIST, dtype=DOUBLE)
    return through(waist, GRID, distance=distance, method=method)


def _width(field: Tensor) -> float:
    """Return twice the standard deviation of the intensity along x, which is the 1/e radius of the amplitude."""
    _, x = GRID.coordinates()
    weight = field.abs().square().sum(0)
    return 2 * math.sqrt(float((weight * x**2).sum() / weight.sum()))


def _wavefront(field: Tensor) -> tuple[float, float]:
    """Return the phase at the centre without carrier, in radians, and the curvature in 1/m."""
    centre, slope = _parabola(torch.angle(field * carrier(WAVELENGTH, -1.7 * RAYLEIGH)))
    return centre, slope * WAVELENGTH / math.pi


def _on_axis(field: Tensor) -> float:
    """Return the intensity on the axis, which lies between four samples."""
    return math.exp(_parabola(torch.log(field.abs().square()))[0])


def _parabola(values: Tensor) -> tuple[float, float]:
    """Return the fitted value on the axis, and what is added to it by the square of the distance from there."""
    y, x = GRID.coordinates()
    squared = (y[:, None] ** 2 + x**2).flatten()
    # Where the phase stays well inside one turn.
    near = squared < (60e-6) ** 2
    design = torch.stack((torch.ones_like(squared), squared), 1)[near]
    top, slope = torch.linalg.lstsq(design, values.flatten()[near][:, None]).solution[:, 0].tolist()
    return top, slope


def _widths() -> Curve:
    distances = torch.linspace(0, 1.8 * RAYLEIGH, 13, dtype=torch.float64)
    found = torch.tensor([_width(_through(z, "fresnel")) for z in distances.tolist()], dtype=torch.float64)
    between = torch.linspace(0, 1.8 * RAYLEIGH, 100, dtype=torch.float64)
    return Curve(
        "Gaussian beam",
        "distance (mm)",
        "width (µm)",
        (between * 1e3, WAIST * torch.sqrt(1 + (between / RAYLEIGH) ** 2) * 1e6),
        (distances * 1e3, found * 1e6),
    )
