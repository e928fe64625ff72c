"""Table 2: how many images are still answered right when the winner's probability is cut."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import Final

from voltphase.reproduction.markdown import Numbers, claim, difference, files_agree, ours, paper, table
from voltphase.reproduction.paper import table1
from voltphase.reproduction.recipes import Cell, runs_of
from voltphase.reproduction.sizes import Size
from voltphase.sweeps.confidence import CUTS
from voltphase.sweeps.results import Outcomes

NAME: Final = "table2"
TITLE: Final = "Table 2: confidence"

# Accuracy under each cut, by data set and depth.
PAPER: Final[dict[tuple[str, int], tuple[float, ...]]] = {
    ("mnist", 1): (0.960, 0.326, 0.0, 0.0),
    ("mnist", 3): (0.982, 0.964, 0.850, 0.588),
    ("mnist", 5): (0.986, 0.986, 0.986, 0.986),
    ("fashion-mnist", 1): (0.878, 0.340, 0.0, 0.0),
    ("fashion-mnist", 3): (0.894, 0.812, 0.502, 0.264),
    ("fashion-mnist", 5): (0.894, 0.894, 0.892, 0.890),
}


@runs_of(NAME)
def runs(size: Size) -> Iterator[Cell]:
    """Yield those of table 1 with the best lambda of each depth: the same runs."""
    for data, best in product(size.systems, size.best_lambdas.items()):
        yield table1.lambda_cell(size, data, *best)


def report(outcomes: Outcomes) -> str:
    """Return the table, a line for each cut of each network."""
    rows = []
    for data, depth, here in outcomes.by("data", "depth"):
        for cut, told in zip(CUTS, PAPER.get((data, depth), (None,) * len(CUTS)), strict=True):
            key = ("accuracy_when_cut", f"{cut:g}")
            row = [data, str(depth), f"{cut:.0%}", "0" if told == 0 else paper(told)]
            rows.append([*row, ours(here, *key), difference(here, told, *key), files_agree(here)])
    return table(["data", "depth", "cut", "paper", "ours", "points", "from files"], rows)


@claim("confidence grows with depth")
def conclusion(outcomes: Outcomes) -> Numbers:
    """Yield what is left under the largest cut, by depth."""
    cut = max(CUTS)
    for data, depth, here in outcomes.by("data", "depth"):
        accuracy = here.mean("accuracy_when_cut", f"{cut:g}")
        yield f"{data}, accuracy under a cut of {cut:.0%} at depth {depth}", accuracy
