"""Methods of propagation as data: a name, checked parameters, and the figures of their sampling. No code is read."""

from __future__ import annotations

import math
from dataclasses import MISSING, asdict, fields
from typing import Any, Final

from voltphase.deployment.reading import Reader
from voltphase.errors import DeploymentError, VoltphaseError
from voltphase.optics import AngularSpectrum, Method
from voltphase.optics.angular import LARGEST_OVERSAMPLING, Frequencies
from voltphase.optics.choice import METHODS_BY_NAME
from voltphase.optics.geometry import Geometry
from voltphase.optics.lattice import lattice

# Of a method's parameters, whatever they are: lengths in metres and factors; an oversampling of more than a few costs
# memory as its square.
_LARGEST: Final = {"oversampling": 16.0}
_LARGEST_OTHER: Final = 1e4


def method_json(method: Method) -> dict[str, Any]:
    """The name and the parameters of a method.

    Raises:
        DeploymentError: if it is none of voltphase's own, which alone can be rebuilt from a file.
    """
    if METHODS_BY_NAME.get(method.name) is not type(method):
        raise DeploymentError(
            f"expected a propagation method out of {', '.join(METHODS_BY_NAME)}, but got {method!r:.80}: a method of "
            "your own cannot be rebuilt from a file"
        )
    return {"name": method.name, "parameters": asdict(method)}  # pyright: ignore[reportArgumentType]


def parse_method(entry: Reader) -> Method:
    """What :func:`method_json` wrote.

    Raises:
        DeploymentError: if there is no method of that name, or a parameter is missing, unknown or out of bounds.
    """
    kind = METHODS_BY_NAME[entry.one_of("name", METHODS_BY_NAME)]
    given = entry.child("parameters")
    known = {field.name: field for field in fields(kind)}
    if unknown := sorted(given.content.keys() - known.keys()):
        raise given.error(f"expected the parameters {', '.join(known) or 'of a method without any'}, but got {unknown}")
    values: dict[str, float | None] = {}
    for name, field in known.items():
        if given.value(name) is None and field.default is None and field.default is not MISSING:
            values[name] = None
        else:
            largest = _LARGEST.get(name, _LARGEST_OTHER)
            values[name] = given.within(name, -largest, largest)
    try:
        return kind(**values)  # pyright: ignore[reportArgumentType]
    except VoltphaseError as error:
        raise given.error(str(error)) from error


def sampling_json(method: Method, geometry: Geometry) -> dict[str, Any]:
    """The figures that a formula needs beside the geometry: the frequencies of an angular spectrum, [y, x]; or none."""
    if not isinstance(method, AngularSpectrum):
        return {}
    axes = [Frequencies(geometry, axis, method.oversampling) for axis in (0, 1)]
    return {
        "period_m": [axis.period for axis in axes],
        "flat": [axis.displacement_count / axis.size for axis in axes],
    }


def check_sampling(gap: Reader, computed: dict[str, Any]) -> None:
    """Check that the figures of a gap's sampling are those that this version computes.

    Raises:
        DeploymentError: if they are not.
    """
    written = gap.child("sampling")
    for name, values in computed.items():
        pairs = zip(written.numbers(name, len(values)), values, strict=True)
        if not all(math.isclose(a, b, rel_tol=1e-12) for a, b in pairs):
            raise written.error(
                f"expected {name} of {values}, as this version samples the method here, but got "
                f"{written.entries(name)}: verify with the voltphase that wrote the folder"
            )


def kernel_bytes(method: Method, geometry: Geometry) -> float:
    """About how much memory it takes to make and keep what applies a method: its kernel and what that is made from."""
    source, target = geometry.source.shape, geometry.target.shape
    matrices = sum(to * at for to, at in zip(target, source, strict=True))
    lattices = (lattice(geometry, 0), lattice(geometry, 1))
    points = math.prod(
        to + at if points is None else points.displacement_count
        for points, to, at in zip(lattices, target, source, strict=True)
    )
    if isinstance(method, AngularSpectrum):
        points *= method.oversampling or LARGEST_OVERSAMPLING
    # Four complex128 arrays of each: the kernel, what goes into it, and the kernel as it is kept.
    return 64.0 * (matrices + points)
