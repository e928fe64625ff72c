"""How far a method is off in a geometry: its kernel against that of exact plane waves, for some of all samples."""

from __future__ import annotations

import math
from functools import lru_cache

import torch
from torch import Tensor

from voltphase.optics.methods.accuracy.sample_pairs import Pairs, some_pairs
from voltphase.optics.methods.base import Method
from voltphase.optics.methods.geometry import Geometry
from voltphase.optics.methods.rayleigh_sommerfeld import RayleighSommerfeld
from voltphase.optics.sampling import Limit

#: Relative error of rough light up to which a method is right.
TOLERANCE = 1e-3
# As an estimate is good to one digit, what rounds to the tolerance is within it.
WITHIN = 1.5 * TOLERANCE
# Samples, and widths of what light from a point covers, that are wide; beyond this sine of light it covers all.
ENOUGH, WIDTHS, STEEPEST = 256, 4, 0.999
# Part of the band that rays from plane to plane may fill for its edges to be away from them.
FAR = 0.8
# What rounding leaves of light, of kernels in either precision.
ROUNDING = {torch.complex64: 4e-6, torch.complex128: 1e-8}


def rough_error(method: Method, geometry: Geometry, dtype: torch.dtype = torch.complex128) -> float:
    """Return the relative error (L2) of rough light: the root mean square over fields whose samples are at random.

    Amplitudes and phases of such fields fill the whole band of the samples: smooth fields are off by less wherever it
    is steep light that a method has wrong. It is estimated within a factor of two, for kernels of that dtype, or an
    upper bound where planes are so large that it would take long; NaN if the method does not say what its kernel is.
    """
    error = _compared(method, geometry)
    # In this order a NaN stays one.
    return max(method.bound(geometry) if error is None else error, ROUNDING[dtype])


@lru_cache(maxsize=64)  # a run is built again by each of its commands, and this can take longer than all else
def _compared(method: Method, geometry: Geometry) -> float | None:
    """The error by its kernel, or None if that cannot be had, or not soon."""
    band_limited = type(method).exact is Method.exact
    if band_limited:
        geometry = _part(geometry)
    rows, columns = some_pairs(geometry)
    found = method.response(geometry, rows, columns)
    if found is None:
        return None
    exact = method.exact(geometry)
    if exact is not None:
        return _relative(found, exact, rows, columns)
    diffracted = _diffracted(geometry, rows, columns) if band_limited else None
    if diffracted is None:
        return None
    rays = RayleighSommerfeld().response(geometry, rows, columns)
    return min(math.hypot(_relative(found, rays, rows, columns), diffracted), method.bound(geometry))


def _relative(found: Tensor, exact: Tensor, rows: Pairs, columns: Pairs) -> float:
    """The error of a kernel, relative to the exact one, of all pairs that these stand for."""
    weight = rows.weight[:, None] * columns.weight
    lost, whole = (float((weight * part.abs().square()).sum()) for part in (found - exact, exact))
    return math.sqrt(lost / whole) if whole else math.inf


def _diffracted(geometry: Geometry, rows: Pairs, columns: Pairs) -> float | None:
    """What light of the band is more than rays, relative to it: what the edges of the band diffract.

    From afar, where all rays from plane to plane are in the band, the rays are the Rayleigh-Sommerfeld integral of
    points, and a ray at so many Fresnel zones' widths t from an edge is off by 1 / (sqrt(2) pi t) (Abramowitz & Stegun,
    7.3.27). None where it is not so.
    """
    squared = 0.0
    for axis, pairs in enumerate((rows, columns)):
        edge = geometry.wavelength / (2 * geometry.source.pitch[axis])
        if geometry.ray_sine(axis) > FAR * min(edge, 1.0):
            return None
        sine = torch.sin(torch.atan(pairs.displacement / geometry.distance))
        scale = 2 * abs(geometry.distance) / geometry.wavelength
        each = sum(1 / (2 * math.pi**2 * scale * (edge - sign * sine) ** 2) for sign in (1, -1))
        squared += float((pairs.weight * each).sum() / pairs.weight.sum())
    return math.sqrt(squared)


def _part(geometry: Geometry) -> Geometry:
    """The middle of planes so wide that its light does not get near the edges: what is true of it is true of all."""
    grids = (geometry.source, geometry.target)
    shapes = [list(grid.shape) for grid in grids]
    for axis in (0, 1):
        sine = min(geometry.nyquist_sine(axis), STEEPEST)
        across = abs(geometry.distance) * sine / math.sqrt(1 - sine**2)
        if geometry.shift(axis) == 0:
            for grid, shape in zip(grids, shapes, strict=True):
                widest = max(ENOUGH * max(g.pitch[axis] for g in grids), WIDTHS * across)
                shape[axis] = min(shape[axis], math.ceil(widest / grid.pitch[axis]))
    source, target = (grid.resized((shape[0], shape[1])) for grid, shape in zip(grids, shapes, strict=True))
    return Geometry(source, target, geometry.wavelength, geometry.distance)


def error_limit(error: float) -> Limit:
    """That rough light is within the tolerance."""
    return Limit(
        "estimated relative error of rough light",
        error,
        WITHIN,
        math.inf,
        f"an error of at most {TOLERANCE:g} of rough light (random phases)",
        f"an estimated {error:.2g}",
    )
