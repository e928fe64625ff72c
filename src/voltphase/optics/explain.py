"""What a propagator does, what a network runs on, and why, in figures."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch

from voltphase.core.units import metres
from voltphase.core.words import counted
from voltphase.optics.backends.base import Executor
from voltphase.optics.elements import Element
from voltphase.optics.gap import Gap
from voltphase.optics.kernels.map_choice import Way
from voltphase.optics.methods.geometry import Geometry
from voltphase.optics.paths import Path
from voltphase.optics.sampling import Limit


@dataclass(frozen=True)
class Explanation:
    """What a propagator does and why.

    Args:
        geometry: Planes, wavelength and distance.
        method: Name of the method.
        title: What the method is, in a few words.
        reason: Why it is that method.
        engine: What applies the kernel, with its cost.
        others: What else could apply it.
        fresnel_number: Fresnel numbers (y, x), a^2 / (wavelength z) with a half the source's width.
        paraxial_phase_error: Largest phase error in radians, over all waves between the planes that samples can carry.
        nyquist_angle: Steepest angles (y, x) that the samples can carry, in radians.
        limits: Figures that bound the method, with verdicts.
        error: Estimated relative error (L2) of rough light, such as from random phases; smooth light is off by less.
        errors: Estimated error of rough light by every method that can be applied here, by name.
    """

    geometry: Geometry
    method: str
    title: str
    reason: str
    engine: Way
    others: tuple[Way, ...]
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
            f"  from            {geometry.source}",
            f"  to              {geometry.target}",
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


@dataclass(frozen=True)
class RunExplanation:
    """What a network really runs on, and why."""

    backend: str  # its name
    reason: str  # why it is that one, with the costs that were compared
    precision: str  # of fields and of matrix products
    engines: tuple[str, ...]  # what applies the kernel of each gap: "matrix", "fft", or both
    gaps: tuple[str, ...]  # what each gap is: method and distance
    beams: int = 1  # how many there are, whose intensities add
    kernels: int = 1  # how many different sets of kernels they run through

    @classmethod
    def of(
        cls,
        backend: str,
        reason: str,
        executors: Sequence[Executor],
        paths: Sequence[Path],
        beams: int = 1,
    ) -> RunExplanation:
        """Return the explanation of a network.

        Args:
            backend: Name of the back end.
            reason: Why it is that one.
            executors: What runs the beams, that of the first beam first.
            paths: Paths of the first beam, then those past its planes, and then those to further detectors.
            beams: Number of beams.
        """
        executor = executors[0]
        precision = "double precision" if executor.dtype == torch.complex128 else "single precision"
        if executor.tf32 and any("matrix" in engine for engine in executor.engines):
            precision += ", TF32 in the matrix products of training on a CUDA GPU"
        elif executor.tf32:
            precision += ", no TF32 as there are no matrix products"
        gaps = tuple(" + ".join(_step(step) for step in path) for path in paths)
        return cls(backend, reason, precision, executor.engines, gaps, beams, len(executors))

    @property
    def summary(self) -> str:
        """The back end, the engines and the precision in one line, as training logs and records it."""
        return f"{self.backend} back end; {_by_gap(self.engines)}; {self.precision}{self._several}"

    @property
    def _several(self) -> str:
        if self.beams == 1:
            return ""
        return f"; {self.beams} beams through {counted(self.kernels, 'set')} of kernels"

    def __str__(self) -> str:
        lines = [f"back end   {self.backend}: {self.reason}", f"precision  {self.precision}{self._several}"]
        gaps = zip(self.gaps, self.engines, strict=True)
        return "\n".join(lines + [f"gap {n}      {gap}: {engine}" for n, (gap, engine) in enumerate(gaps, start=1)])


def _step(step: Gap | Element) -> str:
    if isinstance(step, Element):
        return step.title
    return f"{step.method.name} over {metres(step.geometry.distance, 6)}"


def _by_gap(engines: Sequence[str]) -> str:
    if len(set(engines)) == 1:
        return f"{engines[0]} in all gaps"
    numbers = {engine: [str(n) for n, other in enumerate(engines, start=1) if other == engine] for engine in engines}
    return ", ".join(
        f"{engine} in gap{'s' if len(which) > 1 else ''} {', '.join(which)}" for engine, which in numbers.items()
    )


def _error(error: float) -> str:
    return "unknown" if math.isnan(error) else f"{error:.1e}"
