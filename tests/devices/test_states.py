"""Tables of states: what they refuse, how few are picked, how they are written and read back."""

from __future__ import annotations

import hashlib
import itertools
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voltphase.core.errors import DeviceError, OutputError
from voltphase.devices import DeviceStates, load_table

RULES = ("even", "control", "spread")


def table(control=(0, 1, 2), amplitude=(1, 0.5, 0), phase=(0, 1, 2), name="slm", **more) -> DeviceStates:
    return DeviceStates(control=control, amplitude=amplitude, phase=phase, name=name, **more)


def finite(low=-1e6, high=1e6):
    return st.floats(low, high, allow_nan=False, allow_subnormal=True)


@st.composite
def tables(draw, most=24) -> DeviceStates:
    """Tables with gaps, ties of amplitude and phase, zero amplitudes and control values in any order."""
    control = draw(st.lists(finite(), min_size=2, max_size=most, unique=True))
    # A few values only, so that states often coincide.
    some = st.sampled_from([0.0, 0.25, 1.0, 1.0 + 1e-12]) | finite(0, 2)
    amplitude = draw(st.lists(some, min_size=len(control), max_size=len(control)).filter(any))
    angles = st.sampled_from([0.0, np.pi, -np.pi, 2 * np.pi]) | finite(-400, 400)
    phase = draw(st.lists(angles, min_size=len(control), max_size=len(control)))
    return table(control, amplitude, phase)


def test_a_state_is_amplitude_times_the_exponential_of_its_phase():
    np.testing.assert_allclose(table(phase=(0, np.pi / 2, 1)).values(), [1, 0.5j, 0], atol=1e-16)


def test_columns_are_float64_copies_that_cannot_be_changed():
    given_ = np.array([0.0, 1.0, 2.0])
    states = table(control=given_)
    given_[0] = 7
    assert states.control[0] == 0
    assert {column.dtype for column in (states.control, states.amplitude, states.phase)} == {np.dtype(np.float64)}
    with pytest.raises(ValueError, match="read-only"):
        states.phase[0] = 1


def test_the_digest_is_of_the_figures_and_not_of_the_words():
    columns = np.array([[0, 1, 2], [1, 0.5, 0], [0, 1, 2]], dtype="<f8")
    assert table().digest == hashlib.sha256(columns.tobytes()).hexdigest()
    assert table(name="other", source="elsewhere").digest == table().digest
    assert table(phase=(0, 1, 2 + 1e-15)).digest != table().digest
    assert table(phase=(-0.0, 1, 2)).digest == table().digest


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"phase": (0, float("nan"), 2)}, "expected finite numbers as phase of slm, but level 1 has nan"),
        ({"control": (0, 1, float("inf"))}, "expected finite numbers as control of slm, but level 2 has inf"),
        ({"amplitude": (1, -0.5, 0)}, "expected amplitudes of at least zero in slm, but level 1 has -0.5"),
        ({"amplitude": (0, 0, 0)}, "expected some light from slm, but all amplitudes are zero"),
        ({"control": (0, 1, 0)}, "expected distinct control values in slm, but levels 0 and 2 both have 0"),
        ({"phase": (0, 1)}, "to have equal lengths, but got 3, 3 and 2"),
        ({"control": [1], "amplitude": [1], "phase": [0]}, "expected at least two states in slm, but got 1"),
        ({"phase": ("a", "b", "c")}, "expected a list of numbers as phase of slm"),
        ({"phase": (1j, 0, 0)}, "expected a list of numbers as phase of slm"),
        ({"phase": [[0, 1, 2]]}, r"expected a list of numbers as phase of slm, but got an array of shape \(1, 3\)"),
    ],
)
def test_tables_that_cannot_be(columns, message):
    with pytest.raises(DeviceError, match=message):
        table(**columns)


@settings(max_examples=60, deadline=None)
@given(states=tables(), by=st.sampled_from(RULES), data=st.data())
def test_picked_states_are_k_distinct_given_ones_in_order_of_control(states, by, data):
    k = data.draw(st.integers(2, len(states)))
    # Two of these rules do not look at the light, and may pick dark states only; spreading always finds light.
    if by != "spread":
        chosen = table(states.control, np.ones(len(states)), states.phase).pick(k, by=by).control
        if not states.amplitude[np.isin(states.control, chosen)].any():
            with pytest.raises(DeviceError, match="are all dark: pick more states, or by spread"):
                states.pick(k, by=by)
            return
    picked = states.pick(k, by=by)
    assert len(picked) == k
    assert (np.diff(picked.control) > 0).all()
    given_ = {row[0]: row for row in zip(states.control, states.amplitude, states.phase, strict=True)}
    for row in zip(picked.control, picked.amplitude, picked.phase, strict=True):
        assert given_[row[0]] == row
    if by != "spread":
        assert {states.control.min(), states.control.max()} <= set(picked.control)
    assert states.pick(k, by=by).digest == picked.digest


@settings(max_examples=30, deadline=None)
@given(states=tables(most=9), data=st.data())
def test_picking_over_the_control_range_is_the_best_there_is(states, data):
    k = data.draw(st.integers(2, len(states)))
    # Of light everywhere: whether picked states are dark is not the question here.
    states = table(states.control, np.ones(len(states)), states.phase)
    control = np.sort(states.control)
    # In units of the range: squares of tiny distances would be zero, and any choice the best.
    position = (control - control[0]) / (control[-1] - control[0])
    targets = np.linspace(0, 1, k)
    inner = itertools.combinations(range(1, len(control) - 1), k - 2)
    costs = [((position[[0, *choice, -1]] - targets) ** 2).sum() for choice in inner]
    chosen = np.searchsorted(control, states.pick(k, by="control").control)
    assert ((position[chosen] - targets) ** 2).sum() <= min(costs) + 1e-12


@settings(max_examples=30, deadline=None)
@given(states=tables(most=12))
def test_spreading_two_states_takes_the_farthest_pair(states):
    values = states.values()
    farthest = np.abs(values[:, None] - values[None]).max()
    assert np.abs(np.diff(states.pick(2, by="spread").values())).max() == pytest.approx(farthest, rel=1e-6)


@settings(max_examples=30, deadline=None)
@given(states=tables(most=8), data=st.data())
def test_spreading_leaves_no_state_farther_off_than_twice_the_best(states, data):
    # The bound of Gonzalez (1985) for farthest-point choice, against all choices there are.
    k = data.draw(st.integers(2, len(states)))
    values = states.values()
    distance = np.abs(values[:, None] - values[None])
    best = min(distance[:, choice].min(axis=1).max() for choice in itertools.combinations(range(len(states)), k))
    chosen = [int(np.flatnonzero(states.control == control)[0]) for control in states.pick(k, by="spread").control]
    # 1e-6: distances closer than a part in a billion count as ties.
    assert distance[:, chosen].min(axis=1).max() <= 2 * best * (1 + 1e-6) + 1e-12


def test_even_picking_is_even_by_position_and_control_picking_by_value():
    states = table(control=(0, 1, 2, 3, 4, 5, 50, 60, 100), amplitude=np.ones(9), phase=np.arange(9))
    assert states.pick(3, by="even").control.tolist() == [0, 4, 100]
    assert states.pick(3, by="control").control.tolist() == [0, 50, 100]
    assert states.pick(9) is states


def test_spreading_four_of_twelve_states_around_a_circle_takes_quarters():
    states = table(control=np.arange(12), amplitude=np.ones(12), phase=np.arange(12) * np.pi / 6)
    assert states.pick(4, by="spread").control.tolist() == [0, 3, 6, 9]


def test_the_last_digits_of_a_phase_do_not_change_the_choice():
    # Sines of the same angle differ in them between machines; the states chosen for a device must not.
    choices = set()
    for seed in range(10):
        noise = np.random.default_rng(seed).uniform(-1e-13, 1e-13, 24)
        states = table(control=np.arange(24), amplitude=np.ones(24), phase=np.arange(24) * np.pi / 12 + noise)
        choices.add(tuple(states.pick(5, by="spread").control.tolist()))
    assert len(choices) == 1


@pytest.mark.parametrize("k", [3, 5, 6, 7, 12])
def test_spread_states_of_a_circle_are_nearly_as_far_apart_as_can_be(k: int):
    # Farthest points alone halve arcs: three of a circle would be 0, 90 and 180 degrees, half of them far too close.
    states = table(control=np.arange(240), amplitude=np.ones(240), phase=np.arange(240) * np.pi / 120)
    steps = np.sort(states.pick(k, by="spread").control)
    gaps = np.diff(np.append(steps, steps[0] + 240))
    assert gaps.min() >= 0.85 * 240 / k


def test_no_exchange_of_one_state_takes_spread_states_further_apart():
    rng = np.random.default_rng(0)
    states = table(control=np.arange(40), amplitude=rng.uniform(0.3, 1, 40), phase=rng.uniform(0, 6.3, 40))
    values = states.values()
    chosen = states.pick(6, by="spread").control.astype(int)
    for place in range(6):
        others = values[np.delete(chosen, place)]
        clearance = np.abs(values[:, None] - others).min(axis=1)
        assert clearance[chosen[place]] == pytest.approx(clearance.max())


def test_equal_states_can_all_be_picked():
    states = table(control=np.arange(5), amplitude=np.ones(5), phase=np.zeros(5))
    assert states.pick(4, by="spread").control.tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize("column", ["control", "amplitude", "phase"])
def test_numbers_beyond_what_can_be_computed_with_are_refused(column: str):
    with pytest.raises(DeviceError, match=rf"at most 1e\+100 as {column} of slm, but level 1 has 1e\+308"):
        table(**{column: (0.0, 1e308, 2.0)})  # pyright: ignore[reportArgumentType]


def test_a_spread_in_per_cent_beside_amplitudes_as_fractions_is_refused():
    with pytest.raises(DeviceError, match="level 0 has 3: divide by a hundred what is in per cent"):
        table(spread=(3.0, 2.0, np.nan))


def test_control_values_at_the_ends_of_floating_point():
    for control in ([-1e100, 0.0, 1.0, 1e100], [0.0, 5e-324, 1e-323, 1.5e-323]):
        states = table(control=control, amplitude=np.ones(4), phase=np.arange(4))
        assert states.pick(2, by="control").control.tolist() == [control[0], control[-1]]


@pytest.mark.parametrize("by", RULES)
def test_picking_from_784_levels_is_quick_and_right(by):
    generator = np.random.default_rng(0)
    states = table(generator.permutation(784), generator.random(784), generator.random(784) * 9)
    for k in (2, 8, 400, 783, 784):
        control = states.pick(k, by=by).control
        assert len(np.unique(control)) == k
        assert (np.diff(control) > 0).all()


def test_picked_states_without_any_light_are_refused():
    states = table(control=np.arange(4), amplitude=(0, 1, 0, 0), phase=np.zeros(4))
    with pytest.raises(DeviceError, match="but 2 of 4 states, picked by even, are all dark"):
        states.pick(2, by="even")
    assert states.pick(2, by="spread").amplitude.tolist() == [0, 1]


def test_what_was_picked_is_said():
    assert table(source="measured").pick(2).source == "measured; 2 of 3 states, picked by spread"


@pytest.mark.parametrize(
    ("k", "by", "message"),
    [
        (4, "even", "the states to pick from slm as a whole number from 2 to 3, but got 4"),
        (1, "even", "the states to pick from slm as a whole number from 2 to 3, but got 1"),
        (2.5, "even", r"as a whole number from 2 to 3, but got 2\.5"),
        (2, "odd", "out of even, control, spread, but got 'odd'"),
    ],
)
def test_picking_what_cannot_be_picked(k, by, message):
    with pytest.raises(DeviceError, match=message):
        table().pick(k, by=by)


words = st.text(max_size=20)


@settings(max_examples=40, deadline=None)
@given(states=tables(), name=words, unit=words, source=words)
def test_a_table_reads_back_as_it_was_written(tmp_path_factory, states, name, unit, source):
    path = tmp_path_factory.mktemp("tables") / "t.csv"
    written = DeviceStates(states.control, states.amplitude, states.phase, name, unit, source)
    written.save(path)
    read = load_table(path)
    assert read.digest == written.digest
    assert (read.name, read.control_unit, read.source) == (written.name, written.control_unit, written.source)


def test_words_are_kept_on_one_line():
    assert table(name=" my\n# name: \x00 slm\u2028").name == "my # name: slm"


def test_the_written_table_is_the_documented_one(tmp_path: Path):
    table(control=(0.1, 1.5, 2), control_unit="V", source="bench 3").save(tmp_path / "t.csv")
    assert (tmp_path / "t.csv").read_text().splitlines() == [
        "# voltphase-device: 1",
        "# name: slm",
        "# control_unit: V",
        "# phase_unit: rad",
        "# source: bench 3",
        "level,control,amplitude,phase",
        "0,0.1,1.0,0.0",
        "1,1.5,0.5,1.0",
        "2,2.0,0.0,2.0",
    ]


def test_nothing_is_left_where_nothing_can_be_written(tmp_path: Path):
    with pytest.raises(OutputError, match="cannot write"):
        table().save(tmp_path / "nowhere" / "t.csv")
    (tmp_path / "t.csv").mkdir()
    with pytest.raises(OutputError, match=r"t\.csv.* is a (?:folder|directory)"):
        table().save(tmp_path / "t.csv")
    assert [entry.name for entry in tmp_path.iterdir()] == ["t.csv"]
