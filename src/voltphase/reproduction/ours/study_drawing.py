"""The figure of the study."""

from __future__ import annotations

import voltphase.core.surroundings  # noqa: F401 - before anything here imports matplotlib

# isort: split
from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from voltphase.reporting.style import MUTED, new_figure
from voltphase.reproduction.charts import COLOURS, curves_of, draw_curves, legend
from voltphase.reproduction.markdown import TEST
from voltphase.reproduction.ours.study import at_best_rate
from voltphase.sweeps.results import Outcomes

_LEVELS = 8


def draw_study(outcomes: Outcomes) -> Figure:
    """Draw a row of panels a data set: accuracy against images seen, states, learning rate and lambda."""
    sets = outcomes.distinct("data")
    figure = new_figure(14.5, 3.3 * len(sets) + 0.2)
    panels = figure.subplots(len(sets), 4, squeeze=False)
    for row, data in zip(panels, sets, strict=True):
        here = outcomes.where(data=data)
        _against_images(row[0], here)
        _against_levels(row[1], here)
        _against_rate(row[2], here)
        if here.where(part="sweep"):
            _against_lambda(row[3], here)
        else:
            row[3].remove()
        row[0].set_ylabel(f"{data}\ntest accuracy, deployed states")
        for axes in row:
            axes.grid(axis="y")
    return figure


def _against_images(axes: Axes, outcomes: Outcomes) -> None:
    part = outcomes.where(part="recipes", levels=_LEVELS)
    for colour, recipe in zip(COLOURS, part.distinct("recipe"), strict=False):
        here = part.where(recipe=recipe)
        images = here.mean("summary", "train_images")
        if images is not None:
            draw_curves(axes, curves_of(here, "test_accuracy"), colour, recipe, per_epoch=images / 1e3)
    free = at_best_rate(outcomes.where(part="ceiling")).mean(*TEST)
    if free is not None:
        axes.axhline(free, color=MUTED, linestyle=":", linewidth=1.2, label="free phases, at the end")
    axes.set(title=f"Recipes, {_LEVELS} states", xlabel="training images seen, thousands")
    legend(axes)


def _against_levels(axes: Axes, outcomes: Outcomes) -> None:
    part = outcomes.where(part="recipes")
    levels = part.distinct("levels")
    for colour, recipe in zip(COLOURS, part.distinct("recipe"), strict=False):
        _line(axes, part.where(recipe=recipe), "levels", colour, recipe)
    _log_axis(axes, levels)
    axes.set(title="Recipes", xlabel="states of the device")
    legend(axes)


def _against_rate(axes: Axes, outcomes: Outcomes) -> None:
    part = outcomes.where(part="baselines")
    for colour, method in zip(COLOURS, part.distinct("method"), strict=False):
        name, nearest = method.split()
        _line(axes, part.where(method=method), "rate", colour, f"{name.upper()}, nearest in {nearest}")
    default = outcomes.where(part="recipes", recipe="default", levels=_LEVELS).mean(*TEST)
    if default is not None:
        axes.axhline(default, color=MUTED, linestyle="--", linewidth=1.2, label="default recipe")
    _log_axis(axes, part.distinct("rate"))
    axes.set(title=f"Baselines, {_LEVELS} states", xlabel="learning rate")
    legend(axes)


def _against_lambda(axes: Axes, outcomes: Outcomes) -> None:
    part = outcomes.where(part="sweep")
    for colour, depth in zip(COLOURS, part.distinct("depth"), strict=False):
        here = part.where(depth=depth)
        _line(axes, here, "lambda", colour, f"depth {depth}")
        automatic = here.where(variant="automatic").mean(*TEST)
        if automatic is not None:
            axes.axhline(automatic, color=colour, linestyle="--", linewidth=1.2)
    flat = outcomes.where(part="flat", readout="contrast of pairs")
    _line(axes, flat, "lambda", MUTED, "default")
    _log_axis(axes, (0.1, 1, 10, 100))
    axes.set_xlim(0.04, 200)
    axes.set(title="λ by hand (dashed: calibrated instead)", xlabel="λ")
    if axes.get_legend_handles_labels()[0]:
        axes.legend(loc="lower left")


def _log_axis(axes: Axes, ticks: Sequence[float]) -> None:
    axes.set_xscale("log")
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.minorticks_off()


def _line(axes: Axes, outcomes: Outcomes, label: str, colour: str, name: str) -> None:
    """Draw means of the test accuracy over a label, with the spread over seeds."""
    found: list[tuple[Any, float, float]] = []
    for value in sorted(outcomes.distinct(label)):
        here = outcomes.where(**{label: value})
        mean = here.mean(*TEST)
        if mean is not None:
            found.append((value, mean, here.spread(*TEST) or 0.0))
    if found:
        values, means, spreads = zip(*found, strict=True)
        axes.errorbar(values, means, yerr=spreads, fmt="o-", ms=4, color=colour, label=name)
