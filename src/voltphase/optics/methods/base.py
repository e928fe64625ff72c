"""The mathematics of propagation as objects: what each needs, where it is right, and its kernel."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from functools import partial
from typing import ClassVar

from torch import Tensor

from voltphase.core.errors import GeometryError
from voltphase.core.registry import Registry
from voltphase.core.units import metres
from voltphase.optics.kernels.axis import Axis, Matrix, Toeplitz
from voltphase.optics.kernels.common_grid import CommonGrid, common_grid
from voltphase.optics.kernels.kernel import Kernel, Separable
from voltphase.optics.methods import formulas
from voltphase.optics.methods.accuracy.exact_light import exact_response
from voltphase.optics.methods.accuracy.sample_pairs import Pairs
from voltphase.optics.methods.geometry import Geometry
from voltphase.optics.sampling import PARAXIAL_GOOD, PARAXIAL_WRONG, Limit

# An error relative to the light itself: what is unlike it.
WRONG = math.sqrt(2)
# Kernels turning up to a quarter too fast are aliased for one pair of samples in 25 along an axis, the farthest apart.
ALIASED_WRONG = 1.25


class Method(ABC):
    """How light gets from one plane to another.

    A method of one's own has a ``name``, a ``title`` for :meth:`Propagator.explain`, :meth:`limits` and :meth:`kernel`;
    with :meth:`response` its error can be estimated. It is best a frozen dataclass, whose fields are its parameters.

    Attributes:
        name: What users write, in lower case with hyphens.
        title: What it is, in a few words.
        free_space: Whether it means free space, so that its estimated error decides where it is right.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    free_space: ClassVar[bool] = True

    @abstractmethod
    def limits(self, geometry: Geometry) -> tuple[Limit, ...]:
        """Return what bounds the method in a geometry, as figures.

        Args:
            geometry: Planes, wavelength and distance.
        """

    @abstractmethod
    def kernel(self, geometry: Geometry) -> Kernel:
        """Return how light gets from plane to plane.

        Args:
            geometry: Planes, wavelength and distance.

        Raises:
            GeometryError: if the geometry makes no sense for the method.
        """

    def kernels(self, geometry: Geometry) -> tuple[Kernel, ...]:
        """Return :meth:`kernel`, and others that do the same by different means, if there are any.

        Args:
            geometry: Planes, wavelength and distance.
        """
        return (self.kernel(geometry),)

    def arriving_sine(self, geometry: Geometry, axis: int) -> float:
        """Return the sine of the steepest angle of light on the target.

        Args:
            geometry: Planes, wavelength and distance.
            axis: 0 for y, 1 for x.
        """
        return geometry.arriving_sine(axis)

    def response(self, geometry: Geometry, rows: Pairs, columns: Pairs) -> Tensor | None:
        """Return what source samples send to target samples, without the carrier, by the method's own kernel.

        Args:
            geometry: Planes, wavelength and distance.
            rows: Pairs of rows.
            columns: Pairs of columns.

        Returns:
            A complex128 ``row pairs x column pairs`` tensor, or None if the method does not say: then nobody knows how
            far it is off.
        """
        return None

    def exact(self, geometry: Geometry) -> Tensor | None:
        """Return what :meth:`response` would be without the method's approximations, or None if it would take long.

        Light of the samples' band-limited interpolation, unless a method has other light.

        Args:
            geometry: Planes, of whose samples ``accuracy.sample_pairs.some_pairs`` are taken.
        """
        return exact_response(geometry)

    def bound(self, geometry: Geometry) -> float:
        """Return the largest relative error of rough light that is known without :meth:`response` and :meth:`exact`.

        Args:
            geometry: Planes, wavelength and distance.
        """
        return math.nan if type(self).response is Method.response else WRONG


#: Methods by name; other packages add theirs by entry points of "voltphase.methods".
METHODS: Registry[type[Method]] = Registry("a propagation method", "voltphase.methods", kind=Method)


class SeparableMethod(Method):
    """A kernel that is a product of one of y and one of x, and depends on displacements only.

    Attributes:
        even: Whether the kernel is the same for minus a displacement, as that of free space is: between planes centred
            on each other, it then costs half.
    """

    even: ClassVar[bool] = True

    @abstractmethod
    def along(self, displacement: Tensor, pitch: float, geometry: Geometry) -> Tensor:
        """Return one axis of the kernel, complex128, of the shape of ``displacement``.

        Args:
            displacement: Target minus source coordinates in metres.
            pitch: Pitch of the source along the axis in metres.
            geometry: Planes, wavelength and distance.
        """

    def kernel(self, geometry: Geometry) -> Separable:
        return Separable(self._axis(geometry, 0), self._axis(geometry, 1))

    def response(self, geometry: Geometry, rows: Pairs, columns: Pairs) -> Tensor:
        y, x = (
            self.along(pairs.displacement, pitch, geometry)
            for pairs, pitch in zip((rows, columns), geometry.source.pitch, strict=True)
        )
        return y[:, None] * x

    def _axis(self, geometry: Geometry, axis: int) -> Axis:
        points = common_grid(geometry.source, geometry.target, axis)
        make = partial(self._values, geometry, axis, points)
        if points is not None:
            return Toeplitz(self.even and points.mirrored, points, make)
        mirrored = self.even and geometry.shift(axis) == 0
        return Matrix(mirrored, (geometry.target.shape[axis], geometry.source.shape[axis]), make)

    def _values(self, geometry: Geometry, axis: int, points: CommonGrid | None) -> Tensor:
        displacement = geometry.displacement(axis) if points is None else points.displacements()
        values = self.along(displacement, geometry.source.pitch[axis], geometry)
        # The carrier is in the kernel of the rows.
        return values if axis else values * formulas.carrier(geometry.wavelength, geometry.distance)


def paraxial_limit(geometry: Geometry, *, band_limited: bool = True) -> Limit:
    """Return the limit that waves as steep as can be are not out of phase."""
    error = geometry.paraxial_phase_error(band_limited=band_limited)
    return Limit(
        "paraxial phase error",
        error,
        PARAXIAL_GOOD,
        PARAXIAL_WRONG,
        f"a paraxial phase error of at most {PARAXIAL_GOOD:g} rad",
        f"{error:.3g} rad at the steepest angle",
        unit=" rad",
    )


def lit_limits(geometry: Geometry) -> tuple[Limit, ...]:
    """Return the limit that light the samples can carry reaches the target at all, where the planes do not overlap."""
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
                f"a target no farther beside the source in {name} than light of its pitch goes, {metres(lit)},",
                metres(clearance),
            )
        )
    return tuple(limits)


def replica_limit(geometry: Geometry) -> Limit:
    """Return the limit that the target shows one copy of the far field, of those a sampled source has."""
    spread = geometry.wavelength * geometry.distance
    ratio, half = max(
        (float(at.abs().max()) * 2 * pitch / spread, spread / (2 * pitch))
        for at, pitch in zip(geometry.target.coordinates(), geometry.source.pitch, strict=True)
    )
    return Limit(
        "target's half width over that of one far field",
        ratio,
        1.0,
        ALIASED_WRONG,
        f"a target within {metres(half)} of the axis, beyond which the far field of samples repeats,",
        f"one that reaches {metres(ratio * half)}",
    )


def aliasing_limit(method: Method, geometry: Geometry) -> Limit:
    """Return the limit that the target's samples carry the light that arrives, for where light goes on from them."""
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
        f"a pitch of {needed} or less in {name}, so that samples carry the light that arrives,",
        metres(pitch),
    )


def step_limit(shortest: float, distance: float) -> Limit:
    """Return the limit that a kernel turns by less than pi from sample to sample."""
    return Limit(
        "kernel's largest turn between samples, over pi",
        shortest / distance,
        1.0,
        ALIASED_WRONG,
        f"a distance of {metres(shortest)} or more, so that samples resolve the kernel,",
        metres(distance),
    )


def require_distance(method: Method, geometry: Geometry) -> None:
    """Refuse a distance of zero for a method whose kernel is singular there."""
    if geometry.distance == 0:
        raise GeometryError(
            f"expected a distance other than zero for method {method.name!r}, but got 0: give one, or use method "
            "'fresnel'"
        )


def require_forwards(method: Method, geometry: Geometry) -> None:
    """Refuse a far field at a distance that is not ahead: on the way back the near plane is the target."""
    if geometry.distance <= 0:
        raise GeometryError(
            f"expected a distance above zero for method {method.name!r}, but got {metres(geometry.distance)}: "
            "for the way back use the adjoint of the way there"
        )
