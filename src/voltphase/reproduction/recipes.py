"""What the runs of the experiments share: the size's system and device, and the paper's recipe."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from voltphase.reproduction.sizes import Size
from voltphase.sweeps.runs import Label, Run

# Given explicitly: the default has changed since most results were made.
_PICK: Final = {"device.pick": "even"}


def sized_run(
    size: Size,
    experiment: str,
    labels: Mapping[str, Label],
    settings: Mapping[str, Any],
    *,
    own_process: bool = False,
) -> Run:
    """Return a run of the size's system for the data set and the seed that ``labels`` name, changed by ``settings``.

    The device is the size's, with 8 levels picked evenly, unless ``settings`` say otherwise.
    """
    chosen = {**size.settings, **size.machine, **_PICK}
    if not any(key in ("device.file", "device.model") or key.startswith("devices") for key in settings):
        chosen |= {f"device.{key}": value for key, value in size.device.items()}
    chosen |= {"seed": int(labels.get("seed", 0)), **settings}
    return Run(experiment, labels, size.systems[str(labels["data"])], chosen, own_process)


def paper_recipe(depth: int, gain: float, epochs: int) -> dict[str, Any]:
    """Return the settings of the paper's recipe; ``gain`` is the paper's lambda."""
    return {"recipe": "paper", "optics.depth": depth, "codesign.gain": gain, "training.epochs": epochs}


def automatic(depth: int, epochs: int) -> dict[str, Any]:
    """Return the paper's recipe with the readout's scale set by the first batch instead of a lambda."""
    calibrated = {"task.scale": "calibrated", "training.scale_learning_rate": 0.0}
    return {**paper_recipe(depth, 1.0, epochs), **calibrated}


def free_phases(rate: float) -> dict[str, Any]:
    """Return the settings of pixels with any phase, learned at a rate of their own."""
    return {"codesign.relaxation.name": "unconstrained", "training.learning_rate": rate}
