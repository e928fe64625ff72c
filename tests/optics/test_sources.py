from __future__ import annotations

import cmath
import math
from functools import partial

import pytest
import torch

from voltphase.core.errors import ConfigError, GeometryError, SamplingError
from voltphase.optics import ImageSource, SourceLight, gaussian_beam, image_interpolation, plane_wave, point_source
from voltphase.optics.grid import Grid

WAVELENGTH = 532e-9


@pytest.mark.parametrize(("size_in", "size_out"), [(28, 200), (8, 64), (5, 3), (7, 7), (1, 4)])
def test_interpolation_is_torchs_bilinear(size_in: int, size_out: int) -> None:
    image = torch.rand(1, 1, size_in, size_in, dtype=torch.float64)
    expected = torch.nn.functional.interpolate(image, size=size_out, mode="bilinear", align_corners=False)
    matrix = image_interpolation(size_in, size_out)
    torch.testing.assert_close(matrix @ image @ matrix.T, expected, rtol=0, atol=1e-14)


def test_bytes_and_numbers_are_the_same_light() -> None:
    source = ImageSource(Grid((12, 9), 1e-5), (4, 3))
    images = torch.randint(0, 256, (2, 4, 3), dtype=torch.uint8)
    assert source(images).shape == (2, 12, 9)
    assert source(images).dtype == torch.complex64
    torch.testing.assert_close(source(images), source(images / 255))


def test_an_image_in_amplitude_phase_or_both() -> None:
    grid, images = Grid((3, 3), 1e-5), torch.rand(2, 3, 3, dtype=torch.float64)

    def field(encoding) -> torch.Tensor:
        light = SourceLight(encoding, None if encoding == "amplitude" else 1.5)
        return ImageSource(grid, (3, 3), light=light, dtype=torch.complex128)(images)

    torch.testing.assert_close(field("amplitude"), images.to(torch.complex128))
    torch.testing.assert_close(field("phase"), torch.exp(1.5j * images))
    torch.testing.assert_close(field("both"), images * torch.exp(1.5j * images))


def test_a_tilted_plane_wave_advances_along_its_direction() -> None:
    grid = Grid((5, 8), (4e-6, 2e-6), offset=(1e-5, -3e-5))
    y, x = grid.coordinates()
    wave = plane_wave(grid, wavelength=WAVELENGTH, tilt=(0.02, -0.05), dtype=torch.complex128)
    path = y[:, None] * math.sin(0.02) + x * math.sin(-0.05)
    torch.testing.assert_close(wave, torch.exp(2j * math.pi / WAVELENGTH * path))
    # Along the plane, where the sines are those of a direction but for rounding.
    assert plane_wave(Grid(4, 1e-7), wavelength=WAVELENGTH, tilt=(math.asin(0.6), math.asin(0.8))).isfinite().all()


def test_a_gaussian_beam_obeys_the_textbook() -> None:
    waist, z = 50e-6, 0.02
    grid = Grid((5, 5), 20e-6)
    k, rayleigh = 2 * math.pi / WAVELENGTH, math.pi * waist**2 / WAVELENGTH
    width = waist * math.sqrt(1 + (z / rayleigh) ** 2)
    curvature = z * (1 + (rayleigh / z) ** 2)
    beam = gaussian_beam(grid, wavelength=WAVELENGTH, waist=waist, distance=z, dtype=torch.complex128)
    y, x = grid.coordinates()
    squared = float(y[1] ** 2 + x[4] ** 2)
    phase = k * z + k * squared / (2 * curvature) - math.atan(z / rayleigh)
    expected = waist / width * math.exp(-squared / width**2) * cmath.exp(1j * phase)
    assert abs(complex(beam[1, 4]) - expected) < 1e-8


@pytest.mark.parametrize("distance", [0.05, -0.05])
def test_a_point_source_is_a_spherical_wave(distance: float) -> None:
    grid = Grid((3, 3), 10e-6)
    wave = point_source(grid, wavelength=WAVELENGTH, distance=distance, position=(0, 10e-6), dtype=torch.complex128)
    r = math.sqrt(0.05**2 + (10e-6) ** 2 + (20e-6) ** 2)
    sign = 1 if distance > 0 else -1
    expected = 0.05 / r * cmath.exp(sign * 2j * math.pi * r / WAVELENGTH)
    assert abs(complex(wave[0, 0]) - expected) < 1e-8
    assert abs(wave[1, 2]) == 1


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (
            lambda grid: plane_wave(grid, wavelength=WAVELENGTH, tilt=(0, 0.1)),
            SamplingError,
            "expected a plane wave no steeper than 0.0266 rad, which a pitch of 10 µm can carry, but got 0.1 rad",
        ),
        (
            lambda grid: point_source(grid, wavelength=WAVELENGTH, distance=1e-3),
            SamplingError,
            "expected the rim of a spherical wave no steeper than 0.0266 rad",
        ),
        *(
            (
                make,
                GeometryError,
                f"expected a wavelength in metres, from 1 nm to 10 mm, but got {wavelength}: green light has 532e-9",
            )
            for wavelength in (0, -532e-9, math.nan, math.inf)
            for make in (
                partial(plane_wave, wavelength=wavelength),
                partial(gaussian_beam, wavelength=wavelength, waist=1e-4),
                partial(point_source, wavelength=wavelength, distance=1.0),
            )
        ),
        *(
            (partial(make, wavelength=WAVELENGTH), GeometryError, f"expected a finite {what}")
            for what, make in {
                "tilt in radians, but got (0, nan)": partial(plane_wave, tilt=(0, math.nan)),
                "waist in metres, but got inf": partial(gaussian_beam, waist=math.inf),
                "distance in metres, but got nan": partial(gaussian_beam, waist=1e-4, distance=math.nan),
                "distance in metres, but got inf": partial(point_source, distance=math.inf),
                "centre in metres, but got (nan, 0)": partial(gaussian_beam, waist=1e-4, centre=(math.nan, 0)),
                "position in metres, but got (0, nan)": partial(point_source, distance=1.0, position=(0, math.nan)),
            }.items()
        ),
        (
            lambda grid: SourceLight("phase", math.inf),
            GeometryError,
            "expected a phase range in radians as a finite number, but got inf",
        ),
        (
            lambda grid: plane_wave(Grid(4, 1e-7), wavelength=WAVELENGTH, tilt=(1.2, 1.2)),
            GeometryError,
            "expected tilts whose squared sines add up to at most 1, as a direction's do, but got (1.2, 1.2)",
        ),
        (
            lambda grid: point_source(grid, wavelength=WAVELENGTH, distance=0),
            GeometryError,
            "expected a point source in front of or behind the plane",
        ),
        (
            lambda grid: gaussian_beam(grid, wavelength=WAVELENGTH, waist=5e-6),
            SamplingError,
            "expected a waist of 10 µm, the pitch, or more, but got 5 µm",
        ),
        (
            lambda grid: ImageSource(grid, (0, 3)),
            GeometryError,
            "expected the shape of images as a whole number of at least 1, but got 0",
        ),
        (
            lambda grid: SourceLight("colour"),  # pyright: ignore[reportArgumentType]
            ConfigError,
            "expected an encoding out of amplitude, phase, both, but got 'colour'",
        ),
        (
            lambda grid: ImageSource(grid, (3, 3), dtype=torch.float32),
            ConfigError,
            "expected dtype torch.complex64 or torch.complex128, but got torch.float32",
        ),
        (
            lambda grid: ImageSource(grid, (3, 3))(torch.ones(2, 4, 4)),
            GeometryError,
            "expected images of batch x 3 x 3, but got 2 x 4 x 4",
        ),
    ],
)
def test_impossible_sources_are_refused(make, error: type[Exception], message: str) -> None:
    with pytest.raises(error) as caught:
        make(Grid(100, 10e-6))
    assert str(caught.value).startswith(message)
