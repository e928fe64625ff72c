"""Free space by brute force: what methods are measured by that shares nothing with them but the physics.

NumPy in double precision, no kernels of the package. Slow, and simple enough to be seen to be right.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from voltphase.optics.grid import Grid

Reals = NDArray[np.float64]
Field = NDArray[np.complex128]


def band_kernel(rows: Reals, columns: Reals, pitch: tuple[float, float], wavelength: float, distance: float) -> Field:
    """Return the ``rows x columns`` light that one sample's sinc sends to displacements in metres, carrier included.

    A sum of plane waves that propagate exactly: the integral over the band of
    exp(2 pi i (f d + z sqrt(1 / wavelength^2 - f^2))) by Gauss and Legendre on the real axis, in parts that end at
    grazing light, where nodes are dense.
    """
    edge_y, edge_x = (1 / (2 * p) for p in pitch)
    light, z = 1 / wavelength, abs(distance)
    corner = light**2 - edge_y**2 - edge_x**2
    turning = math.sqrt(max(light**2 - edge_x**2, 0.0))
    f_y, weight_y = _nodes([0, min(turning, edge_y), min(light, edge_y), edge_y], rows, z, corner)

    def across(f: Reals, grazing: float) -> Field:
        f_x, weight_x = _nodes([0, min(grazing, edge_x), edge_x], columns, z, corner)
        axial = np.sqrt(np.asarray(light**2 - f[:, None] ** 2 - f_x**2, dtype=np.complex128))
        to_columns = np.cos(2 * math.pi * f_x[:, None] * columns).astype(np.complex128)
        return (np.exp(2j * math.pi * z * axial) * weight_x) @ to_columns

    if corner > 0:
        waves = across(f_y, light)
    else:
        # Where light of the other axis begins to graze is a matter of each frequency.
        waves = np.concatenate([across(f_y[[i]], math.sqrt(max(light**2 - f**2, 0.0))) for i, f in enumerate(f_y)])
    to_rows = 4 * pitch[0] * pitch[1] * weight_y * np.cos(2 * math.pi * rows[:, None] * f_y)
    kernel = to_rows.astype(np.complex128) @ waves
    return kernel if distance >= 0 else kernel.conj()


def pixel_kernel(
    rows: Reals, columns: Reals, width: tuple[float, float], wavelength: float, distance: float, parts: int = 24
) -> Field:
    """Return what :func:`band_kernel` does for a uniform pixel of this width: the first Rayleigh-Sommerfeld integral.

    By Gauss and Legendre, with ``parts`` nodes along each side of the pixel.
    """
    nodes, weights = _gauss_legendre(parts)
    y, x = (d[:, None] - size / 2 * nodes for d, size in zip((rows, columns), width, strict=True))
    wave_number, z = 2 * math.pi / wavelength, abs(distance)
    r = np.sqrt(y[:, None, :, None] ** 2 + x[None, :, None, :] ** 2 + z**2)
    light = z * np.exp(1j * wave_number * r) * (1 / r - 1j * wave_number) / (2 * math.pi * r**2)
    kernel = np.einsum("abij,i,j->ab", light, weights, weights) * width[0] * width[1] / 4
    return kernel if distance > 0 else kernel.conj()


#: The integral of a sample that is a point with the weight of its area: a pixel with one node, its middle.
point_kernel = partial(pixel_kernel, parts=1)


def direct_sum(field: Field, source: Grid, target: Grid, kernel: Callable[[Reals, Reals], Field]) -> Field:
    """Return the ``... x rows x columns`` field on the target: the sum of what every sample of the source sends there.

    The kernel gives what a sample sends to displacements of rows and of columns, even in both.
    """
    sizes, places = [], []
    for to, at in zip(target.coordinates(), source.coordinates(), strict=True):
        apart = np.abs(to.numpy()[:, None] - at.numpy())
        _, first, inverse = np.unique(apart.round(15), return_index=True, return_inverse=True)
        sizes.append(apart.ravel()[first])
        places.append(inverse.reshape(apart.shape))
    table = kernel(sizes[0], sizes[1])
    rows = [np.einsum("bcd,...cd->...b", table[row[None, :, None], places[1][:, None, :]], field) for row in places[0]]
    return np.stack(rows, axis=-2)


def _nodes(ends: Sequence[float], displacements: Reals, distance: float, corner: float) -> tuple[Reals, Reals]:
    """Return frequencies and weights: in each part as many as its phase turns need, denser towards its ends.

    ``corner`` is the square of the steepest light's axial frequency, below zero if that is evanescent.
    """
    frequencies, weights, reach = [], [], float(np.abs(displacements).max())
    for start, end in pairwise(ends):
        if end <= start:
            continue
        # What sqrt(a^2 - f^2) changes by is below f, and below f^2 / (2 sqrt(a^2 - f^2)).
        axial = min(end, end**2 / math.sqrt(corner) if corner > 0 else math.inf)
        turns = reach * (end - start) + distance * axial
        nodes, sizes = _gauss_legendre(int(5 * turns) + 40)
        # x^2 from either end, so that a square root there is smooth.
        v = (nodes + 1) * math.pi / 4
        frequencies.append(start + (end - start) * np.sin(v) ** 2)
        weights.append(sizes * math.pi / 4 * (end - start) * np.sin(2 * v))
    return np.concatenate(frequencies), np.concatenate(weights)


@lru_cache(maxsize=64)
def _gauss_legendre(count: int) -> tuple[Reals, Reals]:
    return np.polynomial.legendre.leggauss(count)
