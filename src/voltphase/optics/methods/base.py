"""The mathematics of propagation as objects: what each needs, where it is right, and what can apply it."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from voltphase.core import checks
from voltphase.core.errors import GeometryError
from voltphase.core.units import metres
from voltphase.optics.common_grid import CommonGrid, common_grid
from voltphase.optics.cost import Cost, convolution_cost, mirrored_cost, product_cost
from voltphase.optics.maps import ConvolutionEngine, Engine, MatrixEngine, MirroredEngine
from voltphase.optics.methods import formulas as kernels
from voltphase.optics.methods.accuracy.exact_light import exact_response, pixel_response
from voltphase.optics.methods.accuracy.sample_pairs import Pairs, some_pairs
from voltphase.optics.methods.geometry import Geometry
from voltphase.optics.sampling import PARAXIAL_GOOD, PARAXIAL_WRONG, Limit

# An error relative to the light itself: what is unlike it.
WRONG = math.sqrt(2)
# Kernels turning up to a quarter too fast are aliased for one pair of samples in 25 along an axis, the farthest apart.
ALIASED_WRONG = 1.25


@dataclass(frozen=True)
class Plan:
    """One way to apply a method: which engine, at what cost, and how to make it."""

    engine: str
    cost: Cost
    note: str
    build: Callable[[torch.dtype], Engine]


class Method(ABC):
    """How light gets from one plane to another."""

    name: ClassVar[str]
    title: ClassVar[str]

    @abstractmethod
    def limits(self, geometry: Geometry) -> tuple[Limit, ...]:
        """What bounds the method here, as figures."""

    def arriving_sine(self, geometry: Geometry, axis: int) -> float:
        """The sine of the steepest angle of light on the target."""
        return geometry.arriving_sine(axis)

    def response(self, geometry: Geometry, rows: Pairs, columns: Pairs) -> Tensor | None:
        """What source samples send to target samples, without the carrier, by the method's own kernel.

        Args:
            geometry: The planes.
            rows: Pairs of rows.
            columns: Pairs of columns.

        Returns:
            A complex128 ``row pairs x column pairs`` tensor, or None if the method does not say: then nobody knows how
            far it is off.
        """
        return None

    def exact(self, geometry: Geometry) -> Tensor | None:
        """What :meth:`response` is of ``accuracy.sample_pairs.some_pairs`` without the method's approximations.

        Light of the samples' band-limited interpolation, unless a method has other light; None if it would take long.
        """
        return exact_response(geometry)

    def bound(self, geometry: Geometry) -> float:
        """The largest relative error of rough light, as far as is known without :meth:`response` and :meth:`exact`."""
        return math.nan if type(self).response is Method.response else WRONG

    @abstractmethod
    def plans(self, geometry: Geometry) -> list[Plan]:
        """The engines that can apply it.

        Raises:
            GeometryError: if none can, or the geometry makes no sense for the method.
        """

    def matrices(self, geometry: Geometry) -> tuple[Tensor, Tensor] | None:
        """The matrix of each axis in complex128, carrier included in the rows', or None if not separable."""
        return None


class SeparableMethod(Method):
    """A kernel that is a product of one of y and one of x, and depends on displacements only."""

    @abstractmethod
    def kernel(self, displacement: Tensor, pitch: float, geometry: Geometry) -> Tensor:
        """One axis of the kernel, complex128, of the shape of ``displacement`` (metres)."""

    def response(self, geometry: Geometry, rows: Pairs, columns: Pairs) -> Tensor:
        y, x = (
            self.kernel(pairs.displacement, pitch, geometry)
            for pairs, pitch in zip((rows, columns), geometry.source.pitch, strict=True)
        )
        return y[:, None] * x

    def matrices(self, geometry: Geometry) -> tuple[Tensor, Tensor]:
        rows, columns = (self._matrix(geometry, axis) for axis in (0, 1))
        return rows * kernels.carrier(geometry.wavelength, geometry.distance), columns

    def plans(self, geometry: Geometry) -> list[Plan]:
        plans = [matrix_plan(self, geometry)]
        points = (common_grid(geometry.source, geometry.target, 0), common_grid(geometry.source, geometry.target, 1))
        if points[0] is not None and points[1] is not None:
            both = (points[0], points[1])
            size = (both[0].size, both[1].size)

            def build(dtype: torch.dtype) -> Engine:
                return ConvolutionEngine(self._transfer(geometry, both), both, dtype)

            plans.append(Plan("fft", convolution_cost(size), f"padded to {size[0]} x {size[1]}", build))
        return plans

    def _matrix(self, geometry: Geometry, axis: int) -> Tensor:
        pitch, points = geometry.source.pitch[axis], common_grid(geometry.source, geometry.target, axis)
        if points is None:
            return self.kernel(geometry.displacement(axis), pitch, geometry)
        return self.kernel(points.displacements(), pitch, geometry)[points.indices()]

    def _transfer(self, geometry: Geometry, points: tuple[CommonGrid, CommonGrid]) -> Tensor:
        rows, columns = (
            torch.fft.fft(points.to_dft_order(self.kernel(points.displacements(), pitch, geometry), 0))
            for points, pitch in zip(points, geometry.source.pitch, strict=True)
        )
        return kernels.carrier(geometry.wavelength, geometry.distance) * rows[:, None] * columns


@dataclass(frozen=True)
class FresnelTransfer(SeparableMethod):
    """The Fresnel transfer function, integrated exactly over the band of the samples.

    See :func:`voltphase.optics.methods.formulas.fresnel_transfer`. The only approximation is the paraxial one.
    """

    name: ClassVar[str] = "fresnel"
    title: ClassVar[str] = "Fresnel transfer function, exact over the samples' band"

    def limits(self, geometry: Geometry) -> tuple[Limit, ...]:
        return (paraxial_limit(geometry), *lit_limits(geometry))

    def bound(self, geometry: Geometry) -> float:
        return min(WRONG, geometry.paraxial_phase_error())

    def kernel(self, displacement: Tensor, pitch: float, geometry: Geometry) -> Tensor:
        return kernels.fresnel_transfer(displacement, pitch, geometry.wavelength, geometry.distance)


@dataclass(frozen=True)
class FresnelImpulse(SeparableMethod):
    """The Fresnel impulse response, sampled. Right at long distances only, where its samples resolve it."""

    name: ClassVar[str] = "fresnel-impulse"
    title: ClassVar[str] = "Fresnel impulse response, sampled"

    def limits(self, geometry: Geometry) -> tuple[Limit, ...]:
        require_distance(self, geometry)
        shortest = max(2 * geometry.reach(axis) * geometry.source.pitch[axis] / geometry.wavelength for axis in (0, 1))
        return (paraxial_limit(geometry), step_limit(shortest, abs(geometry.distance)))

    def kernel(self, displacement: Tensor, pitch: float, geometry: Geometry) -> Tensor:
        return kernels.fresnel_impulse(displacement, pitch, geometry.wavelength, geometry.distance)


@dataclass(frozen=True)
class FresnelPixels(SeparableMethod):
    """Fresnel diffraction of uniform square pixels, integrated exactly, dark between them.

    Orders of the pixel raster are in it, and right. The field is given at the target's points, not averaged.

    Args:
        fill_factor: The part of a pixel's area that shines, above 0, up to 1.
    """

    fill_factor: float = 1.0
    name: ClassVar[str] = "fresnel-pixels"
    title: ClassVar[str] = "Fresnel diffraction of square pixels, exact"

    def __post_init__(self) -> None:
        if not (checks.is_number(self.fill_factor) and 0 < self.fill_factor <= 1):
            raise GeometryError(f"expected a fill factor above 0, up to 1, but got {checks.shown(self.fill_factor)}")
        object.__setattr__(self, "fill_factor", float(self.fill_factor))

    def limits(self, geometry: Geometry) -> tuple[Limit, ...]:
        return (paraxial_limit(geometry, band_limited=False),)

    def exact(self, geometry: Geometry) -> Tensor | None:
        widths = [pitch * math.sqrt(self.fill_factor) for pitch in geometry.source.pitch]
        return pixel_response(geometry, (widths[0], widths[1]))

    def bound(self, geometry: Geometry) -> float:
        return min(WRONG, geometry.paraxial_phase_error(band_limited=False))

    def kernel(self, displacement: Tensor, pitch: float, geometry: Geometry) -> Tensor:
        width = pitch * math.sqrt(self.fill_factor)
        return kernels.fresnel_pixels(displacement, width, geometry.wavelength, geometry.distance)


@dataclass(frozen=True)
class Fraunhofer(Method):
    """The far field: a Fourier transform, with the curved phase it has on a plane."""

    name: ClassVar[str] = "fraunhofer"
    title: ClassVar[str] = "Fraunhofer diffraction"

    def limits(self, geometry: Geometry) -> tuple[Limit, ...]:
        require_forwards(self, geometry)
        squared = sum(float(x.abs().max()) ** 2 for x in geometry.source.coordinates())
        phase = math.pi * squared / (geometry.wavelength * geometry.distance)
        nearest = math.pi * squared / (geometry.wavelength * PARAXIAL_GOOD)
        far = Limit(
            "phase of the neglected curvature",
            phase,
            PARAXIAL_GOOD,
            PARAXIAL_WRONG,
            " rad",
            f"a distance of {metres(nearest)} or more",
            metres(geometry.distance),
        )
        return (paraxial_limit(geometry), far, replica_limit(geometry))

    def response(self, geometry: Geometry, rows: Pairs, columns: Pairs) -> Tensor:
        return _far_response(geometry, rows, columns, curvature=1.0)

    def matrices(self, geometry: Geometry) -> tuple[Tensor, Tensor]:
        return _far_field(geometry, curvature=1.0, length=geometry.distance)

    def plans(self, geometry: Geometry) -> list[Plan]:
        return [matrix_plan(self, geometry)]


@dataclass(frozen=True)
class FocalPlane(Method):
    """The far field behind a thin lens, on its back focal plane; the ``distance`` is the focal length.

    Args:
        front: How far the source plane is in front of the lens, in metres: 0 is at the lens, one focal length makes
            the target exactly the Fourier transform. The lens has no edge.
    """

    front: float = 0.0
    name: ClassVar[str] = "focal-plane"
    title: ClassVar[str] = "far field behind a lens"

    def __post_init__(self) -> None:
        front = checks.number(self.front, "a distance in front of the lens in metres", error=GeometryError)
        object.__setattr__(self, "front", front)

    def limits(self, geometry: Geometry) -> tuple[Limit, ...]:
        require_forwards(self, geometry)
        return (paraxial_limit(geometry), replica_limit(geometry))

    def arriving_sine(self, geometry: Geometry, axis: int) -> float:
        # Behind the lens it is the place of a source that tilts its light, not the angle at which it sent it out.
        source, target = (float(grid.coordinates()[axis].abs().max()) for grid in (geometry.source, geometry.target))
        return (source + abs(1 - self.front / geometry.distance) * target) / geometry.distance

    def response(self, geometry: Geometry, rows: Pairs, columns: Pairs) -> Tensor:
        return _far_response(geometry, rows, columns, curvature=1 - self.front / geometry.distance)

    def exact(self, geometry: Geometry) -> Tensor:
        """Along rays: from the source in parallel to where they meet the lens, and from there to the target."""
        rows, columns = some_pairs(geometry)
        slopes = [pairs.target / geometry.distance for pairs in (rows, columns)]
        bends = [
            (pairs.target - pairs.source - self.front * slope) / geometry.distance
            for pairs, slope in zip((rows, columns), slopes, strict=True)
        ]
        before, behind = (y[:, None] ** 2 + x**2 for y, x in (slopes, bends))
        longer = self.front * _beyond_paraxial(before) + geometry.distance * _beyond_paraxial(behind)
        paraxial = self.response(geometry, rows, columns)
        return paraxial * kernels.phasor(2 * math.pi / geometry.wavelength * longer) / (1 + behind)

    def matrices(self, geometry: Geometry) -> tuple[Tensor, Tensor]:
        curvature = 1 - self.front / geometry.distance
        return _far_field(geometry, curvature=curvature, length=geometry.distance + self.front)

    def plans(self, geometry: Geometry) -> list[Plan]:
        return [matrix_plan(self, geometry)]


def matrix_plan(method: Method, geometry: Geometry) -> Plan:
    """Two matrix products, of even and odd halves where both planes are centred and that is cheaper."""
    source, target = geometry.source.shape, geometry.target.shape
    cost = product_cost((target[0], source[0]), source, (source[1], target[1]))
    mirrored = mirrored_cost(source, target)
    centred = geometry.source.offset == geometry.target.offset == (0.0, 0.0)
    halves = centred and mirrored.nanoseconds < cost.nanoseconds

    def build(dtype: torch.dtype) -> Engine:
        matrices = method.matrices(geometry)
        if matrices is None:
            raise TypeError(f"{method.name} is not separable")
        return (MirroredEngine if halves else MatrixEngine)(*matrices, dtype)

    note = f"{target[0]} x {source[0]} and {target[1]} x {source[1]}" + (", even and odd halves" if halves else "")
    return Plan("matrix", mirrored if halves else cost, note, build)


def paraxial_limit(geometry: Geometry, *, band_limited: bool = True) -> Limit:
    """That waves as steep as can be are not out of phase."""
    error = geometry.paraxial_phase_error(band_limited=band_limited)
    return Limit(
        "paraxial phase error",
        error,
        PARAXIAL_GOOD,
        PARAXIAL_WRONG,
        " rad",
        f"a paraxial phase error of at most {PARAXIAL_GOOD:g} rad",
        f"{error:.3g} rad at the steepest angle",
    )


def lit_limits(geometry: Geometry) -> tuple[Limit, ...]:
    """That light the samples can carry reaches the target at all, where the planes do not overlap."""
    limits = []
    for axis, name in ((0, "y"), (1, "x")):
        clearance, sine = geometry.clearance(axis), geometry.nyquist_sine(axis)
        if clearance == 0:
            continue
        lit = abs(geometry.distance) * sine / math.sqrt(1 - sine**2) if sine < 1 else math.inf
        limits.append(
            Limit(
                f"distance of the target beside the source in {name}, over what light can cross",
                clearance / lit if lit else math.inf,
                1.0,
                math.inf,
                "",
                f"a target no farther beside the source in {name} than light of its pitch goes, {metres(lit)},",
                metres(clearance),
            )
        )
    return tuple(limits)


def replica_limit(geometry: Geometry) -> Limit:
    """That the target shows one copy of the far field, of those a sampled source has."""
    ratio, axis = max(
        (
            float(geometry.target.coordinates()[axis].abs().max())
            * 2
            * geometry.source.pitch[axis]
            / (geometry.wavelength * geometry.distance),
            axis,
        )
        for axis in (0, 1)
    )
    half = geometry.wavelength * geometry.distance / (2 * geometry.source.pitch[axis])
    return Limit(
        "target's half width over that of one far field",
        ratio,
        1.0,
        ALIASED_WRONG,
        "",
        f"a target within {metres(half)} of the axis, beyond which the far field of samples repeats,",
        f"one that reaches {metres(ratio * half)}",
    )


def aliasing_limit(method: Method, geometry: Geometry) -> Limit:
    """That the target's samples carry the light that arrives, which matters where they are propagated from again."""
    ratio, pitch, name = max(
        # Rounded, so that pitches of one length computed in two ways are equal.
        (round(method.arriving_sine(geometry, axis) / (geometry.wavelength / (2 * pitch)), 9), pitch, name)
        for axis, (pitch, name) in enumerate(zip(geometry.target.pitch, "yx", strict=True))
    )
    needed = metres(pitch / ratio if ratio else math.inf)
    return Limit(
        "sine of the steepest angle that arrives, over what the target's samples carry",
        ratio,
        1.0,
        # Light from random phases, which fills the band, is by then out by 0.4 to 0.75 of itself one plane further.
        ALIASED_WRONG,
        "",
        f"a pitch of {needed} or less in {name}, so that samples carry the light that arrives,",
        metres(pitch),
    )


def step_limit(shortest: float, distance: float) -> Limit:
    """That a kernel turns by less than pi from sample to sample."""
    return Limit(
        "kernel's largest turn between samples, over pi",
        shortest / distance,
        1.0,
        ALIASED_WRONG,
        "",
        f"a distance of {metres(shortest)} or more, so that samples resolve the kernel,",
        metres(distance),
    )


def require_distance(method: Method, geometry: Geometry) -> None:
    """Refuse a distance of zero for a method whose kernel is singular there."""
    if geometry.distance == 0:
        raise GeometryError(f"expected a distance other than zero for method {method.name!r}, but got 0")


def require_forwards(method: Method, geometry: Geometry) -> None:
    """Refuse a far field at a distance that is not ahead: on the way back the near plane is the target."""
    if geometry.distance <= 0:
        raise GeometryError(
            f"expected a distance above zero for method {method.name!r}, but got {metres(geometry.distance)}: "
            "for the way back use the adjoint of the way there"
        )


def _far_field(geometry: Geometry, curvature: float, length: float) -> tuple[Tensor, Tensor]:
    rows, columns = (
        kernels.far_field(to, at, pitch, geometry.wavelength, geometry.distance, curvature)
        for to, at, pitch in zip(
            geometry.target.coordinates(), geometry.source.coordinates(), geometry.source.pitch, strict=True
        )
    )
    return rows * kernels.carrier(geometry.wavelength, length), columns


def _far_response(geometry: Geometry, rows: Pairs, columns: Pairs, curvature: float) -> Tensor:
    y, x = (
        kernels.far_field(pairs.target, pairs.source, pitch, geometry.wavelength, geometry.distance, curvature)
        for pairs, pitch in zip((rows, columns), geometry.source.pitch, strict=True)
    )
    return y.diagonal()[:, None] * x.diagonal()


def _beyond_paraxial(squared_slope: Tensor) -> Tensor:
    """How much longer a ray is than the paraxial approximation has it, over the distance it goes along the axis."""
    # sqrt(1 + s) - 1 - s / 2, written so that small slopes cancel nothing.
    return -((squared_slope / (1 + torch.sqrt(1 + squared_slope))) ** 2) / 2
