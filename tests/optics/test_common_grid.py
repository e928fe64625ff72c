from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from voltphase.core.units import metres
from voltphase.optics.grid import Grid
from voltphase.optics.kernels.common_grid import CommonGrid, common_grid
from voltphase.optics.methods.geometry import Geometry

sizes = st.integers(1, 12)


@settings(deadline=None)
@given(
    sources=sizes,
    targets=sizes,
    ratio=st.sampled_from((1.0, 3.0, 1 / 3, 0.75, 1.6, 8.0)),
    offset=st.floats(-1e-3, 1e-3),
)
def test_a_common_grid_holds_every_displacement(sources: int, targets: int, ratio: float, offset: float) -> None:
    geometry = Geometry(Grid((sources, 1), 9e-6), Grid((targets, 1), 9e-6 * ratio, (offset, 0)), 5e-7, 0.1)
    points = common_grid(geometry.source, geometry.target, 0)
    assert points is not None
    torch.testing.assert_close(points.displacements()[points.indices()], geometry.displacement(0), rtol=0, atol=1e-12)
    assert len(points.displacements()) == points.displacement_count
    assert points.size >= points.displacement_count
    laid_out = points.to_dft_order(points.displacements(), 0)
    assert len(laid_out) == points.size
    # The displacement from the first source sample to the first target sample comes first.
    assert float(laid_out[0]) == pytest.approx(points.first, abs=1e-15)


@pytest.mark.parametrize("pitch", [9.1e-6, 9e-6 * 9 / 8, 9e-6 * (1 + 1e-6)])
def test_pitches_without_a_simple_ratio_share_no_common_grid(pitch: float) -> None:
    assert common_grid(Grid(8, 9e-6), Grid(8, pitch), 0) is None


@settings(deadline=None)
@given(st.integers(1, 5000))
def test_good_sizes_are_the_next_products_of_2_3_and_5(n: int) -> None:
    products = sorted(2**a * 3**b * 5**c for a in range(14) for b in range(9) for c in range(7))
    assert CommonGrid(1.0, 0.0, n, 1, 1, 1).size == next(product for product in products if product >= n)


@pytest.mark.parametrize(
    ("length", "text"),
    [
        (532e-9, "532 nm"),
        (36e-6, "36 µm"),
        (0.3, "0.3 m"),
        (0.096, "96 mm"),
        (0, "0 m"),
        (-2e-3, "-2 mm"),
        (1.2e4, "12 km"),
    ],
)
def test_lengths_are_written_as_people_do(length: float, text: str) -> None:
    assert metres(length) == text
