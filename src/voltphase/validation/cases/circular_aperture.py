"""The axis behind a round hole, and behind a round stop."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from voltphase.optics import circular_aperture
from voltphase.optics.grid import Grid
from voltphase.optics.methods.formulas import carrier, phasor
from voltphase.validation.comparison import CLOSED_FORM, Comparison, Curve, Findings, worst
from voltphase.validation.light import DOUBLE, WAVELENGTH, through

_CASE = "circular aperture, on axis"


def compare() -> Findings:
    """Compare the field on the axis with the rim's exact part of it."""
    radius, pitch = 25e-6, 0.1e-6
    grid, axis = Grid(502, pitch), Grid(1, pitch)
    hole, outer, stop = (circular_aperture(grid, diameter=d).to(DOUBLE) for d in (2 * radius, 50e-6, 30e-6))
    distances = torch.linspace(400e-6, 1200e-6, 17, dtype=torch.float64)
    found, spot = [], []
    for z in distances.tolist():
        # Babinet: behind a stop is all light but that through a hole. The plane is cut off at the outer rim, beyond
        # which the closed form has the rest.
        behind_hole, behind_stop = (
            through(light, grid, axis, distance=z, method="rayleigh-sommerfeld", engine="fft")[0, 0]
            for light in (hole, outer - stop)
        )
        found.append(behind_hole)
        spot.append(behind_stop + _rim(z, 25e-6))
    expected = _on_axis(distances, radius)
    between = torch.linspace(400e-6, 1200e-6, 200, dtype=torch.float64)
    poisson = torch.stack([_rim(z, 15e-6) for z in distances.tolist()])
    method, limit = "rayleigh-sommerfeld", "samples along the rim, second order in the pitch (0.1 µm)"
    comparisons = [
        Comparison(_CASE, method, worst(torch.stack(found), expected), CLOSED_FORM, limit),
        Comparison("Poisson spot by Babinet", method, worst(torch.stack(spot), poisson), CLOSED_FORM, limit),
        *(_paraxial(method) for method in ("fresnel", "angular-spectrum")),
    ]
    curve = Curve(
        "Behind a circular aperture, on axis",
        "distance (mm)",
        "intensity",
        (between * 1e3, _on_axis(between, radius).abs() ** 2),
        (distances * 1e3, torch.stack(found).abs() ** 2),
    )
    return [*comparisons, curve]


def _paraxial(method: str) -> Comparison:
    radius, pitch = 0.5e-3, 4e-6
    grid, axis = Grid(252, pitch), Grid(1, pitch)
    hole = circular_aperture(grid, diameter=2 * radius).to(DOUBLE)
    found, expected = [], []
    for z in (0.25, 0.5, 1.0):
        found.append(through(hole, grid, axis, distance=z, method=method)[0, 0])
        if method == "fresnel":
            ring = phasor(torch.tensor(math.pi * radius**2 / (WAVELENGTH * z), dtype=torch.float64))
            expected.append(carrier(WAVELENGTH, z) * (1 - ring))
        else:
            expected.append(_on_axis(torch.tensor([z], dtype=torch.float64), radius)[0])
    error = worst(torch.stack(found), torch.stack(expected))
    return Comparison(_CASE, method, error, CLOSED_FORM, "the round edge on square samples (4 µm)")


def _on_axis(distances: Tensor, radius: float) -> Tensor:
    """Return the field behind a round hole in a plane wave: all of it but what the rim takes."""
    return torch.stack([carrier(WAVELENGTH, z) - _rim(z, radius) for z in distances.tolist()])


def _rim(z: float, radius: float) -> Tensor:
    """Return what the rim of a hole takes from the light on its axis, z / R exp(ikR): Rayleigh-Sommerfeld, exactly."""
    slant = math.hypot(z, radius)
    beyond = 2 * math.pi / WAVELENGTH * radius**2 / (slant + z)
    return z / slant * carrier(WAVELENGTH, z) * phasor(torch.tensor(beyond, dtype=torch.float64))
