"""The validation as one picture: closed forms with what was computed on them, and all errors."""

from __future__ import annotations

import voltphase.core.surroundings  # noqa: F401 - before anything here imports matplotlib

# isort: split
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes

from voltphase.reporting.style import ACCENT, INK, MUTED, RULE, SECOND, house_style, new_figure, png
from voltphase.validation.rows import Curve, Row

# Errors of exactly zero are drawn here on the logarithmic axis.
FLOOR = 1e-17


def draw(rows: Sequence[Row], curves: Sequence[Curve]) -> bytes:
    """A PNG image: a panel for each curve, and the error of each row against its tolerance."""
    with house_style():
        height = max(6.5, 0.16 * len(rows) + 1)
        figure = new_figure(13, height)
        left, right = (figure.add_subfigure(half) for half in figure.add_gridspec(1, 2))
        panels = left.subplots((len(curves) + 1) // 2, 2, squeeze=False).flatten()
        for axes, curve in zip(panels, curves, strict=False):
            _draw_curve(axes, curve)
        for axes in panels[len(curves) :]:
            axes.set_axis_off()
        panels[0].legend(loc="best")
        _draw_errors(right.subplots(), rows)
        return png(figure)


def _draw_curve(axes: Axes, curve: Curve) -> None:
    axes.plot(*curve.line, color=ACCENT, label="closed form")
    axes.plot(*curve.points, "o", ms=3.5, color=SECOND, markeredgewidth=0, label="computed")
    axes.set(title=curve.title, xlabel=curve.x_label, ylabel=curve.y_label)


def _draw_errors(axes: Axes, rows: Sequence[Row]) -> None:
    places = np.arange(len(rows))
    errors = np.array([row.error if np.isfinite(row.error) else 1.0 for row in rows]).clip(min=FLOOR)
    tolerances = np.array([row.tolerance for row in rows])
    axes.hlines(places, FLOOR, errors, color=RULE, linewidth=1)
    axes.plot(errors, places, "o", ms=4, color=ACCENT, markeredgewidth=0, label="error")
    axes.plot(tolerances, places, "|", ms=7, color=INK, label="tolerance")
    failed = [place for place, row in zip(places, rows, strict=True) if not row.passed]
    axes.plot(errors[failed], places[failed], "X", ms=7, color=SECOND, label="failed" if failed else "_")
    axes.set_xscale("log")
    axes.set_xlim(FLOOR, 1)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.set_yticks(places, [f"{row.case} · {row.method}" for row in rows], fontsize=6.5)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.grid(axis="x", which="major")
    axes.set_xlabel("error, relative", color=MUTED)
    axes.legend(loc="lower right", frameon=True, facecolor="white", edgecolor="none")
