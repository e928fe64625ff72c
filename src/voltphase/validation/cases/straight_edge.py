"""Behind a half plane, in one dimension: the matrix of the columns alone."""

from __future__ import annotations

import math

import torch

from voltphase.optics import Propagator
from voltphase.optics.grid import Grid
from voltphase.optics.methods.formulas import fresnel_integral
from voltphase.validation.comparison import CLOSED_FORM, Comparison, Curve, Findings, worst
from voltphase.validation.light import DOUBLE, WAVELENGTH

# Method, pitch, and what limits the method.
_METHODS = (
    ("fresnel-pixels", 10e-6, "rounding: the edge is a pixel's, and the far side fades out over 4 mm"),
    ("fresnel", 5e-6, "light beyond the samples' band (pitch 5 µm)"),
)


def compare() -> Findings:
    """Compare the field behind the edge with a Fresnel integral."""
    distance = 0.3
    target = Grid((1, 161), 12.5e-6)
    _, at = target.coordinates()
    scale = math.sqrt(2 / (WAVELENGTH * distance))
    expected = (1 - 1j) / 2 * ((1 + 1j) / 2 + fresnel_integral(at * scale))
    comparisons, fields = [], {}
    for method, pitch, limit in _METHODS:
        # From the edge at x = 0 to where the light has gently gone out: a second edge would be seen in the first.
        count = round(12e-3 / pitch)
        source = Grid((1, count), pitch, offset=(0.0, count * pitch / 2))
        _, x = source.coordinates()
        fading = torch.special.erfc((x - 6e-3) / 1e-3) / 2
        # Skip the sampling check: the light 12 mm away is smooth enough.
        propagate = Propagator(
            source, target, wavelength=WAVELENGTH, distance=distance, method=method, dtype=DOUBLE, check=False
        )
        matrices = propagate.matrices()
        if matrices is None:
            raise TypeError(f"{method} has no matrices")
        fields[method] = matrices[1] @ fading.to(DOUBLE)
        comparisons.append(Comparison("straight edge", method, worst(fields[method], expected), CLOSED_FORM, limit))
    curve = Curve(
        "Behind a straight edge",
        "x (mm)",
        "intensity",
        (at * 1e3, expected.abs() ** 2),
        ((at * 1e3)[::3], (fields["fresnel-pixels"].abs() ** 2)[::3]),
    )
    return [*comparisons, curve]
