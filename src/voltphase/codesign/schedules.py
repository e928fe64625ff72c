"""How the temperature of a relaxation moves during training."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

from voltphase.errors import ConfigError


class Schedule(ABC):
    """A temperature for each moment of training."""

    @abstractmethod
    def temperature(self, progress: float) -> float:
        """The temperature when the fraction ``progress`` (0 to 1) of training is done."""


@dataclass(frozen=True)
class StaticSchedule(Schedule):
    """The same temperature throughout (the paper's "static" is 1, 25 or 50).

    Raises:
        ConfigError: if it is not above zero.
    """

    value: float

    def __post_init__(self) -> None:
        _check(static=self.value)

    def temperature(self, progress: float) -> float:
        return self.value


@dataclass(frozen=True)
class _BetweenTwo(Schedule):
    start: float
    end: float

    def __post_init__(self) -> None:
        _check(start=self.start, end=self.end)


@dataclass(frozen=True)
class LinearSchedule(_BetweenTwo):
    """Straight from ``start`` to ``end`` (the paper's "linear" is 50 to 1).

    Raises:
        ConfigError: if a temperature is not above zero.
    """

    def temperature(self, progress: float) -> float:
        return self.start + (self.end - self.start) * _clamped(progress)


@dataclass(frozen=True)
class ExponentialSchedule(_BetweenTwo):
    """From ``start`` to ``end`` by the same factor in equal times.

    Raises:
        ConfigError: if a temperature is not above zero.
    """

    def temperature(self, progress: float) -> float:
        return self.start * (self.end / self.start) ** _clamped(progress)


@dataclass(frozen=True)
class CosineSchedule(_BetweenTwo):
    """From ``start`` to ``end`` along half a cosine: slow at both ends.

    Raises:
        ConfigError: if a temperature is not above zero.
    """

    def temperature(self, progress: float) -> float:
        return self.end + (self.start - self.end) * (1 + math.cos(math.pi * _clamped(progress))) / 2


@dataclass(frozen=True)
class PiecewiseSchedule(Schedule):
    """One temperature after another, each for its share of training.

    Args:
        temperatures: In their order.
        shares: How long each holds, in any unit: epochs of the training it was written for, say.

    Raises:
        ConfigError: if there is none, their numbers differ, or one is not above zero.
    """

    temperatures: tuple[float, ...]
    shares: tuple[float, ...]

    def __init__(self, temperatures: Sequence[float], shares: Sequence[float]) -> None:
        if not temperatures or len(temperatures) != len(shares):
            raise ConfigError(
                f"expected as many shares of training as temperatures, but got {len(shares)} and {len(temperatures)}"
            )
        for temperature in temperatures:
            _check(piecewise=temperature)
        if not all(0 < share < math.inf for share in shares):
            raise ConfigError(f"expected shares of training above zero, but got {list(shares)}")
        object.__setattr__(self, "temperatures", tuple(float(t) for t in temperatures))
        object.__setattr__(self, "shares", tuple(float(s) for s in shares))

    def temperature(self, progress: float) -> float:
        *ends, total = accumulate(self.shares)
        return self.temperatures[bisect_right([end / total for end in ends], _clamped(progress))]


def _clamped(progress: float) -> float:
    return min(max(progress, 0.0), 1.0)


def _check(**temperatures: float) -> None:
    for name, value in temperatures.items():
        if not 0 < value < math.inf:
            raise ConfigError(f"expected the {name} temperature above zero, but got {value}")


# The paper's six, figure 2, written for 100 epochs of constant temperature each.
PAPER_SCHEDULES: dict[str, Schedule] = {
    "linear": LinearSchedule(50, 1),
    "cosine": PiecewiseSchedule(
        (50, 40, 30, 20, 40, 30, 20, 30, 15, 5, 10, 1), (10, 10, 10, 10, 10, 10, 10, 8, 7, 5, 5, 5)
    ),
    "step": PiecewiseSchedule((50, 40, 30, 20, 10, 5, 1), (25, 20, 20, 15, 10, 5, 5)),
    "static-50": StaticSchedule(50),
    "static-25": StaticSchedule(25),
    "static-1": StaticSchedule(1),
}
