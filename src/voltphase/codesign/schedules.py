"""How the temperature of a relaxation moves during training."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Annotated

from annotated_types import Ge, Gt, Le

from voltphase.core import checks
from voltphase.core.checks import TEMPERATURES
from voltphase.core.errors import ConfigError
from voltphase.core.registry import Registry

Temperature = Annotated[float, Ge(TEMPERATURES[0]), Le(TEMPERATURES[1])]


class Schedule(ABC):
    """A temperature for each moment of training; ``schedule(progress)`` is :meth:`temperature`."""

    @abstractmethod
    def temperature(self, progress: float) -> float:
        """Return the temperature when the fraction ``progress`` of training is done.

        Args:
            progress: From 0 to 1; before and after training the temperature is that of its two ends.

        Raises:
            ConfigError: if ``progress`` is not a finite number.
        """

    def __call__(self, progress: float) -> float:
        return self.temperature(progress)


#: Every schedule by the name a configuration gives it. Its parameters are its settings.
SCHEDULES: Registry[Callable[..., Schedule]] = Registry("a schedule", "voltphase.schedules")


@dataclass(frozen=True)
class _BetweenTwo(Schedule):
    start: Temperature = 10.0
    end: Temperature = 0.1

    def __post_init__(self) -> None:
        for name in ("start", "end"):
            object.__setattr__(self, name, checks.temperature(getattr(self, name), f"the {name} temperature"))


@SCHEDULES.register("linear")
@dataclass(frozen=True)
class LinearSchedule(_BetweenTwo):
    """A straight line from ``start`` to ``end`` (the paper's "linear" is 50 to 1).

    Args:
        start: First temperature.
        end: Last temperature.

    Examples:
        >>> LinearSchedule(50, 1)(0.5)
        25.5
    """

    def temperature(self, progress: float) -> float:
        return self.start + (self.end - self.start) * _checked(progress)


@SCHEDULES.register("exponential")
@dataclass(frozen=True)
class ExponentialSchedule(_BetweenTwo):
    """A fall from ``start`` to ``end`` by the same factor in equal times.

    Args:
        start: First temperature.
        end: Last temperature.

    Examples:
        >>> ExponentialSchedule(10, 0.1)(0.5)
        1.0
    """

    def temperature(self, progress: float) -> float:
        return self.start * (self.end / self.start) ** _checked(progress)


@SCHEDULES.register("cosine")
@dataclass(frozen=True)
class CosineSchedule(_BetweenTwo):
    """Half a cosine from ``start`` to ``end``, slow at both ends.

    Args:
        start: First temperature.
        end: Last temperature.

    Examples:
        >>> round(CosineSchedule(3, 1)(0.5), 12)
        2.0
    """

    def temperature(self, progress: float) -> float:
        return self.end + (self.start - self.end) * (1 + math.cos(math.pi * _checked(progress))) / 2


@SCHEDULES.register("static")
@dataclass(frozen=True)
class StaticSchedule(Schedule):
    """One temperature throughout (the paper's "static" is 1, 25 or 50).

    Args:
        start: Temperature of all training.

    Examples:
        >>> StaticSchedule(25)(0.9)
        25.0
    """

    start: Temperature = 10.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "start", checks.temperature(self.start, "the static temperature"))

    def temperature(self, progress: float) -> float:
        _checked(progress)
        return self.start


@SCHEDULES.register("piecewise")
@dataclass(frozen=True)
class PiecewiseSchedule(Schedule):
    """One temperature after another, each for its share of training.

    Args:
        temperatures: Temperatures in their order.
        shares: How long each temperature holds, in any unit: epochs, say.

    Raises:
        ConfigError: if there is none, their numbers differ, or one is not above zero.

    Examples:
        >>> PiecewiseSchedule([50, 1], shares=[1, 3])(0.3)
        1.0
    """

    temperatures: Sequence[Temperature]
    shares: Sequence[Annotated[float, Gt(0)]]

    def __post_init__(self) -> None:
        values, parts = (checks.items(given, "a list of numbers") for given in (self.temperatures, self.shares))
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


@SCHEDULES.register("paper-cosine")
def paper_cosine() -> Schedule:
    """Return the paper's "cosine": twelve temperatures that fall from 50 to 1 in waves (figure 2)."""
    return PiecewiseSchedule(
        (50, 40, 30, 20, 40, 30, 20, 30, 15, 5, 10, 1), (10, 10, 10, 10, 10, 10, 10, 8, 7, 5, 5, 5)
    )


@SCHEDULES.register("paper-step")
def paper_step() -> Schedule:
    """Return the paper's "step": seven temperatures from 50 down to 1 (figure 2)."""
    return PiecewiseSchedule((50, 40, 30, 20, 10, 5, 1), (25, 20, 20, 15, 10, 5, 5))


def _checked(progress: float) -> float:
    return min(max(checks.number(progress, "the fraction of training that is done"), 0.0), 1.0)
