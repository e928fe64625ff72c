"""Several readings of a level: their mean and spread, and what is said where they do not belong together."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from voltphase.core.errors import DeviceError
from voltphase.devices import DeviceStates, load_table, summary
from voltphase.devices.tables.repeats import mean_of_repeats

HEADER = "level,control,amplitude,phase,repeat"


def written(folder: Path, *rows: str, header: str = HEADER, head: str = "") -> Path:
    path = folder / "slm.csv"
    path.write_text("\n".join([head + header, *rows]) + "\n")
    return path


def test_mean_and_spread_are_of_the_complex_readings(tmp_path: Path):
    rows = ["1,5,0.5,2,0", "0,0,1,0,0", f"0,0,1,{math.pi / 2},1", "1,5,0.7,2,1", "1,5,0.6,2,2"]
    states = load_table(written(tmp_path, *rows, head="# source: bench 3\n"))
    assert states.control.tolist() == [0, 5]
    # 1 and i: half way between them, each sqrt(1/2) from it.
    np.testing.assert_allclose(states.amplitude, [math.sqrt(0.5), 0.6], rtol=1e-15)
    np.testing.assert_allclose(states.phase, [math.pi / 4, 2], rtol=1e-15)
    assert states.spread is not None
    np.testing.assert_allclose(states.spread, [1, 0.1], rtol=1e-12)
    assert states.source == "bench 3; mean of 2 to 3 repeats of each level, taken on the complex plane"


def test_phases_either_side_of_the_wrap_are_neighbours(tmp_path: Path):
    rows = ["0,0,1,3.1,0", "0,0,1,-3.1,1", "1,1,1,9.3,0", "1,1,1,9.5,1"]
    states = load_table(written(tmp_path, *rows))
    # On the turn of the first reading: 3.1 turns on to pi, not back to it, and 9.4 stays beyond a turn.
    np.testing.assert_allclose(states.phase, [math.pi, 9.4], rtol=1e-14)
    np.testing.assert_allclose(states.amplitude, [math.cos(math.pi - 3.1), math.cos(0.1)], rtol=1e-14)


def test_what_was_read_once_is_kept_to_the_last_digit_and_has_no_spread(tmp_path: Path):
    once = load_table(written(tmp_path, "0,0,0.3,300.7,0", "1,1,0.1,-77.7,4", head="# phase_unit: rad\n"))
    assert once.spread is None
    assert once.source == "slm.csv"
    assert (once.amplitude.tolist(), once.phase.tolist()) == ([0.3, 0.1], [300.7, -77.7])
    mixed = load_table(written(tmp_path, "0,0,0.3,1.7,0", "1,1,0.1,7,0", "1,1,0.1,7,1", "1,1,0.1,7,2"))
    assert mixed.spread is not None
    np.testing.assert_array_equal(mixed.spread, [np.nan, 0])
    assert (mixed.amplitude.tolist(), mixed.phase.tolist()) == ([0.3, 0.1], [1.7, 7])
    assert mixed.source == "slm.csv; mean of 1 to 3 repeats of each level, taken on the complex plane"


@given(data=st.data())
def test_the_mean_is_numpy_s_and_the_order_of_rows_does_not_matter(data):
    levels = data.draw(st.lists(st.integers(0, 4), min_size=1, max_size=20))
    amplitude = np.array(data.draw(st.lists(st.floats(0, 2), min_size=len(levels), max_size=len(levels))))
    phase = np.array(data.draw(st.lists(st.floats(-40, 40), min_size=len(levels), max_size=len(levels))))
    level = np.array(levels, dtype=float)
    mean = mean_of_repeats(level, amplitude, phase)
    readings = amplitude * np.exp(1j * phase)
    for row, each in enumerate(np.unique(level)):
        own = readings[level == each]
        assert mean.amplitude[row] * np.exp(1j * mean.phase[row]) == pytest.approx(own.mean(), abs=1e-13)
        if len(own) > 1:
            # numpy's own standard deviation of complex numbers, to the rounding of phases up to 40.
            assert mean.spread[row] == pytest.approx(np.std(own, ddof=1), rel=1e-7, abs=1e-13)
        else:
            assert np.isnan(mean.spread[row])
        assert abs(mean.phase[row] - phase[level == each][0]) <= math.pi + 1e-12


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (
            ["0,0,1,0,0", "0,0,1,0,0"],
            r"slm\.csv:3: expected each repeat of a level once, but repeat 0 of level 0 is on line 2 already",
        ),
        (
            ["0,0,1,0,0", "1,1,1,0,0", "0,0.5,1,0,1"],
            r"slm\.csv:4: expected one control value for all repeats of level 0, but got 0\.5 here and 0 on line 2",
        ),
        (["0,0,1,0,0", "1,1,1,0,-1"], r"slm\.csv:3: expected a repeat of 0, 1, 2, \.\.\., but got -1"),
        (["0,0,1,0,0", "1,1,1,0,"], r"slm\.csv:3: expected a number as repeat, but got ''"),
        (["0,0,1,0,0", "0,0,1,0,1"], r"expected at least two states in \S+slm\.csv, but got 1"),
        (["0,0,1,0,0", "0,0,1,0,1", "2,2,1,0,0"], r"slm\.csv:4: expected the 2 levels to be 0 to 1, but level 1 is"),
        (["0,0,1,0,0", "1,0,1,0,0"], r"slm\.csv:3: expected each control value once, but 0 is on line 2 already"),
    ],
)
def test_repeats_that_do_not_belong_together(tmp_path: Path, rows, message):
    with pytest.raises(DeviceError, match=message) as error:
        load_table(written(tmp_path, *rows))
    assert "\n" not in str(error.value)


def test_without_the_column_a_second_reading_is_a_mistake(tmp_path: Path):
    path = written(tmp_path, "0,0,1,0", "0,0,1,0.1", "1,1,1,1", header="level,control,amplitude,phase")
    with pytest.raises(DeviceError, match=r"slm\.csv:3: .* or number repeated readings in a column repeat$"):
        load_table(path)


def test_the_spread_is_written_picked_and_read_back(tmp_path: Path):
    states = DeviceStates(
        control=np.arange(4.0),
        amplitude=np.ones(4),
        phase=np.arange(4.0),
        name="slm",
        source="bench 3",
        spread=np.array([0.1, np.nan, 0, 1 / 3]),
    )
    states.save(tmp_path / "t.csv")
    assert (tmp_path / "t.csv").read_text().splitlines()[5:8] == [
        "level,control,amplitude,phase,spread",
        "0,0.0,1.0,0.0,0.1",
        "1,1.0,1.0,1.0,",
    ]
    read = load_table(tmp_path / "t.csv")
    assert states.spread is not None
    assert read.spread is not None
    np.testing.assert_array_equal(read.spread, states.spread)
    assert (read.digest, read.source) == (states.digest, "bench 3")
    with pytest.raises(ValueError, match="read-only"):
        read.spread[0] = 1
    picked = states.pick(2).spread
    assert picked is not None
    assert picked.tolist() == [0.1, 1 / 3]


@pytest.mark.parametrize(
    ("spread", "message"),
    [
        ([0.1, -0.1], "expected spreads of at least zero in slm, but level 1 has -0.1"),
        ([0.1, math.inf], "expected spreads of at least zero in slm, but level 1 has inf"),
        ([0.1], r"expected a spread for each of the 2 levels of slm, but got an array of shape \(1,\)"),
        (["a", "b"], "expected a list of numbers as spread of slm"),
    ],
)
def test_spreads_that_cannot_be(spread, message):
    with pytest.raises(DeviceError, match=message):
        DeviceStates(np.arange(2.0), np.ones(2), np.zeros(2), "slm", spread=spread)


def test_a_table_of_spreads_that_cannot_be(tmp_path: Path):
    header = "level,control,amplitude,phase,spread"
    with pytest.raises(DeviceError, match=r"slm\.csv:3: expected a spread of at least zero, but got -1"):
        load_table(written(tmp_path, "0,0,1,0,", "1,1,1,0,-1", header=header))
    with pytest.raises(DeviceError, match=r"slm\.csv:1: expected a column repeat or a column spread, but there are"):
        load_table(written(tmp_path, "0,0,1,0,0,0", "1,1,1,0,0,0", header=header + ",repeat"))
    assert load_table(written(tmp_path, "0,0,1,0,", "1,1,1,0,", header=header)).spread is None


def test_repeats_that_disagree_are_pointed_out(tmp_path: Path):
    steady = load_table(written(tmp_path, "0,0,1,0,0", "0,0,1,0.1,1", "1,1,1,4,0"))
    assert summary(steady).largest_spread == pytest.approx(0.0707, abs=1e-4)
    assert not any("Repeated" in warning for warning in summary(steady).warnings)
    drifted = load_table(written(tmp_path, "0,0,1,0,0", "0,0,1,3,1", "1,1,1,4,0"))
    sentence = "Repeated readings of level 0 spread by 1.4 about an amplitude of 0.071: the bench drifted"
    assert any(warning.startswith(sentence) for warning in summary(drifted).warnings)
