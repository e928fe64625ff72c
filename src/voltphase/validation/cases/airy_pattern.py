"""The focus of a lens with a round edge."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from voltphase.optics import circular_aperture, thin_lens
from voltphase.optics.grid import Grid
from voltphase.validation.comparison import CLOSED_FORM, Comparison, Curve, Findings, worst
from voltphase.validation.light import DOUBLE, WAVELENGTH, through


def compare() -> Findings:
    """Compare the amplitude in the focus with the Airy pattern."""
    focal_length, diameter, pitch = 0.2, 2e-3, 10e-6
    grid, focus = Grid(202, pitch), Grid(121, 2e-6)
    hole = circular_aperture(grid, diameter=diameter).to(DOUBLE)
    y, x = focus.coordinates()
    argument = math.pi * diameter / (WAVELENGTH * focal_length) * torch.hypot(y[:, None], x)
    expected = math.pi * diameter**2 / (4 * WAVELENGTH * focal_length) * _jinc(argument)
    behind_lens = hole * thin_lens(grid, wavelength=WAVELENGTH, focal_length=focal_length)
    by_focus = through(hole, grid, focus, distance=focal_length, method="focal-plane").abs()
    by_lens = through(behind_lens, grid, focus, distance=focal_length, method="fresnel").abs()
    case, limit = "Airy pattern at a lens focus", "the round edge on square samples (10 µm)"
    comparisons = [
        Comparison(case, method, worst(found, expected.abs()), CLOSED_FORM, limit)
        for method, found in (("focal-plane", by_focus), ("thin lens + fresnel", by_lens))
    ]
    middle = focus.rows // 2
    curve = Curve(
        case,
        "x (µm)",
        "amplitude over peak",
        (x * 1e6, expected[middle].abs() / expected.max()),
        ((x * 1e6)[::2], (by_lens[middle] / expected.max())[::2]),
    )
    return [*comparisons, curve]


def _jinc(argument: Tensor) -> Tensor:
    safe = argument.clamp(min=1e-12)
    return 2 * torch.special.bessel_j1(safe) / safe
