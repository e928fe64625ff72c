"""The diagonal of table 1 by the default recipe: the paper's best accuracies, to be met in fewer epochs."""

from __future__ import annotations

from typing import Final

from voltphase.reproduction.cells import cell
from voltphase.reproduction.markdown import TEST, TRAIN, difference, from_files, ours, paper, table
from voltphase.reproduction.paper import table1
from voltphase.reproduction.sizes import Preset
from voltphase.sweeps.results import Outcomes
from voltphase.sweeps.runs import Cell

NAME: Final = "diagonal"
TITLE: Final = "The diagonal of table 1 with the default recipe"


def cells(preset: Preset) -> list[Cell]:
    """Each depth on each data set, trained for so many epochs or so many; no lambda is chosen."""
    return [
        cell(
            preset,
            NAME,
            {"data": data, "depth": depth, "epochs": epochs, "seed": 0},
            {"optics.depth": depth, "training.epochs": epochs},
        )
        for epochs in preset.diagonal_epochs
        for data in preset.systems
        for depth in preset.depths
    ]


def report(outcomes: Outcomes) -> str:
    """Test accuracy beside the paper's after 100 epochs, a line a depth."""
    rows = []
    for data in outcomes.distinct("data"):
        for depth in outcomes.distinct("depth"):
            best = table1.best(data, depth)
            for epochs in outcomes.distinct("epochs"):
                here = outcomes.where(data=data, depth=depth, epochs=epochs)
                rows.append(
                    [
                        data,
                        str(depth),
                        paper(best),
                        str(epochs),
                        ours(here, *TEST),
                        difference(here, best, *TEST),
                        ours(here, *TRAIN),
                        from_files(here),
                    ]
                )
    heading = ["data", "depth", "paper's best, 100 epochs", "epochs", "ours", "points", "training", "from files"]
    return table(heading, rows)
