"""Gratings: their images of themselves, their orders, and those of pixels with discrete states."""

from __future__ import annotations

import math
import warnings

import numpy as np
import torch
from torch import Tensor

from voltphase.codesign import CodesignLayer
from voltphase.core.units import UnitWarning
from voltphase.devices import DeviceStates
from voltphase.optics import FresnelPixels, Propagator, gaussian_beam
from voltphase.optics.grid import Grid
from voltphase.validation.rows import CLOSED_FORM, Curve, Outcome, Row, array, worst

WAVELENGTH = 532e-9
DOUBLE = torch.complex128


def talbot() -> Outcome:
    """A grating is its own image at the Talbot distance, and shifted by half a period at half of it."""
    rows = []
    curves: list[Curve] = []
    for method, limit in (
        ("fresnel", "the window's edges, gentle as they are"),
        ("angular-spectrum", "the window's edges, gentle as they are"),
        ("angular-spectrum-wrapped", "rounding: the grating is endless"),
    ):
        period, pitch = 4e-6, 0.5e-6
        sine = WAVELENGTH / period
        exact = WAVELENGTH / (1 - math.sqrt(1 - sine**2))
        distance = 2 * period**2 / WAVELENGTH if method == "fresnel" else exact
        wrapped = method.endswith("wrapped")
        grid = Grid(64, pitch) if wrapped else Grid(400, pitch)
        y, x = grid.coordinates()
        window = torch.ones(grid.shape, dtype=torch.float64) if wrapped else _flat_top(y)[:, None] * _flat_top(x)
        grating = window * (1 + 0.8 * torch.cos(2 * math.pi * x / period))
        middle = slice(grid.rows // 2 - 20, grid.rows // 2 + 20)
        for name, part, shift in (("Talbot image", 1.0, 0), ("Talbot image at half distance", 0.5, 4)):
            # Unchecked: steep as its samples could be, of the grating's own light the paraxial image is exact.
            propagate = Propagator(
                grid, wavelength=WAVELENGTH, distance=part * distance, method=method, dtype=DOUBLE, check=False
            )
            image = propagate(grating.to(DOUBLE)).abs()[middle, middle]
            expected = torch.roll(grating, shift, 1)[middle, middle]
            rows.append(Row(name, method, worst(image, expected), CLOSED_FORM, limit))
            if method == "angular-spectrum" and shift:
                between = torch.linspace(float(x[middle][0]), float(x[middle][-1]), 300, dtype=torch.float64)
                curves.append(
                    Curve(
                        "Talbot image at half the distance",
                        "x (µm)",
                        "amplitude",
                        (array(between * 1e6), array(1 - 0.8 * torch.cos(2 * math.pi * between / period))),
                        (array(x[middle] * 1e6), array(image[20])),
                    )
                )
    return Outcome(rows, curves)


def blazed_angle() -> Outcome:
    """A blazed phase sends a beam where the grating equation says."""
    period, distance = 64e-6, 0.1
    source = Grid((128, 256), 8e-6)
    angle = math.asin(WAVELENGTH / period)
    _, x = source.coordinates()
    beam = gaussian_beam(source, wavelength=WAVELENGTH, waist=200e-6, dtype=DOUBLE)
    blazed = beam * torch.exp(2j * math.pi * x / period)
    rows = []
    for method, where in (
        ("fresnel", distance * WAVELENGTH / period),
        ("angular-spectrum", distance * math.tan(angle)),
    ):
        target = Grid((128, 256), 8e-6, offset=(0.0, round(where / 8e-6) * 8e-6))
        propagate = Propagator(source, target, wavelength=WAVELENGTH, distance=distance, method=method, dtype=DOUBLE)
        _, x_there = target.coordinates()
        light = propagate(blazed).abs().square().sum(0)
        found = float((light * x_there).sum() / light.sum())
        rows.append(
            Row("blazed grating's angle", method, abs(found / where - 1), CLOSED_FORM, "the beam beyond the grids")
        )
    return Outcome(rows)


def fill_factor() -> Outcome:
    """The zero order of pixels that shine in part is the part squared; the next order follows the pixel's own."""
    pitch, distance = 8e-6, 2000.0
    source = Grid(16, pitch)
    first = WAVELENGTH * distance / pitch
    light = torch.ones(source.shape, dtype=DOUBLE)
    factors = (0.1, 0.3, 0.5, 0.7, 0.9, 1.0)
    zero, order, full = [], [], _at(source, (0.0, 0.0), distance, FresnelPixels(1.0), light)
    for factor in factors:
        zero.append(float((_at(source, (0.0, 0.0), distance, FresnelPixels(factor), light) / full).abs() ** 2))
        order.append(float((_at(source, (0.0, first), distance, FresnelPixels(factor), light) / full).abs() ** 2))
    parts = torch.tensor(factors, dtype=torch.float64)
    limit = "2 km instead of infinity"
    between = np.linspace(0, 1, 100)
    curve = Curve(
        "Pixels that shine in part",
        "fill factor",
        "zero order over that of full pixels",
        (between, between**2),
        (array(parts), np.array(zero)),
    )
    return Outcome(
        [
            Row(
                "zero order of a fill factor",
                "fresnel-pixels",
                worst(torch.tensor(zero, dtype=torch.float64), parts**2),
                CLOSED_FORM,
                limit,
            ),
            Row(
                "first pixel order of a fill factor",
                "fresnel-pixels",
                worst(torch.tensor(order, dtype=torch.float64), (parts * torch.sinc(parts.sqrt())) ** 2),
                CLOSED_FORM,
                limit,
            ),
        ],
        [curve],
    )


def blazed_levels() -> Outcome:
    """N evenly spaced phases on a device send sinc^2(1 / N) of the light into the first order."""
    counts = (2, 4, 8, 16)
    found = [_first_order(count) for count in counts]
    expected = [float(np.sinc(1 / count) ** 2) for count in counts]
    rows = [
        Row(
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
    return Outcome(rows, [curve])


def _first_order(count: int) -> float:
    """Intensity of the first order over that of the zero order of the same pixels all in one state."""
    pitch, distance, columns = 8e-6, 20_000.0, 64
    levels = np.arange(count, dtype=np.float64)
    states = DeviceStates(levels, np.ones(count), 2 * np.pi * levels / count, f"{count} even phases")
    layer = CodesignLayer((4, columns), states, dtype=DOUBLE).eval()
    source = Grid((4, columns), pitch)
    light = torch.ones(source.shape, dtype=DOUBLE)
    order = (0.0, WAVELENGTH * distance / (count * pitch))
    with torch.no_grad():
        layer.design.zero_()
        for column in range(columns):
            layer.design[column % count, :, column] = 1
        blazed = _at(source, order, distance, FresnelPixels(), layer(light))
        layer.design.zero_()
        layer.design[0] = 1
        flat = _at(source, (0.0, 0.0), distance, FresnelPixels(), layer(light))
    return float((blazed / flat).abs() ** 2)


def _at(source: Grid, point: tuple[float, float], distance: float, method: FresnelPixels, light: Tensor) -> Tensor:
    """The field at one point (y, x) of a far plane."""
    # Unchecked: the point is kilometres off the axis, where the paraxial far field is still the closed form's.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UnitWarning)
        target = Grid(1, 1e-3, offset=point)
    propagate = Propagator(
        source, target, wavelength=WAVELENGTH, distance=distance, method=method, dtype=DOUBLE, check=False
    )
    return propagate(light)[0, 0]


def _flat_top(x: Tensor) -> Tensor:
    """1 over the middle 80 µm, gently 0 at 100 µm from it."""
    return (torch.special.erfc((x.abs() - 70e-6) / 8e-6)) / 2
