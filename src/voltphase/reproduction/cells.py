"""The cells of the paper's experiments and ours, by the words that the experiments share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from voltphase.reproduction.sizes import Preset
from voltphase.sweeps.runs import Cell, Label

# Said rather than left to the default, which has become another since most results were made.
_PICK: Final = {"device.pick": "even"}


def cell(
    preset: Preset,
    experiment: str,
    labels: Mapping[str, Label],
    settings: Mapping[str, Any],
    *,
    own_process: bool = False,
) -> Cell:
    """A cell of the preset's system for the data set and the seed that ``labels`` name, changed by ``settings``.

    The device is the preset's, with 8 levels picked evenly, unless ``settings`` say otherwise.
    """
    chosen = {**preset.settings, **preset.run, **_PICK}
    if not any(key in ("device.file", "device.model") or key.startswith("devices") for key in settings):
        chosen |= {f"device.{key}": value for key, value in preset.device.items()}
    chosen |= {"seed": int(labels.get("seed", 0)), **settings}
    return Cell(experiment, labels, preset.systems[str(labels["data"])], chosen, own_process)


def paper_recipe(depth: int, gain: float, epochs: int) -> dict[str, Any]:
    """Settings of the paper's recipe, for so many layers and epochs."""
    return {"recipe": "paper", "optics.depth": depth, "codesign.gain": gain, "training.epochs": epochs}


def automatic(depth: int, epochs: int) -> dict[str, Any]:
    """The paper's recipe with the readout's scale set by the first batch instead of a lambda."""
    found = {"readout.scale": "calibrated", "training.scale_learning_rate": 0.0}
    return {**paper_recipe(depth, 1.0, epochs), **found}


def best_lambda(preset: Preset, depth: int) -> float:
    """The best lambda for a depth; the geometric mean of its neighbours' for one that table 1 leaves out."""
    known = preset.best_lambdas
    if depth in known:
        return known[depth]
    below, above = max(other for other in known if other < depth), min(other for other in known if other > depth)
    return (known[below] * known[above]) ** 0.5
