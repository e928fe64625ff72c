"""How the temperature of a relaxation moves during training."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

from voltphase.core import checks
from voltphase.core.errors import ConfigError


class Schedule(ABC):
    """A temperature for each moment of training; ``schedule(progress)`` is :meth:`temperature`."""

    @abstractmethod
    def temperature(self, progress: float) -> float:
        """The temperature when the fraction ``progress`` of training is done.

        Args:
            progress: From 0 to 1; before and after training the temperature is that of its two ends.

        Raises:
            ConfigError: if ``progress`` is not a finite number.
        """

    def __call__(self, progress: float) -> float:
        return self.temperature(progress)


@dataclass(frozen=True)
class StaticSchedule(Schedule):
    """The same temperature throughout (the paper's "static" is 1, 25 or 50).

    Raises:
        ConfigError: if it is not above zero.
    """

    value: float

    def __post_init__(self) -> None:
        object.__setattr__(self, "value", checks.temperature(self.value, "the static temperature"))

    def temperature(self, progress: float) -> float:
        _checked(progress)
        return self.value


@dataclass(frozen=True)
class _BetweenTwo(Schedule):
    start: float
    end: float

    def __post_init__(self) -> None:
        for name in ("start", "end"):
            object.__setattr__(self, name, checks.temperature(getattr(self, name), f"the {name} temperature"))


@dataclass(frozen=True)
class LinearSchedule(_BetweenTwo):
    """Straight from ``start`` to ``end`` (the paper's "linear" is 50 to 1).

    Raises:
        ConfigError: if a temperature is not above zero.
    """

    def temperature(self, progress: float) -> float:
        return self.start + (self.end - self.start) * _checked(progress)


@dataclass(frozen=True)
class ExponentialSchedule(_BetweenTwo):
    """From ``start`` to ``end`` by the same factor in equal times.

    Raises:
        ConfigError: if a temperature is not above zero.
    """

    def temperature(self, progress: float) -> float:
        return self.start * (self.end / self.start) ** _checked(progress)


@dataclass(frozen=True)
class CosineSchedule(_BetweenTwo):
    """From ``start`` to ``end`` along half a cosine: slow at both ends.

    Raises:
        ConfigError: if a temperature is not above zero.
    """

    def temperature(self, progress: float) -> float:
        return self.end + (self.start - self.end) * (1 + math.cos(math.pi * _checked(progress))) / 2


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
        values, parts = (checks.items(given, "a list of numbers") for given in (temperatures, shares))
        if not values or len(values) != len(parts):
            raise ConfigError(
                f"expected as many shares of training as temperatures, but got {len(parts)} and {len(values)}"
            )
        values = tuple(checks.temperature(value, "the piecewise temperature") for value in values)
        parts = tuple(checks.number(part, "shares of training", above=0) for part in parts)
        if not math.isfinite(sum(parts)):
            raise ConfigError(f"expected shares of training that add up, but got {checks.shown(parts)}")
        object.__setattr__(self, "temperatures", values)
        object.__setattr__(self, "shares", parts)

    def temperature(self, progress: float) -> float:
        *ends, total = accumulate(self.shares)
        return self.temperatures[bisect_right([end / total for end in ends], _checked(progress))]


def _checked(progress: float) -> float:
    return min(max(checks.number(progress, "the fraction of training that is done"), 0.0), 1.0)


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
