"""What is between planes, as data: free space with its method, lenses and apertures; no array is made yet."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from itertools import product

from voltphase.core import checks
from voltphase.core.advice import once
from voltphase.core.dtypes import standard_torch
from voltphase.core.errors import ConfigError, GeometryError
from voltphase.core.units import check_gap
from voltphase.optics.backends.base import Engine
from voltphase.optics.elements import Element, ThinLens
from voltphase.optics.grid import Grid
from voltphase.optics.kernels.kernel import Kernel
from voltphase.optics.kernels.map_choice import Way, ways
from voltphase.optics.methods.accuracy.rough_error import error_limit, rough_error
from voltphase.optics.methods.auto import best_method, checked_method, find_method
from voltphase.optics.methods.base import METHODS, Method, aliasing_limit
from voltphase.optics.methods.geometry import Geometry
from voltphase.optics.sampling import enforce
from voltphase.optics.skips import Skip
from voltphase.optics.stack import Stack


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


#: What light meets between two modulated planes: free space alone, or with lenses and apertures between its gaps.
Path = tuple[Gap | Element, ...]


def gaps_between(
    grids: Sequence[Grid],
    distances: Sequence[float],
    *,
    wavelength: float,
    method: str | Method | Sequence[str | Method],
    engine: Engine = "auto",
) -> list[Gap]:
    """Return free space from each plane to the next; gaps that are alike are one.

    It is as :func:`paths_between` with distances alone, but ``method`` is one for all gaps or one for each.
    """
    methods = [method] * len(distances) if isinstance(method, str | Method) else list(method)
    asked = list(zip(grids[:-1], grids[1:], distances, map(checked_method, methods), strict=True))
    with once():
        alike = {
            (source, target, distance, chosen): Gap.between(
                source, target, wavelength=wavelength, distance=distance, method=chosen, engine=engine
            )
            for source, target, distance, chosen in dict.fromkeys(asked)
        }
    gaps = [alike[one] for one in asked]
    for number, gap in enumerate(gaps[:-1], start=2):
        enforce(
            f"the sampling of plane {number} of {len(grids)}",
            [aliasing_limit(gap.method, gap.geometry)],
            "use a finer pitch there, a coarser one on the plane before it, or a longer distance",
        )
    return gaps


def paths_between(
    grids: Sequence[Grid],
    spans: Sequence[float | Sequence[float | Element]],
    *,
    wavelength: float,
    method: str | Method,
    engine: Engine = "auto",
) -> list[Path]:
    """Return what light meets from each plane to the next; paths that are alike are one.

    Args:
        grids: Samples of the planes in the order light meets them; from all but the last, the detector, it goes on.
        spans: Distance from each plane to the next in metres; or distances and elements by turns, such as
            ``(0.1, lens, 0.2)``, where a lens or an aperture stands between the two planes.
        wavelength: Wavelength in metres.
        method: Mathematics of the propagation, see :class:`~voltphase.optics.propagator.Propagator`.
        engine: What applies the kernels, see :class:`~voltphase.optics.propagator.Propagator`.

    Raises:
        ConfigError: if the method or engine is unknown, or the engine cannot apply the method.
        GeometryError: if lengths or grids make no sense for the method, a span does not start and end with a distance
            and have elements between, or an element does not say where it stands.
        SamplingError: if a method is wrong, or a plane before the last too coarse for the light that arrives.

    Warns:
        SamplingWarning: if a method or a plane is borderline.
        UnitWarning: if lengths look to be in different units.
        LensWarning: if a lens was made for another wavelength.
    """
    parts = [tuple(span) if isinstance(span, Sequence) else (span,) for span in spans]
    between = [[_element(part, wavelength) for part in span[1::2]] for span in parts]
    planes = [
        grid for start, elements in zip(grids, between, strict=False) for grid in (start, *(e[1] for e in elements))
    ]
    distances = [distance for span in parts for distance in span[::2]]
    if any(len(span) % 2 == 0 for span in parts):
        raise GeometryError("expected a distance behind the last element between two planes, but got none")
    distances = [checks.number(distance, "a distance in metres", error=GeometryError) for distance in distances]
    methods = [method] * len(distances)
    gaps = iter(gaps_between([*planes, grids[-1]], distances, wavelength=wavelength, method=methods, engine=engine))
    return [(next(gaps), *(step for element, _ in placed for step in (element, next(gaps)))) for placed in between]


def _element(part: object, wavelength: float) -> tuple[Element, Grid]:
    element = checks.instance(part, Element, "a lens or an aperture between two distances", error=GeometryError)
    if element.grid is None:
        raise GeometryError("expected an element that says where it stands: give it its grid, Element(..., grid=grid)")
    if isinstance(element, ThinLens):
        element.warn_of(wavelength)
    return element, element.grid


def distance_of(path: Path) -> float:
    """Return the distance from plane to plane in metres."""
    return sum(step.geometry.distance for step in path if isinstance(step, Gap))


def stack_of(paths: Sequence[Path]) -> Stack:
    """Return the stack of the kernels between modulated planes; paths that are alike share them."""
    return Stack(kernels_of(paths))


def kernels_of(paths: Sequence[Path]) -> tuple[tuple[Kernel, ...], ...]:
    """Return the kernels of each of some paths, as those of a gap of a stack; paths that are alike share them."""
    made: dict[Path, tuple[Kernel, ...]] = {}
    for path in paths:
        if path not in made:
            steps = [(step.kernel(),) if isinstance(step, Element) else step.kernels() for step in path]
            made[path] = tuple(reduce(Kernel.then, kernels) for kernels in product(*steps))
    return tuple(made[path] for path in paths)


def ways_past(
    skips: Sequence[Skip],
    grids: Sequence[Grid],
    paths: Sequence[Path],
    *,
    wavelength: float,
    method: str | Method,
    engine: Engine = "auto",
) -> list[Path]:
    """Return what light meets on each skip, free space, between planes that have these paths between them.

    The arguments are those of :func:`paths_between`; a skip without a distance is as long as the way through.
    """

    def way(skip: Skip) -> Path:
        distance = skip.distance
        if distance is None:
            distance = sum(distance_of(path) for path in paths[skip.start : skip.end])
        return (
            Gap.between(
                grids[skip.start],
                grids[skip.end],
                wavelength=wavelength,
                distance=distance,
                method=checked_method(method),
                engine=engine,
            ),
        )

    return [way(skip) for skip in skips]


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
