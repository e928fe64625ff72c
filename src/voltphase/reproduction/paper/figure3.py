"""Figure 3: codesign against quantization-aware training (QAT) and quantization after training (PTQ)."""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from typing import Any, Final

from voltphase.reproduction.cells import best_lambda, cell, paper_recipe
from voltphase.reproduction.markdown import TEST, claim, files_agree, ours, table
from voltphase.reproduction.sizes import Preset
from voltphase.sweeps.results import Outcomes
from voltphase.sweeps.runs import Cell

#: Codesign as in the paper, its rivals, and codesign by our recipe.
METHODS: Final = ("codesign", "qat", "ptq", "default")
OURS: Final = ("codesign", "default")
NAME: Final = "figure3"
TITLE: Final = "Figure 3: codesign, QAT and PTQ"

# The paper gives bars; in words, by how much codesign wins at 8 levels, in points.
PAPER_LEAD: Final = {"mnist": 20, "fashion-mnist": 28}


def cells(preset: Preset) -> list[Cell]:
    """All methods side by side, so that a run cut short leaves comparisons that are whole."""
    found = []
    for data in preset.systems:
        for levels in preset.levels:
            for depth in preset.comparison_depths:
                for method in METHODS:
                    settings = {"device.levels": levels, **_settings(preset, method, depth)}
                    for seed in range(preset.ptq_seeds if method == "ptq" else 1):
                        labels = {"data": data, "method": method, "depth": depth, "levels": levels, "seed": seed}
                        found.append(cell(preset, NAME, labels, settings))
    return found


def _settings(preset: Preset, method: str, depth: int) -> dict[str, Any]:
    if method == "default":
        return {"optics.depth": depth, "training.epochs": preset.epochs}
    recipe = paper_recipe(depth, best_lambda(preset, depth), preset.epochs)
    if method == "codesign":
        return recipe
    # A learning rate moves another quantity in each method.
    rate = {"training.learning_rate": preset.best_rates[method]}
    return {**recipe, "codesign.relaxation.name": method, "codesign.relaxation.nearest": "control", **rate}


def report(outcomes: Outcomes) -> str:
    """Test accuracies, and by how much codesign is ahead."""
    rows = []
    for data in outcomes.distinct("data"):
        for depth in outcomes.distinct("depth"):
            for levels in outcomes.distinct("levels"):
                here = outcomes.where(data=data, depth=depth, levels=levels)
                leads = ("–" if ahead is None else f"{ahead:+.2f}" for ahead in (lead(here, m) for m in OURS))
                told = f"about +{PAPER_LEAD[data]}" if levels == 8 and data in PAPER_LEAD else "ahead"
                rows.append(
                    [
                        data,
                        str(depth),
                        str(levels),
                        *(ours(here.where(method=method), *TEST) for method in METHODS),
                        *leads,
                        told if data in PAPER_LEAD else "–",
                        files_agree(here),
                    ]
                )
    heading = ["data", "depth", "levels", *METHODS, *(f"{m} ahead, points" for m in OURS), "paper", "from files"]
    return table(heading, rows)


def conclusion(outcomes: Outcomes) -> str:
    """The paper's claim and the numbers here."""
    return claim("codesign beats QAT and PTQ, most at 8 levels", _leads(outcomes), " points")


def lead(outcomes: Outcomes, method: str) -> float | None:
    """How far codesign is ahead of the better rival at one depth and number of levels on one data set, in points."""
    rivals = [mean for rival in ("qat", "ptq") if (mean := outcomes.where(method=rival).mean(*TEST)) is not None]
    reached = outcomes.where(method=method).mean(*TEST)
    return None if reached is None or not rivals else 100 * (reached - max(rivals))


def _leads(outcomes: Outcomes) -> Iterator[tuple[str, float | None]]:
    """The mean lead over depths."""
    for data in outcomes.distinct("data"):
        for levels in outcomes.distinct("levels"):
            here = outcomes.where(data=data, levels=levels)
            for method in OURS:
                found = [lead(here.where(depth=depth), method) for depth in here.distinct("depth")]
                leads = [ahead for ahead in found if ahead is not None]
                yield f"{data}, {method} ahead at {levels} levels by", statistics.fmean(leads) if leads else None
