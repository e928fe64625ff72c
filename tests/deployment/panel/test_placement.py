"""Where pixels of a design lie on a panel, and the way back."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from voltphase import Grid
from voltphase.core.errors import DeploymentError
from voltphase.deployment.targets.panel.placement import Axis, Orientation, Placement

ORIENTATIONS = st.builds(
    Orientation, st.sampled_from(["none", "rows", "columns", "both"]), st.sampled_from([0, 90, 180, 270])
)


def placement(rows: int = 60, columns: int = 90, **settings: Any) -> Placement:
    return Placement((rows, columns), (8e-6, 8e-6), "a panel", **settings)


def test_an_orientation_mirrors_first_and_turns_counter_clockwise():
    arrow = np.array([[1, 2, 3], [4, 5, 6]])
    assert Orientation("rows").onto(arrow).tolist() == [[4, 5, 6], [1, 2, 3]]
    assert Orientation(turn=90).onto(arrow).tolist() == [[3, 6], [2, 5], [1, 4]]
    assert Orientation("columns", 90).onto(arrow).tolist() == [[1, 4], [2, 5], [3, 6]]
    assert Orientation("both").onto(arrow).tolist() == Orientation(turn=180).onto(arrow).tolist()


@given(ORIENTATIONS, st.integers(1, 7), st.integers(1, 9), st.floats(1, 6), st.floats(1, 6))
def test_what_is_spread_over_a_window_is_gathered_again(
    orientation: Orientation, rows: int, columns: int, down: float, across: float
):
    design = np.arange(rows * columns).reshape(rows, columns)
    settings: dict[str, Any] = {"resample": "nearest", "flip": [orientation.flip], "turn": [orientation.turn]}
    grid = Grid((rows, columns), pitch=(8e-6 * down, 8e-6 * across))
    (window,) = placement(**settings).windows([grid])
    spread = window.spread(design)
    assert spread.shape == window.shape
    assert np.array_equal(window.gather(spread), design)
    row, column = window.top + window.shape[0] // 2, window.left + window.shape[1] // 2
    assert spread[row - window.top, column - window.left] == design[window.design_pixel(row, column)]


@given(st.integers(1, 30), st.floats(1, 9))
def test_shares_cover_the_design_evenly_and_the_nearest_pixel_has_the_largest(count: int, ratio: float):
    axis = Axis(count, ratio)
    assert np.allclose(axis.shares.sum(1), 1)
    assert abs(axis.size - count * ratio) <= 0.5
    largest = axis.shares.max(1)
    assert np.all(axis.shares[np.arange(axis.size), axis.nearest] >= largest - 1e-9)
    if ratio >= 2:  # what is read back is within the pixel it stands for
        assert np.allclose(axis.shares[axis.centres, np.arange(count)], 1)


def test_whole_pixels_are_tiles_in_the_middle_of_the_panel():
    (window,) = placement().windows([Grid((10, 12), pitch=(24e-6, 40e-6))])
    assert (window.shape, window.top, window.left) == ((30, 60), 15, 15)
    assert window.centre == (29.5, 44.5)  # that of the panel itself
    design = np.arange(120).reshape(10, 12)
    assert np.array_equal(window.spread(design), np.kron(design, np.ones((3, 5), int)))
    assert np.array_equal(window.averaged(design.astype(complex)), np.kron(design, np.ones((3, 5))))
    (odd,) = placement(offset=[(2, -3)]).windows([Grid(5, pitch=8e-6)])
    assert odd.centre == (29 + 2, 44 - 3)  # half a pixel up where it cannot be in the middle


def test_a_turned_layer_takes_the_pitches_of_the_axes_it_lies_on():
    (window,) = placement(turn=[90]).windows([Grid((10, 12), pitch=(24e-6, 40e-6))])
    assert window.shape == (60, 30)


def test_several_layers_lie_in_the_middle_of_their_parts_of_a_panel():
    windows = placement(columns=91, together=2).windows([Grid(10, pitch=24e-6)] * 4)
    assert [window.left for window in windows] == [7, 53, 7, 53]
    moved = placement(together=2, offset=[(0, 3), (-4, 0)]).windows([Grid(10, pitch=24e-6)] * 2)
    assert [(window.top, window.left) for window in moved] == [(15, 10), (11, 52)]


@pytest.mark.parametrize(
    ("settings", "pitch", "words"),
    [
        ({}, 36e-6, r"multiple of the 8 µm of a panel, but layer 1 has 36 µm, 4\.5 of its pixels: train with 11"),
        ({}, 36e-6, r"11 pixels of 32 µm or 9 pixels of 40 µm along that side, or resample it \(nearest, or area\)"),
        ({}, 5e-6, r"but layer 1 has 5 µm, 0\.625 of its pixels: train with 6 pixels of 8 µm along that side$"),
        ({"resample": "area"}, 12e-6, r"expected a pitch above 16 µm in layer 1, .*\(area\), but got 12 µm: train"),
        ({}, 80e-6, r"layer 1 to fit on a panel, 60 rows x 90 columns, but its 10 x 10 pixels take 100 x 100 of it"),
        ({"together": 2}, 48e-6, r"columns, of which each of 2 layers gets 45 columns, but its 10 x 10 pixels take 60"),
        ({"offset": [(0, 40)]}, 24e-6, r"moved by 0 rows and 40 columns it takes rows 15 to 44 and columns 70 to 99"),
        ({"offset": [(0, 0)] * 3}, 24e-6, r"expected one offset for all layers or one for each of the 2, but got 3"),
        ({"turn": [0, 90, 0]}, 24e-6, r"expected one turn for all layers or one for each of the 2"),
        ({"together": 2, "offset": [(0, 16), (0, 0)]}, 24e-6, r"layers 1 and 2 side by side on a panel, but rows 15"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_one_sentence(settings: dict[str, Any], pitch: float, words: str):
    with pytest.raises(DeploymentError, match=words) as caught:
        placement(**settings).windows([Grid(10, pitch=pitch)] * 2)
    assert "\n" not in str(caught.value)


def test_other_pixels_than_the_pitches_say_are_another_scale():
    grid = Grid(10, pitch=36e-6)
    (window,) = placement(pixels=4).windows([grid])
    assert window.shape == (40, 40)
    assert placement(pixels=4).scale(grid) == pytest.approx(32 / 36)
    assert window.grid(grid) == Grid(40, pitch=9e-6)  # in the coordinates of the design


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"pixels": 0}, r"panel pixels to a design pixel as a whole number of at least 1, but got 0"),
        ({"pixels": 4, "resample": "area"}, "expected either pixels or resample"),
        ({"resample": "cubic"}, r"a way to resample out of nearest, area, but got 'cubic'"),
        ({"together": 0}, "layers on each panel"),
        ({"offset": 3}, r"an offset as two whole numbers of panel pixels, \(rows, columns\), but got 3"),
        ({"offset": (1, 2, 3)}, r"an offset as two whole numbers .*, but got \(1, 2, 3\)"),
        ({"offset": [(0, 0), (0, 1.5)]}, r"but got 1\.5"),
        ({"flip": ["rows", "left"]}, r"a flip out of none, rows, columns, both, but got 'left'"),
        ({"turn": 45}, r"a turn out of 0, 90, 180 and 270 degrees, but got 45"),
    ],
)  # fmt: skip
def test_settings_of_another_type_or_value_are_refused(settings: dict[str, Any], words: str):
    with pytest.raises(DeploymentError, match=words):
        placement(**settings)
