"""What light meets from plane to plane: free space, and the lenses, apertures and relays that stand in it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import reduce
from itertools import accumulate, pairwise, product
from typing import Any

from torch import Tensor

from voltphase.core import checks
from voltphase.core.advice import advise, once
from voltphase.core.errors import ConfigError, GeometryError
from voltphase.core.units import metres
from voltphase.optics.backends.base import Engine
from voltphase.optics.elements import ELEMENTS, Element, MaskFile, Optic, Relay, ThinLens
from voltphase.optics.gap import Gap
from voltphase.optics.grid import Grid
from voltphase.optics.kernels.kernel import Kernel
from voltphase.optics.masks import Mask
from voltphase.optics.methods.auto import checked_method
from voltphase.optics.methods.base import Method, aliasing_limit
from voltphase.optics.methods.far_field import FocalPlane
from voltphase.optics.methods.fresnel import FresnelTransfer
from voltphase.optics.sampling import SamplingWarning, enforce
from voltphase.optics.skips import Skip
from voltphase.optics.stack import Stack

#: What light meets between two modulated planes, made for a wavelength: gaps, and what multiplies light between them.
Path = tuple[Gap | Element, ...]


@dataclass(frozen=True)
class Placed:
    """An element where it stands.

    Args:
        optic: What it is.
        plane: Plane that it stands on.
    """

    optic: Optic
    plane: Grid

    @property
    def image(self) -> Grid:
        """The plane that light goes on from."""
        return self.optic.image(self.plane)

    @property
    def title(self) -> str:
        """What it is called."""
        if isinstance(self.optic, _Whole):
            return self.optic.element.title
        return ELEMENTS.name_of(type(self.optic)) or type(self.optic).__name__

    def transmission(self, wavelength: float) -> Tensor:
        """Return what it multiplies light of a wavelength in metres by; see :meth:`Optic.transmission`.

        Raises:
            GeometryError: if it does not fit its plane, or lets no light through.
        """
        factor = self.optic.transmission(self.plane, wavelength)
        if not bool(factor.any()):
            raise GeometryError(
                f"expected {self.title} to let some light through, but all of its plane of {_extent(self.plane)} is "
                "dark: check its size and its centre, [y, x] in metres from the axis"
            )
        return factor

    def steps(self, wavelength: float, engine: Engine) -> Path:
        """Return what it is made of in light of a wavelength in metres.

        Raises:
            ConfigError: if the engine cannot apply it.
        """
        optic, factor = self.optic, self.transmission(wavelength)
        if isinstance(optic, _Whole):
            return (optic.element,)
        if not isinstance(optic, Relay):
            return (_titled(Element(factor, grid=self.plane), self.title),)
        if engine not in ("auto", "matrix"):
            raise ConfigError(
                f"expected the engine auto or matrix for a relay, which is computed by matrix products, but got "
                f"{checks.shown(engine)}"
            )
        first, second = optic.focal_lengths
        fourier = optic.fourier_plane(self.plane, wavelength)
        about = {"wavelength": wavelength, "engine": engine, "check": False}  # its planes are chosen to be right
        return (
            Gap.between(self.plane, fourier, distance=first, method=FocalPlane(first), **about),
            *([] if optic.aperture is None else [_titled(Element(factor, grid=fourier), "aperture")]),
            Gap.between(fourier, self.image, distance=second, method=FocalPlane(second), **about),
        )


#: A distance in metres; or what is between two planes in the order light meets it, distances and elements.
Span = float | Sequence[float | Optic | Element | Placed]
#: A span in full: a distance, and behind each element another.
Steps = tuple[float | Placed, ...]


@dataclass(frozen=True, eq=False)
class _Whole(Optic):
    """An element of which nothing but its transmission is known."""

    element: Element

    def plane(self, before: Grid) -> Grid:
        return before if self.element.grid is None else self.element.grid

    def transmission(self, plane: Grid, wavelength: float) -> Tensor:
        return self.element.kernel().factor


def placed(grids: Sequence[Grid], spans: Sequence[Span], wavelength: float | None) -> list[Steps]:
    """Return what is between each plane and the next in full, with each element on its plane.

    Between elements, or an element and a plane, that nothing is said of there is no distance.

    Args:
        grids: Samples of the planes in the order light meets them.
        spans: What is from each plane to the next; any beyond that are other ways from the last but one to the last.
        wavelength: Wavelength of the light in metres, which lenses are warned of that are made for another; None of
            light of several, in which each :class:`ThinLens` is of glass and has its focal length at all of them.

    Raises:
        GeometryError: if a span holds something else, or two distances in a row.

    Warns:
        LensWarning: if a lens was made for another wavelength.
    """
    sides = zip(_sides(grids, spans), spans, strict=False)
    return [_placed(start, span, wavelength) for (start, _), span in sides]


def _sides(grids: Sequence[Grid], spans: Sequence[Any]) -> list[tuple[Grid, Grid]]:
    """Return the planes at both ends of each span."""
    sides = list(pairwise(grids))
    return sides + sides[-1:] * (len(spans) - len(sides))


def _placed(plane: Grid, span: Span, wavelength: float | None) -> Steps:
    steps: list[float | Placed] = []
    for part in span if isinstance(span, Sequence) else (span,):
        if not isinstance(part, Element | Optic | Placed):
            if not checks.is_number(part) or (isinstance(span, Sequence) and part < 0):
                raise GeometryError(
                    "expected distances in metres of at least 0, and lenses or other elements, between two planes, but "
                    f"got {checks.shown(part)}: list them in the order light meets them, an array as Element(array, "
                    "grid=grid)"
                )
            distance = float(part)
            if steps and not isinstance(steps[-1], Placed):
                raise GeometryError(
                    f"expected an element between two distances, but got {steps[-1]:g} and {distance:g}: add them up"
                )
            steps.append(distance)
            continue
        if not steps or isinstance(steps[-1], Placed):
            steps.append(0.0)
        one = part if isinstance(part, Placed) else _on_plane(part, plane, wavelength)
        steps.append(one)
        plane = one.image
    return (*steps, 0.0) if not steps or isinstance(steps[-1], Placed) else tuple(steps)


def _on_plane(part: Element | Optic, before: Grid, wavelength: float | None) -> Placed:
    if isinstance(part, Optic):
        return Placed(part, part.plane(before))
    whole, optic = placed_element(part), part.optic
    if isinstance(part, ThinLens) and wavelength is None:
        optic = replace(part.optic, design_wavelength=None)
    elif isinstance(part, ThinLens) and wavelength is not None:
        part.warn_of(wavelength)
    if optic is None:
        return whole
    return Placed(replace(optic, size=whole.plane.shape, pitch=whole.plane.pitch), whole.plane)


def placed_element(element: Element) -> Placed:
    """Return an element of which nothing but its transmission is known where it stands, which it has to say."""
    if element.grid is None:
        raise GeometryError("expected an element that says where it stands: give it its grid, Element(..., grid=grid)")
    return Placed(_Whole(element), element.grid)


def warn_of_images(grids: Sequence[Grid], spans: Sequence[Steps]) -> None:
    """Warn where a relay makes an image on a plane of another pitch.

    Args:
        grids: Samples of the planes in the order light meets them.
        spans: What is from each plane to the next in full.

    Warns:
        SamplingWarning: if the plane right where an image is has samples farther apart or nearer than the image's.
    """
    for ends, steps in zip(_sides(grids, spans), spans, strict=True):
        elements = [step for step in steps if isinstance(step, Placed)]
        sides = planes_of(ends, (steps,))[1:]
        for one, distance, (image, plane) in zip(elements, steps[2::2], sides, strict=True):
            alike = all(math.isclose(a, b, rel_tol=1e-6) for a, b in zip(image.pitch, plane.pitch, strict=True))
            if isinstance(one.optic, Relay) and distance == 0 and not alike:
                wide = any(one > other for one, other in zip(image.extent, plane.extent, strict=True))
                lost = f", and lost where {_extent(image)} is beside {_extent(plane)}" if wide else ""
                advise(
                    f"A relay images samples onto a pitch of {_pitch(image)}, where a plane has {_pitch(plane)}: light "
                    f"is interpolated{lost}. Give that plane the image's pitch, f2 / f1 times that before the relay, "
                    "unless that is meant.",
                    SamplingWarning,
                )


def _pitch(grid: Grid) -> str:
    return " x ".join(dict.fromkeys(map(metres, grid.pitch)))


def _extent(grid: Grid) -> str:
    return " x ".join(map(metres, grid.extent))


def _titled(element: Element, title: str) -> Element:
    element.title = title
    return element


def length_of(steps: Steps) -> float:
    """Return the distance from plane to plane in metres, elements included."""
    return sum(step.optic.length if isinstance(step, Placed) else step for step in steps)


def masks_in(spans: Sequence[Steps]) -> list[Mask]:
    """Return what is in the files of masks between planes, in the order light meets them."""
    elements = (step.optic for steps in spans for step in steps if isinstance(step, Placed))
    return [optic.mask for optic in elements if isinstance(optic, MaskFile)]


def planes_of(grids: Sequence[Grid], spans: Sequence[Steps]) -> list[tuple[Grid, Grid]]:
    """Return the planes on both sides of each distance of some spans, see :func:`placed`."""
    found: list[tuple[Grid, Grid]] = []
    for (start, end), steps in zip(_sides(grids, spans), spans, strict=True):
        elements = [step for step in steps if isinstance(step, Placed)]
        starts = [start, *(element.image for element in elements)]
        found += zip(starts, [*(element.plane for element in elements), end], strict=True)
    return found


def paths_between(
    grids: Sequence[Grid],
    spans: Sequence[Span],
    *,
    wavelength: float,
    method: str | Method | Sequence[str | Method],
    engine: Engine = "auto",
) -> list[Path]:
    """Return what light meets from each plane to the next; paths and steps that are alike are one.

    Args:
        grids: Samples of the planes in the order light meets them; from all but the last, the detector, it goes on.
        spans: Distance from each plane to the next in metres; or distances and elements in the order light meets them,
            such as ``(0.1, Lens(0.2), 0.2)``; see :func:`placed`. Those beyond are other ways to the detector.
        wavelength: Wavelength in metres.
        method: Mathematics of the propagation, see :class:`~voltphase.optics.propagator.Propagator`; or one for each
            distance of the spans in full.
        engine: What applies the kernels, see :class:`~voltphase.optics.propagator.Propagator`.

    Raises:
        ConfigError: if the method or engine is unknown, or the engine cannot apply the method.
        GeometryError: if lengths or grids make no sense for the method, or a span is none.
        SamplingError: if a method is wrong, or a plane before the last too coarse for the light that arrives or for a
            lens.

    Warns:
        SamplingWarning: if a method or a plane is borderline.
        UnitWarning: if lengths look to be in different units.
        LensWarning: if a lens was made for another wavelength.
    """
    full = placed(grids, spans, wavelength)
    distances = [step for steps in full for step in steps if not isinstance(step, Placed)]
    methods: list[Any] = list(method) if isinstance(method, list | tuple) else [method] * len(distances)
    if len(methods) != len(distances):
        raise ConfigError(f"expected a method, or one for each of {len(distances)} distances, but got {len(methods)}")
    asked = [
        (sides, distance, method_over(one, sides, distance))
        for sides, distance, one in zip(planes_of(grids, full), distances, methods, strict=True)
    ]
    behind = [sum(not isinstance(step, Placed) for step in steps) for steps in full]
    ends = {count - 1 for count in list(accumulate(behind))[len(grids) - 2 :]}
    gaps = iter(_gaps(asked, ends, wavelength, engine))
    made: dict[Placed, Path] = {}
    paths: list[Path] = []
    for steps in full:
        path: list[Gap | Element] = []
        for step in steps:
            if not isinstance(step, Placed):
                path.append(next(gaps))
                continue
            if step not in made:
                made[step] = step.steps(wavelength, engine)
            path += made[step]
        kept = [step for step in path if isinstance(step, Element) or not _same_place(step)]
        paths.append(tuple(kept if any(isinstance(step, Gap) for step in kept) else path))
    return paths


def method_over(method: str | Method, sides: tuple[Grid, Grid], distance: float) -> str | Method:
    """Return the method over a distance between two planes, of the one that is asked for.

    From a plane to itself every method leaves light as it is, also one that has no kernel over no distance: it is
    Fresnel's transfer function, which has one.
    """
    checked = checked_method(method)
    return FresnelTransfer() if distance == 0 and sides[0] == sides[1] else checked


def _same_place(gap: Gap) -> bool:
    return gap.geometry.distance == 0 and gap.geometry.source == gap.geometry.target


def _gaps(
    asked: Sequence[tuple[tuple[Grid, Grid], float, Method | str]], ends: set[int], wavelength: float, engine: Engine
) -> list[Gap]:
    """Return the gap of each distance between two planes; those that are alike are one, and ``ends`` at a detector."""
    with once():
        alike = {
            one: Gap.between(*one[0], wavelength=wavelength, distance=one[1], method=one[2], engine=engine)
            for one in dict.fromkeys(asked)
        }
    gaps = [alike[one] for one in asked]
    for index, gap in enumerate(gaps):
        if index not in ends:
            _require_samples(gap, f"plane {index + 2} of {len(gaps) + 1}", "the plane before it")
    return gaps


def _require_samples(gap: Gap, plane: str, before: str) -> None:
    """Refuse samples too coarse for light that arrives by a gap, of a plane that it goes on from."""
    advice = f"use a finer pitch there, a coarser one on {before}, or a longer distance"
    enforce(f"the sampling of {plane}", [aliasing_limit(gap.method, gap.geometry)], advice)


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
    lengths: Sequence[float],
    *,
    wavelength: float,
    method: str | Method,
    engine: Engine = "auto",
) -> list[Path]:
    """Return what light meets on each skip, free space, between planes that are these lengths apart, in metres.

    The arguments are those of :func:`paths_between`; a skip without a distance is as long as the way through.

    Raises:
        SamplingError: if the plane that a skip ends at, but for the detector, is too coarse for the light on it.
    """

    def way(skip: Skip) -> Path:
        distance = skip.distance
        if distance is None:
            distance = sum(lengths[skip.start : skip.end])
        sides = grids[skip.start], grids[skip.end]
        about = {"wavelength": wavelength, "distance": distance, "engine": engine}
        gap = Gap.between(*sides, method=checked_method(method), **about)
        if skip.end < len(grids) - 1:
            where = f"plane {skip.end + 1} of {len(grids)} for the light of a skip"
            _require_samples(gap, where, f"plane {skip.start + 1}")
        return (gap,)

    return [way(skip) for skip in skips]
