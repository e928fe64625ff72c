"""The study behind the default recipe: what it reaches for how many images seen, and against what else."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from voltphase.experiments.cells import Cell, Label, cell, paper_recipe
from voltphase.experiments.markdown import MISSING, TEST, from_files, ours, table
from voltphase.experiments.presets import Preset
from voltphase.experiments.results import Outcomes

NAME: Final = "study"
TITLE: Final = "A default worth having"

_LEVELS: Final = 8

#: What the default recipe is compared with, as changes to it.
ALTERNATIVES: Final[dict[str, dict[str, Any]]] = {
    "gumbel-softmax": {"recipe": "gumbel-softmax"},
    "softmax hard": {
        "recipe": "gumbel-softmax",
        "codesign.relaxation.name": "softmax",
        "codesign.relaxation.hard": True,
    },
    "softmax soft": {
        "codesign.relaxation.name": "softmax",
        "codesign.schedule.name": "linear",
        "codesign.schedule.start": 1.0,
        "codesign.schedule.end": 0.05,
        "training.learning_rate": 0.1,
    },
    "reinmax": {"recipe": "gumbel-softmax", "codesign.relaxation.name": "reinmax"},
    "proximity hard": {"codesign.relaxation.hard": True, "codesign.schedule.end": 0.5},
    "mse": {"training.loss": "mse"},
    "one region a class": {"readout.differential": False},
    "static 1": {"codesign.schedule.name": "static", "codesign.schedule.start": 1.0},
    "linear": {"codesign.schedule.name": "linear"},
    "rate 0.1": {"training.learning_rate": 0.1},
    "rate 0.5": {"training.learning_rate": 0.5},
    "rate that stays": {"training.learning_rate_decay": "none"},
}
_CEILING: Final = "unconstrained"
BASELINES: Final[dict[str, dict[str, Any]]] = {_CEILING: {"codesign.relaxation.name": "unconstrained"}} | {
    f"{method} {nearest}": {"codesign.relaxation.name": method, "codesign.relaxation.nearest": nearest}
    for method in ("ptq", "qat")
    for nearest in ("control", "complex")
}
#: By the sweep of them on the first data set.
BEST_RATES: Final = {
    _CEILING: 0.03,
    "ptq control": 0.1,
    "ptq complex": 0.1,
    "qat control": 0.1,
    "qat complex": 0.1,
}
#: Of the fitted response, besides the one that cross-validation chooses.
ORDERS: Final = (2, 5, 7)
# The measured modulator has 86 states: more come from the modelled one of its kind, whatever is measured.
_MOST_MEASURED: Final = 64
# Two decades around the gain that hardware has.
GAINS: Final = (0.1, 1.0, 10.0)
#: In a contrast the gain cancels; in a mean intensity, which a calibrated scale multiplies, it does not.
READOUTS: Final[dict[str, dict[str, Any]]] = {
    "contrast of pairs": {},
    "mean intensity": {"readout.differential": False, "readout.measure": "mean"},
}
# One device per layer, used in turn by shallower and deeper systems: model and number of states.
MIXED: Final[tuple[tuple[str | None, int], ...]] = (
    (None, 8),
    ("lcos", 16),
    ("phase-change", 4),
    ("ferroelectric", 2),
    ("printed", 8),
)


def cells(preset: Preset) -> list[Cell]:
    """All of seed 0 first, then of the other seeds: a run cut short leaves comparisons that are whole.

    What looks for a best value (learning rate, order, lambda) looks for it on the first data set with seed 0, as what
    shows that lambda does not matter is shown on the first data set.
    """
    return [
        cell(preset, NAME, {"part": part, "data": data, **labels, "seed": seed}, settings)
        for seed in range(preset.seeds)
        for place, data in enumerate(preset.systems)
        for part, labels, settings in _of_seed(preset, seed, first=place == 0)
    ]


def _of_seed(preset: Preset, seed: int, *, first: bool) -> Iterator[tuple[str, Mapping[str, Label], dict[str, Any]]]:
    depth, searched = max(preset.depths), first and seed == 0
    default = {"optics.depth": depth, "training.epochs": preset.default_epochs}
    paper = paper_recipe(depth, preset.paper_lambda, preset.paper_epochs)
    for levels in preset.study_levels:
        yield "recipes", {"recipe": "default", "levels": levels}, {**default, **_device(levels)}
    yield "recipes", {"recipe": "paper", "levels": _LEVELS}, {**paper, **_device(_LEVELS)}
    yield "binary", {"recipe": "default"}, {**default, "device.model": "ferroelectric", "device.levels": 2}
    for method, settings in BASELINES.items():
        part, label = ("ceiling", "recipe") if method == _CEILING else ("baselines", "method")
        for rate in preset.rates if searched else (BEST_RATES[method],):
            yield part, {label: method, "rate": rate}, {**default, **settings, "training.learning_rate": rate}
    for readout, settings in READOUTS.items() if first else ():
        for gain in GAINS:
            yield "flat", {"readout": readout, "lambda": gain}, {**default, **settings, "codesign.gain": gain}
    if seed > 0:
        return
    devices = [
        {"model": model, "levels": levels} if model else {**preset.device, "levels": levels}
        for model, levels in (MIXED * depth)[:depth]
    ]
    yield "mixed", {"recipe": "default"}, {**default, "devices": devices}
    for name, settings in ALTERNATIVES.items():
        yield "alternatives", {"recipe": name}, {**default, **settings}
    if not searched:
        return
    for method in ("ptq", "qat"):
        for order in ORDERS:
            best = {"codesign.relaxation.name": method, "training.learning_rate": BEST_RATES[f"{method} control"]}
            yield "orders", {"method": method, "order": order}, {**default, **best, "codesign.relaxation.order": order}
    for layers in preset.depths:
        for gain in preset.lambdas:
            yield "sweep", {"depth": layers, "lambda": gain}, paper_recipe(layers, gain, preset.sweep_epochs)
        automatic = {**paper_recipe(layers, 1.0, preset.sweep_epochs), "readout.scale": "calibrated"}
        yield "sweep", {"depth": layers, "variant": "automatic"}, automatic


def _device(levels: int) -> dict[str, Any]:
    return {"device.levels": levels, **({"device.model": "tn-slm"} if levels > _MOST_MEASURED else {})}


def report(outcomes: Outcomes) -> str:
    """A table for each part."""
    return "\n".join(
        f"{sentence}\n\n{part(outcomes)}"
        for sentence, part in (
            ("Recipes by the number of states, all layers on one device:", _recipes),
            (
                "The default recipe against free phases at their better learning rate: at 8 states, with binary phase "
                "(a ferroelectric device), and with a device of its own on each layer:",
                _ceiling,
            ),
            ("Baselines at 8 states, at each learning rate:", _baselines),
            ("PTQ and QAT by the order of the response they are trained with, at their best learning rate:", _orders),
            ("Changes to the default recipe at 8 states, one at a time:", _alternatives),
            ("λ over two decades with the readout's scale calibrated:", _flat),
            ("λ by hand against a calibrated scale, the paper's recipe otherwise but for its epochs:", _sweep),
        )
    )


def _recipes(outcomes: Outcomes) -> str:
    part = outcomes.where(part="recipes")
    levels = part.distinct("levels")
    rows = []
    for data in part.distinct("data"):
        for recipe in part.distinct("recipe"):
            here = part.where(data=data, recipe=recipe)
            rows.append([data, _recipe(here, recipe), *(ours(here.where(levels=k), *TEST) for k in levels)])
    return table(["data", "recipe", *(f"{k} states{', modelled' if k > _MOST_MEASURED else ''}" for k in levels)], rows)


def _recipe(outcomes: Outcomes, recipe: str) -> str:
    epochs = outcomes[0].cell.settings["training.epochs"]
    return f"{recipe}, {epochs} epochs"


def _ceiling(outcomes: Outcomes) -> str:
    rows = []
    for data in outcomes.distinct("data"):
        default = outcomes.where(part="recipes", recipe="default", levels=_LEVELS, data=data)
        mixed = outcomes.where(part="mixed", data=data)
        binary = outcomes.where(part="binary", data=data)
        free = ceiling(outcomes.where(data=data))
        rows.append([data, ours(free, *TEST)])
        for here in (default, binary, mixed):
            reached, possible = here.mean(*TEST), free.mean(*TEST)
            gap = MISSING if reached is None or possible is None else f"{100 * (reached - possible):+.2f}"
            rows[-1] += [ours(here, *TEST), from_files(here), gap]
    beside = ("from files", "points from free phases")
    heading = ["data", "free phases", f"{_LEVELS} states", *beside, "binary phase", *beside, "mixed devices", *beside]
    return table(heading, rows)


def ceiling(outcomes: Outcomes) -> Outcomes:
    """Free phases at their best learning rate."""
    return outcomes.where(part="ceiling", rate=BEST_RATES[_CEILING])


def _baselines(outcomes: Outcomes) -> str:
    part = outcomes.where(part="baselines")
    rates = part.distinct("rate")
    rows = []
    for data in part.distinct("data"):
        for method in part.distinct("method"):
            here = part.where(data=data, method=method)
            rows.append([data, method, *(ours(here.where(rate=rate), *TEST) for rate in rates)])
    return table(["data", "method, nearest in", *(f"rate {rate:g}" for rate in rates)], rows)


def _orders(outcomes: Outcomes) -> str:
    part, rows = outcomes.where(part="orders"), []
    orders = part.distinct("order")
    for method in part.distinct("method"):
        name, data = f"{method} control", part.distinct("data")[0]
        chosen = outcomes.where(part="baselines", method=name, rate=BEST_RATES[name], data=data, seed=0)
        by_order = (ours(part.where(method=method, order=order), *TEST) for order in orders)
        rows.append([method, *by_order, ours(chosen, *TEST), _chosen_order(chosen)])
    return table(["method", *(f"order {order}" for order in orders), "cross-validated", "its order"], rows)


def _chosen_order(outcomes: Outcomes) -> str:
    fitted = {device["response"]["order"] for result in outcomes.results for device in result["summary"]["devices"]}
    return ", ".join(map(str, sorted(fitted))) or MISSING


def _alternatives(outcomes: Outcomes) -> str:
    part, sets = outcomes.where(part="alternatives"), outcomes.distinct("data")
    default = outcomes.where(part="recipes", recipe="default", levels=_LEVELS, seed=0)
    lines = [("default", default), *((recipe, part.where(recipe=recipe)) for recipe in part.distinct("recipe"))]
    return table(
        ["change", *sets], ([name, *(ours(line.where(data=data), *TEST) for data in sets)] for name, line in lines)
    )


def _flat(outcomes: Outcomes) -> str:
    part = outcomes.where(part="flat")
    gains = part.distinct("lambda")
    rows = [
        [data, readout, *(ours(part.where(data=data, readout=readout, lambda_=gain), *TEST) for gain in gains)]
        for data in part.distinct("data")
        for readout in part.distinct("readout")
    ]
    return table(["data", "readout", *(f"λ = {gain:g}" for gain in gains)], rows)


def _sweep(outcomes: Outcomes) -> str:
    part = outcomes.where(part="sweep")
    gains = part.distinct("lambda")
    rows = []
    for data in part.distinct("data"):
        for depth in part.distinct("depth"):
            here = part.where(data=data, depth=depth)
            row = [data, str(depth), *(ours(here.where(lambda_=gain), *TEST) for gain in gains)]
            rows.append([*row, ours(here.where(variant="automatic"), *TEST)])
    return table(["data", "depth", *(f"λ = {gain:g}" for gain in gains), "automatic"], rows)
