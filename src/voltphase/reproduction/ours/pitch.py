"""One layer by its pitch, which the paper does not give: the finer it is, the further samples can send light."""

from __future__ import annotations

from typing import Any, Final

from voltphase.config import Config
from voltphase.reproduction.cells import cell
from voltphase.reproduction.markdown import TEST, difference, files_agree, ours, paper, table
from voltphase.reproduction.ours.study import at_best_rate
from voltphase.reproduction.paper import table1
from voltphase.reproduction.sizes import Preset
from voltphase.sweeps.results import Outcomes
from voltphase.sweeps.runs import Cell

NAME: Final = "reach"
TITLE: Final = "One layer by its pitch, with the default recipe"


def cells(preset: Preset) -> list[Cell]:
    """One layer on each data set at each pitch; at the coarsest and the finest with other states, too."""
    ends = (preset.pitches[0], preset.pitches[-1])
    return [
        cell(
            preset,
            NAME,
            {"data": data, "depth": 1, "pitch": round(pitch * 1e6), **labels, "seed": 0},
            {"optics.depth": 1, "optics.pitch": pitch, "training.epochs": preset.diagonal_epochs[0], **settings},
        )
        for data in preset.systems
        for pitch, labels, settings in [
            *((pitch, {"states": "even"}, {}) for pitch in preset.pitches),
            *((pitch, {"states": "spread"}, {"device.pick": "spread"}) for pitch in ends),
            *((ends[0], {"states": "free", "rate": rate}, _free(rate)) for rate in preset.ceiling_rates),
        ]
    ]


def _free(rate: float) -> dict[str, Any]:
    return {"codesign.relaxation.name": "unconstrained", "training.learning_rate": rate}


def samples(config: Config) -> float:
    """How many samples to either side light of the highest spatial frequency goes, ``wavelength * z / (2 * pitch**2)``.

    A cell's size, pitch and distance are single numbers.
    """
    optics = config.optics
    assert isinstance(optics.pitch, float)
    assert isinstance(optics.distances, float)
    return optics.wavelength * optics.distances / (2 * optics.pitch**2)


def report(outcomes: Outcomes) -> str:
    """Test accuracy by pitch beside the paper's, how far light goes, and what other states would reach."""
    rows = []
    for data in outcomes.distinct("data"):
        best = table1.best(data, 1)
        for pitch in outcomes.distinct("pitch"):
            here = outcomes.where(data=data, pitch=pitch)
            even, spread, free = (here.where(states=states) for states in ("even", "spread", "free"))
            config = here[0].cell.config
            rows.append(
                [
                    data,
                    str(pitch),
                    f"{samples(config):.0f} of {config.optics.size}",
                    paper(best),
                    ours(even, *TEST),
                    difference(even, best, *TEST),
                    ours(spread, *TEST),
                    difference(spread, best, *TEST),
                    files_agree(here),
                    ours(at_best_rate(free), *TEST),
                ]
            )
    heading = ["data", "pitch, µm", "samples light goes to either side", "paper's best, 100 epochs"]
    heading += ["states picked evenly", "points", "picked by spread", "points", "from files"]
    heading += ["free phases, at their best rate"]
    return table(heading, rows)
