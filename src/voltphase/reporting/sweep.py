"""The report of a sweep: its trials as a table and in Optuna's plots, on one HTML page that needs nothing beside it."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from voltphase.core.files import write_text
from voltphase.core.words import counted
from voltphase.reporting import style
from voltphase.reporting.page import REPORT_NAME, drawing, page_html, section, table_html

if TYPE_CHECKING:
    from optuna import Study

_MOST_ROWS: Final = 50


def write_sweep_report(
    folder: Path, study: Study, aims: Sequence[str], rows: Sequence[Mapping[str, Any]], best: str, value: str
) -> Path:
    """Draw ``report.html`` into a sweep's folder, in place of an earlier one.

    Args:
        folder: Folder of the sweep.
        study: Study of Optuna's with its trials.
        aims: Name of each figure that trials are judged by.
        rows: A row for each trial, with the same columns; the best first.
        best: Configuration of the best trial as YAML.
        value: What the best trial comes to, in words.

    Returns:
        The path of the report.

    Raises:
        OutputError: if the report cannot be written.
    """
    states = [row["state"] for row in rows]
    counts = {state: states.count(state) for state in dict.fromkeys(states)}
    with style.house_style():
        content = page_html(
            title=f"{folder.name}: {value}",
            heading=f"Sweep {folder.name}",
            subtitle=f"{counted(len(rows), 'trial')}: {', '.join(f'{n} {state}' for state, n in counts.items())}",
            value=value,
            value_note=f"{aims[0]} of the best, trial {rows[0]['trial']}",
            facts=[(key, _shown(shown)) for key, shown in rows[0].items() if key not in ("best", "error", "state")],
            parts=["course", "values", "trials"],
            sections=[_course(study, aims), _values(study, aims), _table(rows)],
            footer=("Settings of the best trial", best.strip()),
        )
    path = folder / REPORT_NAME
    write_text(path, content)
    return path


def _course(study: Study, aims: Sequence[str]) -> str:
    import optuna.visualization.matplotlib as plots

    drawings = []
    for index, aim in enumerate(aims):
        # The best so far is drawn of a study's only aim alone, for which no other is to be named.
        one: dict[str, Any] = {} if len(aims) == 1 else {"target": lambda trial, index=index: trial.values[index]}
        drawings.append(
            _plot(
                lambda aim=aim, one=one: plots.plot_optimization_history(study, target_name=aim, **one),
                f"{aim} against trials",
                f"{aim} of each trial{', and the best so far' * (len(aims) == 1)}.",
            )
        )
    if len(aims) > 1:
        front = _plot(
            lambda: plots.plot_pareto_front(study, target_names=list(aims)),
            "Pareto front",
            "Both aims: of the best trials none is beaten in both.",
        )
        drawings.insert(0, front)
    return section("course", "What was found", "", *drawings)


def _values(study: Study, aims: Sequence[str]) -> str:
    import optuna.visualization.matplotlib as plots

    drawings = []
    for index, aim in enumerate(aims):
        one: dict[str, Any] = {"target": lambda trial, index=index: trial.values[index], "target_name": aim}
        # What is important is asked of low values.
        sign = -1 if study.directions[index].name == "MAXIMIZE" else 1
        low: dict[str, Any] = {"target": lambda trial, i=index, sign=sign: sign * trial.values[i], "target_name": aim}
        drawings.append(
            _plot(
                lambda low=low: plots.plot_param_importances(study, **low),
                f"Importance for {aim}",
                f"How much of what {aim} does is owed to each setting that is searched.",
            )
        )
        drawings.append(
            _plot(
                lambda one=one: plots.plot_slice(study, **one),
                f"{aim} against each setting",
                f"{aim} against each setting that is searched; darker trials are later ones.",
            )
        )
    return section("values", "What it depends on", "", *drawings)


def _table(rows: Sequence[Mapping[str, Any]]) -> str:
    shown = [[_shown(value) for value in row.values()] for row in rows[:_MOST_ROWS]]
    note = f"The first {_MOST_ROWS} of {len(rows)}; all are in trials.csv." if len(rows) > _MOST_ROWS else ""
    return section("trials", "Trials", note, table_html([key.replace("_", " ") for key in rows[0]], shown))


def _shown(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _plot(draw: Callable[[], Axes | np.ndarray], text: str, caption: str) -> str:
    """Return one of Optuna's plots as a part of the page; or a sentence where it has too little to show."""
    with _own_figures(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of few trials, in a log that nobody reads
        try:
            axes = np.atleast_1d(np.asarray(draw(), dtype=object))
        except (RuntimeError, ValueError, ZeroDivisionError):
            return f"<p>{text}: there are too few trials to show it.</p>"
        figure: Figure = axes.flat[0].figure
        for one in axes.flat:
            one.set_title("")
            one.set_title("", loc="left")
            one.tick_params(axis="x", labelrotation=20)
        figure.suptitle("")
        return drawing(figure, text, caption)


@contextmanager
def _own_figures() -> Iterator[None]:
    """Draw by pyplot, as Optuna does, and leave no figure and no setting behind."""
    import matplotlib as mpl
    from matplotlib import pyplot as plt

    before = set(plt.get_fignums())
    # Names of settings are longer than those that the plots have room for by themselves.
    with mpl.rc_context({"backend": "agg", "figure.constrained_layout.use": True}):
        try:
            yield
        finally:
            for number in set(plt.get_fignums()) - before:
                plt.close(number)
