from __future__ import annotations

import math

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from voltphase.core.errors import ConfigError, GeometryError, SamplingError
from voltphase.optics import Aperture, Element, ThinLens, circular_aperture, rectangular_aperture, thin_lens
from voltphase.optics.grid import Grid


@settings(max_examples=40, deadline=None)
@given(
    rows=st.integers(20, 30),
    columns=st.integers(20, 30),
    radius=st.floats(0.2e-5, 7e-5),
    centre=st.tuples(st.floats(-2e-5, 2e-5), st.floats(-2e-5, 2e-5)),
)
@example(rows=20, columns=20, radius=5.78661424042576e-05, centre=(0.0, 0.0))  # its rim is a rounding beyond itself
def test_a_circle_covers_its_area(rows: int, columns: int, radius: float, centre: tuple[float, float]) -> None:
    grid = Grid((rows, columns), (1e-5, 0.9e-5))
    covered = circular_aperture(grid, diameter=2 * radius, centre=centre)
    assert covered.min() >= -1e-9
    assert covered.max() <= 1 + 1e-9
    assert float(covered.sum()) * 0.9e-10 == pytest.approx(math.pi * radius**2, rel=1e-6)


def test_a_circle_covers_each_pixel_as_counted_by_points() -> None:
    covered = circular_aperture(Grid((5, 6), 1e-3), diameter=4.3e-3, centre=(0.3e-3, -0.2e-3))
    fine = 200
    y, x = Grid((5 * fine, 6 * fine), 1e-3 / fine).coordinates()
    inside = ((y[:, None] - 0.3e-3) ** 2 + (x + 0.2e-3) ** 2 <= 2.15e-3**2).double()
    counted = inside.reshape(5, fine, 6, fine).mean((1, 3))
    torch.testing.assert_close(covered, counted, rtol=0, atol=2e-3)


def test_a_rectangle_covers_parts_of_pixels() -> None:
    covered = rectangular_aperture(Grid((3, 4), (1e-3, 2e-3)), size=(2e-3, 4e-3), centre=(0.0, 1e-3))
    torch.testing.assert_close(covered[:, 0], torch.zeros(3, dtype=torch.float64))
    torch.testing.assert_close(covered[1], torch.tensor([0.0, 0.5, 1.0, 0.5], dtype=torch.float64))
    torch.testing.assert_close(covered[0], covered[1] / 2)


def test_a_lens_bends_light_towards_its_focus() -> None:
    grid = Grid((7, 9), 1e-5)
    lens = thin_lens(grid, wavelength=5e-7, focal_length=0.05, centre=(1e-5, 0.0))
    y, x = grid.coordinates()
    expected = torch.exp(-1j * math.pi / (5e-7 * 0.05) * ((y[:, None] - 1e-5) ** 2 + x**2))
    torch.testing.assert_close(lens, expected)
    stopped = thin_lens(grid, wavelength=5e-7, focal_length=0.05, diameter=3e-5)
    assert stopped[0].abs().sum() == 0
    assert stopped[3, 4] == 1


def test_modules_multiply_and_do_not_promote() -> None:
    grid = Grid((4, 4), 1e-5)
    field = torch.randn(2, 4, 4, dtype=torch.complex64)
    lens = ThinLens(grid, wavelength=5e-7, focal_length=0.05)
    assert lens(field).dtype == torch.complex64
    assert list(lens.state_dict()) == []
    torch.testing.assert_close(
        lens(field), field * thin_lens(grid, wavelength=5e-7, focal_length=0.05).to(torch.complex64)
    )
    hole = Aperture(grid, size=(2e-5, 2e-5), dtype=torch.complex128)
    assert hole(field.to(torch.complex128)).abs()[:, 0].sum() == 0
    for element, other in ((lens, torch.complex128), (hole, torch.complex64), (hole, torch.float64)):
        with pytest.raises(ConfigError, match=rf"field, but got {other}: .*make the element with"):
            element(torch.ones(4, 4, dtype=other))
    assert torch.equal(Aperture(grid, diameter=1.0)(field), field)


def test_a_lens_too_strong_for_its_samples_is_refused() -> None:
    grid = Grid(200, 8e-6)
    with pytest.raises(SamplingError) as caught:
        thin_lens(grid, wavelength=532e-9, focal_length=0.02)
    assert str(caught.value).startswith("expected a focal length of 23.9 mm or more for a lens that reaches 796 µm")
    thin_lens(grid, wavelength=532e-9, focal_length=0.02, diameter=1e-3)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda grid: thin_lens(grid, wavelength=5e-7, focal_length=0), "expected a focal length other than zero"),
        (
            lambda grid: thin_lens(grid, wavelength=-5e-7, focal_length=1),
            "expected a wavelength in metres, from 1 nm",
        ),
        (
            lambda grid: thin_lens(grid, wavelength=5e-7, focal_length=1, centre=(0, math.nan)),
            "expected a finite centre in metres, but got (0, nan)",
        ),
        (lambda grid: circular_aperture(grid, diameter=math.inf), "expected a finite diameter in metres, but got inf"),
        (lambda grid: circular_aperture(grid, diameter=1, centre=(math.nan, 0)), "expected a finite centre in metres"),
        (
            lambda grid: rectangular_aperture(grid, size=(1, math.inf)),
            "expected a finite size in metres, but got (1, inf)",
        ),
        (
            lambda grid: rectangular_aperture(grid, size=(1, 1), centre=(0, math.inf)),
            "expected a finite centre in metres, but got (0, inf)",
        ),
        (lambda grid: circular_aperture(grid, diameter=0), "expected a diameter in metres above zero, but got 0"),
        (
            lambda grid: rectangular_aperture(grid, size=(1, -1)),
            "expected a size in metres above zero, but got (1.0, -1.0)",
        ),
        (lambda grid: Aperture(grid), "expected either a diameter or a size for an aperture, and not both"),
        (
            lambda grid: Element(torch.ones(4, 4))(torch.ones(2, 3, 4, dtype=torch.complex64)),
            "expected a field of 4 x 4 samples, but got 2 x 3 x 4",
        ),
    ],
)
def test_impossible_elements_are_refused(make, message: str) -> None:
    with pytest.raises(GeometryError) as caught:
        make(Grid(4, 1e-5))
    assert str(caught.value).startswith(message)
