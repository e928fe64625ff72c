"""What lenses and apertures do to light, as transmissions of the samples of a plane."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from voltphase.core import checks
from voltphase.core.errors import GeometryError, SamplingError
from voltphase.core.units import FOCAL_LENGTH, SIZE, metres, require_length, require_wavelength
from voltphase.optics.grid import Grid, around
from voltphase.optics.methods.formulas import phasor


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
