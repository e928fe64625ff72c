"""Where a lens focuses another wavelength than it was made for: a flat one nearer or farther, one of glass there."""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray

from voltphase.optics import Lens, SourceLight, Spectrum
from voltphase.optics.grid import Grid
from voltphase.validation.comparison import Comparison, Curve, Findings, largest, worst
from voltphase.validation.light import WAVELENGTH
from voltphase.validation.systems import clear_system, intensity

_FOCAL_LENGTH, _WAIST = 0.05, 150e-6
_LIGHT, _WEIGHTS = (WAVELENGTH, 633e-9), (0.4, 0.6)
_GRID = Grid((128, 120), 10e-6)
# At the edges of the plane the beam's amplitude is 1e-7.
_KEPT = 1e-6


def compare() -> Findings:
    """Compare a Gaussian beam behind both lenses with the textbook's, in the focus of each wavelength."""
    glass, flat = Lens(_FOCAL_LENGTH), Lens(_FOCAL_LENGTH, design_wavelength=_LIGHT[0])
    comparisons = []
    for name, lens in (("of glass", glass), ("that is flat", flat)):
        errors = []
        for distance in (_FOCAL_LENGTH * _LIGHT[0] / _LIGHT[1], _FOCAL_LENGTH):
            found = _found(lens, distance, Spectrum(_LIGHT, _WEIGHTS))
            each = [_beam(_GRID, distance, light, _focal_length(lens, light)) for light in _LIGHT]
            errors.append(worst(found, torch.from_numpy(_WEIGHTS[0] * each[0] + _WEIGHTS[1] * each[1])))
        case, limit = f"focus of two wavelengths, a lens {name}", "the beam beyond the grid"
        comparisons.append(Comparison(case, "fresnel", largest(errors), _KEPT, limit))
    return [*comparisons, _curve(flat)]


def _found(lens: Lens, distance: float, light: Spectrum) -> torch.Tensor:
    between = [(lens, distance / 2), distance / 2]
    model = clear_system([_GRID] * 3, between, wavelength=light, source=SourceLight(waist=_WAIST))
    return intensity(model, torch.ones(1, *_GRID.shape, dtype=torch.float64))[0]


def _focal_length(lens: Lens, wavelength: float) -> float:
    return _FOCAL_LENGTH * (1.0 if lens.design_wavelength is None else lens.design_wavelength / wavelength)


def _beam(grid: Grid, distance: float, wavelength: float, focal_length: float) -> NDArray[np.floating]:
    """Return the intensity of a beam with its waist at the lens: its complex radius q goes as rays do.

    Siegman, Lasers, section 20.2.
    """
    y, x = (at.numpy() for at in grid.coordinates())
    at_lens = 1 / (1j * wavelength / (math.pi * _WAIST**2) - 1 / focal_length)
    q = at_lens + distance
    field = at_lens / q * np.exp(1j * math.pi * (y[:, None] ** 2 + x**2) / (wavelength * q))
    return np.abs(field) ** 2


def _curve(flat: Lens) -> Curve:
    """Return the intensity on the axis behind a flat lens in the light that it was not made for."""
    light, axis = _LIGHT[1], Grid(1, 1e-6)
    between, distances = np.linspace(0.02, 0.07, 100), np.linspace(0.02, 0.07, 6)
    line = [_beam(axis, z, light, _focal_length(flat, light))[0, 0] for z in between]
    found = []
    for z in distances.tolist():
        model = clear_system(
            [_GRID, _GRID, axis], [(flat, z / 2), z / 2], wavelength=light, source=SourceLight(waist=_WAIST)
        )
        found.append(float(intensity(model, torch.ones(1, *_GRID.shape, dtype=torch.float64))))
    return Curve(
        "Flat lens (50 mm at 532 nm) at 633 nm, on axis",
        "distance (mm)",
        "intensity",
        (between * 1e3, np.array(line)),
        (distances * 1e3, np.array(found)),
    )
