"""Free space between two planes."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from voltphase.core import checks
from voltphase.core.advice import once
from voltphase.core.dtypes import FixedDtype, standard_torch, with_standard_torch
from voltphase.core.errors import GeometryError
from voltphase.optics.backends.base import Engine
from voltphase.optics.backends.cpu.cascade import Kernel, Transfer
from voltphase.optics.explain import Explanation, explain
from voltphase.optics.grid import Grid
from voltphase.optics.maps import ConvolutionEngine
from voltphase.optics.methods.accuracy.rough_error import error_limit, rough_error
from voltphase.optics.methods.auto import METHODS, best_method, best_plan, candidates, find_method
from voltphase.optics.methods.base import Method, Plan, aliasing_limit
from voltphase.optics.methods.geometry import Geometry
from voltphase.optics.methods.periodic import WrappedMethod
from voltphase.optics.precision import exact_products, require_complex, require_field
from voltphase.optics.sampling import Limit, enforce

__all__ = ["METHODS", "Propagator", "propagators_between"]


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
        source: Where the field is given.
        target: Where it is wanted; ``source`` by default.
        wavelength: In metres.
        distance: In metres; negative propagates backwards, between equal pitches as the adjoint of forwards. Far fields
            (``"fraunhofer"``, ``"focal-plane"``) have no negative distance: their way back is :meth:`adjoint`.
        method: The mathematics, as above.
        engine: What applies it: ``"matrix"`` (one matrix per axis; for a kernel that does not separate, between
            matrix Fourier transforms), ``"fft"``, or ``"auto"``, the cheapest by a measured cost model. The result
            is the same to rounding.
        dtype: Complex type of the kernels and of the fields taken and given.
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
        checks.flag(check, "check")
        self.geometry = Geometry(source, source if target is None else target, wavelength, distance)
        self.dtype = dtype
        # As a block, not around the method: a warning is the caller's, by as many frames as it always was.
        with standard_torch():
            if check:
                self.geometry.check_units()
            try:
                self.method, self._reason = find_method(method, self.geometry)
                self._limits = self.method.limits(self.geometry)
                if check:
                    enforce(f"method {self.method.name!r}", self._checked(), _advice(self.geometry, self.method))
                self._wanted_engine: Engine = engine
                self.engine = self._plans()[0].build(dtype)
            except ArithmeticError as error:
                raise GeometryError(
                    "expected lengths in metres that light can be computed with, but got a wavelength of "
                    f"{self.wavelength:g}, a distance of {self.distance:g} and pitches of {self.source.pitch} and "
                    f"{self.target.pitch}"
                ) from error

    @property
    def source(self) -> Grid:
        return self.geometry.source

    @property
    def target(self) -> Grid:
        return self.geometry.target

    @property
    def wavelength(self) -> float:
        return self.geometry.wavelength

    @property
    def distance(self) -> float:
        return self.geometry.distance

    def forward(self, field: Tensor) -> Tensor:
        """The field on the target plane, from a complex ``... x rows x columns`` field on the source plane.

        Raises:
            ConfigError: if the field is of another dtype or on another device; dtypes are never cast implicitly.
            GeometryError: if it is of another shape.
        """
        self._check(field, self.source, "source")
        with exact_products(field.device):
            return self.engine(field)

    def adjoint(self, field: Tensor) -> Tensor:
        """The conjugate transpose of :meth:`forward`: from a field on the target plane to one on the source plane.

        Raises: as :meth:`forward`.
        """
        self._check(field, self.target, "target")
        with exact_products(field.device):
            return self.engine.adjoint(field)

    @with_standard_torch
    def matrices(self) -> tuple[Tensor, Tensor] | None:
        """``(Ky, Kx)`` with ``forward(u) == Ky @ u @ Kx.T``, or None where the kernel does not separate.

        Ky is target rows x source rows, Kx target columns x source columns, on the propagator's device and in its
        dtype. Made anew at each call, whatever the engine.
        """
        matrices = self.method.matrices(self.geometry)
        if matrices is None:
            return None
        device = self._device()
        return matrices[0].to(device, self.dtype), matrices[1].to(device, self.dtype)

    @with_standard_torch
    def kernel(self) -> Kernel | Transfer | None:
        """What a :class:`Cascade` takes, in complex128: a pair of matrices where the kernel separates.

        Otherwise a transfer function where the engine is ``"fft"`` and both planes have the same pitch, or None.
        """
        pair = self.method.matrices(self.geometry)
        if pair is not None or not isinstance(self.engine, ConvolutionEngine) or self.source.pitch != self.target.pitch:
            return pair
        exact = self._plans()[0].build(torch.complex128)
        return Transfer(exact.get_buffer("transfer"), self.source.shape, self.target.shape)

    @with_standard_torch
    def explain(self) -> Explanation:
        """What this does and why: method and its error, engine and cost, sampling limits, Fresnel number."""
        return explain(
            self.geometry,
            self.method,
            self._reason,
            self._limits,
            *self._plans(),
            rough_error(self.method, self.geometry, self.dtype),
            candidates(self.geometry, self.dtype),
        )

    def extra_repr(self) -> str:
        return f"{self.method.name!r}, wavelength={self.wavelength:g}, distance={self.distance:g}"

    def _plans(self) -> tuple[Plan, list[Plan]]:
        """The plan that is carried out, and all there are: not kept, as what they build with cannot be pickled."""
        plans = self.method.plans(self.geometry)
        return best_plan(plans, self._wanted_engine, self.method), plans

    def _device(self) -> torch.device:
        return next(self.buffers()).device

    def _checked(self) -> tuple[Limit, ...]:
        """The limits that are enforced: the method's, and of one that means free space its estimated error."""
        if isinstance(self.method, WrappedMethod):
            return self._limits
        error = rough_error(self.method, self.geometry)
        return self._limits if math.isnan(error) else (*self._limits, error_limit(error))

    def _check(self, field: Tensor, grid: Grid, which: str) -> None:
        require_field(field, self.dtype, self._device(), "propagator")
        if field.shape[-2:] != grid.shape:
            raise GeometryError(
                f"expected a field of {grid.rows} x {grid.columns} samples on the {which} plane, "
                f"but got {' x '.join(map(str, field.shape))}"
            )


def _advice(geometry: Geometry, method: Method) -> str:
    best, reason = best_method(geometry)
    if best.name == method.name:
        return "no method is right in this geometry; change the distance or the grids"
    return f"use method {best.name!r} ({reason})"


def propagators_between(
    grids: Sequence[Grid],
    distances: Sequence[float],
    *,
    wavelength: float,
    method: str | Method | Sequence[str | Method],
    engine: Engine = "auto",
    dtype: torch.dtype = torch.complex64,
) -> list[Propagator]:
    """Return what takes light from each plane to the next; gaps that are alike share it.

    Args:
        grids: Samples of the planes in the order light meets them; from all but the last, the detector, it goes on.
        distances: Distance from each plane to the next, in metres.
        wavelength: Wavelength in metres.
        method: Mathematics of the propagation, see :class:`Propagator`: one for all gaps or one for each.
        engine: What applies the kernels, see :class:`Propagator`.
        dtype: Complex type of the kernels and fields.

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
