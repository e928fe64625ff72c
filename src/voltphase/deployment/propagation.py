"""Methods of propagation as data: a name and checked parameters. No code is read."""

from __future__ import annotations

import math
from dataclasses import MISSING, asdict, fields
from typing import Any, Final

from voltphase.core.errors import DeploymentError, VoltphaseError
from voltphase.deployment.reading import Reader
from voltphase.optics import AngularSpectrum, Method
from voltphase.optics.common_grid import common_grid
from voltphase.optics.methods.accuracy.exact_light import half_bands
from voltphase.optics.methods.auto import METHODS_BY_NAME
from voltphase.optics.methods.geometry import Geometry

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


def check_sampling(gap: Reader) -> None:
    """Check that a gap has no figures of sampling, which the angular spectrum needed before it was exact.

    Raises:
        DeploymentError: if it has.
    """
    written = gap.child("sampling")
    if written.content:
        raise written.error(
            f"expected no figures, as this version integrates the method exactly, but got {sorted(written.content)}: "
            "verify with the voltphase that wrote the folder, or deploy the run again"
        )


def kernel_bytes(method: Method, geometry: Geometry) -> float:
    """About how much memory it takes to make and keep what applies a method: its kernel and what that is made from."""
    source, target = geometry.source.shape, geometry.target.shape
    matrices = sum(to * at for to, at in zip(target, source, strict=True))
    points = (common_grid(geometry.source, geometry.target, 0), common_grid(geometry.source, geometry.target, 1))
    points = math.prod(
        to + at if points is None else points.displacement_count
        for points, to, at in zip(points, target, source, strict=True)
    )
    if isinstance(method, AngularSpectrum):
        rows, columns = (band.count(method.oversampling or 1.0) for band in half_bands(geometry))
        points += 4 * rows * columns + rows * sum(source) + columns * sum(target)
    # Four complex128 arrays of each: the kernel, what goes into it, and the kernel as it is kept.
    return 64.0 * (matrices + points)
