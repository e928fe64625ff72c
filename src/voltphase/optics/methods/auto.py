"""Which method is right, when the user leaves it open."""

from __future__ import annotations

import torch

from voltphase.core.errors import GeometryError
from voltphase.core.registry import AUTO
from voltphase.optics.kernels.common_grid import common_grids
from voltphase.optics.methods.accuracy.rough_error import TOLERANCE, WITHIN, rough_error
from voltphase.optics.methods.angular_spectrum import AngularSpectrum
from voltphase.optics.methods.base import METHODS, Method
from voltphase.optics.methods.fresnel import FresnelTransfer
from voltphase.optics.methods.geometry import Geometry
from voltphase.optics.methods.rayleigh_sommerfeld import RayleighSommerfeld
from voltphase.optics.sampling import PARAXIAL_GOOD

# An error that nobody would make a kernel any longer for.
NEGLIGIBLE = TOLERANCE / 10


def find_method(method: str | Method, geometry: Geometry) -> tuple[Method, str]:
    """Return the method of a name, or the best for a geometry if that is ``"auto"``, and why it is that one."""
    method = checked_method(method)
    if isinstance(method, Method):
        return method, "as asked for"
    return best_method(geometry) if method == AUTO else (METHODS[method](), "as asked for")


def checked_method(method: str | Method) -> str | Method:
    """Return a method, or the name of one or ``"auto"``; a ConfigError says if there is none of that name."""
    if isinstance(method, Method):
        return method
    return METHODS.checked(method, AUTO)


def best_method(geometry: Geometry) -> tuple[Method, str]:
    """Return the cheapest of the methods that are right for a geometry, and why it is that.

    Right is one whose limits are all good and whose estimated error of rough light is within the tolerance. If none is,
    the one with the smallest error is taken.
    """
    phase = geometry.paraxial_phase_error()
    fresnel, direct, angular = FresnelTransfer(), RayleighSommerfeld(), AngularSpectrum()
    errors: dict[Method, float] = {fresnel: rough_error(fresnel, geometry)}
    if phase <= PARAXIAL_GOOD and errors[fresnel] <= WITHIN:
        return fresnel, (
            f"the paraxial phase error is at most {phase:.2g} rad, rough light is off by {errors[fresnel]:.1g}, and "
            "the kernel separates into y and x"
        )
    reason = f"the paraxial phase error reaches {phase:.2g} rad"
    if errors[fresnel] > WITHIN:
        reason += f", rough light would be off by {errors[fresnel]:.1g}"
    if geometry.distance and common_grids(geometry.source, geometry.target) is not None:
        errors[direct] = rough_error(direct, geometry)
        # Applied at the cost of the angular spectrum, and made in less time.
        if errors[direct] <= NEGLIGIBLE and _good(direct, geometry):
            return direct, f"{reason}, and the distance is long enough for the samples to resolve the kernel"
    if _good(angular, geometry):
        return angular, f"{reason}, and the sum over plane waves is exact"
    errors[angular] = rough_error(angular, geometry)
    able = [method for method in errors if all(limit.verdict != "wrong" for limit in method.limits(geometry))]
    best = min(able or errors, key=lambda method: errors[method])
    return best, f"{reason}, and it is the most accurate here: rough light is off by {errors[best]:.1g}"


def candidates(geometry: Geometry, dtype: torch.dtype) -> dict[str, float]:
    """Return the estimated error of rough light of every method that can be applied, by name."""
    errors = {}
    for name, kind in list(METHODS.items()):
        with METHODS.trying(name):
            method = kind()
            try:
                method.limits(geometry)
                method.kernel(geometry)
            except GeometryError:
                continue
            errors[name] = rough_error(method, geometry, dtype)
    return errors


def _good(method: Method, geometry: Geometry) -> bool:
    return all(limit.verdict == "good" for limit in method.limits(geometry))
