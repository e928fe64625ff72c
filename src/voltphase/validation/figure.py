"""The validation as one picture: closed forms with what was computed on them, and all errors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from voltphase.reporting.style import ACCENT, INK, MUTED, RULE, SECOND, house_style, new_figure, png
from voltphase.validation.comparison import Comparison, Curve

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Errors of exactly zero are drawn here on the logarithmic axis.
FLOOR = 1e-17


def draw(comparisons: Sequence[Comparison], curves: Sequence[Curve]) -> bytes:
    """Return a PNG image: a chart for each curve, and each error against its tolerance."""
    with house_style():
        height = max(6.5, 0.16 * len(comparisons) + 1)
        figure = new_figure(13, height)
        left, right = (figure.add_subfigure(half) for half in figure.add_gridspec(1, 2))
        panels = left.subplots((len(curves) + 1) // 2, 2, squeeze=False).flatten()
        for axes, curve in zip(panels, curves, strict=False):
            axes.plot(*curve.line, color=ACCENT, label="closed form")
            axes.plot(*curve.points, "o", ms=3.5, color=SECOND, markeredgewidth=0, label="computed")
            axes.set(title=curve.title, xlabel=curve.x_label, ylabel=curve.y_label)
        for axes in panels[len(curves) :]:
            axes.set_axis_off()
        panels[0].legend(loc="best")
        _draw_errors(right.subplots(), comparisons)
        return png(figure)


def _draw_errors(axes: Axes, comparisons: Sequence[Comparison]) -> None:
    places = np.arange(len(comparisons))
    errors = np.array([one.error if np.isfinite(one.error) else 1.0 for one in comparisons]).clip(min=FLOOR)
    tolerances = np.array([one.tolerance for one in comparisons])
    axes.hlines(places, FLOOR, errors, color=RULE, linewidth=1)
    axes.plot(errors, places, "o", ms=4, color=ACCENT, markeredgewidth=0, label="error")
    axes.plot(tolerances, places, "|", ms=7, color=INK, label="tolerance")
    failed = [place for place, one in zip(places, comparisons, strict=True) if not one.passed]
    axes.plot(errors[failed], places[failed], "X", ms=7, color=SECOND, label="failed" if failed else "_")
    axes.set_xscale("log")
    axes.set_xlim(FLOOR, 1)
    axes.set_ylim(len(comparisons) - 0.5, -0.5)
    axes.set_yticks(places, [f"{one.case} · {one.method}" for one in comparisons], fontsize=6.5)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.grid(axis="x", which="major")
    axes.set_xlabel("error, relative", color=MUTED)
    axes.legend(loc="lower right", frameon=True, facecolor="white", edgecolor="none")
