"""Parts that the figures of several experiments share."""

from __future__ import annotations

import voltphase.core.surroundings  # noqa: F401 - before anything here imports matplotlib

# isort: split
from collections.abc import Iterable, Sequence
from typing import Final, Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from voltphase.reporting.style import ACCENT, MUTED, RULE, SECOND
from voltphase.reproduction.markdown import TEST
from voltphase.sweeps.results import Outcomes

# Colour-blind readers can tell these apart, too.
COLOURS: Final = (ACCENT, SECOND, "#3d5a98", "#b08900", "#8a3b76", MUTED)

_Outside = Literal["outside lower center", "outside right upper"]


def dumbbells(axes: Axes, names: Sequence[str], pairs: Sequence[tuple[Outcomes, float | None]]) -> None:
    """Draw our test accuracy and the paper's on a line each, joined."""
    named = set()

    def name(label: str) -> str | None:
        # A name is enough once, but not every line has both marks.
        return None if label in named else named.add(label) or label

    for place, (outcomes, known) in enumerate(pairs):
        mean, spread = outcomes.mean(*TEST), outcomes.spread(*TEST)
        if known is not None:
            axes.plot([known], [place], "o", ms=6.5, mfc="white", mec=SECOND, label=name("paper"))
        if mean is None:
            axes.text(0.5, place, "missing", ha="center", va="center", color=MUTED, size=7)
            continue
        if known is not None:
            axes.plot([mean, known], [place, place], color=RULE, linewidth=2, zorder=0)
        axes.errorbar([mean], [place], xerr=spread, fmt="o", ms=5, color=ACCENT, label=name("ours"))
    axes.set(xlim=(-0.03, 1.03), ylim=(len(names) - 0.4, -0.6))
    axes.set_yticks(range(len(names)), names)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x")


def curves_of(outcomes: Outcomes, column: str) -> list[list[float]]:
    """Return one figure of every epoch, for each result."""
    return [[row[column] for row in result["epochs"]] for result in outcomes.results]


def draw_curves(
    axes: Axes,
    curves: Sequence[Sequence[float]],
    colour: str,
    label: str,
    *,
    per_epoch: float = 1.0,
    style: str = "-",
) -> None:
    """Draw the mean of curves with a value an epoch, and the range they cover."""
    if not curves:
        return
    shortest = min(map(len, curves))
    values = np.array([curve[:shortest] for curve in curves])
    places = per_epoch * np.arange(1, shortest + 1)
    axes.plot(places, values.mean(0), style, color=colour, label=label)
    if len(curves) > 1:
        axes.fill_between(places, values.min(0), values.max(0), color=colour, alpha=0.2, linewidth=0)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))


def legend(axes: Axes) -> None:
    """Draw a legend where it hides least, if there is anything to name."""
    if axes.get_legend_handles_labels()[0]:
        axes.legend(loc="best", frameon=True, facecolor="white", edgecolor="none", framealpha=0.8)


def shared_legend(figure: Figure, panels: Iterable[Axes], place: _Outside, columns: int = 1) -> None:
    """Draw one legend for panels that show the same things, from the one that shows most of them."""
    handles, names = max((axes.get_legend_handles_labels() for axes in panels), key=lambda found: len(found[0]))
    if handles:
        figure.legend(handles, names, loc=place, ncols=columns)
