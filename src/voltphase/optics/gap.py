"""Free space between two planes, as data: its method and why; no array is made yet."""

from __future__ import annotations

import math
from dataclasses import dataclass

from voltphase.core import checks
from voltphase.core.dtypes import standard_torch
from voltphase.core.errors import ConfigError, GeometryError
from voltphase.core.units import check_gap
from voltphase.optics.backends.base import Engine
from voltphase.optics.grid import Grid
from voltphase.optics.kernels.kernel import Kernel
from voltphase.optics.kernels.map_choice import Way, ways
from voltphase.optics.methods.accuracy.rough_error import error_limit, rough_error
from voltphase.optics.methods.auto import best_method, find_method
from voltphase.optics.methods.base import METHODS, Method
from voltphase.optics.methods.geometry import Geometry
from voltphase.optics.sampling import enforce


@dataclass(frozen=True)
class Gap:
    """Free space between two planes, with the method that is right for it, before any array is made."""

    geometry: Geometry
    method: Method
    reason: str  # why it is that method
    engine: Engine  # what is to apply the kernel, "auto" for the cheapest

    @classmethod
    def between(
        cls,
        source: Grid,
        target: Grid,
        *,
        wavelength: float,
        distance: float,
        method: str | Method = "auto",
        engine: Engine = "auto",
        check: bool = True,
    ) -> Gap:
        """Return the gap between two planes; see :class:`Propagator` for the arguments and what is checked."""
        checks.flag(check, "check")
        geometry = Geometry(source, target, wavelength, distance)
        # As a block, not around the method: a warning is the caller's, by as many frames as it always was.
        with standard_torch(), METHODS.trying(method, asked=True, advice="use 'auto' or another method"):
            if check:
                check_gap(wavelength, distance, source.pitch, source.extent, target.extent)
            try:
                gap = cls(geometry, *find_method(method, geometry), engine)
                limits = gap.method.limits(geometry)
                if check:
                    error = rough_error(gap.method, geometry) if gap.method.free_space else math.nan
                    checked = limits if math.isnan(error) else (*limits, error_limit(error))
                    enforce(f"method {gap.method.name!r}", checked, _advice(geometry, gap.method))
                gap.way()
            except ArithmeticError as error:
                raise beyond_numbers(geometry) from error
        return gap

    def kernels(self) -> tuple[Kernel, ...]:
        """Return the kernels that the engine can apply, equivalent to each other."""
        kernels = self.method.kernels(self.geometry)
        return tuple(kernel for kernel in kernels if any(self._fits(way) for way in ways(kernel)))

    def ways(self) -> list[Way]:
        """Return all ways to apply the method here, whatever the engine."""
        return [way for kernel in self.method.kernels(self.geometry) for way in ways(kernel)]

    def way(self) -> Way:
        """Return how the kernel is applied by itself; a ConfigError says if the engine cannot do it."""
        found = self.ways()
        able = [way for way in found if self._fits(way)]
        if able:
            return min(able, key=lambda way: way.cost.nanoseconds)
        names = ", ".join(dict.fromkeys(("auto", *(way.name for way in found))))
        raise ConfigError(
            f"expected an engine out of {names} for method {self.method.name!r} here, but got "
            f"{checks.shown(self.engine)}"
        )

    def _fits(self, way: Way) -> bool:
        return isinstance(self.engine, str) and self.engine in ("auto", way.name)


def beyond_numbers(geometry: Geometry) -> GeometryError:
    """Return the error for lengths of which something is beyond the range of numbers."""
    return GeometryError(
        "expected lengths in metres that light can be computed with, but got a wavelength of "
        f"{geometry.wavelength:g}, a distance of {geometry.distance:g} and pitches of {geometry.source.pitch} and "
        f"{geometry.target.pitch}"
    )


def _advice(geometry: Geometry, method: Method) -> str:
    best, reason = best_method(geometry)
    if best.name == method.name:
        return "no method is right in this geometry; change the distance or the grids"
    return f"use method {best.name!r} ({reason})"
