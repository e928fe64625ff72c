from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voltphase.codesign import (
    SCHEDULES,
    CosineSchedule,
    ExponentialSchedule,
    LinearSchedule,
    PiecewiseSchedule,
    Schedule,
    StaticSchedule,
)
from voltphase.core.errors import ConfigError

MOVING: list[type] = [LinearSchedule, ExponentialSchedule, CosineSchedule]


def by_epoch(schedule: Schedule, epochs: int = 100) -> list[float]:
    return [schedule.temperature(epoch / epochs) for epoch in range(epochs)]


def test_linear_falls_half_a_unit_an_epoch_over_the_papers_hundred() -> None:
    schedule = LinearSchedule(50, 1)
    assert [schedule.temperature(epoch / 100) for epoch in (0, 1, 50, 100)] == pytest.approx([50, 49.51, 25.5, 1])


def test_the_papers_step_and_cosine_hold_each_temperature_for_its_epochs() -> None:
    assert by_epoch(SCHEDULES["paper-step"]()) == (
        [50] * 25 + [40] * 20 + [30] * 20 + [20] * 15 + [10] * 10 + [5] * 5 + [1] * 5
    )
    cosine = by_epoch(SCHEDULES["paper-cosine"]())
    assert cosine == [t for t in (50, 40, 30, 20, 40, 30, 20) for _ in range(10)] + (
        [30] * 8 + [15] * 7 + [5] * 5 + [10] * 5 + [1] * 5
    )


@pytest.mark.parametrize("temperature", [50, 25, 1])
def test_static_does_not_move(temperature: int) -> None:
    assert set(by_epoch(StaticSchedule(temperature))) == {temperature}


@pytest.mark.parametrize("kind", MOVING)
@given(start=st.floats(0.01, 100), end=st.floats(0.01, 100), progress=st.floats(0, 1))
def test_every_curve_goes_from_start_to_end_and_never_leaves_the_range(
    kind: type, start: float, end: float, progress: float
) -> None:
    schedule = kind(start, end)
    assert schedule.temperature(0) == pytest.approx(start)
    assert schedule.temperature(1) == pytest.approx(end)
    low, high = sorted((start, end))
    assert low * (1 - 1e-12) <= schedule.temperature(progress) <= high * (1 + 1e-12)


def test_the_middle_of_each_curve() -> None:
    assert LinearSchedule(9, 1).temperature(0.5) == 5
    assert ExponentialSchedule(9, 1).temperature(0.5) == pytest.approx(3)
    assert CosineSchedule(9, 1).temperature(0.5) == pytest.approx(5)
    assert CosineSchedule(9, 1).temperature(0.25) == pytest.approx(1 + 8 * (1 + 0.5**0.5) / 2)


@pytest.mark.parametrize("schedule", [*(kind(10, 1) for kind in MOVING), SCHEDULES["paper-step"]()])
def test_the_ends_hold_outside_training(schedule: Schedule) -> None:
    assert schedule.temperature(-0.1) == schedule.temperature(0)
    assert schedule.temperature(1.1) == schedule.temperature(1)


@pytest.mark.parametrize("kind", MOVING)
def test_a_temperature_must_be_above_zero(kind: type) -> None:
    with pytest.raises(ConfigError, match="expected the end temperature above zero, but got 0"):
        kind(50, 0)
    with pytest.raises(ConfigError, match="expected the static temperature above zero, but got -1"):
        StaticSchedule(-1)


def test_impossible_pieces_are_refused() -> None:
    with pytest.raises(ConfigError, match="as many shares of training as temperatures, but got 1 and 2"):
        PiecewiseSchedule((5, 1), (1,))
    with pytest.raises(ConfigError, match="shares of training above zero"):
        PiecewiseSchedule((5, 1), (1, 0))
    with pytest.raises(ConfigError, match="piecewise temperature above zero, but got 0"):
        PiecewiseSchedule((5, 0), (1, 1))
