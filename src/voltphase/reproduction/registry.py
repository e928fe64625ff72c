"""The experiments by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType
from typing import Final

from voltphase.core.errors import ConfigError
from voltphase.reproduction.ours import diagonal, study
from voltphase.reproduction.ours import interpretations as readings
from voltphase.reproduction.ours import pitch as reach
from voltphase.reproduction.paper import figure2, figure3, figure4, table1, table2
from voltphase.reproduction.sizes import Preset
from voltphase.sweeps.results import Outcomes
from voltphase.sweeps.runs import Cell


@dataclass(frozen=True)
class Experiment:
    """A grid of cells, and the table made from their results.

    Attributes:
        name: What to type.
        title: What it is called on a page.
        cells: Its cells, for a preset.
        report: Its table in Markdown.
        conclusion: What the paper claims of it in words, and the numbers for it or against it; may be empty.
    """

    name: str
    title: str
    cells: Callable[[Preset], list[Cell]]
    report: Callable[[Outcomes], str]
    conclusion: Callable[[Outcomes], str]


def _of(module: ModuleType) -> Experiment:
    conclusion = getattr(module, "conclusion", lambda _: "")
    return Experiment(module.NAME, module.TITLE, module.cells, module.report, conclusion)


EXPERIMENTS: Final[dict[str, Experiment]] = {
    one.name: one for one in map(_of, (table1, table2, figure2, figure3, figure4, study, diagonal, reach, readings))
}
#: What ``all`` stands for: the paper's own, in the order in which a run cut short is worth most.
OF_THE_PAPER: Final = ("table1", "table2", "figure2", "figure4", "figure3")


def choose(name: str) -> list[Experiment]:
    """The experiment of that name, or those of the paper for ``all``.

    Raises:
        ConfigError: if there is none.
    """
    if name == "all":
        return [EXPERIMENTS[one] for one in OF_THE_PAPER]
    if name not in EXPERIMENTS:
        raise ConfigError(f"expected an experiment out of {', '.join((*EXPERIMENTS, 'all'))}, but got {name!r}")
    return [EXPERIMENTS[name]]
