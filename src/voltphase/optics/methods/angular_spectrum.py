"""The angular spectrum of plane waves, without the paraxial approximation."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

from torch import Tensor

from voltphase.core.errors import GeometryError
from voltphase.optics.kernels.common_grid import CommonGrid, common_grids
from voltphase.optics.kernels.kernel import Convolution, Kernel, Spectral, SpectralParts
from voltphase.optics.methods import formulas
from voltphase.optics.methods.accuracy.exact_light import Waves, half_bands, response
from voltphase.optics.methods.base import METHODS, Method, lit_limits
from voltphase.optics.methods.geometry import Geometry
from voltphase.optics.sampling import Limit

# What the quadrature leaves of light at the worst, where the edge of the band is grazing light, with pixels of half a
# wavelength to a millionth; elsewhere it is 1e-8 and less.
QUADRATURE = 1e-5
# Plane waves (rows x columns) that a kernel is summed from, up to which that takes seconds and beyond which minutes.
MANY_WAVES, TOO_MANY_WAVES = 1e8, 5e8


@METHODS.register("angular-spectrum")
@dataclass(frozen=True)
class AngularSpectrum(Method):
    """The angular spectrum of plane waves, integrated over the band of the samples.

    The field between samples is taken to be their band-limited (sinc) interpolation, as for the Fresnel transfer
    function. Every plane wave of the band goes on its way exactly, evanescent ones too, and the kernel is the integral
    over all of them (Goodman, eq. 3-74) by a quadrature that resolves it, chosen from the geometry: see
    ``methods.accuracy.contour.HalfBand``. Nothing wraps around, and no distance is too short or too long.

    Args:
        oversampling: How many times as many plane waves are summed as the quadrature needs, to see that it needs no
            more; 1 if None.
    """

    oversampling: float | None = None
    name: ClassVar[str] = "angular-spectrum"
    title: ClassVar[str] = "angular spectrum, exact over the samples' band"

    def __post_init__(self) -> None:
        if self.oversampling is not None and not 1 <= self.oversampling < math.inf:
            raise GeometryError(f"expected an oversampling of at least 1, but got {self.oversampling}")

    def limits(self, geometry: Geometry) -> tuple[Limit, ...]:
        rows, columns = self._counts(geometry)
        count = float(rows * columns)
        summed = Limit(
            "plane waves that the kernel is summed from",
            count,
            MANY_WAVES,
            TOO_MANY_WAVES,
            f"planes so small and so close to one axis that {MANY_WAVES:.0e} plane waves or fewer give the kernel",
            f"{count:.1e} of them",
        )
        return (*lit_limits(geometry), summed)

    def bound(self, geometry: Geometry) -> float:
        # It is what others are measured by.
        return QUADRATURE

    def kernel(self, geometry: Geometry) -> Kernel:
        return self.kernels(geometry)[0]

    def kernels(self, geometry: Geometry) -> tuple[Kernel, ...]:
        """Return the convolution where the planes have points in common, and the sum over plane waves."""
        rows, columns = self._counts(geometry)
        shapes = geometry.source.shape, geometry.target.shape
        waves = Spectral(*shapes, (2 * rows, 2 * columns), partial(self._parts, geometry))
        points = common_grids(geometry.source, geometry.target)
        if points is None:
            return (waves,)
        return Convolution.of_table(*points, partial(self._table, geometry, *points)), waves

    def _table(self, geometry: Geometry, rows: CommonGrid, columns: CommonGrid) -> Tensor:
        kernel = response(geometry, self._waves(geometry), (rows.displacements(), columns.displacements()))
        return kernel * formulas.carrier(geometry.wavelength, geometry.distance)

    def _parts(self, geometry: Geometry) -> SpectralParts:
        waves = [some.both_halves() for some in self._waves(geometry)]
        # Waves off the real axis grow with distance from an origin, which is best half way from plane to plane.
        middles = [(a + b) / 2 for a, b in zip(geometry.source.offset, geometry.target.offset, strict=True)]
        places = [
            [at - middle for at, middle in zip(grid.coordinates(), middles, strict=True)]
            for grid in (geometry.source, geometry.target)
        ]
        there = [some.analysis(at) for some, at in zip(waves, places[0], strict=True)]
        back = [
            some.synthesis(at) * pitch for some, at, pitch in zip(waves, places[1], geometry.source.pitch, strict=True)
        ]
        transfer = formulas.plane_waves(
            waves[0].frequencies[:, None], waves[1].frequencies, geometry.wavelength, abs(geometry.distance)
        )
        transfer = transfer * formulas.carrier(geometry.wavelength, abs(geometry.distance))
        parts = SpectralParts(there[0], there[1], transfer, back[0], back[1])
        if geometry.distance >= 0:
            return parts
        return SpectralParts(*(part.conj().resolve_conj() for part in parts))

    def _counts(self, geometry: Geometry) -> tuple[int, int]:
        rows, columns = (band.count(self.oversampling or 1.0) for band in half_bands(geometry))
        return rows, columns

    def _waves(self, geometry: Geometry) -> tuple[Waves, Waves]:
        rows, columns = (Waves.of(band, geometry.wavelength, self.oversampling or 1.0) for band in half_bands(geometry))
        return rows, columns
