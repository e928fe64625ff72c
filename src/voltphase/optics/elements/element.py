"""Lenses and apertures on a plane, as modules that light goes through."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from voltphase.core import checks
from voltphase.core.advice import advise
from voltphase.core.dtypes import FixedDtype, with_standard_torch
from voltphase.core.errors import GeometryError, VoltphaseWarning
from voltphase.core.units import metres
from voltphase.optics.elements.optic import Lens, Stop
from voltphase.optics.elements.transmissions import circular_aperture, rectangular_aperture, thin_lens
from voltphase.optics.grid import Grid
from voltphase.optics.kernels.kernel import Diagonal
from voltphase.optics.precision import require_complex, require_field


class Element(FixedDtype):
    """What multiplies light by a fixed transmission.

    Args:
        transmission: Real or complex ``rows x columns`` tensor, or an array.
        grid: Plane where it stands, which it needs to stand inside a network; None if that is not known.
        dtype: Complex type of the fields it takes and gives.
    """

    transmission: Tensor
    title: str = "element"

    @with_standard_torch
    def __init__(self, transmission: Tensor, *, grid: Grid | None = None, dtype: torch.dtype = torch.complex64) -> None:
        super().__init__()
        require_complex(dtype)
        transmission = checks.array(transmission, "a transmission", error=GeometryError)
        if transmission.ndim != 2 or transmission.numel() == 0:
            raise GeometryError(
                f"expected a transmission of rows x columns, but got {' x '.join(map(str, transmission.shape))}"
            )
        if not bool(transmission.isfinite().all()):
            raise GeometryError("expected a finite transmission, but some of it is not: set what is dark to 0")
        if grid is not None and checks.instance(grid, Grid, "a voltphase.Grid", error=GeometryError).shape != (
            shape := tuple(transmission.shape)
        ):
            raise GeometryError(
                f"expected a transmission of {grid.rows} x {grid.columns} samples as its grid has, but got "
                f"{shape[0]} x {shape[1]}"
            )
        self.grid = grid
        self.register_buffer("transmission", transmission.to(dtype), persistent=False)
        # A network has its own dtype: it rounds what was given, not what is rounded already.
        self._exact = transmission.detach().cpu().clone()

    @property
    def optic(self) -> Lens | Stop | None:
        """What it is, to be made for any wavelength; None where nothing but its transmission is known."""
        return None

    def kernel(self) -> Diagonal:
        """Return the element as a kernel, for a :class:`~voltphase.optics.stack.Stack`."""
        rows, columns = self._exact.shape
        return Diagonal((rows, columns), self._exact.clone)

    def forward(self, field: Tensor) -> Tensor:
        """Return the field behind the element.

        Args:
            field: A complex ``... x rows x columns`` field in front of it.

        Raises:
            ConfigError: if the field is of another dtype: nothing is cast without a word.
            GeometryError: if it is of another shape.
        """
        require_field(field, self.transmission.shape, self.transmission.dtype, self.transmission.device, "element")
        return field * self.transmission


# In radians: about what a phase has to be right to.
_OFF_PHASE = 0.05


class LensWarning(VoltphaseWarning):
    """A lens that is used as it is, in light of another wavelength than it was made for."""


class ThinLens(Element):
    """A thin lens; see :func:`thin_lens`."""

    title = "lens"

    def __init__(
        self,
        grid: Grid,
        *,
        wavelength: float,
        focal_length: float,
        diameter: float | None = None,
        centre: tuple[float, float] = (0.0, 0.0),
        dtype: torch.dtype = torch.complex64,
    ) -> None:
        lens = thin_lens(grid, wavelength=wavelength, focal_length=focal_length, diameter=diameter, centre=centre)
        super().__init__(lens, grid=grid, dtype=dtype)
        self._optic = Lens(focal_length, diameter, centre, wavelength)
        self._wavelength, self._focal_length = wavelength, focal_length
        corner = math.hypot(*(float((c - o).abs().max()) for c, o in zip(grid.coordinates(), centre, strict=True)))
        self._rim = corner if diameter is None else min(corner, diameter / 2)

    @property
    def optic(self) -> Lens:
        return self._optic

    def warn_of(self, wavelength: float) -> None:
        """Warn where the lens is another one in light of this wavelength.

        Args:
            wavelength: Wavelength of the light in metres.

        Warns:
            LensWarning: if its phases are off by more than 0.05 rad at its rim.
        """
        made, focal = self._wavelength, self._focal_length
        off = math.pi * self._rim**2 / (made * abs(focal)) * abs(made / wavelength - 1)
        if off > _OFF_PHASE:
            advise(
                f"A lens has the phases of a wavelength of {metres(made)}, but the light has {metres(wavelength)}: "
                f"they are up to {off:.2g} rad off, and it focuses at {metres(focal * made / wavelength)}, not at "
                f"{metres(focal)}. Make it with wavelength={wavelength:g}.",
                LensWarning,
            )


class Aperture(Element):
    """A hole in a dark screen, round or rectangular; see :func:`circular_aperture`, :func:`rectangular_aperture`.

    Args:
        grid: Plane where it stands.
        diameter: Diameter of a round one in metres.
        size: Height and width of a rectangular one, in metres; give this or the diameter.
        centre: Centre (y, x) in metres.
        dtype: Complex type of the fields it takes and gives.

    Raises:
        GeometryError: if not exactly one of ``diameter`` and ``size`` is given, it is not positive, or a number is not
            finite.
    """

    title = "aperture"

    def __init__(
        self,
        grid: Grid,
        *,
        diameter: float | None = None,
        size: tuple[float, float] | None = None,
        centre: tuple[float, float] = (0.0, 0.0),
        dtype: torch.dtype = torch.complex64,
    ) -> None:
        if diameter is not None and size is None:
            hole = circular_aperture(grid, diameter=diameter, centre=centre)
        elif size is not None and diameter is None:
            hole = rectangular_aperture(grid, size=size, centre=centre)
        else:
            raise GeometryError("expected either a diameter or a size for an aperture, and not both")
        super().__init__(hole, grid=grid, dtype=dtype)
        self._optic = Stop(diameter, size, centre)

    @property
    def optic(self) -> Stop:
        return self._optic
