"""Light from random phases, which fills the band of the samples, by every method against sums by brute force."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import torch

from voltphase.optics import FresnelTransfer
from voltphase.optics.grid import Grid
from voltphase.optics.methods.accuracy.rough_error import rough_error
from voltphase.optics.methods.geometry import Geometry
from voltphase.validation.brute_force import Field, Reals, band_kernel, direct_sum, pixel_kernel, point_kernel
from voltphase.validation.comparison import CLOSED_FORM, Comparison, Curve, Findings, relative
from voltphase.validation.light import WAVELENGTH, through


class _Case(NamedTuple):
    """A method where it is right for rough light."""

    method: str
    source: Grid
    target: Grid
    distance: float
    # "sinc" (the band-limited field through them), "square" (uniform pixels), "point", "lens" (points behind a lens).
    samples: str
    limited_by: str


PAPER, SMALL = Grid(64, 36e-6), Grid((16, 12), 4e-6)
STEEP = Grid((16, 12), (0.9 * WAVELENGTH, 0.7 * WAVELENGTH))
HALF = Grid((12, 10), WAVELENGTH / 2)
PARAXIAL, EXACT = "the paraxial approximation", "nothing: the quadrature's rounding"
_CASES = (
    _Case("fresnel", PAPER, PAPER, 0.3, "sinc", PARAXIAL),
    _Case("angular-spectrum", PAPER, PAPER, 0.3, "sinc", EXACT),
    _Case("angular-spectrum", Grid(24, 2e-6), Grid((20, 24), (3e-6, 2.3e-6), (5e-5, -2e-5)), 2e-3, "sinc", EXACT),
    _Case("angular-spectrum", STEEP, STEEP, 20 * WAVELENGTH, "sinc", EXACT),
    _Case("rayleigh-sommerfeld", HALF, HALF, 30 * WAVELENGTH, "sinc", "evanescent light of the samples"),
    _Case("fresnel-pixels", Grid(10, 36e-6), Grid((8, 12), 36e-6), 0.05, "square", PARAXIAL),
    _Case("fresnel-impulse", SMALL, SMALL, 0.1, "point", PARAXIAL),
    _Case("fraunhofer", SMALL, Grid((16, 12), 5e-3), 50.0, "point", "the curvature left out at 50 m"),
    _Case("focal-plane", SMALL, Grid((16, 12), 100e-6), 0.1, "lens", PARAXIAL),
)


def compare() -> Findings:
    """Compare every method with a sum, and what is estimated of its error with the error."""
    comparisons = [_compared(case) for case in _CASES]
    comparisons += [_periodic(method) for method in ("fresnel-wrapped", "angular-spectrum-wrapped")]
    return [*comparisons, _estimates()]


def _compared(case: _Case) -> Comparison:
    field = _phases(case.source)
    # Unchecked: points are not what estimates of errors take samples for.
    found = through(
        torch.from_numpy(field), case.source, case.target, distance=case.distance, method=case.method, check=False
    )
    error = relative(found, torch.from_numpy(_summed(case, field)))
    return Comparison("random phases, direct sum", case.method, error, CLOSED_FORM, case.limited_by)


def _summed(case: _Case, field: Field) -> Field:
    pitch, distance = case.source.pitch, case.distance
    if case.samples == "lens":
        y, x = (at.numpy() for at in case.source.coordinates())
        field = field * np.exp(-1j * math.pi * (y[:, None] ** 2 + x**2) / (WAVELENGTH * distance))
    kernel = {"sinc": band_kernel, "square": pixel_kernel}.get(case.samples, point_kernel)

    def of(rows: Reals, columns: Reals) -> Field:
        return kernel(rows, columns, pitch, WAVELENGTH, distance)

    return direct_sum(field, case.source, case.target, of)


def _periodic(method: str) -> Comparison:
    # A periodic plane has few plane waves: each is propagated by itself.
    grid, distance = Grid((16, 12), 36e-6), 0.05
    field = _phases(grid)
    y, x = (at.numpy() for at in grid.coordinates())
    f_y, f_x = (np.fft.fftfreq(n, pitch)[:, None] for n, pitch in zip(grid.shape, grid.pitch, strict=True))
    rows, columns = np.exp(2j * math.pi * f_y * y), np.exp(2j * math.pi * f_x * x)
    axial = np.sqrt(1 / WAVELENGTH**2 - f_y**2 - f_x.T**2)
    waves = rows.conj() @ field @ columns.conj().T / field.size * np.exp(2j * math.pi * (distance * axial % 1))
    expected = rows.T @ waves @ columns
    found = through(torch.from_numpy(field), grid, distance=distance, method=method)
    error = relative(found, torch.from_numpy(expected))
    limit = PARAXIAL if method.startswith("fresnel") else "rounding"
    return Comparison("random phases, periodic direct sum", method, error, CLOSED_FORM, limit)


def _estimates() -> Curve:
    """Return the error of the Fresnel transfer function, as estimated from its kernel and as found."""
    grid = Grid(16, 4e-6)
    between, distances = np.geomspace(1e-4, 5e-3, 25), np.geomspace(1e-4, 5e-3, 7)
    estimated = [rough_error(FresnelTransfer(), Geometry(grid, grid, WAVELENGTH, z)) for z in between]
    found = [_compared(_Case("fresnel", grid, grid, float(z), "sinc", PARAXIAL)).error for z in distances]
    return Curve(
        "Fresnel's error of random phases, estimated",
        "distance (mm)",
        "relative error",
        (between * 1e3, np.array(estimated)),
        (distances * 1e3, np.array(found)),
    )


def _phases(grid: Grid) -> Field:
    return np.exp(2j * math.pi * np.random.default_rng(0).random(grid.shape))
