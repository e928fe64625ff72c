"""Figure 3: codesign against quantization-aware training (QAT) and quantization after training (PTQ)."""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from itertools import product
from typing import Any, Final, NamedTuple

from voltphase.reproduction.markdown import TEST, Numbers, claim, files_agree, ours, table
from voltphase.reproduction.recipes import Cell, paper_recipe, runs_of
from voltphase.reproduction.sizes import Size
from voltphase.sweeps.results import Outcomes

#: Codesign as in the paper, its rivals, and codesign by our recipe.
METHODS: Final = ("codesign", "qat", "ptq", "default")
OURS: Final = ("codesign", "default")
NAME: Final = "figure3"
TITLE: Final = "Figure 3: codesign, QAT and PTQ"

# The paper gives bars; in words, by how much codesign wins at 8 levels, in points.
PAPER_LEAD: Final = {"mnist": 20, "fashion-mnist": 28}


class Figure3Sizes(NamedTuple):
    """How much of figure 3 is run."""

    epochs: int
    ptq_seeds: int  # how often quantization after training is repeated; the paper takes the mean of ten
    depths: tuple[int, ...] = (3, 4, 5)
    levels: tuple[int, ...] = (8, 12, 16)


SIZES: Final = {"smoke": Figure3Sizes(2, 2, (2,), (2, 8)), "cpu": Figure3Sizes(5, 3), "paper": Figure3Sizes(100, 10)}


@runs_of(NAME)
def runs(size: Size) -> Iterator[Cell]:
    """Yield all methods side by side, so that a sweep cut short leaves comparisons that are whole."""
    own = SIZES[size.name]
    for data, levels, depth, method in product(size.systems, own.levels, own.depths, METHODS):
        settings = {"device.levels": levels, **_settings(size, method, depth, own.epochs)}
        for seed in range(own.ptq_seeds if method == "ptq" else 1):
            yield {"data": data, "method": method, "depth": depth, "levels": levels, "seed": seed}, settings


def _settings(size: Size, method: str, depth: int, epochs: int) -> dict[str, Any]:
    if method == "default":
        return {"optics.depth": depth, "training.epochs": epochs}
    recipe = paper_recipe(depth, size.best_lambda(depth), epochs)
    if method == "codesign":
        return recipe
    # A learning rate moves another quantity in each method.
    rate = {"training.learning_rate": size.best_rates[method]}
    return {**recipe, "codesign.relaxation.name": method, "codesign.relaxation.nearest": "control", **rate}


def report(outcomes: Outcomes) -> str:
    """Return the table: test accuracies, and by how much codesign is ahead."""
    rows = []
    for data, depth, levels, here in outcomes.by("data", "depth", "levels"):
        row = [data, str(depth), str(levels), *(ours(here.where(method=method), *TEST) for method in METHODS)]
        row += ["–" if ahead is None else f"{ahead:+.2f}" for ahead in (lead(here, method) for method in OURS)]
        told = f"about +{PAPER_LEAD[data]}" if levels == 8 and data in PAPER_LEAD else "ahead"
        rows.append([*row, told if data in PAPER_LEAD else "–", files_agree(here)])
    heading = ["data", "depth", "levels", *METHODS, *(f"{m} ahead, points" for m in OURS), "paper", "from files"]
    return table(heading, rows)


def lead(outcomes: Outcomes, method: str) -> float | None:
    """Return by how many points a method is ahead of the better rival, at one depth and number of levels."""
    rivals = [mean for rival in ("qat", "ptq") if (mean := outcomes.where(method=rival).mean(*TEST)) is not None]
    reached = outcomes.where(method=method).mean(*TEST)
    return None if reached is None or not rivals else 100 * (reached - max(rivals))


@claim("codesign beats QAT and PTQ, most at 8 levels", " points")
def conclusion(outcomes: Outcomes) -> Numbers:
    """Yield the mean lead over depths."""
    for data, levels, here in outcomes.by("data", "levels"):
        for method in OURS:
            found = [lead(of_depth, method) for _, of_depth in here.by("depth")]
            leads = [ahead for ahead in found if ahead is not None]
            yield f"{data}, {method} ahead at {levels} levels by", statistics.fmean(leads) if leads else None
