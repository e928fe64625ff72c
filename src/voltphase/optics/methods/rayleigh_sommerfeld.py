"""The first Rayleigh-Sommerfeld integral, without the paraxial approximation."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

from torch import Tensor

from voltphase.core.errors import GeometryError
from voltphase.core.units import metres
from voltphase.optics.kernels.common_grid import LARGEST_STRIDE, CommonGrid, common_grids
from voltphase.optics.kernels.kernel import Convolution
from voltphase.optics.methods import formulas
from voltphase.optics.methods.accuracy.sample_pairs import Pairs
from voltphase.optics.methods.base import METHODS, Method, require_distance, step_limit
from voltphase.optics.methods.geometry import Geometry
from voltphase.optics.sampling import Limit

# Distances in pitches from which on samples resolve the kernel's peak, and below which they miss it.
NEAREST_GOOD, NEAREST = 2.0, 0.5


@METHODS.register("rayleigh-sommerfeld")
@dataclass(frozen=True)
class RayleighSommerfeld(Method):
    """The first Rayleigh-Sommerfeld integral, as a convolution with its sampled kernel.

    Right where the samples resolve the kernel: at long distances, or with a pitch below half a wavelength.
    """

    name: ClassVar[str] = "rayleigh-sommerfeld"
    title: ClassVar[str] = "first Rayleigh-Sommerfeld integral, kernel sampled"

    def limits(self, geometry: Geometry) -> tuple[Limit, ...]:
        require_distance(self, geometry)
        z, pitch = abs(geometry.distance), max(geometry.source.pitch)
        # The kernel turns by pi a sample where the line from source to target is as steep as the band's edge.
        shortest = max(geometry.reach(axis) * math.sqrt(1 / geometry.nyquist_sine(axis) ** 2 - 1) for axis in (0, 1))
        peak = Limit(
            "pitch over distance",
            pitch / z,
            1 / NEAREST_GOOD,
            1 / NEAREST,
            f"a distance of {metres(NEAREST_GOOD * pitch)} or more, so that samples resolve the kernel's peak,",
            metres(z),
        )
        return (step_limit(shortest, z), peak)

    def response(self, geometry: Geometry, rows: Pairs, columns: Pairs) -> Tensor:
        return self._kernel(geometry, rows.displacement, columns.displacement)

    def kernel(self, geometry: Geometry) -> Convolution:
        points = common_grids(geometry.source, geometry.target)
        if points is None:
            raise GeometryError(
                f"expected pitches whose ratio is a fraction of numbers up to {LARGEST_STRIDE} for method "
                f"{self.name!r}, but got {geometry.source.pitch} m and {geometry.target.pitch} m: "
                "use method 'angular-spectrum'"
            )
        return Convolution.of_table(*points, partial(self._table, geometry, *points))

    def _table(self, geometry: Geometry, rows: CommonGrid, columns: CommonGrid) -> Tensor:
        kernel = self._kernel(geometry, rows.displacements(), columns.displacements())
        return kernel * formulas.carrier(geometry.wavelength, geometry.distance)

    @staticmethod
    def _kernel(geometry: Geometry, rows: Tensor, columns: Tensor) -> Tensor:
        area = geometry.source.pitch[0] * geometry.source.pitch[1]
        return formulas.rayleigh_sommerfeld(rows[:, None], columns, area, geometry.wavelength, geometry.distance)
