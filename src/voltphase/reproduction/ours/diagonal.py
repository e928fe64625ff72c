"""The diagonal of table 1 by the default recipe: the paper's best accuracies, to be met in fewer epochs."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import Final

from voltphase.reproduction.markdown import TEST, TRAIN, difference, from_files, ours, paper, table
from voltphase.reproduction.paper import table1
from voltphase.reproduction.recipes import Cell, runs_of
from voltphase.reproduction.sizes import Size
from voltphase.sweeps.results import Outcomes

NAME: Final = "diagonal"
TITLE: Final = "The diagonal of table 1 with the default recipe"

#: Numbers of epochs to train for, by size.
EPOCHS: Final[dict[str, tuple[int, ...]]] = {"smoke": (2,), "cpu": (20,), "paper": (8, 20)}


@runs_of(NAME)
def runs(size: Size) -> Iterator[Cell]:
    """Yield each depth on each data set for each number of epochs; no lambda is chosen."""
    for epochs, data, depth in product(EPOCHS[size.name], size.systems, size.depths):
        labels = {"data": data, "depth": depth, "epochs": epochs, "seed": 0}
        yield labels, {"optics.depth": depth, "training.epochs": epochs}


def report(outcomes: Outcomes) -> str:
    """Return the table: test accuracy beside the paper's after 100 epochs, a line a depth."""
    rows = []
    for data, depth, epochs, here in outcomes.by("data", "depth", "epochs"):
        best = table1.best(data, depth)
        reached = [ours(here, *TEST), difference(here, best, *TEST), ours(here, *TRAIN), from_files(here)]
        rows.append([data, str(depth), paper(best), str(epochs), *reached])
    heading = ["data", "depth", "paper's best, 100 epochs", "epochs", "ours", "points", "training", "from files"]
    return table(heading, rows)
