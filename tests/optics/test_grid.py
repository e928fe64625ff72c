from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from voltphase.core.errors import GeometryError
from voltphase.optics.grid import Grid


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


def test_scalars_of_numpy_are_numbers() -> None:
    samples, pitch, offset = np.int64(4), np.float32(2**-10), np.float64(0.25)
    grid = Grid(samples, pitch, (offset, 0.5))  # pyright: ignore[reportArgumentType]
    assert (grid.shape, grid.pitch, grid.offset) == ((4, 4), (2**-10, 2**-10), (0.25, 0.5))
    assert {type(number) for number in (*grid.shape, *grid.pitch, *grid.offset)} == {int, float}
    assert grid == Grid(torch.Size((4, 4)), [2**-10, 2**-10], (0.25, 0.5))  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize(
    ("shape", "pitch", "offset", "message"),
    [
        *(
            (
                shape,
                1e-6,
                (0, 0),
                "expected whole numbers of samples as a grid's shape, one or (rows, columns), but got ",
            )
            for shape in (200.0, "64", (20.9, 30), (20, 30, 40), (20,), None)
        ),
        *(
            (20, pitch, (0, 0), "expected numbers of metres as a grid's pitch, one or (y, x), but got ")
            for pitch in ((1e-6, 2e-6, 3e-6), "36e-6", (1e-6, "2e-6"), None)
        ),
        (20, 1e-6, 1e-3, "expected numbers of metres as a grid's offset, (y, x), but got 0.001"),
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


@pytest.mark.parametrize("pitch", [1e-300, 36e-12, (36e-6, 5e-324)])
def test_a_pitch_finer_than_an_atom_is_refused(pitch: float | tuple[float, float]) -> None:
    with pytest.raises(GeometryError, match="a pitch in metres of at least 1e-10"):
        Grid(16, pitch)
