"""What stands in the way of light, as a description: it is made for a plane and a wavelength when both are known."""

from __future__ import annotations

import abc
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Annotated

import torch
from annotated_types import Ge, Gt, Le, Unit
from torch import Tensor

from voltphase.core import checks
from voltphase.core.errors import GeometryError
from voltphase.core.registry import Registry
from voltphase.core.units import LONGEST_DISTANCE, SHORTEST_WAVELENGTH, require_wavelength
from voltphase.optics.elements.transmissions import circular_aperture, rectangular_aperture, thin_lens
from voltphase.optics.grid import Grid
from voltphase.optics.masks import Mask

_Length = Annotated[float, Unit("m"), Gt(0), Le(LONGEST_DISTANCE)]
_Focus = Annotated[float, Unit("m"), Ge(-LONGEST_DISTANCE), Le(LONGEST_DISTANCE)]
_Place = Annotated[float, Unit("m")]
_Size = Annotated[int, Ge(1), Le(8192)]


class Optic(abc.ABC):
    """What stands in the way of light and is not trained. A subclass is a frozen dataclass of its settings."""

    @property
    def length(self) -> float:
        """How long it is along the axis, in metres."""
        return 0.0

    @abc.abstractmethod
    def plane(self, before: Grid) -> Grid:
        """Return the plane that it stands on, of the plane before it."""

    def image(self, plane: Grid) -> Grid:
        """Return the plane that light goes on from, of the one that it stands on."""
        return plane

    @abc.abstractmethod
    def transmission(self, plane: Grid, wavelength: float) -> Tensor:
        """Return what it multiplies light by, real or complex ``rows x columns``.

        Args:
            plane: Plane that it stands on.
            wavelength: Wavelength of the light in metres.

        Raises:
            GeometryError: if it does not fit its plane.
            SamplingError: if the plane is too coarse for it.
        """


ELEMENTS: Registry[type[Optic]] = Registry("an element", "voltphase.elements", kind=Optic)


@dataclass(frozen=True)
class OnPlane(Optic):
    """An element on a plane with samples of its own: as many, as far apart, as those of the plane before it."""

    def plane(self, before: Grid) -> Grid:
        size, pitch = getattr(self, "size", None), getattr(self, "pitch", None)
        return Grid(before.shape if size is None else size, before.pitch if pitch is None else pitch, before.offset)


@ELEMENTS.register("lens")
@dataclass(frozen=True)
class Lens(OnPlane):
    """A thin lens; see :func:`voltphase.optics.thin_lens`.

    Args:
        focal_length: Focal length in metres; negative diverges.
        diameter: Diameter of the lens in metres, dark outside; null for a lens as large as its plane.
        centre: Where its middle is, [y, x] in metres from the axis.
        design_wavelength: Wavelength in metres that a flat lens is made for, whose phases are the same at all others,
            where its focal length goes as 1 / wavelength; null for a lens that has its focal length at all of them, as
            one of glass nearly does.
        size: Samples along each side of the plane it stands on, or [rows, columns]; null for those of the plane before.
        pitch: Distance between these samples in metres, or [y, x]; null for that of the plane before.

    Examples:
        >>> Lens(0.2).transmission(Grid(8, 36e-6), 532e-9).shape
        torch.Size([8, 8])
    """

    focal_length: _Focus
    diameter: _Length | None = None
    centre: tuple[_Place, _Place] = (0.0, 0.0)
    design_wavelength: Annotated[float, Unit("m"), Ge(SHORTEST_WAVELENGTH)] | None = None
    size: _Size | tuple[_Size, _Size] | None = None
    pitch: _Length | tuple[_Length, _Length] | None = None

    def __post_init__(self) -> None:
        checks.number(self.focal_length, "a focal length in metres", error=GeometryError)
        if self.focal_length == 0:
            raise GeometryError("expected a focal length other than zero, but got 0")
        if self.design_wavelength is not None:
            require_wavelength(self.design_wavelength)
        _settle(self)

    def transmission(self, plane: Grid, wavelength: float) -> Tensor:
        return thin_lens(
            plane,
            wavelength=wavelength if self.design_wavelength is None else self.design_wavelength,
            focal_length=self.focal_length,
            diameter=self.diameter,
            centre=self.centre,
        )


@ELEMENTS.register("aperture")
@dataclass(frozen=True)
class Stop(OnPlane):
    """A hole in a dark screen, round or rectangular.

    Args:
        diameter: Diameter of a round hole in metres.
        opening: Height and width of a rectangular hole, [y, x] in metres; give this or the diameter.
        centre: Where its middle is, [y, x] in metres from the axis.
        size: Samples along each side of the plane it stands on, or [rows, columns]; null for those of the plane before.
        pitch: Distance between these samples in metres, or [y, x]; null for that of the plane before.

    Raises:
        GeometryError: if not exactly one of ``diameter`` and ``opening`` is given.
    """

    diameter: _Length | None = None
    opening: tuple[_Length, _Length] | None = None
    centre: tuple[_Place, _Place] = (0.0, 0.0)
    size: _Size | tuple[_Size, _Size] | None = None
    pitch: _Length | tuple[_Length, _Length] | None = None

    def __post_init__(self) -> None:
        _settle(self)
        if (self.diameter is None) == (self.opening is None):
            got = "neither" if self.diameter is None else "both"
            raise GeometryError(f"expected either a diameter or an opening for an aperture, but got {got}")

    def transmission(self, plane: Grid, wavelength: float) -> Tensor:
        if self.diameter is not None:
            return circular_aperture(plane, diameter=self.diameter, centre=self.centre)
        assert self.opening is not None
        return rectangular_aperture(plane, size=self.opening, centre=self.centre)


@ELEMENTS.register("mask")
@dataclass(frozen=True)
class MaskFile(OnPlane):
    """A fixed mask, a filter or a phase plate: a number for each sample of its plane, which multiplies the field there.

    Args:
        file: File with the numbers: amplitudes from a grey picture (PNG, TIFF, BMP; white is 1) or a table (CSV), or
            amplitudes or complex numbers from an array (NPY).
        size: Samples along each side of the plane it stands on, or [rows, columns]; null for those of the plane before.
        pitch: Distance between these samples in metres, or [y, x]; null for that of the plane before.
    """

    file: str
    size: _Size | tuple[_Size, _Size] | None = None
    pitch: _Length | tuple[_Length, _Length] | None = None

    def __post_init__(self) -> None:
        _settle(self)

    @cached_property
    def mask(self) -> Mask:
        """What is in the file, which is read once; a DataError says if it cannot be."""
        return Mask.read(self.file)

    def holding(self, mask: Mask) -> MaskFile:
        """Return the same with what was in the file, which is not read again."""
        held = replace(self)
        vars(held)["mask"] = mask
        return held

    def transmission(self, plane: Grid, wavelength: float) -> Tensor:
        if self.mask.shape != plane.shape:
            rows, columns = self.mask.shape
            raise GeometryError(
                f"expected a mask of {plane.rows} x {plane.columns} numbers, one for each sample of its plane, but "
                f"{self.file} has {rows} x {columns}: save it with as many, or give it a plane of its own, "
                f"size: [{rows}, {columns}]"
            )
        return torch.tensor(self.mask.values)


@ELEMENTS.register("relay")
@dataclass(frozen=True)
class Relay(Optic):
    """Two lenses that image one plane onto another, a 4-f relay: upside down, f2 / f1 times as large.

    The plane before it is in the front focal plane of the first lens, its image in the back focal plane of the second.
    Between them, in the focus of both, is the Fourier plane, where an aperture takes away what is too fine. The lenses
    have no edge and no aberrations.

    Args:
        focal_length: Focal length of both lenses in metres, or [first, second].
        aperture: Diameter of a round aperture in the Fourier plane in metres; null for none.

    Examples:
        >>> Relay((0.1, 0.2)).image(Grid(8, 10e-6)).pitch
        (2e-05, 2e-05)
    """

    focal_length: _Length | tuple[_Length, _Length]
    aperture: _Length | None = None

    def __post_init__(self) -> None:
        _settle(self)
        for focal_length in self.focal_lengths:
            checks.number(focal_length, "a focal length in metres", above=0, error=GeometryError)
        if self.aperture is not None:
            checks.number(self.aperture, "a diameter in metres", above=0, error=GeometryError)

    @property
    def focal_lengths(self) -> tuple[float, float]:
        """Focal length of the first and of the second lens in metres."""
        return self.focal_length if isinstance(self.focal_length, tuple) else (self.focal_length, self.focal_length)

    @property
    def length(self) -> float:
        return 2 * sum(self.focal_lengths)

    def plane(self, before: Grid) -> Grid:
        return before

    def image(self, plane: Grid) -> Grid:
        first, second = self.focal_lengths
        y, x = (-offset * second / first for offset in plane.offset)
        pitch_y, pitch_x = (pitch * second / first for pitch in plane.pitch)
        return Grid(plane.shape, (pitch_y, pitch_x), (y + 0.0, x + 0.0))

    def fourier_plane(self, plane: Grid, wavelength: float) -> Grid:
        """Return the Fourier plane: the whole band of the samples, twice as finely as they need, so that none wraps."""
        rows, columns = (2 * count for count in plane.shape)
        reach = wavelength * self.focal_lengths[0]
        return Grid((rows, columns), (reach / (rows * plane.pitch[0]), reach / (columns * plane.pitch[1])))

    def transmission(self, plane: Grid, wavelength: float) -> Tensor:
        """Return what the Fourier plane multiplies light by, on :meth:`fourier_plane`."""
        fourier = self.fourier_plane(plane, wavelength)
        if self.aperture is None:
            return torch.ones(fourier.shape, dtype=torch.float64)
        return circular_aperture(fourier, diameter=self.aperture)


def _settle(optic: Optic) -> None:
    """Make tuples of lists, so that descriptions that are alike are equal."""
    for name, value in vars(optic).items():
        if isinstance(value, list | tuple):
            numbers = checks.pair(value, name.replace("_", " "), error=GeometryError)
            object.__setattr__(optic, name, tuple(map(int, numbers)) if name == "size" else numbers)
