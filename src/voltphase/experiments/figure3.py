"""Figure 3: codesign against quantization-aware training (QAT) and quantization after training (PTQ)."""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from typing import Any, Final

from voltphase.experiments.cells import Cell, best_lambda, cell, paper_recipe
from voltphase.experiments.markdown import MISSING, TEST, claim, files_agree, ours, table
from voltphase.experiments.presets import Preset
from voltphase.experiments.results import Outcomes

NAME: Final = "figure3"
TITLE: Final = "Figure 3: codesign, QAT and PTQ"

METHODS: Final[dict[str, dict[str, Any]]] = {
    "codesign": {},
    **{m: {"codesign.relaxation.name": m, "codesign.relaxation.nearest": "control"} for m in ("qat", "ptq")},
}
# The paper gives bars; in words, by how much codesign wins at 8 levels, in points.
PAPER_LEAD: Final = {"mnist": 20, "fashion-mnist": 28}


def cells(preset: Preset) -> list[Cell]:
    """All methods side by side, so that a run cut short leaves comparisons that are whole."""
    found = []
    for data in preset.systems:
        for levels in preset.levels:
            for depth in preset.comparison_depths:
                recipe = paper_recipe(depth, best_lambda(preset, depth), preset.epochs)
                for method, changes in METHODS.items():
                    # A learning rate moves another quantity in each method.
                    rates = {"training.learning_rate": preset.best_rates[method]} if method in preset.best_rates else {}
                    settings = {**recipe, "device.levels": levels, **changes, **rates}
                    for seed in range(preset.ptq_seeds if method == "ptq" else 1):
                        labels = {"data": data, "method": method, "depth": depth, "levels": levels, "seed": seed}
                        found.append(cell(preset, NAME, labels, settings))
    return found


def report(outcomes: Outcomes) -> str:
    """Test accuracies, and by how much codesign is ahead."""
    rows = []
    for data in outcomes.distinct("data"):
        for depth in outcomes.distinct("depth"):
            for levels in outcomes.distinct("levels"):
                here = outcomes.where(data=data, depth=depth, levels=levels)
                ahead = lead(here)
                told = f"about +{PAPER_LEAD[data]}" if levels == 8 and data in PAPER_LEAD else "ahead"
                rows.append(
                    [
                        data,
                        str(depth),
                        str(levels),
                        *(ours(here.where(method=method), *TEST) for method in METHODS),
                        MISSING if ahead is None else f"{ahead:+.2f}",
                        told if data in PAPER_LEAD else "–",
                        files_agree(here),
                    ]
                )
    heading = ["data", "depth", "levels", *METHODS, "codesign ahead, points", "paper", "from files"]
    return table(heading, rows) + claim("codesign beats QAT and PTQ, most at 8 levels", _leads(outcomes), " points")


def lead(outcomes: Outcomes) -> float | None:
    """How far codesign is ahead of the better rival at one depth and number of levels on one data set, in points."""
    means = {method: outcomes.where(method=method).mean(*TEST) for method in METHODS}
    rivals = [mean for method, mean in means.items() if method != "codesign" and mean is not None]
    codesign = means["codesign"]
    return None if codesign is None or not rivals else 100 * (codesign - max(rivals))


def _leads(outcomes: Outcomes) -> Iterator[tuple[str, float | None]]:
    """The mean lead over depths."""
    for data in outcomes.distinct("data"):
        for levels in outcomes.distinct("levels"):
            here = outcomes.where(data=data, levels=levels)
            leads = [found for depth in here.distinct("depth") if (found := lead(here.where(depth=depth))) is not None]
            yield f"{data}, ahead at {levels} levels by", statistics.fmean(leads) if leads else None
