"""Two ways of light of a band: the fringes of an interferometer fade with the difference of their lengths."""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray

from voltphase.devices import DeviceStates
from voltphase.optics import Spectrum
from voltphase.optics.grid import Grid
from voltphase.optics.skips import Skip
from voltphase.validation.comparison import CLOSED_FORM, Comparison, Curve, Findings
from voltphase.validation.light import WAVELENGTH
from voltphase.validation.systems import clear_system, intensity

_GRID, _DISTANCE, _BANDWIDTH = Grid((4, 6), 36e-6), 0.01, 5e-9
# A plate that shifts the phase of one way by quarters of a turn.
_PLATE = DeviceStates(np.arange(4.0), np.ones(4), np.arange(4) * math.pi / 2, "plate")
# So much longer a way has the two edges of the band, where half as much light is, a turn apart.
_TURN = WAVELENGTH**2 / _BANDWIDTH
# Differences in turns by the number of lines, which carry the formula to a thousandth up to the last of them.
_LENGTHS = {5: (0.0, 0.2, 0.4, 0.55), 9: (0.75, 0.9, 1.05)}


def compare() -> Findings:
    """Compare complex visibilities, from four phases of one way, with the formula for a Gaussian band."""
    comparisons, places, visibilities = [], [], []
    for lines, turns in _LENGTHS.items():
        lengths = np.array(turns) * _TURN
        found = np.array([_visibility(length, lines) for length in lengths])
        expected = _formula(lengths) * np.exp(2j * math.pi * lengths / WAVELENGTH)
        limit = f"the lines, with ways that differ by up to {turns[-1]:g} wavelength² / bandwidth"
        error = float(abs(found - expected).max())
        case = f"visibility of a band as {lines} lines"
        comparisons.append(Comparison(case, "fresnel-wrapped", error, CLOSED_FORM, limit))
        places.append(lengths)
        visibilities.append(abs(found))
    between = np.linspace(0, 1.1 * _TURN, 100)
    curve = Curve(
        "Visibility of light 5 nm wide",
        "difference of ways (µm)",
        "visibility",
        (between * 1e6, _formula(between)),
        (np.concatenate(places) * 1e6, np.concatenate(visibilities)),
    )
    return [*comparisons, curve]


def _formula(length: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the Fourier transform of a Gaussian in frequency: Goodman, Statistical Optics, section 5.1."""
    return np.exp(-((math.pi * length * _BANDWIDTH / WAVELENGTH**2) ** 2) / (4 * math.log(2)))


def _visibility(length: float, lines: int) -> complex:
    """Return the visibility of fringes, with their phase: ways past a plate and through it, by halves of the light."""
    model = clear_system(
        [_GRID] * 3,
        [_DISTANCE] * 2,
        wavelength=Spectrum((WAVELENGTH,), bandwidth=_BANDWIDTH, lines=lines),
        devices=[_PLATE],
        skips=[Skip(0, 2, 0.5, distance=2 * _DISTANCE + length)],
        method="fresnel-wrapped",
    )
    light = torch.ones(1, *_GRID.shape, dtype=torch.float64)
    steps = []
    for level in range(4):
        model.layers[0].set_levels(torch.full(_GRID.shape, level))
        steps.append(float(intensity(model, light).mean()))
    return -complex(steps[0] - steps[2], steps[1] - steps[3]) / (sum(steps) / 2)
