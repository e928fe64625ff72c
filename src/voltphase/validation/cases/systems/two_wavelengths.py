"""Behind a grating in light of two wavelengths, whose Talbot distances are as 3 to 2."""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray

from voltphase.optics import Spectrum
from voltphase.optics.grid import Grid
from voltphase.validation.comparison import ROUNDING, Comparison, Curve, Findings, worst
from voltphase.validation.systems import clear_system, intensity

_PERIOD = 80e-6
_LIGHT, _WEIGHTS = (420e-9, 630e-9), (0.75, 0.25)
_GRID = Grid((6, 64), 10e-6)
# The amplitude of the grating as a Fourier series, from 0.06 to 1.
_ORDERS, _AMPLITUDES = np.arange(-2, 3), np.array([0.11, 0.18, 0.42, 0.18, 0.11])
# Distances in units of half of the shorter wavelength's Talbot distance: 1, 2 and 4 are its images, 4 / 3 and 4 those
# of the other.
_PLANES = (1.0, 4 / 3, 2.0, 4.0)


def compare() -> Findings:
    """Compare the summed intensities with those of two Fourier series, whose orders turn as plane waves do."""
    grating = torch.from_numpy(_series(_GRID, 0.0, _LIGHT[0], "fresnel-wrapped").real).expand(1, *_GRID.shape)
    comparisons, curves = [], []
    for method in ("fresnel-wrapped", "angular-spectrum-wrapped"):
        errors = []
        for plane in _PLANES:
            distance = plane * _PERIOD**2 / _LIGHT[0]
            spectrum = Spectrum(_LIGHT, _WEIGHTS)
            model = clear_system([_GRID] * 3, [distance / 2] * 2, wavelength=spectrum, method=method)
            found = intensity(model, grating)[0]
            expected = torch.from_numpy(_expected(_GRID, distance, method)).expand_as(found)
            errors.append(worst(found, expected))
            if method == "angular-spectrum-wrapped" and plane == 1:
                curves.append(_curve(distance, found[0].numpy()))
        limit = "rounding: the grating is endless"
        comparisons.append(Comparison("two-wavelength Talbot images", method, float(np.max(errors)), ROUNDING, limit))
    return [*comparisons, *curves]


def _expected(grid: Grid, distance: float, method: str) -> NDArray[np.float64]:
    each = [abs(_series(grid, distance, wavelength, method)) ** 2 for wavelength in _LIGHT]
    return _WEIGHTS[0] * each[0] + _WEIGHTS[1] * each[1]


def _series(grid: Grid, distance: float, wavelength: float, method: str) -> NDArray[np.complex128]:
    x, frequencies = grid.coordinates()[1].numpy(), _ORDERS / _PERIOD
    if method == "fresnel-wrapped":
        turns = -wavelength * distance * frequencies**2 / 2
    else:
        turns = distance * (np.sqrt(1 / wavelength**2 - frequencies**2) - 1 / wavelength)
    return (_AMPLITUDES * np.exp(2j * math.pi * (x[:, None] * frequencies + turns))).sum(1)


def _curve(distance: float, found: NDArray[np.float64]) -> Curve:
    x, period = _GRID.coordinates()[1].numpy(), slice(24, 40)
    between = Grid((1, 300), float(x[period][-1] - x[period][0]) / 299)
    return Curve(
        "Talbot image in two wavelengths",
        "x (µm)",
        "intensity",
        (between.coordinates()[1] * 1e6, _expected(between, distance, "angular-spectrum-wrapped")),
        (x[period] * 1e6, found[period]),
    )
