"""One picture of a whole run."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from voltphase.core.errors import OutputError
from voltphase.core.files import checked_path, write_bytes
from voltphase.reporting import style
from voltphase.reporting.charts import draw_metric, draw_states
from voltphase.reporting.maps import phase_map, show_light
from voltphase.reporting.run_view import RunView

_MOST_LAYERS = 5


def overview_figure(run: str | Path, *, data_dir: str | Path | None = None) -> Figure:
    """Draw the phase maps of a trained network, one test image on its way through them, and how the network learned.

    Draw and save it within :func:`voltphase.reporting.style.house_style` to have the report's look.

    Raises:
        DataError: if ``run`` is no finished run, or its data cannot be had.
    """
    with style.house_style():
        return _draw(RunView.of(run, data_dir))


def save_overview(run: str | Path, path: str | Path, *, data_dir: str | Path | None = None) -> Path:
    """Write :func:`overview_figure` to a PNG file.

    Raises:
        DataError: if ``run`` is no finished run, or its data cannot be had.
        OutputError: if the file cannot be written.
    """
    path = checked_path(path, OutputError)
    with style.house_style():
        content = style.png(_draw(RunView.of(run, data_dir)))
    write_bytes(path, content)
    return path


def _draw(view: RunView) -> Figure:
    grids, example = view.grids, view.examples[min(1, len(view.examples) - 1)]
    levels, devices = view.levels, view.devices
    chosen = np.unique(np.linspace(0, len(levels) - 1, min(len(levels), _MOST_LAYERS)).round().astype(int))
    count = len(chosen)
    figure = style.new_figure(1.55 * (count + 2) + 2.0, 4.15)
    places = figure.add_gridspec(2, count + 3, width_ratios=[1] * (count + 2) + [1.15])

    states = figure.add_subplot(places[0, 0])
    device = devices[0].tables[0]
    draw_states(states, device, names=False)
    states.set(title=f"{len(device)} states", xlabel="", ylabel="")
    turn, phase_axes = 2 * math.pi, []
    for column, index in enumerate(chosen, start=1):
        axes = figure.add_subplot(places[0, column])
        phase = phase_map(levels[index], devices[index])
        style.show_plane(axes, phase, grids[f"layer {index + 1}"], cmap=style.PHASE_MAP, vmin=0, vmax=turn)
        axes.set_title(f"layer {index + 1}: phase")
        style.label_millimetres(axes, x=False, y=False)
        phase_axes.append(axes)
    bar = figure.colorbar(
        ScalarMappable(Normalize(0, turn), style.PHASE_MAP), ax=phase_axes[-1], ticks=[0, math.pi, turn], fraction=0.05
    )
    bar.set_ticklabels(["0", "π", "2π"])
    bar.outline.set_visible(False)
    if view.history:
        draw_metric(figure.add_subplot(places[0, count + 1 :]), view.history, view.metric)

    planes = ["source", *(f"layer {index + 1}" for index in chosen), "detector"]
    for column, name in enumerate(planes):
        axes = figure.add_subplot(places[1, column])
        title = show_light(axes, example, name, grids[name])
        axes.set_title(f"light on {title}" if title.startswith("layer") else title)
        style.label_millimetres(axes, y=column == 0)
        if name == "detector":
            view.pictures.draw_on_detector(axes, grids[name], example)
    view.pictures.draw_output(figure.add_subplot(places[1, -1]), example)
    return figure
