"""Which method, and which engine, when the user leaves it open."""

from __future__ import annotations

from collections.abc import Sequence

from voltphase import checks
from voltphase.errors import ConfigError
from voltphase.optics.angular import AngularSpectrum
from voltphase.optics.geometry import Geometry
from voltphase.optics.lattice import lattice
from voltphase.optics.methods import (
    FocalPlane,
    Fraunhofer,
    FresnelImpulse,
    FresnelPixels,
    FresnelTransfer,
    Method,
    Plan,
)
from voltphase.optics.rayleigh import RayleighSommerfeld
from voltphase.optics.sampling import PARAXIAL_GOOD
from voltphase.optics.wrapped import WrappedAngularSpectrum, WrappedFresnel

_METHODS: tuple[type[Method], ...] = (
    FresnelTransfer,
    FresnelImpulse,
    FresnelPixels,
    AngularSpectrum,
    RayleighSommerfeld,
    Fraunhofer,
    FocalPlane,
    WrappedFresnel,
    WrappedAngularSpectrum,
)
METHODS_BY_NAME = {method.name: method for method in _METHODS}
METHODS = ("auto", *METHODS_BY_NAME)


def find_method(method: str | Method, geometry: Geometry) -> tuple[Method, str]:
    """The method of a name, or the best for a geometry if the name is ``"auto"``, and why it is that.

    Raises:
        ConfigError: if there is no method of that name.
    """
    if isinstance(method, Method):
        return method, "as asked for"
    if method == "auto":
        return best_method(geometry)
    checks.word(method, "a propagation method", METHODS)
    return METHODS_BY_NAME[method](), "as asked for"


def best_method(geometry: Geometry) -> tuple[Method, str]:
    """The cheapest of the methods that are right for a geometry, and why it is that."""
    error = geometry.paraxial_phase_error()
    if error <= PARAXIAL_GOOD:
        reason = f"the paraxial phase error is at most {error:.2g} rad, and the kernel separates into y and x"
        return FresnelTransfer(), reason
    steep = f"the paraxial phase error reaches {error:.2g} rad"
    angular = AngularSpectrum()
    if not angular.cuts(geometry):
        return angular, f"{steep}, and the frequencies resolve the transfer function"
    direct = RayleighSommerfeld()
    on_lattice = lattice(geometry, 0) is not None and lattice(geometry, 1) is not None
    if on_lattice and all(limit.verdict == "good" for limit in direct.limits(geometry)):
        return direct, f"{steep}, and the distance is long enough for the samples to resolve the kernel"
    return angular, f"{steep}, and no cheaper method is right here"


def best_plan(plans: Sequence[Plan], engine: str, method: Method) -> Plan:
    """The plan for an engine, or the cheapest if that is ``"auto"``.

    Raises:
        ConfigError: if the engine cannot apply the method here.
    """
    if engine == "auto":
        return min(plans, key=lambda plan: plan.cost.nanoseconds)
    for plan in plans:
        if plan.engine == engine:
            return plan
    able = ", ".join(("auto", *(plan.engine for plan in plans)))
    raise ConfigError(f"expected an engine out of {able} for method {method.name!r} here, but got {engine!r}")
