"""What a sweep searches: settings with the values that each may have, and when there is such a setting at all."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Final

from annotated_types import MinLen
from pydantic import Field, ValidationError

from voltphase.core import checks
from voltphase.core.errors import ConfigError
from voltphase.settings.fields import Section
from voltphase.settings.messages import describe, yaml_shown

if TYPE_CHECKING:
    from optuna import Trial

#: Settings by their dotted keys.
Values = dict[str, Any]

_Number = int | float
#: More trials than anybody waits for, and than a storage is quick to take.
MOST_TRIALS: Final = 10_000
# Beyond which Optuna's samplers, which count in numbers of 64 bits, miss whole numbers.
_LARGEST: Final = 2**53


class _Choices(Section):
    """Some values.

    Attributes:
        choices: The values.
        condition: Settings of the search that have to have one value, or one of several, for this one to be there.
    """

    choices: Annotated[list[Any], MinLen(1)]
    condition: dict[str, Any] = Field(default={}, alias="if")


class _Range(Section):
    """All numbers from one to another.

    Attributes:
        low: The lowest value.
        high: The highest value.
        step: Distance between two values; null for any value in between.
        log: Whether the logarithm is what is spread evenly.
        condition: Settings of the search that have to have one value, or one of several, for this one to be there.
    """

    low: _Number
    high: _Number
    step: _Number | None = None
    log: bool = False
    condition: dict[str, Any] = Field(default={}, alias="if")


@dataclass(frozen=True)
class Dimension:
    """A setting that is searched."""

    key: str
    given: _Choices | _Range

    @property
    def condition(self) -> dict[str, list[Any]]:
        """The values that other settings have to have for this one to be there."""
        return {key: value if isinstance(value, list) else [value] for key, value in self.given.condition.items()}

    @property
    def choices(self) -> list[Any] | None:
        """Its values, where they are listed."""
        return self.given.choices if isinstance(self.given, _Choices) else None

    @property
    def whole(self) -> bool:
        """Whether it is a range of whole numbers alone."""
        given = self.given
        return isinstance(given, _Range) and all(isinstance(n, int) for n in (given.low, given.high, given.step or 1))

    @property
    def ends(self) -> tuple[Any, Any]:
        """The first and the last of its values."""
        given = self.given
        if isinstance(given, _Choices):
            return given.choices[0], given.choices[-1]
        return (given.low, given.high) if self.whole else (float(given.low), float(given.high))

    def can_be(self, value: Any) -> bool:
        """Return whether a value is one of its own."""
        given = self.given
        if isinstance(given, _Choices):
            return value in given.choices
        return checks.is_number(value) and given.low <= value <= given.high

    def is_there(self, values: Mapping[str, Any]) -> bool:
        """Return whether there is such a setting where others have these values."""
        return all(key in values and values[key] in allowed for key, allowed in self.condition.items())

    def draw(self, trial: Trial) -> Any:
        """Return the value that Optuna chooses in a trial."""
        given = self.given
        if isinstance(given, _Choices):
            told = trial.suggest_categorical(self.key, [_told(value) for value in given.choices])
            return next(value for value in given.choices if _told(value) == told)
        if self.whole:
            step = int(given.step or 1)
            return trial.suggest_int(self.key, int(given.low), int(given.high), log=given.log, step=step)
        return trial.suggest_float(self.key, given.low, given.high, log=given.log, step=given.step)

    def points(self) -> list[Any]:
        """Return the values that a grid has, with a ConfigError if they cannot be counted."""
        given = self.given
        if isinstance(given, _Choices):
            return list(given.choices)
        if not self.whole and given.step is None:
            raise ConfigError(
                f"search.{self.key}: expected choices, or a range of whole numbers or with a step, for sampler grid, "
                "but got a range of any numbers: list some of them"
            )
        step = given.step or 1
        count = int((given.high - given.low) / step * (1 + 1e-9)) + 1
        if count > MOST_TRIALS:
            raise _too_large(count)
        return [_rounded(given.low + index * step) for index in range(count)]


def _rounded(number: _Number) -> _Number:
    # Three steps of 0.1 make 0.3.
    return number if isinstance(number, int) else float(f"{number:.12g}")


def parse_search(search: Mapping[str, Any]) -> list[Dimension]:
    """Return the settings that are searched, in the order in which a file gives them.

    Raises:
        ConfigError: if there are none, or what is said of one makes no sense.
    """
    if not search:
        raise ConfigError("search: expected at least one setting such as codesign.gain: [1, 10, 100], but it is empty")
    dimensions: list[Dimension] = []
    for key, given in search.items():
        one = Dimension(key, _parsed(key, given))
        _check_condition(one, {dimension.key: dimension for dimension in dimensions})
        dimensions.append(one)
    return dimensions


def _check_condition(one: Dimension, before: Mapping[str, Dimension]) -> None:
    """Refuse a condition on what is not searched before, or one that never holds."""
    for other, allowed in one.condition.items():
        if other not in before:
            raise ConfigError(
                f"search.{one.key}.if: expected settings that stand above it in search, but got {other}: search it "
                "too, and before this one"
            )
        strange = [value for value in allowed if not before[other].can_be(value)]
        if strange or not allowed:
            raise ConfigError(
                f"search.{one.key}.if: expected values that {other} may have in search, but got "
                f"{yaml_shown(strange[0] if strange else allowed)}: correct it"
            )


def _parsed(key: str, given: Any) -> _Choices | _Range:
    if isinstance(given, list):
        given = {"choices": given}
    model = _Choices if not isinstance(given, Mapping) or "choices" in given else _Range
    try:
        found = model.model_validate(given)
    except ValidationError as error:
        if not isinstance(given, Mapping):
            raise ConfigError(
                f"search.{key}: expected a list of choices, or a group such as {{low: 1, high: 100, log: true}}, but "
                f"got {yaml_shown(given)}: list what to try, or put what is not searched into set"
            ) from error
        raise ConfigError(f"search.{key}: {describe(error, model, given)[0]}") from error
    if isinstance(found, _Range):
        _check_range(key, found)
    elif strange := [value for value in found.choices if not _can_be_told(value)]:
        raise ConfigError(
            f"search.{key}: expected choices that a file can hold, without nan or infinity, but got "
            f"{yaml_shown(strange[0])}: leave it out"
        )
    elif len({_told(value) for value in found.choices}) < len(found.choices):
        raise ConfigError(f"search.{key}: expected different choices, but one of them is given twice: leave it out")
    return found


def _check_range(key: str, given: _Range) -> None:
    if max(abs(given.low), abs(given.high)) > _LARGEST and isinstance(given.low, int) and isinstance(given.high, int):
        raise ConfigError(f"search.{key}: expected whole numbers of at most 2^53, but got larger ones: lower them")
    if given.low >= given.high:
        raise ConfigError(f"search.{key}: expected low below high, but got {given.low} and {given.high}: change them")
    if given.log and given.low <= 0:
        raise ConfigError(f"search.{key}: expected low above 0 for log: true, but got {given.low}: raise it")
    if given.step is not None and given.step <= 0:
        raise ConfigError(f"search.{key}: expected a step above 0, but got {given.step}: give a larger one")
    if given.step is not None and given.step > (given.high - given.low) * (1 + 1e-9):
        raise ConfigError(
            f"search.{key}: expected a step no larger than from {given.low} to {given.high}, but got {given.step}: "
            "give a smaller one"
        )
    if given.log and given.step is not None:
        raise ConfigError(f"search.{key}: expected either log: true or a step, but got both: leave one out")


def draw(dimensions: Sequence[Dimension], trial: Trial) -> Values:
    """Return the values that Optuna gives the settings in a trial, those that are not there left out."""
    values: Values = {}
    for one in dimensions:
        if one.is_there(values):
            values[one.key] = one.draw(trial)
    return values


def grid(dimensions: Sequence[Dimension]) -> list[Values]:
    """Return all combinations of the values of settings, the last of them changing fastest.

    Raises:
        ConfigError: if one of them is a range of any numbers, or there are too many.
    """
    found: list[Values] = [{}]
    for one in dimensions:
        points = one.points()
        count = sum(len(points) if one.is_there(values) else 1 for values in found)
        if count > MOST_TRIALS:
            raise _too_large(count)
        found = [values | more for values in found for more in _each(one, points, values)]
    return found


def _each(one: Dimension, points: Sequence[Any], values: Values) -> Iterator[Values]:
    if one.is_there(values):
        yield from ({one.key: point} for point in points)
    else:
        yield {}


def ends(dimensions: Sequence[Dimension]) -> tuple[Values, Values]:
    """Return the first values of all settings, and the last."""
    both: tuple[Values, Values] = ({}, {})
    for values, end in zip(both, (0, 1), strict=True):
        for one in dimensions:
            if one.is_there(values):
                values[one.key] = one.ends[end]
    return both


def as_told(values: Values) -> Values:
    """Return values as Optuna knows them."""
    return {key: _told(value) for key, value in values.items()}


def _told(value: Any) -> Any:
    # Optuna's storages keep words, numbers, switches and nothing at all; a list of numbers is told as a text.
    return value if value is None or isinstance(value, bool | int | float | str) else json.dumps(value)


def _can_be_told(value: Any) -> bool:
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError):
        return False
    return True


def _too_large(count: int) -> ConfigError:
    shown = f"{count:,}" if count < 10**9 else "far more"
    return ConfigError(
        f"search: expected at most {MOST_TRIALS:,} combinations, but there are {shown}: search less, "
        "or with sampler tpe"
    )
