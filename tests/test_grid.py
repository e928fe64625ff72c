from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from voltphase.errors import GeometryError
from voltphase.grid import Grid


def test_the_centre_of_an_odd_grid_is_its_offset() -> None:
    y, x = Grid((3, 5), pitch=(1e-6, 2e-6), offset=(1e-3, -2e-3)).coordinates()
    assert y.tolist() == pytest.approx([1e-3 - 1e-6, 1e-3, 1e-3 + 1e-6])
    assert x.tolist() == pytest.approx([-2e-3 - 4e-6, -2e-3 - 2e-6, -2e-3, -2e-3 + 2e-6, -2e-3 + 4e-6])


@given(n=st.integers(1, 50), pitch=st.floats(1e-7, 1e-3))
def test_coordinates_are_symmetric_evenly_spaced_and_double(n: int, pitch: float) -> None:
    y, _ = Grid((n, 1), pitch).coordinates()
    assert y.dtype == torch.float64
    torch.testing.assert_close(y, -y.flip(0), rtol=0, atol=1e-15)
    torch.testing.assert_close(y.diff(), torch.full((n - 1,), pitch, dtype=torch.float64))


def test_one_number_means_square() -> None:
    grid = Grid(4, 36e-6)
    assert grid == Grid((4, 4), (36e-6, 36e-6))
    assert grid.extent == pytest.approx((144e-6, 144e-6))
    assert hash(grid) == hash(Grid((4, 4), 36e-6))


@pytest.mark.parametrize(
    ("shape", "pitch", "offset", "message"),
    [
        ((0, 4), 36e-6, (0, 0), "expected a grid of at least 1 x 1 samples, but got 0 x 4"),
        ((4, 4), 0, (0, 0), "expected a pitch in metres above zero, but got 0"),
        ((4, 4), (36e-6, -1), (0, 0), "expected a pitch in metres above zero, but got (3.6e-05, -1)"),
        ((4, 4), float("nan"), (0, 0), "expected a pitch in metres above zero, but got nan"),
        ((4, 4), 36e-6, (0, float("inf")), "expected a finite offset in metres, but got (0.0, inf)"),
    ],
)
def test_impossible_grids_are_refused(shape, pitch, offset, message: str) -> None:
    with pytest.raises(GeometryError) as caught:
        Grid(shape, pitch, offset)
    assert str(caught.value).startswith(message)
