"""The diagonal of table 1 by the default recipe: the paper's best accuracies, to be met in fewer epochs."""

from __future__ import annotations

from typing import Final

from voltphase.reproduction.markdown import TEST, TRAIN, difference, from_files, ours, paper, table
from voltphase.reproduction.paper import table1
from voltphase.reproduction.recipes import sized_run
from voltphase.reproduction.sizes import Size
from voltphase.sweeps.results import Outcomes
from voltphase.sweeps.runs import Run

NAME: Final = "diagonal"
TITLE: Final = "The diagonal of table 1 with the default recipe"

#: Numbers of epochs to train for, by size.
EPOCHS: Final[dict[str, tuple[int, ...]]] = {"smoke": (2,), "cpu": (20,), "paper": (8, 20)}


def runs(size: Size) -> list[Run]:
    """Return a run of each depth on each data set for each number of epochs; no lambda is chosen."""
    return [
        sized_run(
            size,
            NAME,
            {"data": data, "depth": depth, "epochs": epochs, "seed": 0},
            {"optics.depth": depth, "training.epochs": epochs},
        )
        for epochs in EPOCHS[size.name]
        for data in size.systems
        for depth in size.depths
    ]


def report(outcomes: Outcomes) -> str:
    """Return the table: test accuracy beside the paper's after 100 epochs, a line a depth."""
    rows = []
    for data, depth, epochs, here in outcomes.by("data", "depth", "epochs"):
        best = table1.best(data, depth)
        reached = [ours(here, *TEST), difference(here, best, *TEST), ours(here, *TRAIN), from_files(here)]
        rows.append([data, str(depth), paper(best), str(epochs), *reached])
    heading = ["data", "depth", "paper's best, 100 epochs", "epochs", "ours", "points", "training", "from files"]
    return table(heading, rows)
