"""The study behind the default recipe: what it reaches for how many images seen, and against what else."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from voltphase.devices.states import Pick
from voltphase.reproduction.cells import automatic, best_lambda, cell, paper_recipe
from voltphase.reproduction.markdown import MISSING, TEST, files_agree, from_files, ours, table
from voltphase.reproduction.sizes import Preset
from voltphase.sweeps.results import Outcomes
from voltphase.sweeps.runs import Cell, Label

NAME: Final = "study"
TITLE: Final = "A default worth having"

_LEVELS: Final = 8

#: The default recipe and what it is compared with, as changes to it.
ALTERNATIVES: Final[dict[str, dict[str, Any]]] = {
    "default": {},
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
#: How the states that are used are picked from those measured.
PICKS: Final[tuple[Pick, ...]] = ("even", "spread")
#: The two ways of the literature to get from free control values to states.
BASELINES: Final = ("ptq", "qat")
#: How the two find the nearest state: as the paper does it, and by what the light sees.
NEAREST: Final = ("control", "complex")
#: Of the fitted response, besides the one that cross-validation chooses.
ORDERS: Final = (2, 5, 7)
_CHOSEN: Final = "cross-validated"
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

    What looks for a best value (learning rate, order, lambda) looks for it on the first data set with seed 0; what
    shows that lambda does not matter is shown on the first data set.
    """
    return [
        cell(preset, NAME, {"part": part, "data": data, **labels, "seed": seed}, settings)
        for seed in range(preset.seeds)
        for place, data in enumerate(preset.systems)
        for part, labels, settings in _of_seed(preset, seed, first=place == 0)
    ] + [
        cell(
            preset,
            NAME,
            {"part": "picks", "data": data, "depth": depth, "pick": pick, "seed": seed},
            {"optics.depth": depth, "training.epochs": preset.default_epochs, "device.pick": pick},
        )
        for seed in range(preset.pick_seeds)
        for data in preset.systems
        for depth in (1, max(preset.depths))
        for pick in PICKS
    ]


def _of_seed(preset: Preset, seed: int, *, first: bool) -> Iterator[tuple[str, Mapping[str, Label], dict[str, Any]]]:
    depth, searched = max(preset.depths), first and seed == 0
    default = {"optics.depth": depth, "training.epochs": preset.default_epochs}
    search = {**default, "training.epochs": preset.search_epochs}
    paper = paper_recipe(depth, best_lambda(preset, depth), preset.paper_epochs)
    for levels in preset.study_levels:
        yield "recipes", {"recipe": "default", "levels": levels}, {**default, **_device(levels)}
    yield "recipes", {"recipe": "paper", "levels": _LEVELS}, {**paper, **_device(_LEVELS)}
    yield "binary", {"recipe": "default"}, {**default, "device.model": "ferroelectric", "device.levels": 2}
    for rate in preset.rates if searched else preset.ceiling_rates:
        free = {"codesign.relaxation.name": "unconstrained", "training.learning_rate": rate}
        yield "ceiling", {"recipe": "unconstrained", "rate": rate}, {**default, **free}
    for method in BASELINES:
        best = preset.best_rates[method]
        for rate in preset.rates if searched else (best,):
            at_rate = {**default, "codesign.relaxation.name": method, "training.learning_rate": rate}
            for nearest in NEAREST if seed == 0 and rate == best else NEAREST[:1]:
                labels = {"method": f"{method} {nearest}", "rate": rate}
                yield "baselines", labels, {**at_rate, "codesign.relaxation.nearest": nearest}
    for readout, settings in READOUTS.items() if first else ():
        # Where the gain cancels, chance has no part in it.
        for gain in GAINS if seed == 0 or settings else ():
            yield "flat", {"readout": readout, "lambda": gain}, {**search, **settings, "codesign.gain": gain}
    # Every lambda once; the best and what needs none by all seeds.
    for layers in preset.depths if first else ():
        for gain in preset.lambdas if seed == 0 else (preset.best_lambdas[layers],):
            yield "sweep", {"depth": layers, "lambda": gain}, paper_recipe(layers, gain, preset.search_epochs)
        yield "sweep", {"depth": layers, "variant": "automatic"}, automatic(layers, preset.search_epochs)
    if seed > 0:
        return
    devices = [
        {**({"model": model} if model else preset.device), "levels": levels, "pick": "even"}
        for model, levels in (MIXED * depth)[:depth]
    ]
    yield "mixed", {"recipe": "default"}, {**default, "devices": devices}
    for name, settings in ALTERNATIVES.items():
        yield "alternatives", {"recipe": name}, {**search, **settings}
    for method in BASELINES:
        at_best = {"codesign.relaxation.name": method, "training.learning_rate": preset.best_rates[method]}
        # Figure 3's, but for lambda, which is codesign's there.
        yield "calibrated", {"method": method}, {**automatic(depth, preset.search_epochs), **at_best}
        if searched:
            fitted = {**search, **at_best}
            yield "orders", {"method": method, "order": _CHOSEN}, fitted
            for order in ORDERS:
                yield "orders", {"method": method, "order": order}, {**fitted, "codesign.relaxation.order": order}


def _device(levels: int) -> dict[str, Any]:
    return {"device.levels": levels, **({"device.model": "tn-slm"} if levels > _MOST_MEASURED else {})}


def report(outcomes: Outcomes) -> str:
    """A table for each part."""
    search = outcomes.where(part="alternatives")[0].cell.settings["training.epochs"]
    return "\n".join(
        f"{sentence.format(search=search)}\n\n{part(outcomes)}"
        for sentence, part in (
            ("Recipes by the number of states, all layers on one device:", _recipes),
            (
                "The default recipe against free phases at their best learning rate: at 8 states, with binary phase "
                "(a ferroelectric device), and with a device of its own on each layer:",
                _ceiling,
            ),
            (
                "The default recipe with one layer and with all, by how its 8 states are picked from those measured:",
                _picks,
            ),
            ("Free phases at each learning rate:", _free),
            ("Baselines at 8 states, at each learning rate:", _baselines),
            ("PTQ and QAT as in figure 3 with a calibrated scale in place of λ, in {search} epochs:", _calibrated),
            ("PTQ and QAT by the order of the response they are trained with, in {search} epochs:", _orders),
            ("The default recipe at 8 states and others beside it, in {search} epochs:", _alternatives),
            ("λ over two decades with the readout's scale calibrated, the default recipe in {search} epochs:", _flat),
            ("λ by hand against a calibrated scale, the paper's recipe otherwise, in {search} epochs:", _sweep),
        )
    )


def _recipes(outcomes: Outcomes) -> str:
    part = outcomes.where(part="recipes")
    levels = part.distinct("levels")
    rows = []
    for data in part.distinct("data"):
        for recipe in part.distinct("recipe"):
            here = part.where(data=data, recipe=recipe)
            by_levels = (ours(here.where(levels=k), *TEST) for k in levels)
            rows.append([data, _recipe(here, recipe), *by_levels, files_agree(here)])
    heading = (f"{k} states{', modelled' if k > _MOST_MEASURED else ''}" for k in levels)
    return table(["data", "recipe", *heading, "from files"], rows)


def _recipe(outcomes: Outcomes, recipe: str) -> str:
    epochs = outcomes[0].cell.settings["training.epochs"]
    return f"{recipe}, {epochs} epochs"


def _ceiling(outcomes: Outcomes) -> str:
    rows = []
    for data in outcomes.distinct("data"):
        default = outcomes.where(part="recipes", recipe="default", levels=_LEVELS, data=data)
        mixed = outcomes.where(part="mixed", data=data)
        binary = outcomes.where(part="binary", data=data)
        free = at_best_rate(outcomes.where(part="ceiling", data=data))
        rows.append([data, ours(free, *TEST)])
        for here in (default, binary, mixed):
            reached, possible = here.mean(*TEST), free.mean(*TEST)
            gap = MISSING if reached is None or possible is None else f"{100 * (reached - possible):+.2f}"
            rows[-1] += [ours(here, *TEST), from_files(here), gap]
    beside = ("from files", "points from free phases")
    heading = ["data", "free phases", f"{_LEVELS} states", *beside, "binary phase", *beside, "mixed devices", *beside]
    return table(heading, rows)


def _picks(outcomes: Outcomes) -> str:
    part, rows = outcomes.where(part="picks"), []
    for data in part.distinct("data"):
        for depth in part.distinct("depth"):
            here = part.where(data=data, depth=depth)
            even, spread = (here.where(pick=pick) for pick in PICKS)
            before, after = even.mean(*TEST), spread.mean(*TEST)
            ahead = MISSING if before is None or after is None else f"{100 * (after - before):+.2f}"
            rows.append([data, str(depth), ours(even, *TEST), ours(spread, *TEST), ahead, files_agree(here)])
    return table(["data", "depth", *PICKS, "spread ahead, points", "from files"], rows)


def _free(outcomes: Outcomes) -> str:
    part = outcomes.where(part="ceiling")
    rates = part.distinct("rate")
    rows = [
        [data, *(ours(part.where(data=data, rate=rate), *TEST) for rate in rates)] for data in part.distinct("data")
    ]
    return table(["data", *(f"rate {rate:g}" for rate in rates)], rows)


def at_best_rate(outcomes: Outcomes) -> Outcomes:
    """Those at the learning rate that turned out best."""
    by_rate = [outcomes.where(rate=rate) for rate in outcomes.distinct("rate")]
    return max(by_rate, key=lambda here: here.mean(*TEST) or 0.0, default=outcomes)


def _baselines(outcomes: Outcomes) -> str:
    part = outcomes.where(part="baselines")
    rates = part.distinct("rate")
    rows = []
    for data in part.distinct("data"):
        default = outcomes.where(part="recipes", recipe="default", levels=_LEVELS, data=data).mean(*TEST)
        for method in part.distinct("method"):
            here = part.where(data=data, method=method)
            best = at_best_rate(here).mean(*TEST)
            ahead = MISSING if default is None or best is None else f"{100 * (default - best):+.2f}"
            rows.append(
                [data, method, *(ours(here.where(rate=rate), *TEST) for rate in rates), ahead, files_agree(here)]
            )
    heading = (f"rate {rate:g}" for rate in rates)
    return table(["data", "method, nearest in", *heading, "default ahead, points", "from files"], rows)


def _calibrated(outcomes: Outcomes) -> str:
    part, rows = outcomes.where(part="calibrated"), []
    for data in part.distinct("data"):
        here = part.where(data=data)
        rows.append([data, *(ours(here.where(method=method), *TEST) for method in BASELINES), files_agree(here)])
    return table(["data", *BASELINES, "from files"], rows)


def _orders(outcomes: Outcomes) -> str:
    part = outcomes.where(part="orders")
    orders = part.distinct("order")
    rows = [
        [
            method,
            *(ours(part.where(method=method, order=order), *TEST) for order in orders),
            _chosen_order(part.where(method=method, order=_CHOSEN)),
            files_agree(part.where(method=method)),
        ]
        for method in part.distinct("method")
    ]
    heading = [order if isinstance(order, str) else f"order {order}" for order in orders]
    return table(["method", *heading, "which is order", "from files"], rows)


def _chosen_order(outcomes: Outcomes) -> str:
    fitted = {device["response"]["order"] for result in outcomes.results for device in result["summary"]["devices"]}
    return ", ".join(map(str, sorted(fitted))) or MISSING


def _alternatives(outcomes: Outcomes) -> str:
    part, rows = outcomes.where(part="alternatives"), []
    sets = part.distinct("data")
    for recipe in part.distinct("recipe"):
        here = part.where(recipe=recipe)
        rows.append([recipe, *(ours(here.where(data=data), *TEST) for data in sets), files_agree(here)])
    return table(["change", *sets, "from files"], rows)


def _flat(outcomes: Outcomes) -> str:
    part, rows = outcomes.where(part="flat"), []
    gains = part.distinct("lambda")
    for data in part.distinct("data"):
        for readout in part.distinct("readout"):
            here = part.where(data=data, readout=readout)
            by_gain = (ours(here.where(lambda_=gain), *TEST) for gain in gains)
            rows.append([data, readout, *by_gain, files_agree(here)])
    return table(["data", "readout", *(f"λ = {gain:g}" for gain in gains), "from files"], rows)


def _sweep(outcomes: Outcomes) -> str:
    part = outcomes.where(part="sweep")
    gains = part.distinct("lambda")
    rows = []
    for data in part.distinct("data"):
        for depth in part.distinct("depth"):
            here = part.where(data=data, depth=depth)
            row = [data, str(depth), *(ours(here.where(lambda_=gain), *TEST) for gain in gains)]
            rows.append([*row, ours(here.where(variant="automatic"), *TEST), files_agree(here)])
    return table(["data", "depth", *(f"λ = {gain:g}" for gain in gains), "automatic", "from files"], rows)
