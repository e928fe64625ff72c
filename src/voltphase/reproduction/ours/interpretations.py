"""What the paper leaves open, tried out: which measure its logits are, and what its lambda scales."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import Final

from voltphase.reproduction.markdown import TEST, ours, paper, table
from voltphase.reproduction.paper import table1
from voltphase.reproduction.recipes import Cell, paper_recipe, runs_of
from voltphase.reproduction.sizes import Size
from voltphase.sweeps.results import Outcomes

NAME: Final = "readings"
TITLE: Final = "Reading the paper: the measure and λ"

#: Epochs of each interpretation, by size: few, as failures show early.
EPOCHS: Final = {"smoke": 1, "cpu": 3, "paper": 20}
#: Measures of the light on a region; a ``sum`` depends on the region's size, so it is scaled to the paper's.
MEASURES: Final = ("sum", "mean", "amplitude")
_PAPER_SIZE: Final = 200


@runs_of(NAME)
def runs(size: Size) -> Iterator[Cell]:
    """Yield the runs of table 1 on the first data set in each interpretation."""
    data, scale = next(iter(size.systems)), (_PAPER_SIZE / size.settings.get("optics.size", 64)) ** 2
    for measure, reading, depth, lambda_ in product(MEASURES, ("gain", "gradient"), size.depths, size.depths.values()):
        # In the forward pass lambda multiplies the amplitude; in the backward pass it divides its part of the gradient.
        scaled = {"codesign.gain": lambda_} if reading == "gain" else {"codesign.amplitude_grad_scale": 1 / lambda_}
        readout = {"task.measure": measure, "task.scale": scale if measure == "sum" else 1.0}
        settings = {**paper_recipe(depth, 1.0, EPOCHS[size.name]), **scaled, **readout}
        yield {"data": data, "measure": measure, "reading": reading, "depth": depth, "lambda": lambda_}, settings


def grid(outcomes: Outcomes) -> list[tuple[int, float]]:
    """Return the (depth, lambda) pairs, in the order of table 1."""
    return [(depth, lambda_) for depth, lambda_, _ in outcomes.by("depth", "lambda")]


def known(data: str, depth: int, lambda_: float) -> float | None:
    """Return the paper's test accuracy."""
    return table1.PAPER.get((data, depth, f"lambda{lambda_:g}"), (None, None))[1]


def report(outcomes: Outcomes) -> str:
    """Return the table: test accuracies of each interpretation, and their mean distance from the paper's in points."""
    pairs, data = grid(outcomes), outcomes.distinct("data")[0]
    rows = [["the paper, 100 epochs", *(paper(known(data, *pair)) for pair in pairs), ""]]
    for measure, reading, here in outcomes.by("measure", "reading"):
        each = [here.where(depth=depth, lambda_=lambda_) for depth, lambda_ in pairs]
        apart = [
            abs(mean - told)
            for one, pair in zip(each, pairs, strict=True)
            if (mean := one.mean(*TEST)) is not None and (told := known(data, *pair)) is not None
        ]
        distance = f"{100 * sum(apart) / len(apart):.1f}" if apart else "–"
        rows.append([f"{measure}, λ scales the {reading}", *(ours(one, *TEST) for one in each), distance])
    return table(["reading", *(f"depth {depth}, λ = {lambda_:g}" for depth, lambda_ in pairs), "apart, points"], rows)
