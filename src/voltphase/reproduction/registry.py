"""The experiments by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType
from typing import Final

from voltphase.core import checks
from voltphase.reproduction.ours import diagonal, interpretations, pitch, study
from voltphase.reproduction.paper import figure2, figure3, figure4, table1, table2
from voltphase.reproduction.sizes import Size
from voltphase.sweeps.results import Outcomes
from voltphase.sweeps.runs import Run


@dataclass(frozen=True)
class Experiment:
    """A grid of runs, and the table made from their results."""

    name: str  # as users type it
    title: str  # its heading on a page
    runs: Callable[[Size], list[Run]]
    report: Callable[[Outcomes], str]  # makes its table in Markdown
    conclusion: Callable[[Outcomes], str]  # sets the paper's claim beside the numbers here; may give nothing


def _of(module: ModuleType) -> Experiment:
    conclusion = getattr(module, "conclusion", lambda _: "")
    return Experiment(module.NAME, module.TITLE, module.runs, module.report, conclusion)


EXPERIMENTS: Final[dict[str, Experiment]] = {
    one.name: one
    for one in map(_of, (table1, table2, figure2, figure3, figure4, study, diagonal, pitch, interpretations))
}
#: What ``all`` stands for: the paper's own, in the order in which a run cut short is worth most.
OF_THE_PAPER: Final = ("table1", "table2", "figure2", "figure4", "figure3")


def choose(name: str) -> list[Experiment]:
    """Return the experiment of that name, or those of the paper for ``all``."""
    checks.word(name, "an experiment", [*EXPERIMENTS, "all"])
    return [EXPERIMENTS[one] for one in (OF_THE_PAPER if name == "all" else [name])]
