"""The page of a bench sheet."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import islice
from typing import Any, Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Ellipse, Rectangle
from numpy.typing import NDArray

from voltphase.core.units import metres
from voltphase.deployment.formulas import ELEMENT_FORMULAS
from voltphase.deployment.note import light_words, span
from voltphase.deployment.note_planes import in_turn, networks_words, splitters_words
from voltphase.optics.grid import Grid
from voltphase.reporting.bench_sheet import blocks
from voltphase.reporting.bench_sheet.blocks import Block
from voltphase.reporting.bench_sheet.content import Sheet
from voltphase.reporting.bench_sheet.pattern import pattern_of
from voltphase.reporting.style import ACCENT, INK, MUTED, SECOND, plain, show_plane

# Pictures side by side.
_FEW, _MANY = 4, 7
# Regions below so many points hold no number that can be read.
_READABLE: Final = 5.5
# Labels along the axis that are closer than this, as a part of its length, stand at two heights.
_CROWDED: Final = 0.13
# Rows of a table that still is looked at on paper.
_MOST_ROWS: Final = 40
# Characters of a line of text that the page is wide.
_WIDTH: Final = 124


def sheet_figure(sheet: Sheet, patterns: list[list[str]], inputs: list[str]) -> Figure:
    """Return the page.

    Args:
        sheet: What it shows.
        patterns: Names of the files of the test pattern of each layer; none where nothing is loaded.
        inputs: Names of the pictures of the test inputs.
    """
    return blocks.page(list(_blocks(sheet, patterns, inputs)))


def _blocks(sheet: Sheet, patterns: list[list[str]], inputs: list[str]) -> Iterator[Block]:
    manifest = sheet.manifest
    yield blocks.title(f"Bench sheet: {sheet.name:.60}")
    yield blocks.lines(
        [
            *textwrap.wrap(f"Wavelength {light_words(manifest)}.", _WIDTH),
            "Polarisation: as in the measurement of the devices; no table records it, note it here: ______________",
            "Planes are drawn as an eye sees them that looks along the light, from the source to the detector: row 0 "
            "at the top, column 0 left.",
            "After an odd number of reflections, mirror what is loaded and what is read left to right. Never let a "
            "driver scale or smooth a map.",
        ]
    )
    yield blocks.heading("Along the light")
    yield Block(1.25, partial(_draw_axis, sheet))
    if words := list(_standing(sheet)):
        yield blocks.lines(words)
    yield blocks.heading("Devices and detector, in mm")
    devices, detectors = list(_planes(sheet)), list(_detectors(sheet))
    across, high = _row(len(devices) + len(detectors))
    if apart := _region_points(sheet, blocks.picture_width(across), high) < _READABLE:
        across, high = _row(len(devices))
    yield blocks.pictures([*devices, *([] if apart else detectors)], in_a_row=across, height=high)
    if apart:
        yield blocks.pictures(detectors, in_a_row=2, height=1.0)
    yield blocks.heading("What goes where")
    yield _files(sheet, patterns)
    if told := list(_told(sheet)):
        yield blocks.lines(told)
    if sheet.inputs:
        yield blocks.heading("Source: test inputs" + (", and the test pattern of a device" if patterns else ""))
        yield blocks.pictures(list(_tests(sheet, patterns, inputs)), in_a_row=_FEW, height=1.2)
    yield blocks.heading("Detector: regions, and readings expected as parts of the largest of each input")
    yield _regions(sheet)


def _standing(sheet: Sheet) -> Iterator[str]:
    """Yield the lines on elements, splitters and networks."""
    manifest = sheet.manifest
    for kind, position, words, _ in islice(in_turn(manifest), _MOST_ROWS):
        if kind in ELEMENT_FORMULAS:
            yield from textwrap.wrap(f"At {position * 1e3:.6g} mm, {words}.", _WIDTH)
    networks = [] if manifest.beams is None else islice(networks_words(manifest), _MOST_ROWS)
    for text in [*splitters_words(manifest), *networks]:
        yield from textwrap.wrap(text, _WIDTH)


def _told(sheet: Sheet) -> Iterator[str]:
    """Yield the lines on how files are loaded, each paragraph once, and then on each layer."""
    recorded = list(zip(sheet.layers, sheet.manifest.layers, strict=True))
    paragraphs = (text for layer, record in recorded for text in sheet.target.loading(layer, record.written))
    for text in islice(dict.fromkeys(paragraphs), _MOST_ROWS):
        yield from textwrap.wrap(text, _WIDTH)
    for layer, record in recorded[:_MOST_ROWS]:
        if words := sheet.target.summary(layer, record.written):
            yield f"{layer.number}: {words:.{_WIDTH}}"


def _draw_axis(sheet: Sheet, figure: Figure, top: float) -> None:
    """Draw the planes along the axis to scale, with the distances between them."""
    axes = blocks.axes_at(figure, blocks.MARGIN, top - 1.2, blocks.WIDTH - 2 * blocks.MARGIN, 1.15)
    # At each place there may be a plane of each network side by side, and elements.
    standing: dict[float, list[tuple[str, str, Grid]]] = {}
    for name, position, load, grid in in_turn(sheet.manifest):
        standing.setdefault(round(position * 1e3, 9), []).append((name, load, grid))
    standing = dict(sorted(standing.items()))
    at, planes = [*standing], [*standing.values()]
    length = at[-1] or 1.0
    names = list(map(_name, planes))
    axes.annotate("", (length, 0), (0, 0), arrowprops={"arrowstyle": "->", "color": ACCENT, "lw": 1.2})
    heights = [max(grid.rows * grid.pitch[0] for *_, grid in each) for each in planes]
    high = False
    for number, (position, name, height) in enumerate(zip(at, names, heights, strict=True)):
        high = number > 0 and position - at[number - 1] < _CROWDED * length and not high
        beyond = 0.82 if high else 0.58
        half = 0.5 * height / max(heights)
        if all(kind in ELEMENT_FORMULAS for kind, *_ in planes[number]):
            look: dict[str, Any] = {"facecolor": "white", "edgecolor": INK, "lw": 1.2, "zorder": 3}
            axes.add_patch(Ellipse((position, 0), 0.014 * length, 2 * half, **look))
        else:
            axes.plot([position, position], [-half, half], color=INK, lw=2, solid_capstyle="butt")
        axes.text(position, beyond, plain(f"{name:.18}"), ha="center", va="bottom", size=7, color=INK)
        axes.text(position, -beyond, f"{position:.6g} mm", ha="center", va="top", size=7, color=MUTED)
        if number:
            middle, gap = (position + at[number - 1]) / 2, position - at[number - 1]
            axes.text(middle, 0.06, f"{gap:.5g}", ha="center", va="bottom", size=7, color=ACCENT)
    eye = -0.06 * length
    axes.add_patch(Ellipse((eye, 0), 0.03 * length, 0.34, fill=False, color=INK))
    axes.add_patch(Ellipse((eye + 0.005 * length, 0), 0.01 * length, 0.18, color=INK))
    axes.text(eye, -0.3, "eye", ha="center", va="top", size=7, color=INK)
    axes.set(xlim=(-0.09 * length, 1.06 * length), ylim=(-1.05, 1.05))
    axes.set_axis_off()


def _name(standing: Sequence[tuple[str, str, Grid]]) -> str:
    """Return what stands at a place of the axis: the file of a layer, or the numbers of several side by side."""
    layers = [(name.removeprefix("layer "), load) for name, load, _ in standing if name.startswith("layer ")]
    others = [name for name, *_ in standing if not name.startswith("layer ")]
    if len(layers) > 1:
        return ", ".join([f"layers {', '.join(number for number, _ in layers)}", *others])
    return ", ".join([*(load for _, load in layers), *others])


def _planes(sheet: Sheet) -> Iterator[Callable[[Axes], None]]:
    for layer, level, record in islice(zip(sheet.layers, sheet.levels, sheet.manifest.layers, strict=True), _MOST_ROWS):
        values = np.argsort(np.argsort(layer.device.control))[level]
        name = f"{layer.number}: {record.target.files[0].file:.20}"
        yield partial(_draw_map, name, values, layer.grid, "gray")


def _detectors(sheet: Sheet) -> Iterator[Callable[[Axes], None]]:
    for name, _, grid in sheet.manifest.positions[len(sheet.layers) + 1 :]:
        yield partial(_draw_detector, sheet, name, grid)


def _row(count: int) -> tuple[int, float]:
    """Return how many pictures stand in a row, and how high they are in inches."""
    across = min(max(count, _FEW), _MANY)
    return across, 1.2 if across == _FEW else 0.9


def _region_points(sheet: Sheet, width: float, height: float) -> float:
    """Return the shortest side of a region in points, of a detector in a picture of so many inches."""
    _, _, grid = sheet.manifest.positions[-1]
    inches = min(width / grid.extent[1], height / grid.extent[0])  # of a metre
    sides = ((rows * grid.pitch[0], columns * grid.pitch[1]) for *_, rows, columns in sheet.manifest.readout.regions)
    return 72 * inches * min(map(min, sides), default=0.0)


def _draw_map(name: str, values: NDArray[np.generic], grid: Grid, colours: str, axes: Axes) -> None:
    show_plane(axes, np.asarray(values), grid, cmap=colours)
    _mark(axes, name)


def _mark(axes: Axes, name: str) -> None:
    """Name a plane, and mark its top and its left."""
    axes.set_title(plain(name), size=7, pad=9)
    axes.tick_params(labelsize=6, pad=1)
    told = {"transform": axes.transAxes, "size": 5.5, "color": SECOND}
    axes.text(0.5, 1.01, "TOP", ha="center", va="bottom", **told)
    paper = {"facecolor": "white", "edgecolor": "none", "pad": 0.8}
    axes.text(0.02, 0.5, "LEFT", ha="left", va="center", rotation=90, bbox=paper, **told)


def _draw_detector(sheet: Sheet, name: str, grid: Grid, axes: Axes) -> None:
    readout = sheet.manifest.readout
    show_plane(axes, np.zeros(grid.shape), grid, cmap="gray_r", vmin=0, vmax=1)
    y, x = (each.numpy() * 1e3 for each in grid.coordinates())
    pitch_y, pitch_x = (pitch * 1e3 for pitch in grid.pitch)
    for index, box in enumerate(readout.regions):
        which, (row, column, height, width), _ = sheet.manifest.seen(box)
        if which and name != f"detector {which}":
            continue
        corner = (x[column] - pitch_x / 2, y[row] - pitch_y / 2)
        size = (width * pitch_x, height * pitch_y)
        axes.add_patch(Rectangle(corner, *size, fill=False, edgecolor=ACCENT, lw=0.7))
        middle = (corner[0] + size[0] / 2, corner[1] + size[1] / 2)
        if len(readout.regions) <= _MOST_ROWS:
            axes.text(*middle, str(index), ha="center", va="center", size=5, color=INK)
    _mark(axes, name)


def _files(sheet: Sheet, patterns: list[list[str]]) -> Block:
    rows = []
    for number, (layer, record) in enumerate(zip(sheet.layers, sheet.manifest.layers, strict=True)):
        (pitch_y, pitch_x), written = layer.grid.pitch, record.written
        pitch = f"{pitch_x * 1e6:.4g}" if pitch_x == pitch_y else f"{pitch_y * 1e6:.4g} x {pitch_x * 1e6:.4g}"
        rows.append(
            (
                f"layer {layer.number}",
                ", ".join(sheet.target.to_load(written)),
                f"{layer.device.name}, {len(layer.device)} levels",
                f"{layer.grid.rows} x {layer.grid.columns}, {pitch} um",
                "{:.4g} x {:.4g} mm".format(*(length * 1e3 for length in layer.grid.extent)),
                ", ".join(patterns[number]) if patterns else "",
            )
        )
    shown, left = rows[:_MOST_ROWS], rows[_MOST_ROWS:]
    if left:
        shown.append(("...", f"{len(left)} more in README.txt", "", "", "", ""))
    head = ("device", "file", "made for", "rows x columns, pitch", "height x width", "test pattern" if patterns else "")
    return blocks.table(head, shown, (0.8, 2.1 if patterns else 3.8, 2.1, 1.9, 1.5, 1.8 if patterns else 0.1))


def _tests(sheet: Sheet, patterns: list[list[str]], inputs: list[str]) -> Iterator[Callable[[Axes], None]]:
    grid = sheet.manifest.grids[0]
    for number, (values, label, name) in enumerate(zip(sheet.on_source, sheet.labels, inputs, strict=True), start=1):
        of = f" ({label:.14})" if label else ""
        yield partial(_draw_map, f"input {number}{of}: {name}", values, grid, "gray")
    if patterns:
        layer = sheet.layers[0]
        values = (pattern_of(layer) > 0).astype(int)
        yield partial(_draw_map, f"test pattern: {patterns[0][0]:.18}", values, layer.grid, "gray")


def _regions(sheet: Sheet) -> Block:
    manifest, readout = sheet.manifest, sheet.manifest.readout
    detector = manifest.grids[-1]
    if readout.pixels is not None:
        where = "rows {}-{}, columns {}-{}; y {} mm, x {} mm".format(*span(readout.regions[0], detector))
        size = "{} x {}".format(*readout.pixels)
        return blocks.lines([f"A picture of {size} pixels in {where}; expected pictures are in sample-readings.npy."])
    largest = [np.abs(reading).max() or 1.0 for reading in sheet.readings]
    rows, light = [], [""]
    if readout.differential == "wavelength" and manifest.light is not None:  # each region is read at both in turn
        middles = {line.states_of: line.wavelength_m for line in manifest.light.lines}
        light = [f", {metres(middles[band])}" for band in (0, 1)]
    for index, box in enumerate(readout.on_detector.boxes[: _MOST_ROWS // len(light)]):
        number = readout.on_detector.class_of(index)
        name = readout.classes[number] if readout.classes else str(number)
        name += (" -" if index % 2 else " +") if readout.differential is True else ""
        which, there, grid = manifest.seen(box)
        name += f", detector {which}" * bool(which)
        top, bottom, left, right, down, across = span(there, grid)
        for channel, at in enumerate(light, start=index * len(light)):
            parts = (f"{reading[channel] / most:.3f}" for reading, most in zip(sheet.readings, largest, strict=True))
            rows.append((str(index), f"{name}{at}", f"{top}-{bottom}", f"{left}-{right}", down, across, *parts))
    tests = [f"input {number}" for number in range(1, len(sheet.readings) + 1)]
    if (more := len(readout.regions) - len(rows) // len(light)) > 0:
        rows.append(("...", f"{more} more in README.txt", *[""] * (4 + len(tests))))
    head = ("region", "class", "rows", "columns", "y from, to (mm)", "x from, to (mm)", *tests)
    return blocks.table(head, rows, (0.7, 1.2, 1, 1, 1.5, 1.5, *[0.8] * len(tests)))
