"""What stands in the beam and is not trained: lenses and apertures."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from voltphase.core import checks
from voltphase.core.advice import advise
from voltphase.core.dtypes import FixedDtype, with_standard_torch
from voltphase.core.errors import GeometryError, SamplingError, VoltphaseWarning
from voltphase.core.units import FOCAL_LENGTH, SIZE, metres, require_length, require_wavelength
from voltphase.optics.grid import Grid, around
from voltphase.optics.kernels.kernel import Diagonal
from voltphase.optics.methods.formulas import phasor
from voltphase.optics.precision import require_complex, require_field


def thin_lens(
    grid: Grid,
    *,
    wavelength: float,
    focal_length: float,
    diameter: float | None = None,
    centre: tuple[float, float] = (0.0, 0.0),
) -> Tensor:
    """Return the transmission exp(-i pi r^2 / (wavelength f)) of a thin lens, complex128 ``rows x columns``.

    Goodman, eq. 5-10.

    Args:
        grid: Plane where the lens stands.
        wavelength: Wavelength in metres.
        focal_length: Focal length in metres; negative diverges.
        diameter: Diameter of the lens, dark outside, in metres; None for a lens without an edge.
        centre: Centre of the lens (y, x), in metres.

    Raises:
        GeometryError: if the wavelength is none that light has, the focal length is zero, the diameter not positive, or
            a number not finite.
        SamplingError: if the phase turns by more than pi from sample to sample inside the lens.
    """
    require_wavelength(wavelength)
    y, x = around(grid, centre)
    if diameter is not None:
        _require_diameter(diameter)
    if not checks.is_number(focal_length) or focal_length == 0:
        raise GeometryError(f"expected a focal length other than zero, but got {checks.shown(focal_length)}")
    require_length(FOCAL_LENGTH, focal_length)
    for beside, pitch in ((y, grid.pitch[0]), (x, grid.pitch[1])):
        rim = float(beside.abs().max())
        rim = rim if diameter is None else min(rim, diameter / 2)
        shortest = 2 * rim * pitch / wavelength
        if abs(focal_length) < shortest:
            raise SamplingError(
                f"expected a focal length of {metres(shortest)} or more for a lens that reaches {metres(rim)} from "
                f"its centre on a pitch of {metres(pitch)}, but got {metres(abs(focal_length))}: choose a finer grid "
                "or a smaller diameter"
            )
    lens = phasor(-math.pi / (wavelength * focal_length) * (y[:, None] ** 2 + x**2))
    return lens if diameter is None else lens * _disc(grid, y, x, diameter / 2)


def circular_aperture(grid: Grid, *, diameter: float, centre: tuple[float, float] = (0.0, 0.0)) -> Tensor:
    """Return the part of each sample's pixel inside a circle, exactly, float64 ``rows x columns``.

    Args:
        grid: Plane where the aperture stands; a pixel is a pitch high and wide.
        diameter: Diameter in metres.
        centre: Centre (y, x) in metres.

    Raises:
        GeometryError: if the diameter is not positive, or a number is not finite.
    """
    _require_diameter(diameter)
    return _disc(grid, *around(grid, centre), diameter / 2)


def rectangular_aperture(grid: Grid, *, size: tuple[float, float], centre: tuple[float, float] = (0.0, 0.0)) -> Tensor:
    """Return the part of each sample's pixel inside a rectangle, exactly, float64 ``rows x columns``.

    Args:
        grid: Plane where the aperture stands; a pixel is a pitch high and wide.
        size: Height and width in metres.
        centre: Centre (y, x) in metres.

    Raises:
        GeometryError: if the size is not positive, or a number is not finite.
    """
    size = checks.pair(size, "size in metres", error=GeometryError)
    if not min(size) > 0:
        raise GeometryError(f"expected a size in metres above zero, but got {size}")
    require_length(SIZE, *size)
    rows, columns = (
        _edges(beside, pitch).clamp(-width / 2, width / 2).diff() / pitch
        for beside, width, pitch in zip(around(grid, centre), size, grid.pitch, strict=True)
    )
    return rows[:, None] * columns


class Element(FixedDtype):
    """What multiplies light by a fixed transmission.

    Args:
        transmission: Real or complex ``rows x columns`` tensor, or an array.
        grid: Plane where it stands, which it needs to stand inside a network; None if that is not known.
        dtype: Complex type of the fields it takes and gives.
    """

    transmission: Tensor

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
        self._wavelength, self._focal_length = wavelength, focal_length
        self._form = {"diameter": diameter, "centre": centre, "dtype": dtype}
        corner = math.hypot(*(float((c - o).abs().max()) for c, o in zip(grid.coordinates(), centre, strict=True)))
        self._rim = corner if diameter is None else min(corner, diameter / 2)

    def at(self, wavelength: float) -> ThinLens:
        """Return the lens as light of another wavelength meets it, whose glass bends all wavelengths alike.

        Args:
            wavelength: Wavelength of the light in metres.
        """
        assert self.grid is not None
        return ThinLens(self.grid, wavelength=wavelength, focal_length=self._focal_length, **self._form)

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


def in_light_of(span: float | Sequence[float | Element], wavelength: float) -> Any:
    """Return what is between two planes as light of a wavelength meets it: lenses of glass have the phases of each.

    Args:
        span: Distance, or distances and elements by turns.
        wavelength: Wavelength in metres.
    """
    if not isinstance(span, Sequence):
        return span
    return tuple(part.at(wavelength) if isinstance(part, ThinLens) else part for part in span)


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


def _require_diameter(diameter: float) -> None:
    require_length(SIZE, diameter, what="diameter")
    checks.number(diameter, "a diameter in metres", above=0, error=GeometryError)


def _disc(grid: Grid, y: Tensor, x: Tensor, radius: float) -> Tensor:
    """The part of each pixel inside a circle, of the distances of rows and columns from its centre."""
    corners = _disc_corner(_edges(y, grid.pitch[0])[:, None], _edges(x, grid.pitch[1]), radius)
    return corners.diff(dim=0).diff(dim=1) / (grid.pitch[0] * grid.pitch[1])


def _edges(centres: Tensor, pitch: float) -> Tensor:
    return torch.cat((centres - pitch / 2, centres[-1:] + pitch / 2))


def _disc_corner(y: Tensor, x: Tensor, radius: float) -> Tensor:
    """Area of a disc inside the rectangle from its centre to (y, x), with the sign of y x."""
    sign = y.sign() * x.sign()
    y, x = y.abs().clamp(max=radius), x.abs().clamp(max=radius)
    # Where the corner is outside, the top edge leaves the disc at this x and the rim takes over.
    leaves = torch.minimum(_half_chord(y, radius), x)
    return sign * (y * leaves + _under_rim(x, radius) - _under_rim(leaves, radius))


def _under_rim(x: Tensor, radius: float) -> Tensor:
    return (x * _half_chord(x, radius) + radius**2 * torch.asin(x / radius)) / 2


def _half_chord(beside: Tensor, radius: float) -> Tensor:
    # On the rim, rounding can leave less than nothing.
    return torch.sqrt((radius**2 - beside**2).clamp(min=0))
