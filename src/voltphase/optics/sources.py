"""Where light begins."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial
from typing import Literal, get_args

import torch
from torch import Tensor, nn

from voltphase.core import checks
from voltphase.core.dtypes import FixedDtype, exact_linear, with_standard_torch
from voltphase.core.errors import ConfigError, GeometryError, SamplingError
from voltphase.core.units import (
    DISTANCE,
    LARGEST_PHASE,
    OFFSET,
    SIZE,
    metres,
    require_angles,
    require_length,
    require_wavelength,
)
from voltphase.optics.grid import Grid, around
from voltphase.optics.images import amplitudes, checked_images
from voltphase.optics.kernels.axis import Matrix
from voltphase.optics.kernels.kernel import Separable
from voltphase.optics.masks import Mask
from voltphase.optics.methods.formulas import carrier, phasor
from voltphase.optics.precision import require_complex

Encoding = Literal["amplitude", "phase", "both"]

# A wave right at the edge of the band, or along the plane, is allowed to be there but for rounding.
_ROUNDING = 1e-9
# Metres, wider than any beam: what is beyond is in another unit.
_WIDEST = 1.0
# Widths of the source that a beam is a plane wave from on: its amplitude is even to 5e-5.
_FLAT = 100
# Amplitude of a beam that light is computed with: less is rounding in single precision.
_DARKEST = 1e-6
# Samples a side, more than any machine computes with.
_LARGEST_SIZE = 1 << 20


def plane_wave(
    grid: Grid,
    *,
    wavelength: float,
    tilt: tuple[float, float] = (0.0, 0.0),
    dtype: torch.dtype = torch.complex64,
) -> Tensor:
    """A plane wave of amplitude 1, a complex ``rows x columns`` tensor; phase 0 at the origin of coordinates.

    Args:
        grid: Plane where the field is wanted.
        wavelength: Wavelength in metres.
        tilt: Angles (y, x) in radians towards which it travels; their sines are the direction's.
        dtype: Complex type of the field.

    Raises:
        GeometryError: if the wavelength is none that light has, a tilt not finite, or the sines those of no direction.
        SamplingError: if it is steeper than the grid's pitch can carry.
    """
    require_complex(dtype)
    require_wavelength(wavelength)
    checks.instance(grid, Grid, "a voltphase.Grid", error=GeometryError)
    tilt = checks.pair(tilt, "tilt in radians", error=GeometryError)
    if max(abs(angle) for angle in tilt) > math.pi / 2:
        raise GeometryError(
            f"expected tilts in radians, at most a quarter of a turn, but got {tilt}: give degrees as math.radians(...)"
        )
    sines = [math.sin(angle) for angle in tilt]
    if math.hypot(*sines) > 1 + _ROUNDING:
        raise GeometryError(
            f"expected tilts whose squared sines add up to at most 1, as a direction's do, but got {tilt}"
        )
    turns = []
    for sine, x, pitch in zip(sines, grid.coordinates(), grid.pitch, strict=True):
        _require_sampled(abs(sine), pitch, wavelength, "a plane wave")
        turns.append(2 * math.pi / wavelength * sine * x)
    return (phasor(turns[0])[:, None] * phasor(turns[1])).to(dtype)


def gaussian_beam(
    grid: Grid,
    *,
    wavelength: float,
    waist: float,
    distance: float = 0.0,
    centre: tuple[float, float] = (0.0, 0.0),
    dtype: torch.dtype = torch.complex64,
) -> Tensor:
    """Return the paraxial Gaussian beam, a complex ``rows x columns`` tensor, with amplitude 1 at its waist.

    Siegman, Lasers, section 17.1, with the carrier exp(2 pi i z / wavelength).

    Args:
        grid: Plane where the field is wanted.
        wavelength: Wavelength in metres.
        waist: Radius at 1/e of the amplitude where it is narrowest, in metres.
        distance: Behind the waist, in metres; negative is in front.
        centre: Centre of the beam (y, x), in metres.
        dtype: Complex type of the field.

    Raises:
        GeometryError: if the wavelength is none that light has, or a number not finite.
        SamplingError: if the waist is below the pitch.
    """
    require_complex(dtype)
    require_wavelength(wavelength)
    y, x = around(grid, centre)
    require_length(SIZE, waist, what="waist")
    require_length(DISTANCE, distance)
    if not waist >= max(grid.pitch):
        raise SamplingError(
            f"expected a waist of {metres(max(grid.pitch))}, the pitch, or more, but got {metres(waist)}: "
            "choose a finer grid"
        )
    spreading = 1 + 1j * distance * wavelength / (math.pi * waist**2)
    profile = torch.exp(-(y[:, None] ** 2 + x**2) / (waist**2 * spreading))
    return (profile * (carrier(wavelength, distance) / spreading)).to(dtype)


def point_source(
    grid: Grid,
    *,
    wavelength: float,
    distance: float,
    position: tuple[float, float] = (0.0, 0.0),
    dtype: torch.dtype = torch.complex64,
) -> Tensor:
    """Return a spherical wave, a complex ``rows x columns`` tensor, with amplitude 1 where the plane is nearest.

    ``z / r exp(2 pi i r / wavelength)``, with r the distance from the point.

    Args:
        grid: Plane where the field is wanted.
        wavelength: Wavelength in metres.
        distance: Distance of the point in front of the plane in metres; negative for light that converges to a point
            behind it.
        position: Position of the point (y, x), in metres.
        dtype: Complex type of the field.

    Raises:
        GeometryError: if the wavelength is none that light has, the distance zero, or a number not finite.
        SamplingError: if the wave is steeper anywhere than the grid's pitch can carry.
    """
    require_complex(dtype)
    require_wavelength(wavelength)
    y, x = around(grid, position, "position")
    require_length(DISTANCE, distance)
    if distance == 0:
        raise GeometryError("expected a point source in front of or behind the plane, but got a distance of 0")
    for beside, pitch in ((y, grid.pitch[0]), (x, grid.pitch[1])):
        reach = float(beside.abs().max())
        _require_sampled(reach / math.hypot(reach, distance), pitch, wavelength, "the rim of a spherical wave")
    beside = y[:, None] ** 2 + x**2
    r = torch.sqrt(beside + distance**2)
    wave = abs(distance) / r * phasor(2 * math.pi / wavelength * beside / (r + abs(distance)))
    wave = wave * carrier(wavelength, abs(distance))
    return (wave if distance > 0 else wave.conj()).to(dtype)


def image_interpolation(size_in: int, size_out: int) -> Tensor:
    """Return one axis of bilinear interpolation as a matrix, ``size_out x size_in``, float64.

    Equals ``torch.nn.functional.interpolate(mode="bilinear", align_corners=False)``, which it is made by.
    """
    for size in (size_in, size_out):
        checks.whole(size, "a size in samples", least=1, most=_LARGEST_SIZE, error=GeometryError)
    unit_images = torch.eye(size_in, dtype=torch.float64, device="cpu")[None]
    columns = nn.functional.interpolate(unit_images, size=size_out, mode="linear", align_corners=False)
    return columns[0].T.contiguous()


@dataclass(frozen=True)
class SourceLight:
    """How the light on the source carries an image: what stands in front of the first layer's way.

    Args:
        encoding: Whether the image is the light's ``amplitude``, its ``phase``, or ``both``.
        phase_range: Phase of the brightest pixel in radians, where the phase carries the image; pi if None.
        waist: Radius at 1/e of the amplitude of a Gaussian beam that lights the source, in metres; None for a plane
            wave.
        background: Amplitude of a black pixel, where the amplitude carries the image: amplitudes are from there to 1.
        centre: Where the middle of the Gaussian beam is, (y, x) in metres from the axis.
        mask: Mask or filter in front of the source, or a measured illumination, that multiplies the field; None for
            none.

    Raises:
        ConfigError: if the encoding is none of those, or a setting is of no use with it.
        GeometryError: if a number is out of its range.

    Examples:
        >>> SourceLight("phase", phase_range=6.28).dark
        False
    """

    encoding: Encoding = "amplitude"
    phase_range: float | None = None
    waist: float | None = None
    background: float = 0.0
    centre: tuple[float, float] = (0.0, 0.0)
    mask: Mask | None = None

    def __post_init__(self) -> None:
        checks.word(self.encoding, "an encoding", get_args(Encoding))
        if self.phase_range is not None:
            if self.encoding == "amplitude":
                raise ConfigError("expected no phase range for the encoding amplitude, which has no use for it")
            given = checks.number(self.phase_range, "a phase range in radians", error=GeometryError)
            require_angles(GeometryError, most=LARGEST_PHASE, phase_range=given)
        if self.waist is not None:
            checks.number(self.waist, "a waist in metres", above=0, most=_WIDEST, error=GeometryError)
        background = checks.number(self.background, "a background", least=0, error=GeometryError)
        if not background < 1:
            raise GeometryError(f"expected a background from 0 to below 1, an amplitude, but got {background:g}")
        if background and self.encoding == "phase":
            raise ConfigError("expected no background for the encoding phase, whose amplitude is 1 everywhere")
        object.__setattr__(self, "centre", checks.pair(self.centre, "centre in metres", error=GeometryError))
        require_length(OFFSET, *self.centre, what="centre")
        if any(self.centre) and self.waist is None:
            raise ConfigError(
                f"expected no centre for a plane wave, but got {self.centre}: give a waist for a Gaussian beam"
            )
        if self.mask is not None:
            checks.instance(self.mask, Mask, "a mask", advice="make one with voltphase.optics.Mask(values)")

    @property
    def range(self) -> float:
        """The phase of the brightest pixel in radians."""
        return math.pi if self.phase_range is None else self.phase_range

    @property
    def linear(self) -> bool:
        """Whether the field is proportional to the image."""
        return self.encoding == "amplitude" and self.background == 0 and self.mask is None

    @property
    def dark(self) -> bool:
        """Whether a black image has no light."""
        return self.encoding != "phase" and self.background == 0

    def beam(self, grid: Grid) -> list[Tensor | None]:
        """Return the amplitude of the light along each axis of a plane, float64, or None for a plane wave.

        Raises:
            GeometryError: if the beam does not meet the plane, or the mask has another shape.

        Warns:
            UnitWarning: if it is so wide that it is a plane wave.
        """
        if self.mask is not None and self.mask.shape != grid.shape:
            raise GeometryError(
                f"expected a mask of {grid.rows} x {grid.columns} samples, those of the source, but got one of "
                f"{self.mask.shape[0]} x {self.mask.shape[1]}: a mask is not interpolated"
            )
        if self.waist is None:
            return [None, None]
        require_length(SIZE, self.waist, what="waist", usual=_FLAT * max(grid.extent))
        beam = [torch.exp(-((at / self.waist) ** 2)) for at in around(grid, self.centre)]
        brightest = math.prod(float(profile.max()) for profile in beam)
        if brightest < _DARKEST:
            size = " x ".join(map(metres, grid.extent))
            raise GeometryError(
                f"expected a Gaussian beam that meets the source of {size}, but its amplitude is {brightest:.1g} there "
                "at most: move its centre, or widen its waist"
            )
        return [*beam]


class ImageSource(FixedDtype):
    """Light that carries an image, interpolated bilinearly to the grid; a plane wave unless ``light`` says another.

    Args:
        grid: Plane where the field is wanted; the image covers it whole.
        image_shape: (rows, columns) of the images.
        light: How light carries the image; as its amplitude if None.
        dtype: Complex type of the field.

    Raises:
        ConfigError: if the dtype is none of those.
        GeometryError: if the images have no pixels, or the light does not fit the grid.

    Examples:
        >>> source = ImageSource(Grid(64, pitch=36e-6), (28, 28))
        >>> source(torch.full((2, 28, 28), 255, dtype=torch.uint8)).abs().max()
        tensor(1.)
    """

    rows: Tensor
    columns: Tensor
    beam_rows: Tensor | None
    beam_columns: Tensor
    mask: Tensor | None

    @with_standard_torch
    def __init__(
        self,
        grid: Grid,
        image_shape: tuple[int, int],
        *,
        light: SourceLight | None = None,
        dtype: torch.dtype = torch.complex64,
    ) -> None:
        super().__init__()
        require_complex(dtype)
        checks.instance(grid, Grid, "a voltphase.Grid", error=GeometryError)
        image_shape = checks.size(image_shape, "the shape of images", error=GeometryError)
        self.grid, self.image_shape, self.dtype = grid, image_shape, dtype
        wanted = "the light of a source"
        self.light = checks.instance(SourceLight() if light is None else light, SourceLight, wanted)
        beam = [None if profile is None else profile.to(dtype.to_real()) for profile in self.light.beam(grid)]
        self.register_buffer("beam_rows", beam[0], persistent=False)
        self.register_buffer("beam_columns", beam[1], persistent=False)
        mask = self.light.mask
        self.register_buffer("mask", None if mask is None else torch.tensor(mask.values).to(dtype), persistent=False)
        for name, *sizes in zip(("rows", "columns"), image_shape, grid.shape, strict=True):
            self.register_buffer(name, image_interpolation(*sizes).to(dtype.to_real()), persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        """Return a complex ``... x rows x columns`` field.

        Args:
            images: ``... x height x width``, uint8 (255 is amplitude 1) or real (1 is amplitude 1); a tensor, or an
                array.

        Raises:
            GeometryError: if the images are of another shape.
            ConfigError: if they are of another type, or on another device.
            DataError: if they are not finite.
        """
        images = checked_images(images, self.image_shape, self.rows.device)
        rows, columns = self.rows, self.columns
        image = exact_linear(
            lambda image: rows @ (image @ columns.mT),
            lambda image: rows.mT @ image @ columns,
            amplitudes(images, self.dtype),
        )
        light = self.light
        amplitude = light.background + (1 - light.background) * image if light.background else image
        if light.encoding == "amplitude":
            field = torch.complex(amplitude, torch.zeros_like(image))
        else:
            phasors = torch.polar(torch.ones_like(image), light.range * image)
            # Not by one torch.polar, which knows no slope of the amplitude where the image is black.
            field = amplitude * phasors if light.encoding == "both" else phasors
        field = field if self.beam_rows is None else self.beam_rows[:, None] * self.beam_columns * field
        return field if self.mask is None else self.mask * field

    def kernel(self) -> Separable:
        """Return what makes a field of an image as a kernel, where the field is proportional to the image.

        Raises:
            ConfigError: if it is not.
        """
        if not self.light.linear:
            raise ConfigError(f"expected light that is proportional to the image, but got {self.light}")
        axes = []
        light, grid = self.light, self.grid
        for pixels, size, profile, offset, centre in zip(
            self.image_shape, grid.shape, light.beam(grid), grid.offset, light.centre, strict=True
        ):
            make = partial(_lit_interpolation, pixels, size, profile)
            axes.append(Matrix(mirrored=profile is None or offset == centre, shape=(size, pixels), make=make))
        return Separable(*axes)

    def extra_repr(self) -> str:
        """Return the images' shape and the light, as the module's ``repr`` shows them."""
        return f"image_shape={self.image_shape}, {self.light}"


def _lit_interpolation(pixels: int, size: int, profile: Tensor | None) -> Tensor:
    matrix = image_interpolation(pixels, size)
    return matrix if profile is None else profile[:, None] * matrix


def _require_sampled(sine: float, pitch: float, wavelength: float, what: str) -> None:
    steepest = min(1.0, wavelength / (2 * pitch))
    if sine > steepest * (1 + _ROUNDING):
        raise SamplingError(
            f"expected {what} no steeper than {math.asin(steepest):.3g} rad, which a pitch of {metres(pitch)} "
            f"can carry, but got {math.asin(min(sine, 1.0)):.3g} rad: choose a finer grid"
        )
