"""The light of one sample as the sum of the plane waves of its band: no approximation but the samples' own."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from voltphase.optics.methods import formulas
from voltphase.optics.methods.accuracy.contour import FADED, HalfBand
from voltphase.optics.methods.accuracy.sample_pairs import some_pairs
from voltphase.optics.methods.geometry import Geometry

# Plane waves made at a time, 64 MiB of them.
WAVES_AT_A_TIME = 2**22
# Waves up to which a yardstick is made: a second or two.
MOST_WAVES = 1e7
# Displacements alike to this part of a pitch are one.
ALIKE = 1e-9


def half_bands(geometry: Geometry) -> tuple[HalfBand, HalfBand]:
    """The bands of rows and of columns between two planes."""
    wavelength = geometry.wavelength
    rows, columns = (wavelength / (2 * pitch) for pitch in geometry.source.pitch)
    return HalfBand.pair((rows, columns), _reaches(geometry), abs(geometry.distance) / wavelength)


@dataclass(frozen=True, eq=False)
class Waves:
    """Plane waves of one axis, from the optical axis to the edge of the band, and their weights in an integral.

    Both are in cycles per metre, 1-D, complex128, or float64 where all waves are real. Those of the other half of the
    band are the same with negative frequencies.
    """

    frequencies: Tensor
    weights: Tensor

    @classmethod
    def of(cls, band: HalfBand, wavelength: float, finer: float = 1.0) -> Waves:
        """The waves of a band, ``finer`` times as many as are needed, at a wavelength in metres."""
        sines, weights = band.quadrature(finer)
        if not np.imag(sines).any():
            # In a quarter of the time.
            sines, weights = np.real(sines), np.real(weights)
        return cls(torch.from_numpy(sines) / wavelength, torch.from_numpy(weights) / wavelength)

    def both_halves(self) -> Waves:
        """The waves of the whole band."""
        return Waves(torch.cat((-self.frequencies, self.frequencies)), torch.cat((self.weights, self.weights)))

    def to_displacements(self, displacement: Tensor) -> Tensor:
        """The matrix from the waves' amplitudes to displacements in metres, ``displacements x waves``."""
        return torch.cos(2 * math.pi * displacement[:, None] * self.frequencies) * (2 * self.weights)

    def analysis(self, at: Tensor) -> Tensor:
        """From samples at places in metres to amplitudes, ``waves x samples``."""
        return torch.exp(-2j * math.pi * self.frequencies[:, None] * at)

    def synthesis(self, at: Tensor) -> Tensor:
        """From amplitudes to samples at places in metres, ``samples x waves``."""
        return torch.exp(2j * math.pi * at[:, None] * self.frequencies) * self.weights


def response(geometry: Geometry, waves: tuple[Waves, Waves], displacements: tuple[Tensor, Tensor]) -> Tensor:
    """What one sample sends to points beside it, complex128, without the carrier.

    Displacements of rows and of columns are in metres, 1-D, and within the geometry's reach.
    """
    pitches = geometry.source.pitch
    (rows, row_places), (columns, column_places) = (
        _distinct(d, pitch) for d, pitch in zip(displacements, pitches, strict=True)
    )
    to_rows, to_columns = (
        some.to_displacements(d) * pitch for some, d, pitch in zip(waves, (rows, columns), pitches, strict=True)
    )
    kernel = sum_waves(geometry, waves, (to_rows, to_columns))
    return kernel[row_places][:, column_places]


@lru_cache(maxsize=128)
def exact_response(geometry: Geometry) -> Tensor | None:
    """Return :func:`response` to all of ``sample_pairs.some_pairs``, or None if that would take long."""
    waves = _few_waves(half_bands(geometry), geometry.wavelength)
    rows, columns = some_pairs(geometry)
    return response(geometry, waves, (rows.displacement, columns.displacement)) if waves else None


def pixel_response(geometry: Geometry, widths: tuple[float, float]) -> Tensor | None:
    """What a uniform pixel of a height and width sends to all of :func:`some_pairs`; as :func:`exact_response`."""
    distance = abs(geometry.distance) / geometry.wavelength
    if distance == 0:
        return None
    # The band ends where evanescent light has faded on the way, as an edge that is beyond what has faded by half again.
    edge = math.hypot(1, 1.5 * FADED / (2 * math.pi * distance))
    rows, columns = (
        reach + width / 2 / geometry.wavelength for reach, width in zip(_reaches(geometry), widths, strict=True)
    )
    waves = _few_waves(HalfBand.pair((edge, edge), (rows, columns), distance), geometry.wavelength)
    if waves is None:
        return None
    to_rows, to_columns = (
        some.to_displacements(pairs.displacement)
        * (torch.sin(math.pi * width * some.frequencies) / (math.pi * some.frequencies))
        for some, pairs, width in zip(waves, some_pairs(geometry), widths, strict=True)
    )
    return sum_waves(geometry, waves, (to_rows, to_columns))


def sum_waves(geometry: Geometry, waves: tuple[Waves, Waves], matrices: tuple[Tensor, Tensor]) -> Tensor:
    """``rows @ transfer @ columns.T`` of the transfer function of free space, some of it at a time.

    The two ``matrices`` are from the waves of rows, and of columns, to what is wanted.
    """
    (y, x), (rows, columns) = waves, matrices
    if len(rows) < len(columns):
        return sum_waves(geometry, (x, y), (columns, rows)).mT
    real = not (y.frequencies.is_complex() or x.frequencies.is_complex())
    go = formulas.angular_spectrum if real else formulas.plane_waves
    total = torch.zeros((len(rows), len(columns)), dtype=torch.complex128)
    step = max(1, WAVES_AT_A_TIME // len(x.frequencies))
    for start in range(0, len(y.frequencies), step):
        part = slice(start, start + step)
        transfer = go(y.frequencies[part, None], x.frequencies, geometry.wavelength, abs(geometry.distance))
        total += _product(rows[:, part], _product(transfer, columns.mT))
    return total if geometry.distance >= 0 else total.conj().resolve_conj()


def _few_waves(bands: tuple[HalfBand, HalfBand], wavelength: float) -> tuple[Waves, Waves] | None:
    """The waves of two bands, or None if there are so many that to sum them would take long."""
    rows, columns = bands
    if rows.count() * columns.count() > MOST_WAVES:
        return None
    return Waves.of(rows, wavelength), Waves.of(columns, wavelength)


def _product(left: Tensor, right: Tensor) -> Tensor:
    """``left @ right``, of which one may be real."""
    if left.is_complex() == right.is_complex():
        return left @ right
    if left.is_complex():
        return torch.complex(left.real @ right, left.imag @ right)
    return torch.complex(left @ right.real, left @ right.imag)


def _reaches(geometry: Geometry) -> tuple[float, float]:
    """The largest displacements of rows and of columns, in wavelengths."""
    return geometry.reach(0) / geometry.wavelength, geometry.reach(1) / geometry.wavelength


def _distinct(displacement: Tensor, pitch: float) -> tuple[Tensor, Tensor]:
    """Sizes of displacements, each once, and which of them each displacement has."""
    keys, places = torch.unique((displacement.abs() / (ALIKE * pitch)).round(), return_inverse=True)
    sizes = displacement.new_zeros(len(keys))
    sizes[places] = displacement.abs()
    return sizes, places
