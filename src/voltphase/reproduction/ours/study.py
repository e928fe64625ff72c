"""The study behind the default recipe: what it reaches for how many images seen, and against what else."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import product
from typing import Any, Final, NamedTuple

from voltphase.devices.states import Pick
from voltphase.reproduction.markdown import MISSING, TEST, files_agree, from_files, ours, table
from voltphase.reproduction.recipes import Cell, automatic, free_phases, paper_recipe, runs_of
from voltphase.reproduction.sizes import Size
from voltphase.sweeps.results import Outcomes
from voltphase.sweeps.runs import Label

NAME: Final = "study"
TITLE: Final = "A default worth having"

LEVELS: Final = 8

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
    "mse": {"task.loss": "mse"},
    "one region a class": {"task.differential": False},
    "static 1": {"codesign.schedule.name": "static", "codesign.schedule.start": 1.0},
    "linear": {"codesign.schedule.name": "linear"},
    "rate 0.1": {"training.learning_rate": 0.1},
    "rate 0.5": {"training.learning_rate": 0.5},
    "rate that stays": {"training.learning_rate_decay": "none"},
}
#: Ways to pick the states that are used from those measured.
PICKS: Final[tuple[Pick, ...]] = ("even", "spread")
#: The two ways of the literature to get from free control values to states.
BASELINES: Final = ("ptq", "qat")
#: Ways to find the nearest state: as the paper does it, and by what the light sees.
NEAREST: Final = ("control", "complex")
#: Orders of the fitted response to try, besides the one that cross-validation chooses.
ORDERS: Final = (2, 5, 7)
_CHOSEN: Final = "cross-validated"
# The measured modulator has 86 states: more come from the modelled one of its kind, whatever is measured.
_MOST_MEASURED: Final = 64
# Two decades around the gain that hardware has.
GAINS: Final = (0.1, 1.0, 10.0)
#: In a contrast the gain cancels; in a mean intensity, which a calibrated scale multiplies, it does not.
READOUTS: Final[dict[str, dict[str, Any]]] = {
    "contrast of pairs": {},
    "mean intensity": {"task.differential": False, "task.measure": "mean"},
}
# One device per layer, used in turn by shallower and deeper systems: model and number of states.
MIXED: Final[tuple[tuple[str | None, int], ...]] = (
    (None, 8),
    ("lcos", 16),
    ("phase-change", 4),
    ("ferroelectric", 2),
    ("printed", 8),
)
# The film's indices are known at 1550 nm: it has the states that it has there, of which training warns.
_PARAMETERS: Final = {"phase-change": {"wavelength": 1550e-9}}


class StudySizes(NamedTuple):
    """How much of the study is run."""

    default_epochs: int
    paper_epochs: int
    search_epochs: int  # of changes to the default recipe, lambdas and orders, compared side by side
    seeds: int  # of results that are a mean and a spread
    pick_seeds: int  # of the ways to pick states, which differ by little
    levels: tuple[int, ...] = (2, 4, 8, 16, 64, 256)
    lambdas: tuple[float, ...] = (0.9, 1.8, 3.0, 5.0, 9.0, 20.0, 90.0)
    # What is learned is another quantity for each method: each is judged at its best learning rate.
    rates: tuple[float, ...] = (0.003, 0.01, 0.03, 0.1, 0.3, 1.0)


SIZES: Final = {
    "smoke": StudySizes(2, 2, 1, seeds=1, pick_seeds=1, levels=(2, 8), lambdas=(1.0, 20.0), rates=(0.03, 0.1)),
    "cpu": StudySizes(10, 40, 5, seeds=3, pick_seeds=8),
    "paper": StudySizes(10, 100, 20, seeds=3, pick_seeds=3),
}


@runs_of(NAME)
def runs(size: Size) -> Iterator[Cell]:
    """Yield all runs of seed 0 first, then of the other seeds: a sweep cut short leaves comparisons that are whole.

    What looks for a best value (learning rate, order, lambda) looks for it on the first data set with seed 0; what
    shows that lambda does not matter is shown on the first data set.
    """
    own = SIZES[size.name]
    for seed, (place, data) in product(range(own.seeds), enumerate(size.systems)):
        for part, labels, settings in _of_seed(size, own, seed, first=place == 0):
            yield {"part": part, "data": data, **labels, "seed": seed}, settings
    for seed, data, depth, pick in product(range(own.pick_seeds), size.systems, (1, size.deepest), PICKS):
        labels = {"part": "picks", "data": data, "depth": depth, "pick": pick, "seed": seed}
        yield labels, {"optics.depth": depth, "training.epochs": own.default_epochs, "device.pick": pick}


_Part = tuple[str, Mapping[str, Label], dict[str, Any]]
_Cell = Callable[[Outcomes], str]


def _of_seed(size: Size, own: StudySizes, seed: int, *, first: bool) -> Iterator[_Part]:
    depth, searched = size.deepest, first and seed == 0
    default = {"optics.depth": depth, "training.epochs": own.default_epochs}
    search = {**default, "training.epochs": own.search_epochs}
    paper = paper_recipe(depth, size.best_lambda(depth), own.paper_epochs)
    for levels in own.levels:
        yield "recipes", {"recipe": "default", "levels": levels}, {**default, **_device(levels)}
    yield "recipes", {"recipe": "paper", "levels": LEVELS}, {**paper, **_device(LEVELS)}
    yield "binary", {"recipe": "default"}, {**default, "device.model": "ferroelectric", "device.levels": 2}
    for rate in own.rates if searched else size.free_rates:
        yield "ceiling", {"recipe": "unconstrained", "rate": rate}, {**default, **free_phases(rate)}
    for method in BASELINES:
        best = size.best_rates[method]
        for rate in own.rates if searched else (best,):
            at_rate = {**default, "codesign.relaxation.name": method, "training.learning_rate": rate}
            for nearest in NEAREST if seed == 0 and rate == best else NEAREST[:1]:
                labels = {"method": f"{method} {nearest}", "rate": rate}
                yield "baselines", labels, {**at_rate, "codesign.relaxation.nearest": nearest}
    if first:
        yield from _of_lambda(size, own, seed, search)
    if seed == 0:
        yield from _once(size, own, default, search, first=first)


def _of_lambda(size: Size, own: StudySizes, seed: int, search: Mapping[str, Any]) -> Iterator[_Part]:
    for readout, settings in READOUTS.items():
        # Where the gain cancels, chance has no part in it.
        for gain in GAINS if seed == 0 or settings else ():
            yield "flat", {"readout": readout, "lambda": gain}, {**search, **settings, "codesign.gain": gain}
    # Every lambda once; the best and what needs none by all seeds.
    for depth in size.depths:
        for gain in own.lambdas if seed == 0 else (size.best_lambdas[depth],):
            yield "sweep", {"depth": depth, "lambda": gain}, paper_recipe(depth, gain, own.search_epochs)
        yield "sweep", {"depth": depth, "variant": "automatic"}, automatic(depth, own.search_epochs)


def _once(
    size: Size, own: StudySizes, default: Mapping[str, Any], search: Mapping[str, Any], *, first: bool
) -> Iterator[_Part]:
    depth = size.deepest
    devices = [
        {
            **({"model": model, "parameters": _PARAMETERS.get(model, {})} if model else size.device),
            "levels": levels,
            "pick": "even",
        }
        for model, levels in (MIXED * depth)[:depth]
    ]
    yield "mixed", {"recipe": "default"}, {**default, "devices": devices}
    for name, settings in ALTERNATIVES.items():
        yield "alternatives", {"recipe": name}, {**search, **settings}
    for method in BASELINES:
        at_best = {"codesign.relaxation.name": method, "training.learning_rate": size.best_rates[method]}
        # Figure 3's, but for lambda, which is codesign's there.
        yield "calibrated", {"method": method}, {**automatic(depth, own.search_epochs), **at_best}
        if first:
            fitted = {**search, **at_best}
            yield "orders", {"method": method, "order": _CHOSEN}, fitted
            for order in ORDERS:
                yield "orders", {"method": method, "order": order}, {**fitted, "codesign.relaxation.order": order}


def _device(levels: int) -> dict[str, Any]:
    return {"device.levels": levels, **({"device.model": "tn-slm"} if levels > _MOST_MEASURED else {})}


def report(outcomes: Outcomes) -> str:
    """Return a table for each part."""
    parts = {part: outcomes.where(part=part) for part in outcomes.distinct("part")}
    search = f"in {parts['alternatives'][0].run.settings['training.epochs']} epochs"
    gain, rate = "λ = {:g}".format, "rate {:g}".format
    tables = {
        "Recipes by the number of states, all layers on one device": _recipes(parts["recipes"]),
        "The default recipe against free phases at their best learning rate: at 8 states, with binary phase "
        "(a ferroelectric device), and with a device of its own on each layer": _ceiling(outcomes),
        "The default recipe with one layer and with all, by how its 8 states are picked from those "
        "measured": _side_by_side(
            parts["picks"],
            ("data", "depth"),
            "pick",
            more={"spread ahead, points": lambda here: _points(here.where(pick="spread"), here.where(pick="even"))},
        ),
        "Free phases at each learning rate": _side_by_side(parts["ceiling"], ("data",), "rate", rate, files=False),
        "Baselines at 8 states, at each learning rate": _baselines(outcomes, rate),
        f"PTQ and QAT as in figure 3 with a calibrated scale in place of λ, {search}": _side_by_side(
            parts["calibrated"], ("data",), "method"
        ),
        f"PTQ and QAT by the order of the response they are trained with, {search}": _side_by_side(
            parts["orders"],
            ("method",),
            "order",
            lambda order: order if isinstance(order, str) else f"order {order}",
            more={"which is order": _chosen_orders},
        ),
        f"The default recipe at 8 states and others beside it, {search}": _side_by_side(
            parts["alternatives"], ("recipe",), "data", titles=("change",)
        ),
        f"λ over two decades with the readout's scale calibrated, the default recipe {search}": _side_by_side(
            parts["flat"], ("data", "readout"), "lambda", gain
        ),
        f"λ by hand against a calibrated scale, the paper's recipe otherwise, {search}": _side_by_side(
            parts["sweep"],
            ("data", "depth"),
            "lambda",
            gain,
            more={"automatic": lambda here: ours(here.where(variant="automatic"), *TEST)},
        ),
    }
    return "\n".join(f"{sentence}:\n\n{shown}" for sentence, shown in tables.items())


def at_best_rate(outcomes: Outcomes) -> Outcomes:
    """Return those at the learning rate that turned out best."""
    by_rate = [here for _, here in outcomes.by("rate")]
    return max(by_rate, key=lambda here: here.mean(*TEST) or 0.0, default=outcomes)


def _side_by_side(
    part: Outcomes,
    lines: Sequence[str],
    across: str,
    name: Callable[[Any], str] = str,
    *,
    titles: Sequence[str] = (),
    more: Mapping[str, _Cell] | None = None,
    files: bool = True,
) -> str:
    """Return test accuracies: a line for each combination of the labels ``lines``, a column for each ``across``."""
    values, cells = part.distinct(across), {**(more or {}), **({"from files": files_agree} if files else {})}
    rows = [
        [
            *map(str, labels),
            *(ours(here.where(**{across: value}), *TEST) for value in values),
            *(cell(here) for cell in cells.values()),
        ]
        for *labels, here in part.by(*lines)
    ]
    return table([*(titles or lines), *map(name, values), *cells], rows)


def _points(outcomes: Outcomes, others: Outcomes) -> str:
    mean, other = outcomes.mean(*TEST), others.mean(*TEST)
    return MISSING if mean is None or other is None else f"{100 * (mean - other):+.2f}"


def _chosen_orders(outcomes: Outcomes) -> str:
    results = outcomes.where(order=_CHOSEN).results
    fitted = {device["response"]["order"] for result in results for device in result["summary"]["devices"]}
    return ", ".join(map(str, sorted(fitted))) or MISSING


def _recipes(part: Outcomes) -> str:
    rows, levels = [], part.distinct("levels")
    for data, recipe, here in part.by("data", "recipe"):
        name = f"{recipe}, {here[0].run.settings['training.epochs']} epochs"
        rows.append([data, name, *(ours(here.where(levels=k), *TEST) for k in levels), files_agree(here)])
    heading = (f"{k} states{', modelled' if k > _MOST_MEASURED else ''}" for k in levels)
    return table(["data", "recipe", *heading, "from files"], rows)


def _default(outcomes: Outcomes, data: Label) -> Outcomes:
    return outcomes.where(part="recipes", recipe="default", levels=LEVELS, data=data)


def _ceiling(outcomes: Outcomes) -> str:
    rows = []
    for data, here in outcomes.by("data"):
        free = at_best_rate(here.where(part="ceiling"))
        row = [data, ours(free, *TEST)]
        for reached in (_default(here, data), here.where(part="binary"), here.where(part="mixed")):
            row += [ours(reached, *TEST), from_files(reached), _points(reached, free)]
        rows.append(row)
    beside = ("from files", "points from free phases")
    heading = ["data", "free phases", f"{LEVELS} states", *beside, "binary phase", *beside, "mixed devices", *beside]
    return table(heading, rows)


def _baselines(outcomes: Outcomes, rate: Callable[[float], str]) -> str:
    def ahead(here: Outcomes) -> str:
        return _points(_default(outcomes, here[0].run.labels["data"]), at_best_rate(here))

    part, titles = outcomes.where(part="baselines"), ("data", "method, nearest in")
    return _side_by_side(part, ("data", "method"), "rate", rate, titles=titles, more={"default ahead, points": ahead})
