"""Charts of a run: how it learned, what it confuses, which states it uses, where its light goes."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Circle
from matplotlib.ticker import MaxNLocator, PercentFormatter

from voltphase.devices import Device, DeviceStates
from voltphase.devices.spectrum import parts_of
from voltphase.reporting import style
from voltphase.reporting.run_view import Light
from voltphase.tasks import Metric

_PER_ROW = 5
_MOST_LAYERS = 20
_MOST_NAMED_STATES = 16
# Above a chart of light layers are named in words up to so many characters, and so many networks beside each other.
_MOST_LETTERS_NAMED, _MOST_NETWORKS_NAMED = 12, 3
_LEAST_LIGHT = 1e-9
# Light is conserved to this in single precision.
_ROUNDING = 1e-3
# A level is chosen far more often than others where it has so many times an even share and its neighbours' mean share,
# and this part of all pixels. Levels this near to an end of the control values, as a part of all, are where a curve
# ends: they are often the best of many pixels by themselves.
_FAVOURED, _LEAST_FAVOURED, _END = 4.0, 0.02, 1 / 32
# Fewer levels have no neighbours that are nearly the same.
_MANY_LEVELS = 32


def learning_figure(history: Mapping[str, np.ndarray], metric: Metric) -> Figure:
    """Draw a metric, the loss and the temperature against epochs; ``history`` holds them by their columns."""
    figure = style.new_figure(11.4, 2.9)
    judged, *others = figure.subplots(1, 3, width_ratios=[1.7, 1, 1])
    draw_metric(judged, history, metric)
    titles = {"train_loss": "loss in training", "temperature": "temperature τ"}
    for (name, title), chart in zip(titles.items(), others, strict=True):
        _curve(chart, history["epoch"], history[name], style.INK)
        chart.set_title(title)
        _epochs(chart)
        chart.set_ylim(0, 1.06 * max(float(np.nanmax(history[name])), 1e-9))
    return figure


def draw_metric(axes: Axes, history: Mapping[str, np.ndarray], metric: Metric) -> None:
    """Draw a metric of the deployed states on the images that were watched, and of what light saw in training."""
    watched, name = ("val", "validation") if metric.column("val") in history else ("test", "test")
    test, train = (history[metric.column(split)] for split in (watched, "train"))
    _curve(axes, history["epoch"], test, style.ACCENT, f"{name}, deployed states")
    _curve(axes, history["epoch"], train, style.SECOND, "training, as light saw it")
    axes.set_title(metric.name)
    if metric.percent:
        axes.yaxis.set_major_formatter(PercentFormatter(1))
        lowest = min(1.0, float(test.min()), float(train.min()))
        axes.set_ylim(max(0.0, math.floor(lowest * 10 - 0.5) / 10), 1.01)
    axes.legend(loc="best")
    _epochs(axes)


def different_devices(devices: Sequence[Device]) -> list[DeviceStates]:
    """Return each table of states once, in the order of the layers; of a device at several wavelengths each of them."""
    different: dict[str, DeviceStates] = {}
    for device in devices:
        for table in tables_of(device):
            different.setdefault(table.digest, table)
    return list(different.values())


def tables_of(device: Device) -> list[DeviceStates]:
    """Return the tables of a device, at each of its wavelengths."""
    return [table for part in parts_of(device) for table in part.tables]


def draw_states(axes: Axes, device: DeviceStates, *, names: bool = True) -> None:
    """Draw a device's states on the complex plane, inside the unit circle of a lossless pixel."""
    values, count = device.values(), len(device)
    axes.add_patch(Circle((0, 0), 1, fill=False, edgecolor=style.RULE, linewidth=1))
    axes.axhline(0, color=style.RULE, linewidth=0.7)
    axes.axvline(0, color=style.RULE, linewidth=0.7)
    axes.plot(values.real, values.imag, color=style.MUTED, linewidth=0.7, alpha=0.6)
    colours, area = colormaps[style.LEVEL_MAP](np.linspace(0, 1, count)), 34 if count <= _MOST_NAMED_STATES else 16
    axes.scatter(values.real, values.imag, c=colours, s=area, edgecolors="white", linewidths=0.7, zorder=3)
    if names and count <= _MOST_NAMED_STATES:
        for level, value in enumerate(values):
            outwards = value / abs(value) if abs(value) > 0 else 1
            offset = (9 * outwards.real, 9 * outwards.imag)
            style.annotate(axes, str(level), (value.real, value.imag), offset, va="center", fontsize=7.5)
    reach = 1.18 * max(1.0, float(np.abs(values).max()))
    axes.set(xlim=(-reach, reach), ylim=(-reach, reach), aspect="equal", xlabel="real part", ylabel="imaginary part")
    axes.locator_params(nbins=5 if names else 3)


def light_figure(light: Light, depth: int, networks: int = 1) -> Figure:
    """Draw the fraction of light left against the distance from the source, past so many layers of each network."""
    figure = style.new_figure(4.9, 3.6)
    axes = figure.subplots()
    millimetres, end = light.distance * 1e3, light.distance[-1] * 1e3
    axes.plot(millimetres, light.kept, color=style.ACCENT)
    for number in range(1, depth + 1):
        position = millimetres[2 * number - 1]
        axes.axvline(position, color=style.MUTED, linewidth=0.6, linestyle=":", zorder=0)
        if depth <= _MOST_NAMED_STATES:
            alike = ", ".join(str(number + depth * each) for each in range(networks)[:_MOST_NETWORKS_NAMED])
            alike += "…" * (networks > _MOST_NETWORKS_NAMED)
            word, top = "layer " if networks == 1 else "layers ", ("data", "axes fraction")
            name = f"{word}{alike}" if depth * len(alike) <= _MOST_LETTERS_NAMED else alike
            style.annotate(axes, name, (position, 1), (0, 3), xycoords=top, fontsize=7.5, color=style.MUTED)
    lowest = min(*light.shares.values(), float(light.kept.min()), 0.5)
    bottom = 10.0 ** math.floor(math.log10(max(lowest, _LEAST_LIGHT)))
    shares = {"on the detector": float(light.kept[-1]), **light.shares}
    for (label, value), colour in zip(shares.items(), (style.ACCENT, style.INK, style.SECOND), strict=False):
        name = f"{share(value)} {label}"
        axes.plot([end], [max(value, bottom)], "o", color=colour, markersize=5, clip_on=False, label=name)
    axes.legend(loc="lower left")
    axes.set(xlim=(0, end), xlabel="distance from the source (mm)", ylabel="light left", yscale="log")
    axes.set_ylim(bottom, 1.15)
    axes.yaxis.set_major_formatter(lambda value, _: share(value))
    # Over one decade numbers between are wanted, in the same words.
    between = (0.2, 0.5) if bottom >= 0.1 else ()
    axes.yaxis.set_minor_formatter(lambda value, _: share(value) if round(value, 6) in between else "")
    axes.grid(axis="y")
    return figure


def share(fraction: float) -> str:
    """Return a fraction in per cent with two digits that count; more than all of the light is called what it is."""
    if fraction > 1 + _ROUNDING:
        return f"{fraction:.3g} times the source's"
    return f"{fraction:.0%}" if fraction >= 0.1 or fraction == 0 else f"{100 * fraction:.2g}%"


def level_use_figure(levels: Sequence[np.ndarray], devices: Sequence[Device]) -> Figure:
    """Draw the share of each layer's active pixels in each level, against an even share."""
    count = min(len(levels), _MOST_LAYERS)
    columns = min(count, _PER_ROW)
    rows = math.ceil(count / columns)
    figure = style.new_figure(2.16 * columns + 0.6, 1.75 * rows + 0.3)
    axes = np.asarray(figure.subplots(rows, columns, squeeze=False, sharey=True)).ravel()
    for index in range(count):
        counts, chart = _active_pixels(levels[index], devices[index]), axes[index]
        total = len(counts)
        colours = colormaps[style.LEVEL_MAP](np.linspace(0, 1, total))
        chart.bar(range(total), counts / counts.sum(), width=0.86, color=colours)
        chart.axhline(1 / total, color=style.INK, linewidth=0.8, linestyle="--")
        chart.set_title(f"layer {index + 1}")
        chart.set_xlim(-0.7, total - 0.3)
        chart.xaxis.set_major_locator(MaxNLocator(5, integer=True))
        if index + columns >= count:
            chart.set_xlabel("level")
        if index % columns == 0:
            chart.set_ylabel("pixels")
            chart.yaxis.set_major_formatter(PercentFormatter(1))
    for empty in axes[count:]:
        empty.set_visible(False)
    return figure


def favoured_levels(levels: Sequence[np.ndarray], devices: Sequence[Device]) -> list[str]:
    """Return a sentence for each level of a finely divided device that far more pixels have than its neighbours.

    Layers of one device count together.
    """
    used: dict[str, tuple[Device, np.ndarray]] = {}
    for device, chosen in zip(devices, levels, strict=True):
        _, counts = used.get(device.digest, (device, 0))
        used[device.digest] = device, counts + _active_pixels(chosen, device)
    sentences = []
    for device, counts in used.values():
        total = len(device)
        if total < _MANY_LEVELS:
            continue
        order = np.argsort(device.control)
        shares = (counts / counts.sum())[order]
        end = max(3, round(total * _END))
        for i in range(end, total - end):
            beside = float(np.delete(shares[i - 3 : i + 4], 3).mean())
            if shares[i] >= max(_LEAST_FAVOURED, _FAVOURED / total, _FAVOURED * beside):
                here, even = share(float(shares[i])), share(1 / total)
                sentences.append(
                    f"Level {order[i]} of {device.name} has {here} of all pixels, where an even share is {even} and "
                    f"the levels beside it have {share(beside)} each: noise of the measurement may have favoured it."
                )
    return sentences


def _active_pixels(levels: np.ndarray, device: Device) -> np.ndarray:
    return np.bincount(levels[np.broadcast_to(~device.inactive, levels.shape)], minlength=len(device))


def _curve(axes: Axes, epochs: np.ndarray, values: np.ndarray, colour: str, label: str | None = None) -> None:
    axes.plot(epochs, values, color=colour, label=label, marker="o" if len(epochs) <= 30 else "", markersize=3)


def _epochs(axes: Axes) -> None:
    axes.set_xlabel("epoch")
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True, min_n_ticks=1))
    axes.grid(axis="y")
