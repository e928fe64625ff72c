"""What a sweep has come to: a row a trial, the best of them, and the configuration to train it with."""

from __future__ import annotations

import csv
import io
import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from voltphase.config import Config
from voltphase.core.files import write_text
from voltphase.core.words import one_line
from voltphase.settings.messages import yaml_shown
from voltphase.sweeps.search.aims import Aim
from voltphase.sweeps.search.settings import Sweep
from voltphase.sweeps.search.space import Values

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

TABLE: Final = "trials.csv"
BEST: Final = "best.yaml"
#: Attributes of a trial: what it was trained with, the figures of each seed by their names, after how many epochs and
#: seconds it ended, and why it failed.
VALUES, FIGURES, EPOCHS, SECONDS, ERROR = "settings", "figures", "epochs", "seconds", "error"

_STATES: Final = {"COMPLETE": "complete", "PRUNED": "pruned", "FAIL": "failed", "RUNNING": "running"}

Row = dict[str, Any]


@dataclass(frozen=True)
class Outcome:
    """The trials of a sweep, as they are now.

    Args:
        sweep: The sweep.
        trials: Its trials.
    """

    sweep: Sweep
    trials: Sequence[FrozenTrial]

    @property
    def best(self) -> list[FrozenTrial]:
        """The best trial; with two aims all those that none other beats in both, the best by the first aim first."""
        complete = [trial for trial in self._from_best() if trial.state.name == "COMPLETE"]

        def beaten(trial: FrozenTrial) -> bool:
            own = self._worth(trial)
            others = [other for other in map(self._worth, complete) if other != own]
            return any(all(a >= b for a, b in zip(other, own, strict=True)) for other in others)

        return complete[:1] if len(self.sweep.aims) == 1 else [trial for trial in complete if not beaten(trial)]

    def _worth(self, trial: FrozenTrial) -> list[float]:
        if trial.state.name != "COMPLETE":
            return [-math.inf] * len(self.sweep.aims)
        signs = (1 if aim.direction == "maximize" else -1 for aim in self.sweep.aims)
        return [sign * value for sign, value in zip(signs, trial.values, strict=True)]

    def _from_best(self) -> list[FrozenTrial]:
        return sorted(self.trials, key=self._worth, reverse=True)

    def ranked(self) -> list[Row]:
        """Return the rows with the best first, and those without figures last."""
        rows = {row["trial"]: row for row in self.rows()}
        return [rows[number] for number in dict.fromkeys(one.number for one in [*self.best, *self._from_best()])]

    def rows(self) -> list[Row]:
        """Return a row for each trial, in their order, with the same columns."""
        best = {trial.number for trial in self.best}
        names = list(dict.fromkeys(name for trial in self.trials for name in trial.user_attrs.get(FIGURES, {})))
        return [self._row(trial, trial.number in best, names) for trial in self.trials]

    def _row(self, trial: FrozenTrial, best: bool, names: Sequence[str]) -> Row:
        about, figures = trial.user_attrs, trial.user_attrs.get(FIGURES, {})
        values = about.get(VALUES, trial.params)
        row: Row = {"trial": trial.number, "state": _STATES.get(trial.state.name, "waiting"), "best": "yes" * best}
        row |= {one.key: values.get(one.key, "") for one in self.sweep.dimensions}
        for name in names:
            row[name] = float(f"{statistics.fmean(figures[name]):.10g}") if name in figures else ""
            if len(self.sweep.seeds) > 1 and any(name == aim.name for aim in self.sweep.aims):
                row[f"{name}_spread"] = float(f"{spread(figures[name]):.3g}") if name in figures else ""
        return row | {name: about.get(name, "") for name in (EPOCHS, SECONDS, ERROR)}

    def config_of(self, trial: FrozenTrial) -> Config:
        """Return the configuration of a trial, with its first seed."""
        values: Values = trial.user_attrs[VALUES]
        return self.sweep.config_of(values, self.sweep.seeds[0])

    def write(self, folder: Path) -> None:
        """Write ``trials.csv`` and, once there is a best trial, ``best.yaml``."""
        write_text(folder / TABLE, as_csv(self.rows()))
        if self.best:
            note = f"# {one_line(self.told(self.best[0]))}\n"
            write_text(folder / BEST, note + self.config_of(self.best[0]).to_yaml())

    def told(self, trial: FrozenTrial) -> str:
        """Return a trial in a line: what it was trained with, and what that came to."""
        values = ", ".join(f"{key} {shown(value)}" for key, value in trial.user_attrs.get(VALUES, trial.params).items())
        figures = trial.user_attrs.get(FIGURES, {})
        aims = ", ".join(aim_told(aim, figures[aim.name]) for aim in self.sweep.aims if aim.name in figures)
        return f"trial {trial.number}: {values}{': ' if aims else ''}{aims}"


def aim_told(aim: Aim, values: Sequence[float]) -> str:
    """Return an aim with its mean over seeds and, where there are several, the spread."""
    spreads = f" ± {spread(values):.2g}" if len(values) > 1 else ""
    return f"{aim.name} {shown(statistics.fmean(values))}{spreads}"


def spread(values: Sequence[float]) -> float:
    """Return the standard deviation of a figure over seeds."""
    return statistics.stdev(values) if len(values) > 1 else 0.0


def shown(value: Any) -> str:
    """Return a value as a table in a terminal shows it, in words as they are in the file.

    Examples:
        >>> shown(None), shown(True), shown(0.123456), shown("proximity")
        ('null', 'true', '0.1235', 'proximity')
    """
    if value is None or isinstance(value, bool):
        return yaml_shown(value)
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def as_csv(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return rows as a table of comma-separated values."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]) if rows else ["trial"], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()
