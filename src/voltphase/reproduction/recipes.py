"""What the runs of the experiments share: the size's system and device, and the paper's recipe."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from voltphase.reproduction.sizes import Size
from voltphase.sweeps.runs import Label, Run

#: The labels of a run, and the settings that it changes.
Cell = tuple[Mapping[str, Label], Mapping[str, Any]]

# Given explicitly: the default has changed since most results were made.
_PICK: Final = {"device.pick": "even"}


def runs_of(
    experiment: str, *, own_process: bool = False
) -> Callable[[Callable[[Size], Iterable[Cell]]], Callable[[Size], list[Run]]]:
    """Return a decorator that makes runs of the cells of an experiment, in which the data set and the seed are named.

    A run's system and device are the size's, with 8 levels picked evenly, unless its settings say otherwise.
    """

    def decorate(cells: Callable[[Size], Iterable[Cell]]) -> Callable[[Size], list[Run]]:
        def runs(size: Size) -> list[Run]:
            return [_run(size, experiment, *cell, own_process) for cell in cells(size)]

        return runs

    return decorate


def _run(size: Size, experiment: str, labels: Mapping[str, Label], settings: Mapping[str, Any], own: bool) -> Run:
    chosen = {**size.settings, **size.machine, **_PICK}
    if not any(key in ("device.file", "device.model") or key.startswith("devices") for key in settings):
        chosen |= {f"device.{key}": value for key, value in size.device.items()}
    chosen |= {"seed": int(labels.get("seed", 0)), **settings}
    return Run(experiment, labels, size.systems[str(labels["data"])], chosen, own)


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
