"""What is said about a device."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voltphase.devices import DeviceStates, lcos, summary, tn_slm
from voltphase.devices.models import MODELS
from voltphase.devices.noise import measure_noise


def device(amplitude, phase, control=None) -> DeviceStates:
    numbers = np.arange(len(amplitude)) if control is None else control
    return DeviceStates(np.array(numbers, dtype=float), np.array(amplitude), np.array(phase), "slm")


def test_a_device_without_fault_has_no_warnings():
    described = summary(lcos(8))
    assert described.warnings == ()
    assert described.levels == 8
    assert described.phase_stroke == pytest.approx(7 * math.pi / 4)
    assert described.amplitude_range == (1, 1)
    assert described.phase_monotonic
    assert described.largest_gap == pytest.approx(math.pi / 4)


def test_monotonic_is_meant_along_the_control_value():
    assert summary(device([1, 1, 1], [0, 2, 1], control=[0, 2, 1])).phase_monotonic
    assert not summary(device([1, 1, 1], [0, 2, 1])).phase_monotonic
    assert summary(device([1.0, 0.5, 0.5], [0, 1, 2])).amplitude_monotonic


def test_a_jump_of_the_phase_is_one_along_the_control_value():
    assert not summary(device([1, 1, 1, 1], [0, 6, 2, 4], control=[0, 3, 1, 2])).warnings
    (warning,) = summary(device([1, 1, 1, 1], [2, 6, 0, 1], control=[2, 3, 0, 1])).warnings
    assert warning.startswith("The phase jumps by more than pi between levels 0 and 1: wrapped")
    (warning,) = summary(device([1, 1, 1, 1], [5, 1, 0, 7], control=[2, 1, 0, 3])).warnings
    assert warning.startswith("The phase jumps by more than pi between levels 1 and 0: wrapped")


def test_the_gap_is_around_the_circle_and_only_light_counts():
    assert summary(device([1, 1, 1], [-0.1, 0.1, 2 * math.pi + 0.2])).largest_gap == pytest.approx(2 * math.pi - 0.3)
    assert summary(device([1, 1, 0], [0, math.pi, 1])).largest_gap == pytest.approx(math.pi)
    assert summary(device([0, 1], [1, 0])).largest_gap == pytest.approx(2 * math.pi)


def test_states_that_repeat_others_are_counted():
    described = summary(device([1, 1, 1, 0, 0], [0, 2 * math.pi, 4 * math.pi, 1, 2]))
    assert described.duplicates == 3
    assert "3 of 5 states repeat another state's amplitude and phase." in described.warnings


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=2, max_size=30))
def test_duplicates_are_those_that_a_set_would_drop(pairs):
    amplitude = [1 + a for a, _ in pairs]
    phase = [p * math.pi / 2 for _, p in pairs]
    assert summary(device(amplitude, phase)).duplicates == len(pairs) - len(set(pairs))


@pytest.mark.parametrize(
    ("amplitude", "phase", "warning"),
    [
        ([1, 1], [0, 0], "All states are the same: no choice of levels can change the light."),
        ([1, 1, 1], [0, 1, 2], "The phase stroke is 2.00 rad, less than half a turn"),
        ([1, 2, 1], [0, 2, 4], "The largest amplitude is 2, above 1"),
        ([1, 1, 1], [0, 2, 6], "The phase jumps by more than pi between levels 1 and 2"),
    ],
)
def test_what_may_surprise_is_said(amplitude, phase, warning):
    warnings = summary(device(amplitude, phase)).warnings
    assert any(sentence.startswith(warning) for sentence in warnings)
    assert all(sentence.endswith(".") for sentence in warnings)


def noisy(states: DeviceStates, scatter: float, seed: int = 0) -> DeviceStates:
    source = np.random.default_rng(seed)
    noise = source.normal(size=(2, len(states))) * scatter / math.sqrt(2)
    values = states.values() + noise[0] + 1j * noise[1]
    return DeviceStates(states.control, np.abs(values), np.angle(values), "noisy")


@pytest.mark.parametrize("states", [model() for model in MODELS.values()] + [tn_slm(64), tn_slm(thickness=2e-5)])
def test_models_have_no_spikes_and_no_noise(states):
    assert not [note for note in summary(states).notes if note.kind in ("spikes", "noise")]


def test_a_spike_is_named_and_noise_alone_is_none():
    clean = tn_slm(256)
    for seed in range(20):
        steady = noisy(clean, 0.005, seed)
        assert not [note for note in summary(steady).notes if note.kind in ("spikes", "noise")]
        level = 10 + 11 * seed
        values = steady.values()
        values[level] += 0.15 * np.exp(1j * seed)
        spiky = DeviceStates(clean.control, np.abs(values), np.angle(values), "spiky")
        (note,) = (note for note in summary(spiky).notes if note.kind in ("spikes", "noise"))
        assert note.text.startswith(f"Level {level} stands out from the levels beside by up to 0.1")


def test_the_scatter_of_noise_is_measured_and_said_where_it_decides():
    measured = measure_noise(noisy(tn_slm(256), 0.03))
    assert measured is not None
    assert measured.scatter == pytest.approx(0.03, rel=0.15)
    assert measured.step == pytest.approx(0.0142, rel=0.1)
    assert [note.kind for note in summary(noisy(tn_slm(256), 0.03)).notes if note.kind != "jump"] == ["noise"]


def test_uneven_control_values_are_no_noise():
    control = np.cumsum(1 + np.arange(64) % 3)
    phase = 5 * (control / control.max()) ** 2
    measured = measure_noise(device(np.ones(64), phase, control))
    assert measured is not None
    assert measured.scatter < 1e-3


@pytest.mark.parametrize(
    ("amplitude", "phase", "kind", "words"),
    [
        ([1, 101, 50], [0, 2, 4], "gain", "per cent"),
        ([100, 40000, 65535], [0, 2, 4], "gain", "readings of a detector"),
        ([1, 2, 1], [0, 2, 4], "gain", "powers"),
        ([1, 1, 1, 1], [0, 0.5, 1, 1.9], "stroke", "units of π"),
        ([1, 1, 1, 1], [-1, -0.5, 0, 0.9], "stroke", "units of π"),
        ([1, 1, 1, 1], [0, 0.25, 0.5, 0.95], "stroke", "turns"),
        ([1, 1, 1, 1], [0, 90, 180, 270], "phase unit", "degrees"),
    ],
)
def test_a_column_in_another_unit_is_a_doubtful_table(amplitude, phase, kind, words):
    found = {note.kind: note for note in summary(device(amplitude, phase)).notes}
    assert found[kind].doubtful
    assert words in found[kind].text


@pytest.mark.parametrize(
    ("control", "unit", "said"), [([0, 1.2, 1.9], "grey level", True), ([0, 1.2, 1.9], "V", False)]
)
def test_grey_levels_that_are_not_whole_want_a_unit(control, unit, said):
    states = replace(device([1, 1, 1], [0, 2, 4], control), control_unit=unit)
    found = {note.kind: note.text for note in summary(states).notes}
    assert ("1.2" in found.get("control unit", "")) == said


def test_noise_of_a_calibration_is_no_gain():
    assert "gain" not in [note.kind for note in summary(device([1.04, 1, 1], [0, 2, 4])).notes]


def test_few_states_that_nearly_coincide_are_named():
    (note,) = summary(lcos().pick(4, "even")).notes
    assert note.kind == "close"
    assert note.text.startswith("Levels 0 and 3 lie 0.025 apart")
