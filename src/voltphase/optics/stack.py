"""Free space in all gaps of a system, from plane to plane."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from voltphase.core.advice import once
from voltphase.optics.backends.cpu.planner import Engine
from voltphase.optics.grid import Grid
from voltphase.optics.methods.base import Method, aliasing_limit
from voltphase.optics.propagator import Propagator
from voltphase.optics.sampling import enforce


def gap_propagators(
    grids: Sequence[Grid],
    distances: Sequence[float],
    *,
    wavelength: float,
    method: str | Method | Sequence[str | Method],
    engine: Engine = "auto",
    dtype: torch.dtype = torch.complex64,
) -> list[Propagator]:
    """What takes light from each plane to the next; gaps that are alike share it.

    Args:
        grids: Samples of the planes in the order light meets them; from all but the last, the detector, it goes on.
        distances: From each plane to the next, in metres.
        wavelength, engine, dtype: As for :class:`Propagator`.
        method: As for :class:`Propagator`, one for all gaps or one for each.

    Raises: as :class:`Propagator`, and
        SamplingError: if a plane before the last is too coarse for the light that arrives.

    Warns:
        SamplingWarning: if a method or a plane is borderline.
        UnitWarning: if lengths look to be in different units.
    """
    methods = [method] * len(distances) if isinstance(method, str | Method) else method
    gaps = list(zip(grids[:-1], grids[1:], distances, methods, strict=True))
    with once():
        alike = {
            (source, target, distance, chosen): Propagator(
                source, target, wavelength=wavelength, distance=distance, method=chosen, engine=engine, dtype=dtype
            )
            for source, target, distance, chosen in dict.fromkeys(gaps)
        }
    propagators = [alike[gap] for gap in gaps]
    for number, propagator in enumerate(propagators[:-1], start=2):
        enforce(
            f"the sampling of plane {number} of {len(grids)}",
            [aliasing_limit(propagator.method, propagator.geometry)],
            "use a finer pitch there, a coarser one on the plane before it, or a longer distance",
        )
    return propagators
