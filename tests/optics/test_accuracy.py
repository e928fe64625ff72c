"""How far methods are off rough light, and what is said of it, against sums by brute force."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest
import torch

from voltphase.core.errors import GeometryError
from voltphase.optics import AngularSpectrum, FocalPlane, FresnelPixels, Kernel, Method, Propagator, SamplingWarning
from voltphase.optics.grid import Grid
from voltphase.optics.methods import METHODS
from voltphase.optics.methods.accuracy.contour import HalfBand
from voltphase.optics.methods.accuracy.exact_light import Waves, half_bands, response
from voltphase.optics.methods.accuracy.rough_error import TOLERANCE, WITHIN, rough_error
from voltphase.optics.methods.accuracy.sample_pairs import some_pairs
from voltphase.optics.methods.auto import best_method
from voltphase.optics.methods.geometry import Geometry
from voltphase.validation.brute_force import Field, band_kernel, direct_sum, pixel_kernel

GREEN = 532e-9
# Estimates are of all random fields, and made from some of the pairs of samples: over two dozen fields they agree to
# a fifth.
FACTOR = 1.5
# The quadrature against brute force.
EXACT = 1e-7


def rough(shape: tuple[int, int], count: int = 24) -> Field:
    """Fields of random phases."""
    return np.exp(2j * math.pi * np.random.default_rng(0).random((count, *shape)))


def geometries() -> list[Geometry]:
    """From half a wavelength to a hundred in pitch, and from a tenth of a pitch to where light covers sixty."""
    generator = np.random.default_rng(5)
    found = []
    for pitch in (0.5, 0.55, 0.7071, 0.8, 1.3, 4.0, 30.0, 100.0):
        for covered in (0.1, 1.0, 6.0, 60.0):
            rows, columns, rows_there, columns_there = (int(n) for n in generator.choice([1, 2, 7, 16], 4))
            ratio, oblong = generator.choice([1, 1, 0.5, 2, 1.37]), generator.choice([1, 1.5])
            sizes = np.array([pitch, pitch * oblong]) * GREEN
            sine = min(0.5 / pitch, 0.95)
            distance = covered * pitch * GREEN * math.sqrt(1 - sine**2) / sine
            offset = generator.choice([0, 0, 3.3], 2) * sizes
            found.append(
                Geometry(
                    Grid((rows, columns), tuple(sizes)),
                    Grid((rows_there, columns_there), tuple(sizes * ratio), tuple(offset)),
                    GREEN,
                    float(distance * generator.choice([1, 1, -1])),
                )
            )
    return found


def exactly(geometry: Geometry, fields: Field) -> Field:
    def kernel(rows: np.ndarray, columns: np.ndarray) -> Field:
        return band_kernel(rows, columns, geometry.source.pitch, geometry.wavelength, geometry.distance)

    return direct_sum(fields, geometry.source, geometry.target, kernel)


def off(found: Field, expected: Field) -> float:
    return float(np.linalg.norm(found - expected) / np.linalg.norm(expected))


def applied(geometry: Geometry, method: str | Method, fields: Field, **options: object) -> Field:
    propagate = Propagator(
        geometry.source,
        geometry.target,
        wavelength=geometry.wavelength,
        distance=geometry.distance,
        method=method,
        dtype=torch.complex128,
        check=False,
        **options,  # pyright: ignore[reportArgumentType]
    )
    return propagate(torch.from_numpy(fields)).numpy()


def named(geometry: Geometry) -> str:
    pitch, distance = geometry.source.pitch[0] / GREEN, geometry.distance / GREEN
    return f"{pitch:.3g}-{distance:.3g}-{geometry.source.shape}-{geometry.target.shape}"


@pytest.mark.parametrize("geometry", geometries(), ids=named)
def test_rough_light_is_exact_by_plane_waves_and_off_by_what_is_estimated_of_others(geometry: Geometry) -> None:
    fields = rough(geometry.source.shape)
    expected = exactly(geometry, fields)
    for engine in ("auto", "matrix"):
        assert off(applied(geometry, "angular-spectrum", fields, engine=engine), expected) < EXACT
    for name in ("fresnel", "fresnel-impulse", "rayleigh-sommerfeld", "fraunhofer"):
        try:
            found = off(applied(geometry, name, fields), expected)
        except GeometryError:  # pitches that have no lattice, or a far field at a distance below zero
            continue
        estimated = rough_error(METHODS[name](), geometry)
        assert found / FACTOR - EXACT <= estimated <= found * FACTOR + EXACT, name


@pytest.mark.parametrize(
    # Targets in the dark beside the source are warned of for themselves.
    "geometry",
    [g for g in geometries()[::3] if g.clearance(0) == g.clearance(1) == 0],
    ids=named,
)
def test_auto_is_within_the_tolerance_without_a_word_or_warns_with_the_figure(geometry: Geometry) -> None:
    fields = rough(geometry.source.shape)
    with warnings.catch_warnings():
        warnings.simplefilter("error", SamplingWarning)
        propagate = Propagator(
            geometry.source, geometry.target, wavelength=GREEN, distance=geometry.distance, dtype=torch.complex128
        )
    assert off(propagate(torch.from_numpy(fields)).numpy(), exactly(geometry, fields)) <= FACTOR * TOLERANCE
    assert propagate.explain().error <= WITHIN


@pytest.mark.parametrize(
    ("samples", "pitch", "distance", "most"),
    [(64, 36e-6, 0.3, 1e-3), (64, 2e-6, 2e-3, 1e-3), (32, 36e-6, 3.0, 1e-3), (24, 8e-6, 0.05, 1e-3)],
)
@pytest.mark.parametrize("dtype", [torch.complex64, torch.complex128])
def test_full_bands_of_random_phases_and_amplitudes_keep_the_tolerance(
    samples: int, pitch: float, distance: float, most: float, dtype: torch.dtype
) -> None:
    grid = Grid(samples, pitch)
    geometry = Geometry(grid, grid, GREEN, distance)
    fields = rough(grid.shape, 2) * np.random.default_rng(1).random((2, samples, samples))
    expected = exactly(geometry, fields)
    for method in ("angular-spectrum", "auto"):
        propagate = Propagator(grid, wavelength=GREEN, distance=distance, method=method, dtype=dtype)
        error = off(propagate(torch.from_numpy(fields).to(dtype)).numpy(), expected)
        assert error <= min(most, FACTOR * propagate.explain().error)


@pytest.mark.parametrize(
    ("samples", "pitch", "distance", "fill", "aside"),
    [(8, 8e-6, 1e-3, 1.0, 0), (8, 4e-6, 1e-4, 0.8, 0), (6, 2e-6, 3e-5, 0.5, 5), (3, 1e-6, -1e-3, 0.3, 9)],
)
def test_pixels_are_off_by_what_is_estimated(
    samples: int, pitch: float, distance: float, fill: float, aside: int
) -> None:
    grid, width, method = Grid(samples, pitch), pitch * math.sqrt(fill), FresnelPixels(fill)
    geometry = Geometry(grid, Grid(samples, pitch, (aside * pitch, 0.0)), GREEN, distance)

    def kernel(rows: np.ndarray, columns: np.ndarray) -> Field:
        return pixel_kernel(rows, columns, (width, width), GREEN, distance, parts=32)

    fields = rough(grid.shape)
    found = off(applied(geometry, method, fields), direct_sum(fields, grid, geometry.target, kernel))
    estimated = rough_error(method, geometry)
    assert found / FACTOR <= estimated <= found * FACTOR


@pytest.mark.parametrize("front", [0.0, 4e-4])
def test_a_focal_plane_is_off_by_what_is_estimated(front: float) -> None:
    # Light steep enough to be wrong by a tenth, of a field with no sharp edge so that a wide fine plane holds it.
    focal, source, fine = 4e-4, Grid(12, 4e-6), Grid(180, 0.8e-6)
    target = Grid(9, 5e-6)
    y, x = (at.numpy() for at in fine.coordinates())
    lens = np.exp(-1j * math.pi * (y[:, None] ** 2 + x**2) / (GREEN * focal))
    to_lens = applied(Geometry(source, fine, GREEN, front), "angular-spectrum", rough(source.shape))
    expected = applied(Geometry(fine, target, GREEN, focal), "angular-spectrum", to_lens * lens)
    method = FocalPlane(front)
    geometry = Geometry(source, target, GREEN, focal)
    found = off(applied(geometry, method, rough(source.shape)), expected)
    assert found / 3 <= rough_error(method, geometry) <= found * 3


def test_from_very_far_an_estimate_needs_no_plane_waves() -> None:
    near, far = Grid(16, 4e-6), Grid(65, 15e-3)
    estimated = rough_error(METHODS["fraunhofer"](), Geometry(near, far, GREEN, 200.0))
    assert 1e-5 < estimated < 1e-2


def test_more_plane_waves_change_nothing() -> None:
    generator = np.random.default_rng(2)
    for _ in range(40):
        rows, columns = GREEN * 10 ** generator.uniform(-1.3, 2, 2)
        source, target = (Grid((int(n), int(m)), (rows, columns)) for n, m in 2 ** generator.uniform(0, 6, (2, 2)))
        geometry = Geometry(source, target, GREEN, GREEN * 10 ** generator.uniform(-2, 6))
        bands, pairs = half_bands(geometry), some_pairs(geometry)
        if bands[0].count() * bands[1].count() > 1e6:
            continue
        few, many = (
            response(
                geometry,
                (Waves.of(bands[0], GREEN, finer), Waves.of(bands[1], GREEN, finer)),
                (pairs[0].displacement, pairs[1].displacement),
            )
            for finer in (1.0, 1.63)
        )
        assert float((few - many).norm()) <= EXACT * float(many.norm())
    field = torch.from_numpy(rough((9, 7), 1))
    common = {"wavelength": GREEN, "distance": 2e-3, "dtype": torch.complex128}
    once, thrice = (Propagator(Grid((9, 7), 3e-6), method=AngularSpectrum(n), **common)(field) for n in (None, 3.0))
    assert float((once - thrice).norm()) <= EXACT * float(thrice.norm())


def test_waves_do_not_multiply_with_the_distance() -> None:
    counts = [HalfBand(0.2, 0.2, 30.0, distance).count() for distance in (1e2, 1e4, 1e6, 1e9)]
    assert max(counts) < 500


def test_a_method_that_does_not_say_what_its_kernel_is_has_an_unknown_error() -> None:
    class Mine(Method):
        name, title = "mine", "a method of one's own"

        def limits(self, geometry: Geometry) -> tuple:
            return ()

        def kernel(self, geometry: Geometry) -> Kernel:
            return AngularSpectrum().kernel(geometry)

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        explained = Propagator(Grid(4, 36e-6), wavelength=GREEN, distance=0.1, method=Mine()).explain()
    assert math.isnan(explained.error)
    assert "unknown, of rough light" in str(explained)


def test_an_explanation_has_the_error_of_every_method_that_can_be_applied() -> None:
    grid = Grid(16, 8e-6)
    explained = Propagator(grid, wavelength=GREEN, distance=0.01).explain()
    assert set(explained.errors) == set(METHODS)
    assert explained.error == explained.errors[explained.method] <= WITHIN
    assert f"{explained.errors['fraunhofer']:.1e} by fraunhofer" in str(explained)
    other = Propagator(grid, Grid(16, 9.7e-6), wavelength=GREEN, distance=-0.01, check=False).explain()
    assert set(other.errors) == {"fresnel", "fresnel-impulse", "fresnel-pixels", "angular-spectrum"}


def test_a_wide_plane_is_as_far_off_as_its_middle() -> None:
    errors = [
        rough_error(METHODS["fresnel"](), Geometry(Grid(n, 8e-6), Grid(n, 8e-6), GREEN, 5e-3)) for n in (250, 3000)
    ]
    assert errors[1] == pytest.approx(errors[0], rel=0.2)


def test_what_is_warned_of_has_the_figure_and_a_way_out() -> None:
    grid = Grid(64, 2e-6)
    with pytest.warns(SamplingWarning, match=r"estimated 0\.06; use method 'angular-spectrum'"):
        Propagator(grid, wavelength=GREEN, distance=2e-3, method="fresnel")
    assert best_method(Geometry(grid, grid, GREEN, 2e-3))[0].name == "angular-spectrum"


def test_at_no_distance_a_point_beside_a_sample_has_the_light_of_its_sinc() -> None:
    geometry = Geometry(Grid(1, 4e-6), Grid(1, 4e-6, (82e-6, 0.0)), GREEN, 0.0)
    (found,) = applied(geometry, "angular-spectrum", np.ones((1, 1, 1), dtype=np.complex128)).ravel()
    assert abs(found - math.sin(math.pi * 20.5) / (math.pi * 20.5)) < 1e-9
