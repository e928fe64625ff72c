"""What the paper leaves open, tried out: which measure its logits are, and what its lambda scales."""

from __future__ import annotations

from typing import Any, Final

from voltphase.reproduction.cells import cell, paper_recipe
from voltphase.reproduction.markdown import TEST, ours, paper, table
from voltphase.reproduction.paper import table1
from voltphase.reproduction.sizes import Preset
from voltphase.sweeps.results import Outcomes
from voltphase.sweeps.runs import Cell

NAME: Final = "readings"
TITLE: Final = "Reading the paper: the measure and λ"

#: What light on a region becomes; for ``sum`` the size of the region matters, which is the paper's whatever the system.
MEASURES: Final = ("sum", "mean", "amplitude")
_PAPER_SIZE: Final = 200


def cells(preset: Preset) -> list[Cell]:
    """Table 1 on the first data set in each reading, for a few epochs: failures show early."""
    data = next(iter(preset.systems))
    found = []
    for measure in MEASURES:
        for reading in ("gain", "gradient"):
            for depth in preset.depths:
                for lambda_ in preset.depths.values():
                    settings = {
                        **paper_recipe(depth, 1.0, preset.reading_epochs),
                        **_reading(reading, lambda_),
                        "readout.measure": measure,
                        "readout.scale": _scale(preset) if measure == "sum" else 1.0,
                    }
                    labels = {"data": data, "measure": measure, "reading": reading, "depth": depth, "lambda": lambda_}
                    found.append(cell(preset, NAME, labels, settings))
    return found


def _reading(reading: str, lambda_: float) -> dict[str, Any]:
    # In the forward pass it multiplies the amplitude; in the backward pass it divides its part of the gradient.
    return {"codesign.gain": lambda_} if reading == "gain" else {"codesign.amplitude_grad_scale": 1 / lambda_}


def _scale(preset: Preset) -> float:
    return (_PAPER_SIZE / preset.settings.get("optics.size", 64)) ** 2


def grid(outcomes: Outcomes) -> list[tuple[int, float]]:
    """The (depth, lambda) pairs, in the order of table 1."""
    return [(depth, lambda_) for depth in outcomes.distinct("depth") for lambda_ in outcomes.distinct("lambda")]


def known(data: str, depth: int, lambda_: float) -> float | None:
    """The paper's test accuracy."""
    return table1.PAPER.get((data, depth, f"lambda{lambda_:g}"), (None, None))[1]


def report(outcomes: Outcomes) -> str:
    """Test accuracy of each reading, the paper's above, and the mean distance from them in points."""
    pairs, data = grid(outcomes), outcomes.distinct("data")[0]
    rows = [["the paper, 100 epochs", *(paper(known(data, *pair)) for pair in pairs), ""]]
    for measure in outcomes.distinct("measure"):
        for reading in outcomes.distinct("reading"):
            here = outcomes.where(measure=measure, reading=reading)
            each = [here.where(depth=depth, lambda_=lambda_) for depth, lambda_ in pairs]
            apart = [
                abs(mean - told)
                for cell, pair in zip(each, pairs, strict=True)
                if (mean := cell.mean(*TEST)) is not None and (told := known(data, *pair)) is not None
            ]
            distance = f"{100 * sum(apart) / len(apart):.1f}" if apart else "–"
            rows.append([f"{measure}, λ scales the {reading}", *(ours(cell, *TEST) for cell in each), distance])
    return table(["reading", *(f"depth {depth}, λ = {lambda_:g}" for depth, lambda_ in pairs), "apart, points"], rows)
