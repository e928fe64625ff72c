"""Figure 2: six temperature schedules at depth 5."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import Any, Final

from voltphase.reproduction.markdown import TEST, TRAIN, Numbers, claim, difference, from_files, ours, paper, table
from voltphase.reproduction.recipes import Cell, paper_recipe, runs_of
from voltphase.reproduction.sizes import Size
from voltphase.sweeps.results import Outcomes

NAME: Final = "figure2"
TITLE: Final = "Figure 2: temperature schedules"

#: Epochs of each run, by size: schedules need room to anneal.
EPOCHS: Final = {"smoke": 2, "cpu": 10, "paper": 100}

SCHEDULES: Final[dict[str, dict[str, Any]]] = {
    "linear": {},
    "cosine": {"codesign.schedule.name": "paper-cosine"},
    "step": {"codesign.schedule.name": "paper-step"},
    "static 50": {"codesign.schedule.name": "static", "codesign.schedule.start": 50},
    "static 25": {"codesign.schedule.name": "static", "codesign.schedule.start": 25},
    "static 1": {"codesign.schedule.name": "static", "codesign.schedule.start": 1},
}

# (training, test) accuracy.
PAPER: Final[dict[tuple[str, str], tuple[float, float]]] = {
    ("mnist", "linear"): (0.997, 0.979),
    ("mnist", "cosine"): (0.994, 0.978),
    ("mnist", "step"): (0.995, 0.978),
    ("mnist", "static 50"): (0.138, 0.133),
    ("mnist", "static 25"): (0.930, 0.926),
    ("mnist", "static 1"): (0.143, 0.146),
    ("fashion-mnist", "linear"): (0.941, 0.891),
    ("fashion-mnist", "cosine"): (0.935, 0.888),
    ("fashion-mnist", "step"): (0.938, 0.889),
    ("fashion-mnist", "static 50"): (0.857, 0.844),
    ("fashion-mnist", "static 25"): (0.876, 0.854),
    ("fashion-mnist", "static 1"): (0.446, 0.444),
}


@runs_of(NAME)
def runs(size: Size) -> Iterator[Cell]:
    """Yield the paper's recipe at its depth with each schedule."""
    recipe = paper_recipe(size.deepest, size.best_lambda(size.deepest), EPOCHS[size.name])
    for data, (name, settings) in product(size.systems, SCHEDULES.items()):
        yield {"data": data, "schedule": name, "seed": 0}, {**recipe, **settings}


def report(outcomes: Outcomes) -> str:
    """Return the table: final accuracies, a line a schedule."""
    rows = []
    for data, schedule, here in outcomes.by("data", "schedule"):
        train, test = PAPER.get((data, schedule), (None, None))
        told, reached = f"{paper(train)} / {paper(test)}", f"{ours(here, *TRAIN)} / {ours(here, *TEST)}"
        rows.append([data, schedule, told, reached, difference(here, test, *TEST), from_files(here)])
    heading = ["data", "schedule", "paper: train / test", "ours: train / test", "test, points", "from files"]
    return table(heading, rows)


@claim("annealing beats a static temperature")
def conclusion(outcomes: Outcomes) -> Numbers:
    """Yield the worst of the falling temperatures and the best that stays, on each data set."""
    for data in outcomes.distinct("data"):
        reached = {name: outcomes.where(data=data, schedule=name).mean(*TEST) for name in SCHEDULES}
        annealed = [mean for name, mean in reached.items() if "static" not in name and mean is not None]
        static = [mean for name, mean in reached.items() if "static" in name and mean is not None]
        yield f"{data}, the worst annealed", min(annealed, default=None)
        yield "the best static", max(static, default=None)
