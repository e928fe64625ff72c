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


@METHODS.register("fraunhofer")
@dataclass(frozen=True)
class Fraunhofer(Method):
    """The far field: a Fourier transform, with the curved phase it has on a plane."""

    name: ClassVar[str] = "fraunhofer"
    title: ClassVar[str] = "Fraunhofer diffraction"

    def limits(self, geometry: Geometry) -> tuple[Limit, ...]:
        """Return what bounds the method in a geometry, as figures."""
        require_forwards(self, geometry)
        squared = sum(float(x.abs().max()) ** 2 for x in geometry.source.coordinates())
        phase = math.pi * squared / (geometry.wavelength * geometry.distance)
        nearest = math.pi * squared / (geometry.wavelength * PARAXIAL_GOOD)
        far = Limit(
            "phase of the neglected curvature",
            phase,
            PARAXIAL_GOOD,
            PARAXIAL_WRONG,
            " rad",
            f"a distance of {metres(nearest)} or more",
            metres(geometry.distance),
        )
        return (paraxial_limit(geometry), far, replica_limit(geometry))

    def response(self, geometry: Geometry, rows: Pairs, columns: Pairs) -> Tensor:
        """Return what source samples send to target samples, without the carrier."""
        return _far_response(geometry, rows, columns, curvature=1.0)

    def kernel(self, geometry: Geometry) -> Separable:
        """Return how light gets from plane to plane."""
        return _far_field(geometry, curvature=1.0, length=geometry.distance)


@METHODS.register("focal-plane")
@dataclass(frozen=True)
class FocalPlane(Method):
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
        """Return what bounds the method in a geometry, as figures."""
        require_forwards(self, geometry)
        return (paraxial_limit(geometry), replica_limit(geometry))

    def arriving_sine(self, geometry: Geometry, axis: int) -> float:
        """Return the sine of the steepest angle of light on the target."""
        # Behind the lens it is the place of a source that tilts its light, not the angle at which it sent it out.
        source, target = (float(grid.coordinates()[axis].abs().max()) for grid in (geometry.source, geometry.target))
        return (source + abs(1 - self.front / geometry.distance) * target) / geometry.distance

    def response(self, geometry: Geometry, rows: Pairs, columns: Pairs) -> Tensor:
        """Return what source samples send to target samples, without the carrier."""
        return _far_response(geometry, rows, columns, curvature=1 - self.front / geometry.distance)

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

    def kernel(self, geometry: Geometry) -> Separable:
        """Return how light gets from plane to plane."""
        curvature = 1 - self.front / geometry.distance
        return _far_field(geometry, curvature=curvature, length=geometry.distance + self.front)


def _far_field(geometry: Geometry, curvature: float, length: float) -> Separable:
    def axis(index: int) -> Matrix:
        source, target = geometry.source, geometry.target
        centred = source.offset[index] == target.offset[index] == 0
        make = partial(_matrix, geometry, index, curvature, length)
        return Matrix(centred, (target.shape[index], source.shape[index]), make)

    return Separable(axis(0), axis(1))


def _matrix(geometry: Geometry, axis: int, curvature: float, length: float) -> Tensor:
    target, source = geometry.target.coordinates()[axis], geometry.source.coordinates()[axis]
    pitch = geometry.source.pitch[axis]
    matrix = formulas.far_field(target, source, pitch, geometry.wavelength, geometry.distance, curvature)
    return matrix if axis else matrix * formulas.carrier(geometry.wavelength, length)


def _far_response(geometry: Geometry, rows: Pairs, columns: Pairs, curvature: float) -> Tensor:
    y, x = (
        formulas.far_field(pairs.target, pairs.source, pitch, geometry.wavelength, geometry.distance, curvature)
        for pairs, pitch in zip((rows, columns), geometry.source.pitch, strict=True)
    )
    return y.diagonal()[:, None] * x.diagonal()


def _beyond_paraxial(squared_slope: Tensor) -> Tensor:
    """How much longer a ray is than the paraxial approximation has it, over the distance it goes along the axis."""
    # sqrt(1 + s) - 1 - s / 2, written so that small slopes cancel nothing.
    return -((squared_slope / (1 + torch.sqrt(1 + squared_slope))) ** 2) / 2
