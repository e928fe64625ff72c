"""A number in another unit is refused, or named in one warning, wherever a length or an angle enters."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable

import pytest

import voltphase as vp
from voltphase.core.errors import DeviceError, GeometryError
from voltphase.core.units import UnitWarning, metres
from voltphase.devices import phase_change, printed, tn_slm
from voltphase.optics import circular_aperture, gaussian_beam, plane_wave, point_source, rectangular_aperture, thin_lens
from voltphase.optics.paths import paths_between
from voltphase.tasks import Classification

GREEN = 532e-9
GRID = vp.Grid(32, 36e-6)


def said(make: Callable[[], object]) -> list[str]:
    """The warnings of units that making something gives; they point here."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        make()
    ours = [one for one in caught if issubclass(one.category, UnitWarning)]
    assert all(one.filename == __file__ for one in ours)
    return [str(one.message) for one in ours]


@pytest.mark.parametrize(
    ("make", "error", "named"),
    [
        (lambda: vp.Grid(32, pitch=36), GeometryError, "36 µm is 3.6e-05"),
        (lambda: vp.Grid(32, pitch=(36e-6, 8.0)), GeometryError, "8 µm is 8e-06"),
        (lambda: vp.Propagator(GRID, wavelength=532, distance=0.1), GeometryError, "532 nm is 5.32e-07"),
        (lambda: vp.Propagator(GRID, wavelength=0.532, distance=0.1), GeometryError, "0.532 µm is 5.32e-07"),
        (lambda: vp.Propagator(GRID, wavelength=10.6, distance=0.1), GeometryError, "10.6 µm is 1.06e-05"),
        (lambda: vp.Propagator(GRID, wavelength=GREEN, distance=3e5), GeometryError, "300000 µm is 0.3"),
        (lambda: thin_lens(GRID, wavelength=GREEN, focal_length=1e5), GeometryError, "100000 µm is 0.1"),
        (lambda: circular_aperture(GRID, diameter=5000), GeometryError, "5000 µm is 0.005"),
        (lambda: plane_wave(GRID, wavelength=GREEN, tilt=(5, 0)), GeometryError, "math.radians"),
        (lambda: point_source(GRID, wavelength=GREEN, distance=5000), GeometryError, "µm is 0.005"),
        (lambda: vp.Grid(32, 36e-6, offset=(5000, 0)), GeometryError, "5000 µm is 0.005"),
        (lambda: tn_slm(wavelength=532), DeviceError, "532 nm is 5.32e-07"),
        (lambda: tn_slm(thickness=4), DeviceError, "4 µm is 4e-06"),
        (lambda: phase_change(wavelength=1550), DeviceError, "1550 nm is 1.55e-06"),
        (lambda: phase_change(thickness=1), DeviceError, "1 µm is 1e-06"),
        (lambda: printed(wavelength=0.633), DeviceError, "0.633 µm is 6.33e-07"),
        (lambda: printed(height=1.02), DeviceError, "1.02 µm is 1.02e-06"),
    ],
)
def test_what_no_bench_has_is_refused_and_the_likely_unit_named(make, error, named: str) -> None:
    with pytest.raises(error) as caught:
        make()
    assert named in str(caught.value)


@pytest.mark.parametrize(
    ("make", "named"),
    [
        (lambda: vp.Grid(32, pitch=0.036), "0.036 mm is 3.6e-05"),
        (lambda: vp.Grid(32, pitch=(0.008, 0.008)), "0.008 mm is 8e-06"),
        (lambda: vp.Grid(32, 36e-6, offset=(0, 2)), "2 mm is 0.002"),
        (lambda: vp.Grid(32, 36e-6, offset=(-500, 0)), "-500 µm is -0.0005"),
        (lambda: vp.Propagator(GRID, wavelength=532e-6, distance=0.01, method="angular-spectrum"), "wavelengths"),
        (lambda: vp.Propagator(vp.Grid(32, 0.00374), wavelength=GREEN, distance=0.1, method="fresnel"), "wavelengths"),
        (lambda: vp.Propagator(GRID, wavelength=GREEN, distance=300, method="fresnel"), "300 mm is 0.3"),
        (lambda: vp.Propagator(GRID, wavelength=GREEN, distance=-30, method="fresnel"), "-30 mm is -0.03"),
        (lambda: thin_lens(GRID, wavelength=GREEN, focal_length=200), "200 mm is 0.2"),
        (lambda: thin_lens(GRID, wavelength=GREEN, focal_length=9, centre=(0, 0.06), diameter=20), "20 mm is 0.02"),
        (lambda: circular_aperture(GRID, diameter=1e-3, centre=(0, 3)), "3 mm is 0.003"),
        (lambda: circular_aperture(GRID, diameter=5), "5 mm is 0.005"),
        (lambda: rectangular_aperture(GRID, size=(1e-3, 4)), "4 mm is 0.004"),
        (lambda: gaussian_beam(GRID, wavelength=GREEN, waist=2), "2 mm is 0.002"),
        (lambda: vp.optics.SourceLight("phase", 180), "degrees are 3.142"),
        (lambda: tn_slm(twist=90), "degrees are 1.571"),
        (lambda: tn_slm(polariser=-10), "degrees are -0.1745"),
        (lambda: tn_slm(thickness=4e-3), "4"),
        (lambda: printed(height=1.02e-3), "0.00102 mm is 1.02e-06"),
    ],
)
def test_what_benches_hardly_have_is_one_warning_that_names_the_likely_unit(make, named: str) -> None:
    (message,) = said(make)
    assert named in message


def network(grid: vp.Grid, wavelength: float, distances: float | list[float]) -> Callable[[], object]:
    task = Classification(differential=False)
    devices = [vp.devices.lcos(4)] * 3
    return lambda: vp.DONN(grid=grid, wavelength=wavelength, distances=distances, devices=devices, task=task)


def test_a_network_says_it_once_for_all_its_planes() -> None:
    (message,) = said(network(GRID, GREEN, [100, 200, 300, 400]))
    assert "100 mm is 0.1" in message or "mm" in message
    (message,) = said(network(GRID, 532e-6, [0.1, 0.2, 0.3, 0.4]))
    assert "36 µm is 0.0677 wavelengths of 532 µm" in message
    with pytest.warns(UnitWarning):
        coarse = vp.Grid(32, pitch=0.036)
    assert said(network(coarse, GREEN, [100, 200, 300, 400])) == []


@pytest.mark.parametrize(
    ("wavelength", "pitch", "size", "distance"),
    [
        (532e-9, 36e-6, 200, 0.3),
        (532e-9, 36e-6, 64, 0.096),
        (532e-9, 3.74e-6, 512, 0.02),
        (405e-9, 0.4e-3, 200, 3.0),
        (1550e-9, 0.5e-6, 200, 1e-3),
        (10.6e-6, 40e-6, 64, 0.05),
        (0.75e-3, 0.4e-3, 20, 0.03),
        (0.75e-3, 2e-3, 100, 0.3),
        (3e-3, 1.5e-3, 10, 0.2),
        (1e-2, 5e-3, 10, 1.0),
    ],
)
def test_real_benches_from_violet_to_microwaves_hear_nothing(wavelength, pitch, size, distance) -> None:
    grids = [vp.Grid(size, pitch)] * 3
    with warnings.catch_warnings():
        warnings.simplefilter("error", UnitWarning)
        grids = [vp.Grid(size, pitch)] * 3
        paths_between(grids, [distance] * 2, wavelength=wavelength, method="auto")


@pytest.mark.parametrize("length", [36e-6, 1e-3, 0.3, 12.0, 0.0, math.inf])
def test_lengths_are_said_with_a_unit(length: float) -> None:
    assert metres(length).split()[1] in ("µm", "mm", "m")
