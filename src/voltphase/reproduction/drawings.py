"""The figures of the experiments, drawn from results alone."""

from __future__ import annotations

import voltphase.core.surroundings  # noqa: F401 - before anything here imports matplotlib

# isort: split
from collections.abc import Callable, Sequence
from typing import Final, Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from voltphase.reporting.style import ACCENT, INK, MUTED, SECOND
from voltphase.reproduction.charts import COLOURS, curves_of, draw_curves, dumbbells, legend, shared_legend
from voltphase.reproduction.markdown import TEST
from voltphase.reproduction.ours import interpretations, study
from voltphase.reproduction.paper import figure2, figure3, figure4, table1, table2
from voltphase.sweeps.confidence import CUTS
from voltphase.sweeps.results import Outcomes

_METHODS: Final = {
    "codesign": (ACCENT, "codesign"),
    "qat": (SECOND, "QAT"),
    "ptq": ("#b08900", "PTQ"),
    "default": ("#3d5a98", "codesign, default recipe"),
}
_STATES: Final = {"even": ("o-", ""), "spread": ("s", ", states picked by spread"), "free": ("^", ", free phases")}


def _new_figure(width: float, height: float) -> Figure:
    # With Matplotlib's own margins, as the committed figures were drawn.
    return Figure(figsize=(width, height), layout="constrained")


def draw_table1(outcomes: Outcomes) -> Figure:
    """Draw the test accuracy of each variant beside the paper's, a panel for each data set and depth."""
    depths, sets, variants = (outcomes.distinct(label) for label in ("depth", "data", "variant"))
    order = sorted(variants, key=lambda v: -float(v.removeprefix("lambda")) if v.startswith("lambda") else 0.0)
    names = [table1.shown(variant) for variant in order]
    figure = _new_figure(3.2 * len(depths) + 1, 2.5 * len(sets) + 0.4)
    panels = figure.subplots(len(sets), len(depths), squeeze=False, sharex=True, sharey=True)
    for row, data in zip(panels, sets, strict=True):
        for axes, depth in zip(row, depths, strict=True):
            here = outcomes.where(data=data, depth=depth)
            pairs = [(here.where(variant=v), table1.PAPER.get((data, depth, v), (None, None))[1]) for v in order]
            dumbbells(axes, names, pairs)
            axes.set_title(f"{data}, depth {depth}")
    for axes in panels[-1]:
        axes.set_xlabel("test accuracy")
    shared_legend(figure, [panels[0][0]], "outside lower center", 2)
    return figure


def draw_diagonal(outcomes: Outcomes) -> Figure:
    """Draw the test accuracy by depth beside the paper's best, and how it was reached."""
    sets, depths = outcomes.distinct("data"), outcomes.distinct("depth")
    figure = _new_figure(4.6 * len(sets), 3.4)
    panels = figure.subplots(1, len(sets), squeeze=False)[0]
    for axes, data in zip(panels, sets, strict=True):
        for colour, depth in zip(COLOURS, depths, strict=False):
            for style, epochs in zip(("-", "--"), outcomes.distinct("epochs"), strict=False):
                curves = curves_of(outcomes.where(data=data, depth=depth, epochs=epochs), "test_accuracy")
                draw_curves(axes, curves, colour, f"depth {depth}, {epochs} epochs", style=style)
            if (best := table1.best(data, depth)) is not None:
                axes.axhline(best, color=colour, linewidth=1, linestyle=":")
        axes.set(title=f"{data} (dotted: the paper's best)", xlabel="epoch", ylabel="test accuracy, deployed states")
        axes.grid(axis="y")
        legend(axes)
    return figure


def draw_pitch(outcomes: Outcomes) -> Figure:
    """Draw the test accuracy of one layer against its pitch, with the states named; the paper's best dotted."""
    figure = _new_figure(5.6, 3.6)
    axes = figure.subplots()
    for colour, data in zip(COLOURS, outcomes.distinct("data"), strict=False):
        for states, (style, name) in _STATES.items():
            here = outcomes.where(data=data, states=states)
            means = {pitch: study.at_best_rate(here.where(pitch=pitch)).mean(*TEST) for pitch in here.distinct("pitch")}
            known = {pitch: mean for pitch, mean in means.items() if mean is not None}
            if known:
                axes.plot(list(known), list(known.values()), style, color=colour, label=f"{data}{name}")
        if (best := table1.best(data, 1)) is not None:
            axes.axhline(best, color=colour, linewidth=1, linestyle=":")
    axes.set(title="one layer (dotted: the paper's best)", xlabel="pitch, µm", ylabel="test accuracy, deployed states")
    axes.grid(axis="y")
    legend(axes)
    return figure


def draw_table2(outcomes: Outcomes) -> Figure:
    """Draw the accuracy against the cut, a line a depth; the paper's dotted."""
    sets, depths = outcomes.distinct("data"), outcomes.distinct("depth")
    figure = _new_figure(4.2 * len(sets), 3.2)
    panels = figure.subplots(1, len(sets), squeeze=False, sharey=True)[0]
    for axes, data in zip(panels, sets, strict=True):
        for colour, depth in zip(COLOURS, depths, strict=False):
            here = outcomes.where(data=data, depth=depth)
            means = [here.mean("accuracy_when_cut", f"{cut:g}") for cut in CUTS]
            if None not in means:
                axes.plot(CUTS, np.array(means, dtype=float), "o-", color=colour, label=f"depth {depth}")
            if (data, depth) in table2.PAPER:
                label = f"depth {depth}, paper"
                axes.plot(CUTS, table2.PAPER[data, depth], "s:", color=colour, ms=4, linewidth=1, label=label)
        axes.set(title=data, xlabel="cut of the winner's probability", ylim=(-0.02, 1.02))
        axes.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
        axes.set_xticks(CUTS)
        axes.grid(axis="y")
    panels[0].set_ylabel("test accuracy")
    shared_legend(figure, panels, "outside lower center", 2 * len(depths))
    return figure


def draw_interpretations(outcomes: Outcomes) -> Figure:
    """Draw the test accuracies of the interpretations as colours, the paper's above."""
    pairs, data = interpretations.grid(outcomes), outcomes.distinct("data")[0]
    lines = {"the paper, 100 epochs": [interpretations.known(data, *pair) for pair in pairs]}
    for measure, reading, here in outcomes.by("measure", "reading"):
        means = [here.where(depth=depth, lambda_=lambda_).mean(*TEST) for depth, lambda_ in pairs]
        lines[f"{measure}, λ scales the {reading}"] = means
    figure = _new_figure(1.0 * len(pairs) + 2.6, 0.42 * len(lines) + 1.1)
    axes = figure.subplots()
    values = np.array(list(lines.values()), dtype=float)  # with NaN for None
    axes.imshow(values, vmin=0, vmax=1, cmap="YlGnBu", aspect="auto")
    for (row, column), value in np.ndenumerate(values):
        text, colour = ("–", MUTED) if np.isnan(value) else (f"{value:.3f}", "white" if value > 0.55 else INK)
        axes.text(column, row, text, ha="center", va="center", color=colour, size=8)
    axes.set_xticks(range(len(pairs)), [f"depth {depth}\nλ = {lambda_:g}" for depth, lambda_ in pairs])
    axes.set_yticks(range(len(lines)), list(lines))
    axes.tick_params(length=0)
    axes.set_title(f"test accuracy, {data}")
    return figure


def draw_figure2(outcomes: Outcomes) -> Figure:
    """Draw the loss curves of the schedules above their final accuracies."""
    sets, schedules = outcomes.distinct("data"), list(figure2.SCHEDULES)
    figure = _new_figure(4.8 * len(sets) + 0.6, 5.6)
    panels = figure.subplots(2, len(sets), squeeze=False, sharey="row")
    for (loss, accuracy), data in zip(panels.T, sets, strict=True):
        for colour, schedule in zip(COLOURS, schedules, strict=True):
            curves = curves_of(outcomes.where(data=data, schedule=schedule), "train_loss")
            draw_curves(loss, curves, colour, schedule, style="--" if "static" in schedule else "-")
        loss.set(title=data, xlabel="epoch", ylabel="training loss")
        loss.grid(axis="y")
        told = [figure2.PAPER.get((data, schedule), (None, None))[1] for schedule in schedules]
        pairs = [(outcomes.where(data=data, schedule=s), test) for s, test in zip(schedules, told, strict=True)]
        dumbbells(accuracy, schedules, pairs)
        accuracy.set_xlabel("test accuracy")
    shared_legend(figure, panels[0], "outside right upper")
    shared_legend(figure, [panels[1][0]], "outside lower center", 2)
    return figure


def draw_figure3(outcomes: Outcomes) -> Figure:
    """Draw bars of test accuracy by depth, a panel for each data set and number of levels."""
    sets, depths, levels = (outcomes.distinct(label) for label in ("data", "depth", "levels"))
    figure = _new_figure(3.0 * len(levels) + 1, 2.6 * len(sets) + 0.5)
    panels = figure.subplots(len(sets), len(levels), squeeze=False, sharex=True, sharey=True)
    width = 0.8 / len(figure3.METHODS)
    for row, data in zip(panels, sets, strict=True):
        for axes, count in zip(row, levels, strict=True):
            for shift, method in enumerate(figure3.METHODS):
                bars = [outcomes.where(data=data, levels=count, depth=depth, method=method) for depth in depths]
                places = np.arange(len(depths)) + (shift - (len(figure3.METHODS) - 1) / 2) * width
                axes.bar(
                    places,
                    [bar.mean(*TEST) or 0.0 for bar in bars],
                    0.9 * width,
                    yerr=[bar.spread(*TEST) or 0.0 for bar in bars],
                    color=_METHODS[method][0],
                    error_kw={"ecolor": INK, "elinewidth": 1},
                    label=_METHODS[method][1],
                )
                for place, bar in zip(places, bars, strict=True):
                    if not bar.results:
                        axes.text(place, 0.02, "missing", rotation=90, ha="center", va="bottom", color=MUTED, size=7)
            axes.set(title=f"{data}, {count} levels", ylim=(0, 1))
            axes.set_xticks(np.arange(len(depths)), [str(depth) for depth in depths])
            axes.grid(axis="y")
        row[0].set_ylabel("test accuracy")
    for axes in panels[-1]:
        axes.set_xlabel("depth")
    shared_legend(figure, [panels[0][0]], "outside lower center", len(_METHODS))
    return figure


def draw_figure4(outcomes: Outcomes) -> Figure:
    """Draw the time of an epoch and the peak memory against the number of levels."""
    figure = _new_figure(8.4, 3.4)
    time, memory = figure.subplots(1, 2)
    for colour, method in zip(COLOURS, figure4.METHODS, strict=False):
        here = outcomes.where(method=method)
        levels = [count for count in here.distinct("levels") if here.where(levels=count).results]
        label = {"codesign": "Gumbel-Softmax (the paper's)"}.get(method, method)
        for axes, figures in ((time, figure4.seconds_per_epoch), (memory, figure4.megabytes)):
            values = np.array([figures(result) for result in here.results], dtype=float)  # with NaN for None
            axes.plot(levels, values, "o-", color=colour, label=label)
    time.set(title="Time of an epoch of 60,000 images", ylabel="s")
    memory.set(title="Peak memory of training", ylabel="MB")
    for axes in (time, memory):
        axes.set_xlabel("levels of the device")
        axes.set_ylim(bottom=0)
        axes.grid(axis="y")
    legend(time)
    return figure


def draw_study(outcomes: Outcomes) -> Figure:
    """Draw a row of panels a data set: accuracy against images seen, states, learning rate and lambda."""
    sets = outcomes.distinct("data")
    figure = _new_figure(14.5, 3.3 * len(sets) + 0.2)
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
    part = outcomes.where(part="recipes", levels=study.LEVELS)
    for colour, recipe in zip(COLOURS, part.distinct("recipe"), strict=False):
        here = part.where(recipe=recipe)
        images = here.mean("summary", "train_images")
        if images is not None:
            draw_curves(axes, curves_of(here, "test_accuracy"), colour, recipe, per_epoch=images / 1e3)
    _level(axes, study.at_best_rate(outcomes.where(part="ceiling")), MUTED, ":", "free phases, at the end")
    axes.set(title=f"Recipes, {study.LEVELS} states", xlabel="training images seen, thousands")
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
    default = outcomes.where(part="recipes", recipe="default", levels=study.LEVELS)
    _level(axes, default, MUTED, "--", "default recipe")
    _log_axis(axes, part.distinct("rate"))
    axes.set(title=f"Baselines, {study.LEVELS} states", xlabel="learning rate")
    legend(axes)


def _against_lambda(axes: Axes, outcomes: Outcomes) -> None:
    part = outcomes.where(part="sweep")
    for colour, depth in zip(COLOURS, part.distinct("depth"), strict=False):
        here = part.where(depth=depth)
        _line(axes, here, "lambda", colour, f"depth {depth}")
        _level(axes, here.where(variant="automatic"), colour, "--")
    flat = outcomes.where(part="flat", readout="contrast of pairs")
    _line(axes, flat, "lambda", MUTED, "default")
    _log_axis(axes, (0.1, 1, 10, 100))
    axes.set_xlim(0.04, 200)
    axes.set(title="λ by hand (dashed: calibrated instead)", xlabel="λ")
    if axes.get_legend_handles_labels()[0]:
        axes.legend(loc="lower left")


def _level(axes: Axes, outcomes: Outcomes, colour: str, style: Literal[":", "--"], label: str | None = None) -> None:
    mean = outcomes.mean(*TEST)
    if mean is not None:
        axes.axhline(mean, color=colour, linestyle=style, linewidth=1.2, label=label)


def _log_axis(axes: Axes, ticks: Sequence[float]) -> None:
    axes.set_xscale("log")
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.minorticks_off()


def _line(axes: Axes, outcomes: Outcomes, label: str, colour: str, name: str) -> None:
    """Draw means of the test accuracy over a label, with the spread over seeds."""
    each = {value: outcomes.where(**{label: value}) for value in sorted(outcomes.distinct(label))}
    found = [(value, here.mean(*TEST), here.spread(*TEST) or 0.0) for value, here in each.items() if here.results]
    if found:
        values, means, spreads = zip(*found, strict=True)
        axes.errorbar(values, means, yerr=spreads, fmt="o-", ms=4, color=colour, label=name)


DRAWINGS: Final[dict[str, Callable[[Outcomes], Figure]]] = {
    "table1": draw_table1,
    "table2": draw_table2,
    "figure2": draw_figure2,
    "figure3": draw_figure3,
    "figure4": draw_figure4,
    "diagonal": draw_diagonal,
    "reach": draw_pitch,
    "readings": draw_interpretations,
    "study": draw_study,
}
