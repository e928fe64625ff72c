"""The far field, in free space and behind a lens."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import torch
from torch import Tensor

from voltphase.core import checks
from voltphase.core.errors import GeometryError
from voltphase.core.units import metres
from voltphase.optics.kernels.axis import Matrix
from voltphase.optics.kernels.kernel import Separable
from voltphase.optics.methods import formulas
from voltphase.optics.methods.accuracy.sample_pairs import Pairs, some_pairs
from voltphase.optics.methods.base import METHODS, Method, paraxial_limit, replica_limit, require_forwards
from voltphase.optics.methods.geometry import Geometry
from voltphase.optics.sampling import PARAXIAL_GOOD, PARAXIAL_WRONG, Limit


class FarField(Method):
    """A Fourier transform, with the curved phase it has on a plane; behind a lens if ``front`` says where that is."""

    front: float = 0.0

    def kernel(self, geometry: Geometry) -> Separable:
        return Separable(self._axis(geometry, 0), self._axis(geometry, 1))

    def response(self, geometry: Geometry, rows: Pairs, columns: Pairs) -> Tensor:
        y, x = (
            self._along(geometry, pairs.target, pairs.source, pitch).diagonal()
            for pairs, pitch in zip((rows, columns), geometry.source.pitch, strict=True)
        )
        return y[:, None] * x

    def _along(self, geometry: Geometry, target: Tensor, source: Tensor, pitch: float) -> Tensor:
        light = geometry.wavelength, geometry.distance, 1 - self.front / geometry.distance
        return formulas.far_field(target, source, pitch, *light)

    def _axis(self, geometry: Geometry, axis: int) -> Matrix:
        source, target = geometry.source, geometry.target
        centred = source.offset[axis] == target.offset[axis] == 0
        return Matrix(centred, (target.shape[axis], source.shape[axis]), partial(self._matrix, geometry, axis))

    def _matrix(self, geometry: Geometry, axis: int) -> Tensor:
        target, source = geometry.target.coordinates()[axis], geometry.source.coordinates()[axis]
        matrix = self._along(geometry, target, source, geometry.source.pitch[axis])
        # The carrier is in the kernel of the rows.
        return matrix if axis else matrix * formulas.carrier(geometry.wavelength, geometry.distance + self.front)


@METHODS.register("fraunhofer")
@dataclass(frozen=True)
class Fraunhofer(FarField):
    """The far field: a Fourier transform, with the curved phase it has on a plane."""

    name: ClassVar[str] = "fraunhofer"
    title: ClassVar[str] = "Fraunhofer diffraction"

    def limits(self, geometry: Geometry) -> tuple[Limit, ...]:
        require_forwards(self, geometry)
        squared = sum(float(x.abs().max()) ** 2 for x in geometry.source.coordinates())
        phase = math.pi * squared / (geometry.wavelength * geometry.distance)
        nearest = math.pi * squared / (geometry.wavelength * PARAXIAL_GOOD)
        far = Limit(
            "phase of the neglected curvature",
            phase,
            PARAXIAL_GOOD,
            PARAXIAL_WRONG,
            f"a distance of {metres(nearest)} or more",
            metres(geometry.distance),
            unit=" rad",
        )
        return (paraxial_limit(geometry), far, replica_limit(geometry))


@METHODS.register("focal-plane")
@dataclass(frozen=True)
class FocalPlane(FarField):
    """The far field behind a thin lens, on its back focal plane; the ``distance`` is the focal length.

    Args:
        front: How far the source plane is in front of the lens, in metres: 0 is at the lens, one focal length makes
            the target exactly the Fourier transform. The lens has no edge.
    """

    front: float = 0.0
    name: ClassVar[str] = "focal-plane"
    title: ClassVar[str] = "far field behind a lens"

    def __post_init__(self) -> None:
        front = checks.number(self.front, "a distance in front of the lens in metres", error=GeometryError)
        object.__setattr__(self, "front", front)

    def limits(self, geometry: Geometry) -> tuple[Limit, ...]:
        require_forwards(self, geometry)
        return (paraxial_limit(geometry), replica_limit(geometry))

    def arriving_sine(self, geometry: Geometry, axis: int) -> float:
        # Behind the lens it is the place of a source that tilts its light, not the angle at which it sent it out.
        source, target = (float(grid.coordinates()[axis].abs().max()) for grid in (geometry.source, geometry.target))
        return (source + abs(1 - self.front / geometry.distance) * target) / geometry.distance

    def exact(self, geometry: Geometry) -> Tensor:
        """Return what rays send: in parallel from the source to the lens, and from there to the target."""
        rows, columns = some_pairs(geometry)
        slopes = [pairs.target / geometry.distance for pairs in (rows, columns)]
        bends = [
            (pairs.target - pairs.source - self.front * slope) / geometry.distance
            for pairs, slope in zip((rows, columns), slopes, strict=True)
        ]
        before, behind = (y[:, None] ** 2 + x**2 for y, x in (slopes, bends))
        longer = self.front * _beyond_paraxial(before) + geometry.distance * _beyond_paraxial(behind)
        paraxial = self.response(geometry, rows, columns)
        return paraxial * formulas.phasor(2 * math.pi / geometry.wavelength * longer) / (1 + behind)


def _beyond_paraxial(squared_slope: Tensor) -> Tensor:
    """How much longer a ray is than the paraxial approximation has it, over the distance it goes along the axis."""
    # sqrt(1 + s) - 1 - s / 2, written so that small slopes cancel nothing.
    return -((squared_slope / (1 + torch.sqrt(1 + squared_slope))) ** 2) / 2
