"""The report of a run: one HTML file that needs nothing beside it."""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence
from html import escape
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import Any

from matplotlib.figure import Figure

from voltphase.codesign import CodesignLayer
from voltphase.core.errors import DataError
from voltphase.core.files import checked_path, write_text
from voltphase.core.words import printable
from voltphase.devices import Device, DeviceStates
from voltphase.optics.grid import Grid
from voltphase.reporting import charts as figures
from voltphase.reporting import maps, style
from voltphase.reporting.device import device_figure
from voltphase.reporting.run_view import Example, RunView
from voltphase.tasks import require_regions

REPORT_NAME = "report.html"

# Two dots for each sample of the widest map keep single pixels apart; more only makes the file larger.
_MAP_INCHES = 1.7
_LEAST_DOTS, _MOST_DOTS = 130, 240
_SCREEN_DOTS = 96
_PHONE_WIDTH = 720
_MOST_DEVICES_NAMED = 2
_MOST_DEVICES_DRAWN = 5


def write_report(run: str | Path, *, data_dir: str | Path | None = None) -> Path:
    """Draw ``report.html`` into a run folder, in place of an earlier one.

    Args:
        run: A finished run, as training left it.
        data_dir: Where data sets lie; where the run's configuration says by default.

    Returns:
        The path of the report.

    Raises:
        DataError: if the folder is no finished run, is damaged, or its data set cannot be had.
        OutputError: if the report cannot be written.
    """
    path = checked_path(run, DataError) / REPORT_NAME
    with style.house_style():
        write_text(path, report_html(RunView.of(run, data_dir)))
    return path


def report_html(view: RunView) -> str:
    """The whole page."""
    page = Template(files("voltphase.reporting").joinpath("report.html.template").read_text(encoding="utf-8"))
    summary, config = view.summary, view.config
    layers = view.layers
    return page.substitute(
        title=_shown(f"{view.name}: {_percent(summary['test_accuracy'])} on {config.data.name}"),
        heading=_shown(f"A diffractive network for {config.data.name}"),
        subtitle=_shown(_subtitle(view, layers)),
        accuracy=_percent(summary["test_accuracy"]),
        accuracy_note=_shown(
            f"of {len(view.test)} test images answered right with one device state per pixel, as it would be deployed"
        ),
        facts="\n".join(
            f"<div><dt>{_shown(name)}</dt><dd>{_shown(value)}</dd></div>" for name, value in _facts(view, layers)
        ),
        sections="\n".join(_sections(view, layers)),
        config=_shown(config.to_yaml().strip()),
        versions=_shown(_versions(summary)),
    )


def _sections(view: RunView, layers: list[CodesignLayer]) -> list[str]:
    model, classes = view.model, view.test.classes
    grids, regions = model.grids[1:-1], require_regions(model.readout).regions
    devices = [layer.device_states for layer in layers]
    levels = [layer.levels().cpu().numpy() for layer in layers]
    dots = min(max(2 * max(max(grid.shape) for grid in grids) / _MAP_INCHES, _LEAST_DOTS), _MOST_DOTS)
    right = int((view.predictions == view.test.labels.numpy()).sum())
    matrix = figures.confusion_matrix(view.predictions, view.test.labels.numpy(), len(classes))

    def drawing(figure: Figure, text: str, caption: str) -> str:
        return _figure("svg+xml", style.svg(figure), figure, text, caption)

    def picture(figure: Figure, text: str, caption: str) -> str:
        return _figure("png", style.png(figure, dots_per_inch=dots), figure, text, caption)

    examples = [
        picture(
            maps.propagation_figure(example, regions, view.grids, classes),
            f"Test image {example.index} on each plane",
            _example_caption(example, classes),
        )
        for example in view.examples
    ]
    return [
        _section(
            "learning",
            "Learning",
            "Test accuracy is that of the deployed states: one state for each pixel. Training accuracy is "
            "of what light saw in training, drawn at random or mixed: until the choice is settled the two differ.",
            drawing(figures.learning_figure(view.metrics), "Learning curves", ""),
        ),
        _section(
            "light",
            "An image on its way through the network",
            "Intensity of the light that arrives on each plane, each panel scaled to its own brightest sample; shades "
            "go with the amplitude, so that dim light shows. On the detector the region that won is drawn bright, and "
            "the right one dashed where it lost.",
            *examples,
        ),
        _section(
            "maps",
            "What is loaded on the devices",
            "The level of every pixel, and the phase and amplitude the device gives for it.",
            picture(maps.level_figure(levels, devices, grids), "Level maps", "Levels."),
            picture(maps.phase_figure(levels, devices, grids), "Phase maps", "Phase, modulo a turn."),
            picture(maps.amplitude_figure(levels, devices, grids), "Amplitude maps", "Amplitude."),
        ),
        _section(
            "device",
            "The states of the device",
            "Each dot is a state a pixel can take. On the complex plane its distance from the centre is the amplitude, "
            "its angle the phase; the circle is a pixel that takes no light away. Numbers are levels.",
            *(
                drawing(device_figure(device), f"States of {device.name}", _device_caption(device, devices))
                for device in figures.different_devices(devices)[:_MOST_DEVICES_DRAWN]
            ),
            drawing(
                figures.level_use_figure(levels, devices),
                "Use of levels",
                "Share of each layer's pixels in each level; dashed: an even share.",
            ),
            *(f"<p>{escape(sentence)}</p>" for sentence in figures.favoured_levels(levels, devices)),
            *(f"<p>Note: {escape(note)}</p>" for note in _notes(view.summary)),
        ),
        _section(
            "answers",
            "Answers and light",
            "",
            '<div class="pair">',
            drawing(
                figures.confusion_figure(matrix, classes),
                "Confusion matrix",
                f"Test images by what they show and what was answered: {right} of {len(view.test)} right.",
            ),
            drawing(
                figures.light_figure(view.light, len(layers)),
                "Light left along the axis",
                "Light left along the axis, mean over test images. Drops at a layer are taken by the device, slopes "
                "between layers leave the aperture. Gain, which no hardware has, is not counted.",
            ),
            "</div>",
        ),
    ]


def _shown(text: str) -> str:
    """Text as a page shows it as it is, line by line."""
    return escape("\n".join(map(printable, text.split("\n"))))


def _section(name: str, title: str, text: str, *parts: str) -> str:
    paragraph = f"<p>{_shown(text)}</p>" if text else ""
    return f'<section id="{name}">\n<h2>{_shown(title)}</h2>\n{paragraph}\n' + "\n".join(parts) + "\n</section>"


def _figure(kind: str, content: bytes, figure: Figure, text: str, caption: str) -> str:
    width, height = (round(side * _SCREEN_DOTS) for side in figure.get_size_inches())
    source = f"data:image/{kind};base64,{base64.b64encode(content).decode('ascii')}"
    below = f"<figcaption>{_shown(caption)}</figcaption>" if caption else ""
    wide = ' class="wide"' if width > _PHONE_WIDTH else ""
    image = f'<img src="{source}" alt="{_shown(text)}" width="{width}" height="{height}">'
    return f'<figure{wide} style="width:{width}px"><div>{image}</div>{below}</figure>'


def _example_caption(example: Example, classes: Sequence[str]) -> str:
    shown, answered = classes[example.label], classes[example.prediction]
    verdict = "and was answered right" if example.prediction == example.label else f"and was answered “{answered}”"
    return f"Test image {example.index} shows “{shown}” {verdict}."


def _device_caption(device: DeviceStates, devices: Sequence[Device]) -> str:
    layers = [
        str(number)
        for number, other in enumerate(devices, start=1)
        if device.digest in {table.digest for table in figures.different_devices([other])}
    ]
    if len(layers) == len(devices):
        return ""
    return f"On {'layer' if len(layers) == 1 else 'layers'} {', '.join(layers)}."


def _subtitle(view: RunView, layers: list[CodesignLayer]) -> str:
    count = len(layers)
    return (
        f"{count} {'layer' if count == 1 else 'layers'} of {_devices(layers)} in free space, "
        f"{_sizes(view.model.grids[1:-1])} pixels each"
    )


def _sizes(grids: Sequence[Grid]) -> str:
    least, most = (f"{grid.rows} × {grid.columns}" for grid in _ends(grids, lambda grid: grid.rows * grid.columns))
    return least if least == most else f"{least} to {most}"


def _pitches(grids: Sequence[Grid]) -> str:
    least, most = (
        " × ".join(dict.fromkeys(f"{side * 1e6:.4g}" for side in grid.pitch))
        for grid in _ends(grids, lambda grid: grid.pitch[0] * grid.pitch[1])
    )
    return least if least == most else f"{least} to {most}"


def _ends(grids: Sequence[Grid], size: Callable[[Grid], float]) -> tuple[Grid, Grid]:
    return min(grids, key=size), max(grids, key=size)


def _devices(layers: list[CodesignLayer]) -> str:
    names = list(dict.fromkeys(f"{d.name} ({len(d)} levels)" for d in (layer.device_states for layer in layers)))
    return ", ".join(names) if len(names) <= _MOST_DEVICES_NAMED else f"{len(names)} different devices"


def _facts(view: RunView, layers: list[CodesignLayer]) -> list[tuple[str, str]]:
    summary, model, training = view.summary, view.model, view.config.training
    distances = sorted(set(model.distances))
    gaps = f"{distances[0] * 1e3:.4g}" + (f" to {distances[-1] * 1e3:.4g}" if len(distances) > 1 else "") + " mm"
    facts = [
        ("training accuracy", _percent(summary["train_accuracy"]) if "train_accuracy" in summary else ""),
        ("data", f"{view.config.data.name}, {len(view.test)} test images"),
        ("device", _devices(layers)),
        ("samples", f"{_sizes(model.grids)}, pitch {_pitches(model.grids)} µm"),
        ("layers", f"{len(layers)}, gaps of {gaps}"),
        ("wavelength", f"{model.wavelength * 1e9:.4g} nm"),
        ("light on the detector", figures.share(float(view.light.kept[-1]))),
        ("training", f"{summary.get('epochs', training.epochs)} epochs, {_duration(summary.get('seconds'))}"),
        ("refined after training", _refined(_mapping(summary.get("refined")))),
        ("seed", str(summary.get("seed", view.config.seed))),
    ]
    return [(name, value) for name, value in facts if value]


def _refined(refined: dict[str, Any]) -> str:
    if not refined:
        return ""
    return (
        f"loss {refined['loss_before']:.4f} to {refined['loss_after']:.4f} on {refined['images']} training images, "
        f"{refined['changed_pixels']} pixels changed"
    )


def _versions(summary: dict[str, Any]) -> str:
    lines = [f"{name} {version}" for name, version in _mapping(summary.get("versions")).items()]
    if commit := summary.get("commit"):
        lines.append(f"commit {commit}")
    lines += [f"{name}: {value}" for name, value in _mapping(summary.get("hardware")).items()]
    return "\n".join(lines)


def _notes(summary: dict[str, Any]) -> list[str]:
    """What training said of the devices' tables, each once."""
    devices = summary.get("devices")
    about = [_mapping(device).get("notes") for device in devices] if isinstance(devices, list) else []
    return list(dict.fromkeys(str(note) for notes in about if isinstance(notes, list) for note in notes))


def _mapping(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _percent(fraction: float) -> str:
    return f"{fraction:.1%}" if fraction < 0.9995 else f"{fraction:.2%}"


def _duration(seconds: object) -> str:
    if not isinstance(seconds, int | float):
        return "unknown time"
    if seconds < 100:
        return f"{seconds:.0f} s"
    minutes = seconds / 60
    return f"{minutes:.0f} min" if minutes < 100 else f"{minutes / 60:.1f} h"
