"""Pictures of what lies across the beam: maps of layers, and light on its way through them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import BoundaryNorm, Normalize, PowerNorm
from matplotlib.figure import Figure

from voltphase.devices import Device
from voltphase.optics.grid import Grid
from voltphase.reporting import style
from voltphase.reporting.answers import Example, TaskPictures

_PER_ROW = 5
_MOST_LAYERS = 20
_MOST_PLANES = 7
_MOST_LEVEL_TICKS = 9
# Widths of planes beside each other, in heights.
_NARROWEST, _WIDEST = 0.6, 2.5

#: Light is shown by its amplitude's shade, or a few bright speckles would be all there is to see.
INTENSITY_POWER = 0.5


def level_figure(levels: Sequence[np.ndarray], devices: Sequence[Device], grids: Sequence[Grid]) -> Figure:
    """Draw the level of each pixel of each layer, integer ``rows x columns`` arrays; inactive pixels are left blank."""
    maps = [
        np.ma.masked_where(device.inactive, level) if device.inactive.any() else level
        for level, device in zip(levels, devices, strict=True)
    ]
    counts = [len(device) for device in devices]
    norms = [BoundaryNorm(np.arange(count + 1) - 0.5, 256) for count in counts]
    ticks = [np.arange(0.0, count, math.ceil(count / _MOST_LEVEL_TICKS)).tolist() for count in counts]
    return _layer_figure(maps, grids, style.LEVEL_MAP, norms, "level", ticks=ticks, shared=len(set(counts)) == 1)


def phase_figure(levels: Sequence[np.ndarray], devices: Sequence[Device], grids: Sequence[Grid]) -> Figure:
    """Draw the phase each layer adds to the light, modulo a turn."""
    maps = [phase_map(level, device) for level, device in zip(levels, devices, strict=True)]
    norms, ticks = [Normalize(0, 2 * math.pi)] * len(maps), [[0, math.pi, 2 * math.pi]] * len(maps)
    return _layer_figure(maps, grids, style.PHASE_MAP, norms, "phase (rad)", ticks=ticks, tick_labels=["0", "π", "2π"])


def amplitude_figure(levels: Sequence[np.ndarray], devices: Sequence[Device], grids: Sequence[Grid]) -> Figure:
    """Draw the factor each layer multiplies the light's amplitude by; a hard copy of the device, without gain."""
    maps = [amplitude_map(level, device) for level, device in zip(levels, devices, strict=True)]
    tables = (table for device in devices for table in device.tables)
    highest = max(1.0, *(float(table.amplitude.max()) for table in tables), *(float(values.max()) for values in maps))
    return _layer_figure(maps, grids, style.AMPLITUDE_MAP, [Normalize(0, highest)] * len(maps), "amplitude")


def phase_map(levels: np.ndarray, device: Device) -> np.ndarray:
    """Return the phase of each pixel in radians, modulo a turn: a ``rows x columns`` array."""
    inactive = np.full(len(device), np.angle(device.inactive_value))
    phases = np.stack([*(table.phase for table in device.tables), inactive])
    return np.mod(phases[0 if device.regions is None else device.regions, levels], 2 * math.pi)


def amplitude_map(levels: np.ndarray, device: Device) -> np.ndarray:
    """Return the factor on the amplitude at each pixel, a ``rows x columns`` array."""
    inactive = np.full(len(device), abs(device.inactive_value))
    amplitudes = np.stack([*(table.amplitude for table in device.tables), inactive])
    return amplitudes[0 if device.regions is None else device.regions, levels]


def propagation_figure(example: Example, pictures: TaskPictures, grids: Mapping[str, Grid]) -> Figure:
    """Draw a test image on its way: its light on each plane, what is read on the detector, and the output."""
    planes = shown_planes(list(example.intensity))
    # As high as each other, but for what would be a strip.
    widths = [min(max(grids[name].extent[1] / grids[name].extent[0], _NARROWEST), _WIDEST) for name in planes]
    ratio = max(_height_ratio(grids[name]) * width for name, width in zip(planes, widths, strict=True))
    figure = style.new_figure(1.55 * sum(widths) + 2.1, 0.8 + 1.4 * ratio)
    axes = figure.subplots(1, len(planes) + 1, width_ratios=[*widths, 1.1])
    for position, (name, plane_axes) in enumerate(zip(planes, axes, strict=False)):
        plane_axes.set_title(show_light(plane_axes, example, name, grids[name]))
        style.label_millimetres(plane_axes, y=position == 0 or grids[name].extent != grids[planes[0]].extent)
    pictures.draw_on_detector(axes[len(planes) - 1], grids[planes[-1]], example)
    pictures.draw_output(axes[-1], example)
    return figure


def shown_planes(names: list[str], most: int = _MOST_PLANES) -> list[str]:
    """Return up to ``most`` planes, first and last among them, spread evenly over ``names``."""
    return [names[index] for index in np.linspace(0, len(names) - 1, min(most, len(names))).round().astype(int)]


def show_light(axes: Axes, example: Example, name: str, grid: Grid) -> str:
    """Show the light of an example on a plane, and return what the plane is called.

    That is its intensity, or on the source its phase where that alone carries the image.
    """
    if name == "source" and example.phase is not None:
        style.show_plane(axes, example.phase, grid, cmap=style.PHASE_MAP, vmin=0, vmax=2 * math.pi)
        return "input: phase"
    show_intensity(axes, example.intensity[name], grid)
    return "input" if name == "source" else name


def show_intensity(axes: Axes, intensity: np.ndarray, grid: Grid) -> None:
    """Show the intensity of light on a plane, scaled to its own maximum."""
    top = max(float(intensity.max()), float(np.finfo(np.float32).tiny))
    norm = PowerNorm(INTENSITY_POWER, 0, top, clip=True)
    style.show_plane(axes, intensity, grid, cmap=style.INTENSITY_MAP, norm=norm)


def _height_ratio(grid: Grid) -> float:
    return min(max(grid.extent[0] / grid.extent[1], 0.3), 3)


def _layer_figure(
    maps: Sequence[np.ndarray],
    grids: Sequence[Grid],
    colours: str,
    norms: Sequence[Normalize],
    meaning: str,
    *,
    ticks: Sequence[list[float]] | None = None,
    tick_labels: list[str] | None = None,
    shared: bool = True,
) -> Figure:
    count, alike = min(len(maps), _MOST_LAYERS), len(set(grids)) == 1
    columns = min(count, _PER_ROW)
    rows = math.ceil(count / columns)
    width, height = (2.1, 1.96) if shared else (2.2, 1.55)
    ratio = max(_height_ratio(grid) for grid in grids[:count])
    figure = style.new_figure(width * columns + 1.0, (height * ratio + 0.36) * rows + 0.4)
    axes = np.asarray(figure.subplots(rows, columns, squeeze=False)).ravel()
    for index in range(count):
        style.show_plane(axes[index], maps[index], grids[index], cmap=colours, norm=norms[index])
        axes[index].set_title(f"layer {index + 1}")
        last, first = index + columns >= count, index % columns == 0
        # Numbers on the outer axes alone would be those of another plane where planes differ.
        style.label_millimetres(axes[index], x=last or not alike, y=first or not alike)
    for empty in axes[count:]:
        empty.set_visible(False)
    for index in [0] if shared else range(count):
        bar = figure.colorbar(
            ScalarMappable(norms[index], colours),
            ax=list(axes[:count]) if shared else axes[index],
            ticks=ticks[index] if ticks else None,
            fraction=0.05,
            pad=0.012,
            aspect=22,
        )
        bar.set_label(meaning)
        bar.outline.set_visible(False)
        bar.minorticks_off()
        if tick_labels:
            bar.set_ticklabels(tick_labels)
    return figure
