"""Two planes and the light between them, and the figures that say what the light does there."""

from __future__ import annotations

import cmath
import math
from dataclasses import dataclass

from torch import Tensor

from voltphase.core import checks
from voltphase.core.errors import GeometryError
from voltphase.core.units import require_finite, require_wavelength
from voltphase.optics.grid import Grid

# In metres, checked or not: squares of it in picometres still have all their digits.
FARTHEST = 1e9


@dataclass(frozen=True)
class Geometry:
    """A source plane, a target plane, and what is between them.

    Args:
        source: Plane where the field is given.
        target: Plane where the field is wanted.
        wavelength: Wavelength in metres.
        distance: From source to target in metres; negative propagates backwards.

    Raises:
        GeometryError: if the wavelength is none that light has, the distance not finite or beyond 1e9 m.
    """

    source: Grid
    target: Grid
    wavelength: float
    distance: float

    def __post_init__(self) -> None:
        for grid in (self.source, self.target):
            checks.instance(grid, Grid, "a plane as a voltphase.Grid", error=GeometryError)
        require_wavelength(self.wavelength)
        require_finite("distance in metres", self.distance)
        if abs(self.distance) > FARTHEST:
            raise GeometryError(f"expected a distance in metres of at most {FARTHEST:g}, but got {self.distance:g}")
        object.__setattr__(self, "wavelength", float(self.wavelength))
        object.__setattr__(self, "distance", float(self.distance))

    def displacement(self, axis: int) -> Tensor:
        """Return target minus source coordinates along an axis in metres, ``target x source``, float64."""
        target, source = self.target.coordinates()[axis], self.source.coordinates()[axis]
        return target[:, None] - source[None, :]

    def shift(self, axis: int) -> float:
        """Return the centre of the target minus the centre of the source, in metres."""
        return self.target.offset[axis] - self.source.offset[axis]

    def reach(self, axis: int) -> float:
        """Return the largest distance along an axis between a sample of the source and one of the target, in metres."""
        return abs(self.shift(axis)) + self._half_span(self.source, axis) + self._half_span(self.target, axis)

    def clearance(self, axis: int) -> float:
        """Return the smallest distance in metres along an axis between samples of the planes; 0 if they overlap."""
        spans = self._half_span(self.source, axis) + self._half_span(self.target, axis)
        return max(0.0, abs(self.shift(axis)) - spans)

    def nyquist_sine(self, axis: int) -> float:
        """Return the sine of the steepest angle that the source's samples can carry, at most 1."""
        return min(1.0, self.wavelength / (2 * self.source.pitch[axis]))

    def ray_sine(self, axis: int) -> float:
        """Return the sine of the steepest straight line between the two planes."""
        across = self.reach(axis)
        return across / math.hypot(across, self.distance) if across else 0.0

    def arriving_sine(self, axis: int) -> float:
        """Return the sine of the steepest angle of the source's light on the target, above 1 if it is evanescent.

        No steeper than the samples can carry, nor than a line from corner to corner.
        """
        carried = self.wavelength / (2 * self.source.pitch[axis])
        # Within a wavelength light does not go in rays, and what decays is not gone.
        return carried if abs(self.distance) < self.wavelength else min(carried, self.ray_sine(axis))

    def fresnel_number(self, axis: int) -> float:
        """a^2 / (wavelength z) with a half the width of the source; infinite at distance zero."""
        spread = self.wavelength * abs(self.distance)
        return (self.source.extent[axis] / 2) ** 2 / spread if spread else math.inf

    def paraxial_phase_error(self, *, band_limited: bool = True) -> float:
        """Return the largest error in radians that the Fresnel approximation makes in the phase of a wave.

        Over all plane waves that can go from the source to the target: no steeper than a line from corner to corner,
        nor (``band_limited``) than what the samples can carry. The decay of evanescent waves, which it leaves out,
        counts as an imaginary phase.
        """
        squared = 0.0
        for axis in (0, 1):
            sine = self.arriving_sine(axis) if band_limited else self.ray_sine(axis)
            squared += sine * sine
        # abs(sqrt(1 - s) - 1 + s / 2) = abs(s / (1 + sqrt(1 - s)))^2 / 2, which does not cancel for small s.
        turns = abs(self.distance) / self.wavelength * abs(squared / (1 + cmath.sqrt(1 - squared))) ** 2 / 2
        return 2 * math.pi * turns

    @staticmethod
    def _half_span(grid: Grid, axis: int) -> float:
        return (grid.shape[axis] - 1) / 2 * grid.pitch[axis]
