"""One layer by its pitch, which the paper does not give: the finer it is, the further samples can send light."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import Any, Final, NamedTuple

from voltphase.config import Config
from voltphase.reproduction.markdown import TEST, difference, files_agree, ours, paper, table
from voltphase.reproduction.ours.study import at_best_rate
from voltphase.reproduction.paper import table1
from voltphase.reproduction.recipes import Cell, free_phases, runs_of
from voltphase.reproduction.sizes import Size
from voltphase.sweeps.results import Outcomes

NAME: Final = "reach"
TITLE: Final = "One layer by its pitch, with the default recipe"


class PitchSizes(NamedTuple):
    """How much of the pitch sweep is run."""

    epochs: int
    pitches: tuple[float, ...] = (36e-6, 28e-6, 20e-6, 14e-6)  # from coarse to fine


SIZES: Final = {"smoke": PitchSizes(2, (36e-6, 20e-6)), "cpu": PitchSizes(20), "paper": PitchSizes(8)}


@runs_of(NAME)
def runs(size: Size) -> Iterator[Cell]:
    """Yield one layer on each data set at each pitch; at the coarsest and the finest with other states, too."""
    own = SIZES[size.name]
    ends = (own.pitches[0], own.pitches[-1])
    states: list[tuple[float, dict[str, Any], dict[str, Any]]] = [
        *((pitch, {"states": "even"}, {}) for pitch in own.pitches),
        *((pitch, {"states": "spread"}, {"device.pick": "spread"}) for pitch in ends),
        *((ends[0], {"states": "free", "rate": rate}, free_phases(rate)) for rate in size.free_rates),
    ]
    for data, (pitch, labels, settings) in product(size.systems, states):
        one_layer = {"optics.depth": 1, "optics.pitch": pitch, "training.epochs": own.epochs}
        labels = {"data": data, "depth": 1, "pitch": round(pitch * 1e6), **labels, "seed": 0}
        yield labels, {**one_layer, **settings}


def samples(config: Config) -> float:
    """Return how many samples light of the highest spatial frequency goes sideways: wavelength z / (2 pitch²)."""
    optics = config.optics
    assert isinstance(optics.pitch, float)
    assert isinstance(optics.wavelength, float)
    assert isinstance(optics.distances, float)
    return optics.wavelength * optics.distances / (2 * optics.pitch**2)


def report(outcomes: Outcomes) -> str:
    """Return the table: test accuracy by pitch, how far light goes, and what other states would reach."""
    rows = []
    for data, pitch, here in outcomes.by("data", "pitch"):
        best = table1.best(data, 1)
        even, spread, free = (here.where(states=states) for states in ("even", "spread", "free"))
        config = here[0].run.config
        row = [data, str(pitch), f"{samples(config):.0f} of {config.optics.size}", paper(best)]
        for states in (even, spread):
            row += [ours(states, *TEST), difference(states, best, *TEST)]
        rows.append([*row, files_agree(here), ours(at_best_rate(free), *TEST)])
    heading = ["data", "pitch, µm", "samples light goes to either side", "paper's best, 100 epochs"]
    heading += ["states picked evenly", "points", "picked by spread", "points", "from files"]
    heading += ["free phases, at their best rate"]
    return table(heading, rows)
