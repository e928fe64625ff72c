"""Blazed gratings: where they send a beam, and how much of it with few levels on a device."""

from __future__ import annotations

import math

import numpy as np
import torch

from voltphase.codesign import CodesignLayer
from voltphase.devices import DeviceStates
from voltphase.optics import FresnelPixels, gaussian_beam
from voltphase.optics.grid import Grid
from voltphase.validation.comparison import CLOSED_FORM, Comparison, Curve, Findings
from voltphase.validation.light import DOUBLE, WAVELENGTH, at_far_point, through


def compare_angle() -> list[Comparison]:
    """Compare where a blazed phase sends a beam with the grating equation."""
    period, distance = 64e-6, 0.1
    source = Grid((128, 256), 8e-6)
    angle = math.asin(WAVELENGTH / period)
    _, x = source.coordinates()
    beam = gaussian_beam(source, wavelength=WAVELENGTH, waist=200e-6, dtype=DOUBLE)
    blazed = beam * torch.exp(2j * math.pi * x / period)
    comparisons = []
    sideways = {"fresnel": distance * WAVELENGTH / period, "angular-spectrum": distance * math.tan(angle)}
    for method, where in sideways.items():
        target = Grid((128, 256), 8e-6, offset=(0.0, round(where / 8e-6) * 8e-6))
        _, x_there = target.coordinates()
        light = through(blazed, source, target, distance=distance, method=method).abs().square().sum(0)
        error = abs(float((light * x_there).sum() / light.sum()) / where - 1)
        limit = "the beam beyond the grids"
        comparisons.append(Comparison("blazed grating's angle", method, error, CLOSED_FORM, limit))
    return comparisons


def compare_levels() -> Findings:
    """Compare the first order of N evenly spaced phases on a device with sinc^2(1 / N) of the light."""
    counts = (2, 4, 8, 16)
    found = [_first_order(count) for count in counts]
    expected = [float(np.sinc(1 / count) ** 2) for count in counts]
    comparisons = [
        Comparison(
            f"{count}-level blazed grating, efficiency",
            "device layer + fresnel-pixels",
            abs(efficiency - closed) / closed,
            CLOSED_FORM,
            "20 km instead of infinity",
        )
        for count, efficiency, closed in zip(counts, found, expected, strict=True)
    ]
    between = np.linspace(2, 16, 200)
    curve = Curve(
        "N-level blazed grating",
        "levels",
        "efficiency of the first order",
        (between, np.sinc(1 / between) ** 2),
        (np.array(counts, dtype=np.float64), np.array(found)),
    )
    return [*comparisons, curve]


def _first_order(count: int) -> float:
    """Return the intensity of the first order over that of the zero order of the same pixels all in one state."""
    pitch, distance, columns = 8e-6, 20_000.0, 64
    levels = np.arange(count, dtype=np.float64)
    states = DeviceStates(levels, np.ones(count), 2 * np.pi * levels / count, f"{count} even phases")
    layer = CodesignLayer((4, columns), states, dtype=DOUBLE).eval()
    source = Grid((4, columns), pitch)
    light = torch.ones(source.shape, dtype=DOUBLE)
    order = (0.0, WAVELENGTH * distance / (count * pitch))
    with torch.no_grad():
        layer.set_levels((torch.arange(columns) % count).expand(4, columns))
        blazed = at_far_point(layer(light), source, order, distance=distance, method=FresnelPixels())
        layer.set_levels(torch.zeros(4, columns, dtype=torch.int64))
        flat = at_far_point(layer(light), source, (0.0, 0.0), distance=distance, method=FresnelPixels())
    return float((blazed / flat).abs() ** 2)
