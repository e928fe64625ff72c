"""Table 1: depth against lambda, with and without it, and with a gain that is found automatically."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from voltphase.reproduction.markdown import TEST, TRAIN, Numbers, claim, difference, from_files, ours, paper, table
from voltphase.reproduction.recipes import Cell, automatic, paper_recipe, runs_of
from voltphase.reproduction.sizes import Size
from voltphase.sweeps.results import Outcomes

NAME: Final = "table1"
TITLE: Final = "Table 1: depth and λ"

#: Epochs of each run, by size.
EPOCHS: Final = {"smoke": 2, "cpu": 5, "paper": 100}

NO_LAMBDA: Final = "no-lambda"
PHASE_ONLY: Final = "phase-only"
AUTOMATIC: Final = "automatic"

# (training, test) accuracy by data set and depth, for each variant.
_VARIANTS: Final = ("lambda90", "lambda5", "lambda1.8", PHASE_ONLY)
_PAPER: Final = {
    ("mnist", 1): ((0.9691, 0.9591), (0.0491, 0.0466), (0.0476, 0.0445), (None, 0.67)),
    ("mnist", 3): ((0.2095, 0.2118), (0.9984, 0.9781), (0.0408, 0.0309), (None, 0.91)),
    ("mnist", 5): ((0.0946, 0.0938), (0.9641, 0.9594), (0.9971, 0.9791), (None, 0.95)),
    ("fashion-mnist", 1): ((0.9083, 0.8746), (0.1287, 0.1175), (0.1001, 0.0955), (None, 0.54)),
    ("fashion-mnist", 3): ((0.1937, 0.1969), (0.9532, 0.8892), (0.0162, 0.0144), (None, 0.83)),
    ("fashion-mnist", 5): ((0.1000, 0.0941), (0.7476, 0.7416), (0.9412, 0.8906), (None, 0.87)),
}
PAPER: Final[dict[tuple[str, int, str], tuple[float | None, float]]] = {
    (*network, variant): pair
    for network, pairs in _PAPER.items()
    for variant, pair in zip(_VARIANTS, pairs, strict=True)
}


def shown(variant: str) -> str:
    """Return the name of a variant as readers see it."""
    return re.sub("^lambda", "λ = ", variant)


def best(data: str, depth: int) -> float | None:
    """Return the paper's best test accuracy at a depth; None where it gives none."""
    return max((test for _, test in _PAPER.get((data, depth), ())), default=None)


def lambda_cell(size: Size, data: str, depth: int, gain: float) -> Cell:
    """Return the paper's recipe at a depth with a lambda."""
    return _cell(data, depth, f"lambda{gain:g}", paper_recipe(depth, gain, EPOCHS[size.name]))


def _cell(data: str, depth: int, variant: str, settings: Mapping[str, Any]) -> Cell:
    return {"data": data, "depth": depth, "variant": variant, "seed": 0}, settings


@runs_of(NAME)
def runs(size: Size) -> Iterator[Cell]:
    """Yield the best lambda of each depth first, then what lambda is compared with, then the paper's other values."""
    networks = [(data, *best) for data in size.systems for best in size.best_lambdas.items()]
    for network in networks:
        yield lambda_cell(size, *network)
    for data, depth, right in networks:
        plain = paper_recipe(depth, 1.0, EPOCHS[size.name])
        yield _cell(data, depth, NO_LAMBDA, plain)
        yield _cell(data, depth, PHASE_ONLY, {**plain, "codesign.relaxation.name": "unconstrained"})
        yield _cell(data, depth, AUTOMATIC, automatic(depth, EPOCHS[size.name]))
        yield from (lambda_cell(size, data, depth, gain) for gain in size.depths.values() if gain != right)


def report(outcomes: Outcomes) -> str:
    """Return the table, a line for each variant of each network."""
    rows = []
    for data, depth, variant, here in outcomes.by("data", "depth", "variant"):
        train, test = PAPER.get((data, depth, variant), (None, None))
        told, reached = f"{paper(train)} / {paper(test)}", f"{ours(here, *TRAIN)} / {ours(here, *TEST)}"
        rows.append([data, str(depth), shown(variant), told, reached, difference(here, test, *TEST), from_files(here)])
    heading = ["data", "depth", "variant", "paper: train / test", "ours: train / test", "test, points", "from files"]
    return table(heading, rows)


@claim("a wrong λ ruins training")
def conclusion(outcomes: Outcomes) -> Numbers:
    """Yield the best and the worst λ of each network."""
    for data, depth, here in outcomes.by("data", "depth"):
        means = [of_variant.mean(*TEST) for variant, of_variant in here.by("variant") if variant.startswith("lambda")]
        known = [mean for mean in means if mean is not None]
        yield f"{data}, depth {depth}, the best λ", max(known, default=None)
        yield "the worst", min(known, default=None)
