"""Calibration aids: each against a closed form or another way to the same numbers, and what each records."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.signal import savgol_filter

from voltphase.core.errors import DeviceError
from voltphase.devices import DeviceStates
from voltphase.devices.calibration.intensities import from_readings, normalise, smooth, unwrap


def table(amplitude, phase, control=None, **more) -> DeviceStates:
    control = np.arange(len(amplitude)) if control is None else control
    columns = (np.asarray(column, dtype=float) for column in (control, amplitude, phase))
    return DeviceStates(*columns, name="slm", source="bench 3", **more)


def random_table(seed: int, count: int, control=None) -> DeviceStates:
    generator = np.random.default_rng(seed)
    return table(generator.random(count) + 0.1, np.cumsum(generator.uniform(-1, 2, count)), control)


def test_amplitudes_from_readings():
    states = from_readings([0, 1, 2], [110, 60, 9], [0, 1, 2], reference=210, dark=10, name="slm", source="bench 3")
    np.testing.assert_allclose(states.amplitude, [math.sqrt(0.5), 0.5, 0], rtol=1e-15)
    assert states.source == (
        "bench 3; amplitude is the square root of intensity relative to a reference of 210, both less 10 dark; "
        "1 of 3 readings below that taken as dark"
    )


def test_a_reference_along_with_the_levels_takes_out_drift():
    drift = np.array([1, 0.8, 1.3])
    states = from_readings([0, 1, 2], [50, 100, 25] * drift, [0, 1, 2], reference=100 * drift, name="slm")
    np.testing.assert_allclose(states.amplitude, [math.sqrt(0.5), 1, 0.5], rtol=1e-15)
    assert "relative to a reference for each level, both less 0 dark" in states.source


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"reference": 5}, "expected reference readings of slm above the dark one, but got 5 with 10 dark"),
        ({"reference": [50, 50]}, r"one reference, or one for each level too, but got shapes \(3,\) and \(2,\)"),
        ({"reference": math.nan}, "expected finite numbers as reference of slm"),
        ({"reference": "x"}, "expected a list of numbers as reference of slm, but got 'x'"),
        ({"dark": math.nan}, "dark"),
        ({"phase": [0, 1]}, "to have equal lengths"),
    ],
)
def test_readings_that_cannot_be(change, message):
    given_ = {"control": [0, 1, 2], "intensity": [60, 50, 40], "phase": [0, 1, 2], "reference": 100, "dark": 10}
    with pytest.raises(DeviceError, match=message):
        from_readings(name="slm", **(given_ | change))


def test_normalising_divides_by_the_reference():
    states = table([0.5, 1, 0.25], [1, 2, 30], spread=np.array([0.1, np.nan, 0.2]))
    normal = normalise(states, amplitude=0.5, phase=0.25)
    np.testing.assert_allclose(normal.values(), states.values() / (0.5 * np.exp(0.25j)), rtol=1e-14)
    assert normal.phase.tolist() == [0.75, 1.75, 29.75]
    assert normal.spread is not None
    np.testing.assert_array_equal(normal.spread, [0.2, np.nan, 0.4])
    assert normal.source == "bench 3; normalised to a reference reading of amplitude 0.5 and phase 0.25"


def test_normalising_to_a_level_makes_it_one():
    normal = normalise(table([0.5, 1, 0.25], [1, 2, 3]), level=2)
    assert normal.values()[2] == 1
    assert normal.source == "bench 3; normalised to level 2, of amplitude 0.25 and phase 3.0"
    assert normalise(normal, amplitude=4, phase=-3).digest == table([0.5, 1, 0.25], [1, 2, 3]).digest


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ({"level": 3}, "expected level for slm as a whole number from 0 to 2, but got 3"),
        ({"level": -1}, "expected level for slm as a whole number from 0 to 2, but got -1"),
        ({"level": 0.5}, r"expected level for slm as a whole number from 0 to 2, but got 0\.5"),
        ({"level": 2}, "expected a reference for slm with some light and a phase, but got amplitude 0 and phase 3"),
        ({"amplitude": -1}, "but got amplitude -1 and phase 0"),
        ({"amplitude": 1, "phase": math.inf}, "expected a phase of the reference for slm .*, but got inf"),
    ],
)
def test_references_that_cannot_be(reference, message):
    with pytest.raises(DeviceError, match=message):
        normalise(table([0.5, 1, 0], [1, 2, 3]), **reference)


@given(
    steps=st.lists(st.floats(-3.1, 3.1), min_size=1, max_size=20),
    turns=st.lists(st.integers(-3, 3), min_size=20, max_size=20),
    seed=st.integers(0, 99),
)
def test_unwrapping_finds_the_smooth_phase_again(steps, turns, seed):
    smooth_phase = np.concatenate([[0.3], 0.3 + np.cumsum(steps)])
    # The first level stays where it is.
    wrapped = smooth_phase + 2 * np.pi * np.array([0, *turns])[: len(smooth_phase)]
    shuffled = np.random.default_rng(seed).permutation(len(smooth_phase))
    states = table(np.ones(len(shuffled)), wrapped[shuffled], control=shuffled)
    found = unwrap(states)
    np.testing.assert_allclose(found.phase, smooth_phase[shuffled], atol=1e-12)
    np.testing.assert_allclose(found.values(), states.values(), atol=1e-12)
    assert found.control.tolist() == states.control.tolist()


def test_unwrapping_says_what_it_chose():
    states = table(np.ones(4), [3, -3, -2.5, 10])
    found = unwrap(states)
    np.testing.assert_allclose(found.phase, np.unwrap(states.phase), rtol=1e-15)
    assert found.source == (
        "bench 3; phase unwrapped along control, taking steps for less than half a turn: 3 of 4 levels moved by up to "
        "1 turn, largest step left 0.500 rad"
    )
    again = unwrap(found)
    assert again.digest == found.digest
    assert "0 of 4 levels moved, largest step left" in again.source


def test_dark_states_are_stepped_over():
    # The phase of level 1 is noise: followed, it would carry level 2 a turn off.
    states = table([1, 0.01, 1, 1], [0, -2.5, 2.5, 3])
    assert unwrap(states).phase[2] == pytest.approx(2.5 - 2 * np.pi)
    found = unwrap(states, dark=0.02)
    assert found.phase.tolist() == [0, -2.5, 2.5, 3]
    assert found.source.endswith("largest step left 2.500 rad; amplitudes up to 0.02 stepped over")
    assert unwrap(table([0, 1, 0], [7, 0, -7])).phase.tolist() == pytest.approx([7 - 2 * np.pi, 0, 2 * np.pi - 7])
    with pytest.raises(DeviceError, match="expected some states of slm brighter than 2, but the brightest has 1"):
        unwrap(states, dark=2)


@pytest.mark.parametrize(("window", "order"), [(3, 0), (5, 2), (7, 3), (9, 1)])
def test_on_even_control_values_smoothing_is_that_of_savitzky_and_golay(window, order):
    states = random_table(3, 30, control=5 + 3 * np.arange(30))
    values = states.values()
    real, imaginary = (np.asarray(savgol_filter(part, window, order)) for part in (values.real, values.imag))
    expected = real + 1j * imaginary
    found = smooth(states, window, order)
    np.testing.assert_allclose(found.values(), expected, atol=1e-12)
    largest = np.abs(expected - values).max()
    assert found.source == (
        f"bench 3; smoothed on the complex plane along control by fits of order {order} to {window} states, "
        f"largest change {largest:.3g}"
    )


def test_order_zero_is_a_moving_mean():
    states = table([1, 2, 3, 5, 9], np.zeros(5))
    np.testing.assert_allclose(smooth(states, 3, 0).amplitude, [2, 2, 10 / 3, 17 / 3, 17 / 3], rtol=1e-14)


@given(seed=st.integers(0, 99), count=st.integers(5, 20))
def test_what_is_smooth_already_stays_whatever_the_control_values(seed, count):
    generator = np.random.default_rng(seed)
    control = generator.permutation(np.cumsum(generator.uniform(0.1, 2, count)))
    values = (2 + 1j) + 0.3j * control - (0.01 - 0.02j) * control**2
    states = table(np.abs(values), np.angle(values) + 2 * np.pi * generator.integers(-2, 3, count), control)
    found = smooth(states)
    np.testing.assert_allclose(found.values(), values, rtol=1e-9)
    np.testing.assert_allclose(found.phase, states.phase, atol=1e-9)


def test_smoothing_changes_no_level_and_quietens_noise():
    generator = np.random.default_rng(0)
    true = np.exp(1j * np.linspace(0, 5, 101)) * 0.8
    noisy = true + 0.02 * (generator.standard_normal(101) + 1j * generator.standard_normal(101))
    spread = np.full(101, 0.03)
    states = table(np.abs(noisy), np.angle(noisy), spread=spread)
    found = smooth(states, 11, 2)
    assert found.control.tolist() == states.control.tolist()
    assert found.spread is not None
    assert found.spread.tolist() == spread.tolist()
    # The fit's constant averages 11 readings with weights whose squares sum to 0.21.
    assert np.std(found.values() - true) < 0.55 * np.std(noisy - true)
    assert np.abs(found.phase - states.phase).max() < 0.2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((4, 1), "expected an odd window to smooth slm, as many states on either side, but got 4: take 3"),
        ((7, 1), "expected window for slm as a whole number from 1 to 6, but got 7"),
        ((5, 5), "expected order for slm as a whole number from 0 to 4, but got 5"),
        ((5.0, 1), r"expected window for slm as a whole number from 1 to 6, but got 5\.0"),
    ],
)
def test_windows_that_cannot_be(arguments, message):
    with pytest.raises(DeviceError, match=message):
        smooth(random_table(0, 6), *arguments)
