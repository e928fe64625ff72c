"""A device in one picture."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import BoundaryNorm
from matplotlib.figure import Figure, SubFigure
from matplotlib.ticker import EngFormatter

from voltphase.core.units import metres
from voltphase.devices import Device, DeviceStates
from voltphase.devices.spectrum import parts_of
from voltphase.reporting import style
from voltphase.reporting.charts import draw_states

# More levels than this, and only as many of them, evenly spaced, are named.
_MOST_NAMED = 16
# Up to here a state is a visible dot; beyond, dots would run together.
_MOST_DOTS = 128
# Of a panel, so many tables are drawn.
_MOST_TABLES = 3
_NUMBER: dict[str, Any] = {"va": "center", "fontsize": 7, "zorder": 4}


def device_figure(device: Device) -> Figure:
    """Draw a device, given as a table of states or as a panel.

    Of a table, amplitude and phase against control value, and the states on the complex plane, coloured and named by
    level; of a panel, the table that each pixel follows, inactive ones left blank, and the states of the first tables.
    Of several wavelengths one is drawn below the other.
    """
    parts = parts_of(device)
    width, height, draw = (
        (9.2, 4.6, _draw_table) if device.regions is None else (_panel_width(device), 3.4, _draw_panel)
    )
    with style.house_style():
        figure = style.new_figure(width, height * len(parts))
        places = [figure] if len(parts) == 1 else figure.subfigures(len(parts), 1, squeeze=False).ravel()
        for part, place in zip(parts, places, strict=True):
            draw(place, part)
            at = "" if part.wavelength is None else f", at {metres(part.wavelength)}"
            title = f"{style.plain(part.name)}: {len(part)} states{at}"
            place.suptitle(title, fontsize=11, color=style.INK)
        return figure


def _draw_table(figure: Figure | SubFigure, device: Device) -> None:
    states = device.tables[0]
    grid = figure.add_gridspec(2, 2, width_ratios=[1.15, 1])
    phase = figure.add_subplot(grid[1, 0])
    amplitude = figure.add_subplot(grid[0, 0], sharex=phase)
    plane = figure.add_subplot(grid[:, 1])

    named = _named_levels(len(states))
    top = max(1.0, float(states.amplitude.max()))
    _curve(amplitude, states, states.amplitude, named)
    amplitude.set(ylabel="amplitude", ylim=(-0.06 * top, 1.12 * top))
    amplitude.tick_params(labelbottom=False)
    _curve(phase, states, states.phase / math.pi, named)
    unit = f"control ({style.plain(states.control_unit)})" if states.control_unit else "control"
    if states.control_unit == "m":  # of heights, which are micrometres
        phase.xaxis.set_major_formatter(EngFormatter("m"))
        unit = "control"
    phase.set(ylabel="phase (π rad)", xlabel=unit)
    phase.margins(y=0.16)

    draw_states(plane, states, names=False)
    if len(states) > _MOST_DOTS:
        plane.collections[-1].set_linewidth(0)
    for level in named:
        value = states.values()[level]
        direction = value / abs(value) if abs(value) > 0 else 1.0
        offset = (10 * direction.real, 10 * direction.imag)
        style.annotate(plane, str(level), (value.real, value.imag), offset, **_NUMBER)


def _panel_width(panel: Device) -> float:
    return 3.2 * (len(panel.tables[:_MOST_TABLES]) + 1)


def _draw_panel(figure: Figure | SubFigure, panel: Device) -> None:
    shown, regions = panel.tables[:_MOST_TABLES], panel.regions
    assert regions is not None
    pixels, *planes = figure.subplots(1, len(shown) + 1)
    image = pixels.imshow(
        np.ma.masked_where(panel.inactive, regions),
        cmap=style.LEVEL_MAP,
        norm=BoundaryNorm(np.arange(len(panel.tables) + 1) - 0.5, 256),
        interpolation="nearest",
    )
    pixels.set(title="table of each pixel", xlabel="column", ylabel="row")
    bar = figure.colorbar(image, ax=pixels, fraction=0.05, ticks=np.unique(regions[~panel.inactive])[:9])
    bar.minorticks_off()
    for index, (table, plane) in enumerate(zip(shown, planes, strict=True)):
        draw_states(plane, table)
        plane.set_title(f"table {index}: {style.plain(table.name)}")


def _curve(axes: Axes, states: DeviceStates, values: np.ndarray, named: list[int]) -> None:
    order = np.argsort(states.control)
    axes.plot(states.control[order], values[order], color=style.MUTED, linewidth=0.7, alpha=0.6)
    axes.scatter(
        states.control,
        values,
        c=colormaps[style.LEVEL_MAP](np.linspace(0, 1, len(states))),
        s=22 if len(states) <= _MOST_DOTS else 9,
        edgecolors="white",
        linewidths=0.5 if len(states) <= _MOST_DOTS else 0,
        zorder=3,
    )
    for level in named:
        style.annotate(axes, str(level), (states.control[level], values[level]), (0, 9), **_NUMBER)
    axes.grid(True, axis="y")


def _named_levels(count: int) -> list[int]:
    return np.linspace(0, count - 1, count if count <= _MOST_NAMED else 9).round().astype(int).tolist()
