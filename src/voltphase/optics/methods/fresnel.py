"""Fresnel diffraction: by its transfer function, by its impulse response, and of uniform pixels."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from voltphase.core import checks
from voltphase.core.errors import GeometryError
from voltphase.optics.methods import formulas
from voltphase.optics.methods.accuracy.exact_light import pixel_response
from voltphase.optics.methods.base import (
    METHODS,
    WRONG,
    SeparableMethod,
    lit_limits,
    paraxial_limit,
    require_distance,
    step_limit,
)
from voltphase.optics.methods.geometry import Geometry
from voltphase.optics.sampling import Limit


@METHODS.register("fresnel")
@dataclass(frozen=True)
class FresnelTransfer(SeparableMethod):
    """The Fresnel transfer function, integrated exactly over the band of the samples.

    See :func:`voltphase.optics.methods.formulas.fresnel_transfer`. The only approximation is the paraxial one.
    """

    name: ClassVar[str] = "fresnel"
    title: ClassVar[str] = "Fresnel transfer function, exact over the samples' band"

    def limits(self, geometry: Geometry) -> tuple[Limit, ...]:
        return (paraxial_limit(geometry), *lit_limits(geometry))

    def bound(self, geometry: Geometry) -> float:
        return min(WRONG, geometry.paraxial_phase_error())

    def along(self, displacement: Tensor, pitch: float, geometry: Geometry) -> Tensor:
        return formulas.fresnel_transfer(displacement, pitch, geometry.wavelength, geometry.distance)


@METHODS.register("fresnel-impulse")
@dataclass(frozen=True)
class FresnelImpulse(SeparableMethod):
    """The Fresnel impulse response, sampled. Right at long distances only, where its samples resolve it."""

    name: ClassVar[str] = "fresnel-impulse"
    title: ClassVar[str] = "Fresnel impulse response, sampled"

    def limits(self, geometry: Geometry) -> tuple[Limit, ...]:
        require_distance(self, geometry)
        shortest = max(2 * geometry.reach(axis) * geometry.source.pitch[axis] / geometry.wavelength for axis in (0, 1))
        return (paraxial_limit(geometry), step_limit(shortest, abs(geometry.distance)))

    def along(self, displacement: Tensor, pitch: float, geometry: Geometry) -> Tensor:
        return formulas.fresnel_impulse(displacement, pitch, geometry.wavelength, geometry.distance)


@METHODS.register("fresnel-pixels")
@dataclass(frozen=True)
class FresnelPixels(SeparableMethod):
    """Fresnel diffraction of uniform square pixels, integrated exactly, dark between them.

    Orders of the pixel raster are in it, and right. The field is given at the target's points, not averaged.

    Args:
        fill_factor: The part of a pixel's area that shines, above 0, up to 1.
    """

    fill_factor: float = 1.0
    name: ClassVar[str] = "fresnel-pixels"
    title: ClassVar[str] = "Fresnel diffraction of square pixels, exact"

    def __post_init__(self) -> None:
        if not (checks.is_number(self.fill_factor) and 0 < self.fill_factor <= 1):
            raise GeometryError(f"expected a fill factor above 0, up to 1, but got {checks.shown(self.fill_factor)}")
        object.__setattr__(self, "fill_factor", float(self.fill_factor))

    def limits(self, geometry: Geometry) -> tuple[Limit, ...]:
        return (paraxial_limit(geometry, band_limited=False),)

    def exact(self, geometry: Geometry) -> Tensor | None:
        """Return what uniform pixels send, without the paraxial approximation."""
        widths = [pitch * math.sqrt(self.fill_factor) for pitch in geometry.source.pitch]
        return pixel_response(geometry, (widths[0], widths[1]))

    def bound(self, geometry: Geometry) -> float:
        return min(WRONG, geometry.paraxial_phase_error(band_limited=False))

    def along(self, displacement: Tensor, pitch: float, geometry: Geometry) -> Tensor:
        width = pitch * math.sqrt(self.fill_factor)
        return formulas.fresnel_pixels(displacement, width, geometry.wavelength, geometry.distance)
