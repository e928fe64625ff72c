"""Free space between two planes."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from voltphase.core.dtypes import FixedDtype, exact_linear, with_standard_torch
from voltphase.optics.backends.base import Engine
from voltphase.optics.elements import Element
from voltphase.optics.explain import Explanation
from voltphase.optics.gap import Gap, beyond_numbers
from voltphase.optics.grid import Grid
from voltphase.optics.kernels.kernel import Separable
from voltphase.optics.kernels.maps import DiagonalMap
from voltphase.optics.methods.accuracy.rough_error import rough_error
from voltphase.optics.methods.auto import candidates
from voltphase.optics.methods.base import Method
from voltphase.optics.paths import Path
from voltphase.optics.precision import require_complex, require_field


class Propagator(FixedDtype):
    """Takes the field on one plane to the field on another, a distance of free space away.

    Light that leaves a grid is gone: convolutions are linear, nothing wraps around. The grids may differ in size, pitch
    and offset. Kernels are built once, in double precision, and kept as buffers that are not part of a state dict.

    Methods, by name or as an object with parameters of its own:

    ``"fresnel"``
        Fresnel transfer function, exact over the samples' band.
    ``"fresnel-impulse"``
        Fresnel impulse response, sampled: long distances only.
    ``"fresnel-pixels"``
        Fresnel diffraction of uniform square pixels, ``FresnelPixels(fill_factor)``.
    ``"angular-spectrum"``
        Angular spectrum of plane waves, exact over the samples' band: no paraxial approximation.
    ``"rayleigh-sommerfeld"``
        First Rayleigh-Sommerfeld integral with its kernel sampled: no paraxial approximation.
    ``"fraunhofer"``, ``"focal-plane"``
        Far field; far field behind a lens whose focal length is the distance, ``FocalPlane(front)``.
    ``"fresnel-wrapped"``, ``"angular-spectrum-wrapped"``
        Unpadded DFTs, whose light wraps around; to compare with code that does the same.
    ``"auto"``
        The cheapest that is right; :meth:`explain` says which and why.

    Right is a method whose limits are kept and whose error of rough light (random phases, which fill the band of the
    samples) is estimated to be at most 1e-3 of the light; beyond that there is a warning with the figure.

    Args:
        source: Plane where the field is given.
        target: Plane where the field is wanted; ``source`` by default.
        wavelength: Wavelength in metres.
        distance: Distance in metres; negative propagates backwards, between equal pitches as the adjoint of forwards.
            Far fields (``"fraunhofer"``, ``"focal-plane"``) have no negative distance: their way back is
            :meth:`adjoint`.
        method: Mathematics of the propagation, a name from above or a method with parameters of its own.
        engine: What applies the kernel: ``"matrix"`` (one matrix per axis; for a kernel that does not separate, between
            matrix Fourier transforms), ``"fft"``, or ``"auto"``, the cheapest by a measured cost model. The result
            is the same to rounding.
        dtype: Complex type of the kernels and of the fields.
        check: Whether to refuse a method where it is wrong and distances beyond 1000 m, and to warn where a method is
            borderline or a length looks to be in another unit.

    Raises:
        ConfigError: if the method or engine is unknown, the engine cannot apply the method, or the dtype is none of
            complex64 and complex128.
        GeometryError: if wavelength, distance or grids make no sense for the method.
        SamplingError: if the method is wrong in this geometry.

    Warns:
        SamplingWarning: if it is borderline.
        UnitWarning: if pitch or distance is unlikely for the wavelength, as in another unit.

    Examples:
        >>> propagate = Propagator(Grid(64, 36e-6), wavelength=532e-9, distance=0.1)
        >>> propagate(torch.ones(64, 64, dtype=torch.complex64)).shape
        torch.Size([64, 64])
    """

    def __init__(
        self,
        source: Grid,
        target: Grid | None = None,
        *,
        wavelength: float,
        distance: float,
        method: str | Method = "auto",
        engine: Engine = "auto",
        dtype: torch.dtype = torch.complex64,
        check: bool = True,
    ) -> None:
        super().__init__()
        require_complex(dtype)
        target = source if target is None else target
        gap = Gap.between(
            source, target, wavelength=wavelength, distance=distance, method=method, engine=engine, check=check
        )
        self._prepare(gap, dtype)

    @classmethod
    def of(cls, gap: Gap, dtype: torch.dtype) -> Propagator:
        """Return what takes light across a gap, in a complex dtype."""
        propagator = cls.__new__(cls)
        FixedDtype.__init__(propagator)
        propagator._prepare(gap, dtype)
        return propagator

    @with_standard_torch
    def _prepare(self, gap: Gap, dtype: torch.dtype) -> None:
        self.gap, self.dtype = gap, dtype
        self.geometry, self.method = gap.geometry, gap.method
        try:
            self.map = gap.way().build(dtype)
        except ArithmeticError as error:
            raise beyond_numbers(gap.geometry) from error

    @property
    def source(self) -> Grid:
        """The plane where the field is given."""
        return self.geometry.source

    @property
    def target(self) -> Grid:
        """The plane where the field is wanted."""
        return self.geometry.target

    @property
    def wavelength(self) -> float:
        """The wavelength in metres."""
        return self.geometry.wavelength

    @property
    def distance(self) -> float:
        """The distance in metres."""
        return self.geometry.distance

    def forward(self, field: Tensor) -> Tensor:
        """Return the field on the target plane.

        Args:
            field: A complex ``... x rows x columns`` field on the source plane.

        Raises:
            ConfigError: if the field is of another dtype or on another device; dtypes are never cast implicitly.
            GeometryError: if it is of another shape.
        """
        require_field(field, self.source.shape, self.dtype, self._device(), "propagator", " on the source plane")
        return exact_linear(self.map, self.map.adjoint, field)

    def adjoint(self, field: Tensor) -> Tensor:
        """Return what the conjugate transpose of :meth:`forward` makes of a field, on the source plane.

        Args:
            field: A complex ``... x rows x columns`` field on the target plane.

        Raises:
            ConfigError: if the field is of another dtype or on another device; dtypes are never cast implicitly.
            GeometryError: if it is of another shape.
        """
        require_field(field, self.target.shape, self.dtype, self._device(), "propagator", " on the target plane")
        return exact_linear(self.map.adjoint, self.map, field)

    @with_standard_torch
    def matrices(self) -> tuple[Tensor, Tensor] | None:
        """Return ``(Ky, Kx)`` with ``forward(u) == Ky @ u @ Kx.T``, or None where the kernel does not separate.

        Ky is target rows x source rows, Kx target columns x source columns, on the propagator's device and in its
        dtype. They are made anew at each call, whatever the engine.
        """
        kernel, device = self.method.kernel(self.geometry), self._device()
        if not isinstance(kernel, Separable):
            return None
        return kernel.rows.matrix.to(device, self.dtype), kernel.columns.matrix.to(device, self.dtype)

    @with_standard_torch
    def explain(self) -> Explanation:
        """Return what this does and why: method and its error, engine and cost, sampling limits, Fresnel number."""
        geometry, chosen = self.geometry, self.gap.way()
        return Explanation(
            geometry=geometry,
            method=self.method.name,
            title=self.method.title,
            reason=self.gap.reason,
            engine=chosen,
            others=tuple(way for way in self.gap.ways() if (way.name, way.note) != (chosen.name, chosen.note)),
            fresnel_number=(geometry.fresnel_number(0), geometry.fresnel_number(1)),
            paraxial_phase_error=geometry.paraxial_phase_error(),
            nyquist_angle=(math.asin(geometry.nyquist_sine(0)), math.asin(geometry.nyquist_sine(1))),
            limits=self.method.limits(geometry),
            error=rough_error(self.method, geometry, self.dtype),
            errors=candidates(geometry, self.dtype),
        )

    def extra_repr(self) -> str:
        """Return method, wavelength and distance, as the module's ``repr`` shows them."""
        return f"{self.method.name!r}, wavelength={self.wavelength:g}, distance={self.distance:g}"

    def _device(self) -> torch.device:
        return next(self.buffers()).device


def across(paths: Sequence[Path], dtype: torch.dtype) -> list[nn.Module]:
    """Return what takes light from each plane to the next: propagators, with lenses and apertures between.

    Paths that are alike share what is made for them, in a complex dtype.
    """

    def make(step: Gap | Element) -> nn.Module:
        return Propagator.of(step, dtype) if isinstance(step, Gap) else DiagonalMap(step.kernel(), dtype)

    steps = {step: make(step) for step in dict.fromkeys(step for path in paths for step in path)}
    return [steps[path[0]] if len(path) == 1 else nn.Sequential(*(steps[step] for step in path)) for path in paths]
