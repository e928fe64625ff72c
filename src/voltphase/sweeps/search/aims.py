"""What is best: figures of a run, or settings of it, each with a direction."""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from voltphase.config import Config
from voltphase.core.checks import is_number
from voltphase.core.errors import ConfigError, TrainingError
from voltphase.settings.keys import content_at, enumerate_words, keys
from voltphase.settings.messages import nearest, yaml_shown

Direction = Literal["maximize", "minimize"]

# Figures of every run, with what is better of each.
_FIGURES: Final[dict[str, Direction]] = {
    "train_loss": "minimize",
    "seconds": "minimize",
    "images_per_second": "maximize",
    "test_light_share": "maximize",
    "test_contrast_margin": "maximize",
}
_OF_EPOCHS: Final = ("train_loss", "images_per_second")


@dataclass(frozen=True)
class Aim:
    """A figure that trials are judged by."""

    name: str
    direction: Direction
    of_epochs: bool = False  # whether every epoch has it, and its last value is the run's

    def of_run(self, config: Config, summary: Mapping[str, Any], epoch: Mapping[str, float]) -> float:
        """Return its value for a finished run.

        Args:
            config: Configuration of the run.
            summary: Content of its ``summary.json``.
            epoch: Figures of its last epoch.

        Raises:
            TrainingError: if the run has none.
        """
        own = content_at(config.model_dump(), self.name.split("."))
        found = own if "." in self.name else self.of_epoch(epoch)
        for column in (self.name, f"{summary.get('watched', 'test')}_{self.name}"):
            found = summary.get(column, found)
        if not is_number(found):
            raise TrainingError(f"expected a number as {self.name} of the run, but it has none: choose another metric")
        return float(found)

    def of_epoch(self, epoch: Mapping[str, float]) -> float | None:
        """Return its value after an epoch, of the images that are watched; None if an epoch has none."""
        return next((epoch[key] for key in (self.name, f"val_{self.name}", f"test_{self.name}") if key in epoch), None)


def parse_metric(
    given: str | list[str] | Mapping[str, Direction] | None, config: Config, search: Container[str] = ()
) -> list[Aim]:
    """Return what a sweep's file says is best; by default the first metric of the task on the images watched.

    Args:
        given: What the file says.
        config: Configuration of a trial.
        search: Settings that are searched, of which other trials have other values.

    Raises:
        ConfigError: if there is no such figure or setting, or which way is better is not known.
    """
    metrics = config.task.build().metrics
    named: dict[str, Direction | None] = (
        {metrics[0].name: None}
        if given is None
        else {given: None}
        if isinstance(given, str)
        else dict.fromkeys(given)
        if isinstance(given, list)
        else dict(given)
    )
    if not 1 <= len(named) <= 2:
        raise ConfigError(f"metric: expected one figure or two, but got {len(named)}: choose what matters most")
    known: dict[str, Direction] = dict(_FIGURES)
    for metric in metrics:
        better: Direction = "maximize" if metric.higher_is_better else "minimize"
        known |= dict.fromkeys((metric.name, *map(metric.column, ("train", "val", "test"))), better)
    numbers = {key.path for key in keys(Config)}
    aims = []
    for name, direction in named.items():
        if name not in known and not ("." in name and name in numbers):
            close = nearest(name, [*known, *(key for key in numbers if "." in key)])
            raise ConfigError(
                f"metric: expected {enumerate_words(known)}, or a setting such as optics.depth, but got {name!r}"
                f"{f': did you mean {close}?' if close else ': choose one of them'}"
            )
        if direction is None and name not in known:
            raise ConfigError(
                f"metric: expected a direction for the setting {name}, but got none: write {{{name}: minimize}}"
            )
        if name not in known and name not in search:
            _require_number(name, config)
        of_epochs = name in known and (name not in _FIGURES or name in _OF_EPOCHS)
        aims.append(Aim(name, direction or known[name], of_epochs))
    return aims


def _require_number(name: str, config: Config) -> None:
    """Refuse a setting that is no number: all trials would fail by it, once they have been trained."""
    value = content_at(config.model_dump(), name.split("."))
    if value is not None and not is_number(value):
        raise ConfigError(
            f"metric: expected a setting that is a number, but {name} is {yaml_shown(value)}: choose another"
        )
