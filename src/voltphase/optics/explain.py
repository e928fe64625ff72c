"""What a propagator does and why, in figures."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from voltphase.core.units import metres
from voltphase.optics.grid import Grid
from voltphase.optics.methods.base import Method, Plan
from voltphase.optics.methods.geometry import Geometry
from voltphase.optics.sampling import Limit


@dataclass(frozen=True)
class EngineFigures:
    """What one engine would cost for one field: ``milliseconds`` on the reference machine, and ``megaflops``."""

    name: str
    note: str
    milliseconds: float
    megaflops: float

    def __str__(self) -> str:
        return f"{self.name} ({self.note}): {self.milliseconds:.3g} ms, {self.megaflops:.3g} Mflop a field"


@dataclass(frozen=True)
class Explanation:
    """What a propagator does and why.

    Args:
        geometry: The planes and what is between them.
        method, title: Name of the method, and what it is.
        reason: Why it is that.
        engine: What applies it.
        others: What else could.
        fresnel_number: (y, x), a^2 / (wavelength z) with a half the source's width.
        paraxial_phase_error: Radians, over all waves between the planes that the samples can carry.
        nyquist_angle: (y, x), the steepest angle they can, in radians.
        limits: What bounds the method, with verdicts.
        error: Estimated relative error (L2) of rough light, such as from random phases; smooth light is off by less.
        errors: The same of every method that can be applied here, by name.
    """

    geometry: Geometry
    method: str
    title: str
    reason: str
    engine: EngineFigures
    others: tuple[EngineFigures, ...]
    fresnel_number: tuple[float, float]
    paraxial_phase_error: float
    nyquist_angle: tuple[float, float]
    limits: tuple[Limit, ...]
    error: float
    errors: Mapping[str, float]

    def __str__(self) -> str:
        geometry, numbers, angles = self.geometry, self.fresnel_number, self.nyquist_angle
        lines = [
            f"light of {metres(geometry.wavelength, 6)} over {metres(geometry.distance, 6)}",
            f"  from            {_grid(geometry.source)}",
            f"  to              {_grid(geometry.target)}",
            f"  method          {self.method}: {self.title}; {self.reason}",
            f"  engine          {self.engine}",
            *(f"                  not {other}" for other in self.others),
            f"  Fresnel number  {numbers[0]:.3g} (y), {numbers[1]:.3g} (x)",
            f"  steepest angle  {math.degrees(angles[0]):.3g} (y), {math.degrees(angles[1]):.3g} (x) degrees",
            f"  paraxial error  {self.paraxial_phase_error:.2g} rad",
            f"  error           {_error(self.error)}, of rough light",
            *(
                f"                  {_error(error)} by {name}"
                for name, error in sorted(self.errors.items(), key=lambda item: item[1])
                if name != self.method
            ),
            *(f"  limit           {limit}" for limit in self.limits),
        ]
        return "\n".join(lines)


def explain(
    geometry: Geometry,
    method: Method,
    reason: str,
    limits: tuple[Limit, ...],
    plan: Plan,
    plans: Sequence[Plan],
    error: float,
    errors: Mapping[str, float],
) -> Explanation:
    """Gather the figures of a propagator."""
    return Explanation(
        geometry=geometry,
        method=method.name,
        title=method.title,
        reason=reason,
        engine=_figures(plan),
        others=tuple(_figures(other) for other in plans if other is not plan),
        fresnel_number=(geometry.fresnel_number(0), geometry.fresnel_number(1)),
        paraxial_phase_error=geometry.paraxial_phase_error(),
        nyquist_angle=(math.asin(geometry.nyquist_sine(0)), math.asin(geometry.nyquist_sine(1))),
        limits=limits,
        error=error,
        errors=errors,
    )


def _figures(plan: Plan) -> EngineFigures:
    return EngineFigures(plan.engine, plan.note, plan.cost.nanoseconds / 1e6, plan.cost.megaflops)


def _error(error: float) -> str:
    return "unknown" if math.isnan(error) else f"{error:.1e}"


def _grid(grid: Grid) -> str:
    rows, columns = grid.shape
    y, x = (metres(pitch, 6) for pitch in grid.pitch)
    pitch = y if y == x else f"{y} (y), {x} (x)"
    centre = f", centre at {metres(grid.offset[0], 6)} (y), {metres(grid.offset[1], 6)} (x)"
    offset = centre if any(grid.offset) else ""
    return f"{rows} x {columns} samples, pitch {pitch}{offset}"
