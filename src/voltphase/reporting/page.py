"""The report of a run: one HTML file that needs nothing beside it."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable, Sequence
from html import escape
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING

from matplotlib.figure import Figure

from voltphase.core.errors import DataError
from voltphase.core.files import checked_path, write_text
from voltphase.core.units import metres
from voltphase.core.words import counted, duration, printable
from voltphase.devices import Device, DeviceStates
from voltphase.network.describe import detectors_of, light_of, way_of
from voltphase.optics.grid import Grid
from voltphase.optics.paths import length_of
from voltphase.reporting import charts, maps, style
from voltphase.reporting.device import device_figure
from voltphase.reporting.run_view import RunView

if TYPE_CHECKING:
    from voltphase.data import Images
    from voltphase.training.run_folder import Summary

REPORT_NAME = "report.html"

# Two dots for each sample of the widest map keep single pixels apart; more only makes the file larger.
_MAP_INCHES = 1.7
_LEAST_DOTS, _MOST_DOTS = 130, 240
_SCREEN_DOTS = 96
_PHONE_WIDTH = 720
_MOST_DEVICES_NAMED = 2
_MOST_NETWORKS_NAMED = 4
_MOST_DEVICES_DRAWN = 5
_ELSEWHERE = "in a loop of one's own in Python: the settings of training below are not its settings"
_IMPORTED = "none here, an imported design: the settings of training below are not its settings"


def write_report(
    run: str | Path,
    *,
    data_dir: str | Path | None = None,
    test_set: Images | None = None,
    watch: Callable[[str], None] | None = None,
) -> Path:
    """Draw ``report.html`` into a run folder, in place of an earlier one.

    Args:
        run: Path of the folder of a finished run.
        data_dir: Folder of the data sets; the one of the run's configuration by default.
        test_set: Test images of a run that was trained on images given in Python, a data set or ``(images, labels)``:
            ``test_set`` of the :class:`voltphase.workflow.TrainedRun`.
        watch: Function that is called with the title of each part of the page before it is drawn.

    Returns:
        The path of the report.

    Raises:
        DataError: if the folder is no finished run, is damaged, or its data set cannot be had.
        OutputError: if the report cannot be written.
    """
    path = checked_path(run, DataError) / REPORT_NAME
    with style.house_style():
        write_text(path, report_html(RunView.of(run, data_dir, test_set), watch))
    return path


def report_html(view: RunView, watch: Callable[[str], None] | None = None) -> str:
    """Return the whole page of a run; ``watch`` is called with the title of each part before it is drawn."""
    metric, data = view.metric, view.data_name
    value = metric.text(view.summary.metric(metric.column("test")))
    parts = (
        ("learning", "light", "maps", "device", "answers") if view.history else ("light", "maps", "device", "answers")
    )
    return page_html(
        title=f"{view.name}: {value} on {data}",
        heading=f"A diffractive network for {data}",
        subtitle=_subtitle(view),
        value=value,
        value_note=view.pictures.headline(metric.name, len(view.test)),
        facts=_facts(view),
        parts=parts,
        sections=sections(view, watch),
        footer=("Settings and versions", view.config.to_yaml().strip(), _versions(view.summary)),
    )


def page_html(
    *,
    title: str,
    heading: str,
    subtitle: str,
    value: str,
    value_note: str,
    facts: Iterable[tuple[str, str]],
    parts: Sequence[str],
    sections: Sequence[str],
    footer: Sequence[str],
) -> str:
    """Return a whole page.

    Args:
        title: Title of its tab.
        heading: Heading at its top.
        subtitle: Line below that.
        value: Figure that matters most.
        value_note: What that is.
        facts: Names and texts of what else is to be known at once.
        parts: Name of each section, to go there.
        sections: Sections; see :func:`section`.
        footer: Heading of the last part, and texts that stand there in columns.
    """
    template = Template(files("voltphase.reporting").joinpath("report.html.template").read_text(encoding="utf-8"))
    last, *texts = footer
    links = {part: part.capitalize() for part in parts} | {"settings": "Settings"}
    return template.substitute(
        title=_shown(title),
        heading=_shown(heading),
        subtitle=_shown(subtitle),
        value=_shown(value),
        value_note=_shown(value_note),
        facts="\n".join(f"<div><dt>{_shown(name)}</dt><dd>{_shown(text)}</dd></div>" for name, text in facts),
        nav=" ".join(f'<a href="#{name}">{text}</a>' for name, text in links.items()),
        sections="\n".join(sections),
        footer_title=_shown(last),
        footer="\n".join(f'<pre class="columns">{_shown(text)}</pre>' for text in texts),
    )


def sections(view: RunView, watch: Callable[[str], None] | None = None) -> list[str]:
    """Return the parts of a run's page, each with its pictures; ``watch`` is as for :func:`report_html`."""
    parts = {
        **({"learning curves": _learning} if view.history else {}),
        "images on their way": _light,
        "maps": _maps,
        "devices": _device,
        "answers": _answers,
    }
    drawn = []
    for title, draw in parts.items():
        if watch is not None:
            watch(title)
        drawn.append(draw(view))
    return drawn


def _learning(view: RunView) -> str:
    name = view.metric.name
    return section(
        "learning",
        "Learning",
        f"Test {name} is that of the deployed states: one state for each pixel. Training {name} is "
        "that of the states as they were in training, drawn at random or mixed: until the choice is settled the two "
        "differ.",
        drawing(charts.learning_figure(view.history, view.metric), "Learning curves"),
    )


def _light(view: RunView) -> str:
    by_phase = " Of the input its phase is drawn, which alone carries the image, from light for 0 to dark for π."
    by_phase *= any(example.phase is not None for example in view.examples)
    return section(
        "light",
        "An image on its way through the network",
        "Intensity of the light that arrives on each plane, each panel scaled to its own brightest sample; shades "
        f"go with the amplitude, so that dim light shows.{_of_beams(view)}{by_phase}{view.pictures.detector_note}",
        *(
            _picture(
                view,
                maps.propagation_figure(example, view.pictures, view.grids),
                f"Test image {example.index} on each plane",
                view.pictures.caption(example),
            )
            for example in view.examples
        ),
    )


def _of_beams(view: RunView) -> str:
    """Return sentences on what of the light is in a picture, and whose the layers are."""
    model, sentences = view.model, ""
    if len(model.spectrum.each) > 1 or model.coherence is not None:
        sentences += " Intensities of all wavelengths and modes are added."
    if (count := model.networks.count) > 1:
        depth = len(model.layers) // count
        each = (f"{depth * number + 1} to {depth * (number + 1)}" for number in range(count)[:_MOST_NETWORKS_NAMED])
        more = ", and so on" * (count > _MOST_NETWORKS_NAMED)
        sentences += f" Each network has layers of its own, in turn {', '.join(each)}{more}, all lit by the input."
    if model.layout.detectors is not None and model.layout.combination.areas > 1:
        sentences += " Several detectors are drawn side by side, the first on the left."
    return sentences


def _maps(view: RunView) -> str:
    loaded, light = (view.levels, view.devices, view.model.grids[1:-1]), view.model.spectrum.wavelengths
    at = f", at {metres(light[0])}, the first of {len(light)} wavelengths" if len(light) > 1 else ""
    return section(
        "maps",
        "What is loaded on the devices",
        f"The level of every pixel, and the phase and amplitude the device gives for it{at}.",
        _picture(view, maps.level_figure(*loaded), "Level maps", "Levels."),
        _picture(view, maps.phase_figure(*loaded), "Phase maps", f"Phase, modulo a turn{at}."),
        _picture(view, maps.amplitude_figure(*loaded), "Amplitude maps", f"Amplitude{at}."),
    )


def _device(view: RunView) -> str:
    levels, devices = view.levels, view.devices
    notes = dict.fromkeys(note for device in view.summary.devices for note in device.notes)
    return section(
        "device",
        "The states of the device",
        "Each dot is a state a pixel can take. On the complex plane its distance from the centre is the amplitude, "
        "its angle the phase; the circle is a pixel that takes no light away. Numbers are levels.",
        *(
            drawing(device_figure(device), f"States of {device.name}", _device_caption(device, devices))
            for device in charts.different_devices(devices)[:_MOST_DEVICES_DRAWN]
        ),
        drawing(
            charts.level_use_figure(levels, devices),
            "Use of levels",
            "Share of each layer's pixels in each level; dashed: an even share.",
        ),
        *(f"<p>{escape(sentence)}</p>" for sentence in charts.favoured_levels(levels, devices)),
        *(f"<p>Note: {escape(note)}</p>" for note in notes),
    )


def _answers(view: RunView) -> str:
    return section(
        "answers",
        "Answers and light",
        "",
        '<div class="pair">',
        *(drawing(*one) for one in view.pictures.drawings(view.evaluation)),
        drawing(
            charts.light_figure(view.light, len(view.model.way) - 2, view.model.networks.count),
            "Light left along the axis",
            "Light left along the axis, mean over test images. Drops at a layer are taken by the device, slopes "
            "between layers leave the aperture or are taken by what stands there. Gain, which no hardware has, is not "
            "counted." + (" Light that skips layers is counted where it has joined again." * bool(view.model.skips)),
        ),
        "</div>",
    )


def drawing(figure: Figure, text: str, caption: str = "") -> str:
    """Return a figure as a part of a page, with what it shows in a few words and, below it, in more."""
    return _figure("svg+xml", style.svg(figure), figure, text, caption)


def _picture(view: RunView, figure: Figure, text: str, caption: str) -> str:
    widest = max(max(grid.shape) for grid in view.model.grids[1:-1])
    dots = min(max(2 * widest / _MAP_INCHES, _LEAST_DOTS), _MOST_DOTS)
    return _figure("png", style.png(figure, dots_per_inch=dots), figure, text, caption)


def _shown(text: str) -> str:
    """Return text as a page shows it as it is, line by line."""
    return escape("\n".join(map(printable, text.split("\n"))))


def section(name: str, title: str, text: str, *parts: str) -> str:
    """Return a section of a page with a heading, a paragraph if there is a text, and its parts."""
    paragraph = f"<p>{_shown(text)}</p>" if text else ""
    return f'<section id="{name}">\n<h2>{_shown(title)}</h2>\n{paragraph}\n' + "\n".join(parts) + "\n</section>"


def table_html(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table as a part of a page."""
    lines = ["".join(f"<th>{_shown(cell)}</th>" for cell in header)]
    lines += ["".join(f"<td>{_shown(cell)}</td>" for cell in row) for row in rows]
    body = "\n".join(f"<tr>{line}</tr>" for line in lines)
    return f"<figure><div><table>\n{body}\n</table></div></figure>"


def _figure(kind: str, content: bytes, figure: Figure, text: str, caption: str) -> str:
    width, height = (round(side * _SCREEN_DOTS) for side in figure.get_size_inches())
    source = f"data:image/{kind};base64,{base64.b64encode(content).decode('ascii')}"
    below = f"<figcaption>{_shown(caption)}</figcaption>" if caption else ""
    wide = ' class="wide"' if width > _PHONE_WIDTH else ""
    image = f'<img src="{source}" alt="{_shown(text)}" width="{width}" height="{height}">'
    return f'<figure{wide} style="width:{width}px"><div>{image}</div>{below}</figure>'


def _device_caption(device: DeviceStates, devices: Sequence[Device]) -> str:
    having = [device.digest in {table.digest for table in charts.tables_of(other)} for other in devices]
    layers = [str(number) for number, has in enumerate(having, start=1) if has]
    return "" if all(having) else f"On {'layer' if len(layers) == 1 else 'layers'} {', '.join(layers)}."


def _subtitle(view: RunView) -> str:
    sizes = _sizes(view.model.grids[1:-1])
    between = ", with elements between them" if way_of(view.model) else " in free space"
    return f"{counted(len(view.layers), 'layer')} of {_devices(view)}{between}, {sizes} pixels each"


def _sizes(grids: Sequence[Grid]) -> str:
    return _from_to(grids, lambda grid: grid.rows * grid.columns, lambda grid: f"{grid.rows} × {grid.columns}")


def _pitches(grids: Sequence[Grid]) -> str:
    def text(grid: Grid) -> str:
        return " × ".join(dict.fromkeys(f"{side * 1e6:.4g}" for side in grid.pitch))

    return _from_to(grids, lambda grid: grid.pitch[0] * grid.pitch[1], text)


def _from_to(grids: Sequence[Grid], size: Callable[[Grid], float], text: Callable[[Grid], str]) -> str:
    least, most = text(min(grids, key=size)), text(max(grids, key=size))
    return least if least == most else f"{least} to {most}"


def _devices(view: RunView) -> str:
    names = list(dict.fromkeys(f"{device.name} ({len(device)} levels)" for device in view.devices))
    return ", ".join(names) if len(names) <= _MOST_DEVICES_NAMED else f"{len(names)} different devices"


def _facts(view: RunView) -> list[tuple[str, str]]:
    summary, model, metric, evaluated = view.summary, view.model, view.metric, view.evaluation
    distances = sorted({*model.distances, *map(length_of, model.layout.ends)})
    gaps = f"{distances[0] * 1e3:.4g}" + (f" to {distances[-1] * 1e3:.4g}" if len(distances) > 1 else "") + " mm"
    refined = summary.refined and (
        f"loss {summary.refined.loss_before:.4f} to {summary.refined.loss_after:.4f} on {summary.refined.images} "
        f"training images, {summary.refined.changed_pixels} pixels changed"
    )
    elsewhere = _IMPORTED if summary.imported else _ELSEWHERE
    facts = [
        (f"training {metric.name}", metric.text(summary.metric(metric.column("train")))),
        ("data", _images(view)),
        ("about the data", "; ".join(summary.data_notes)),
        ("device", _devices(view)),
        ("samples", f"{_sizes(model.grids)}, pitch {_pitches(model.grids)} µm"),
        ("layers", f"{len(view.layers)}, gaps of {gaps}"),
        ("between planes", "; ".join(way_of(model))),
        ("networks", f"{model.networks.count} side by side; {model.networks.told}" * (model.networks.count > 1)),
        ("detectors", detectors_of(model) * (model.layout.detectors is not None)),
        (
            "skips",
            "; ".join(f"{skip.share:.3g} of the light from plane {skip.start} to {skip.end}" for skip in model.skips),
        ),
        ("light", light_of(model)),
        ("light on the detector", charts.share(float(view.light.kept[-1]))),
        (
            "light in what is read",
            "" if evaluated.light_share is None else charts.share(float(evaluated.light_share.mean())),
        ),
        ("contrast margin", "" if evaluated.margin is None else f"{float(evaluated.margin.mean()):.3f}"),
        (
            "training",
            f"{counted(summary.epochs, 'epoch')}, {_duration(summary.seconds)}" if view.history else elsewhere,
        ),
        ("imported", "; ".join(summary.imported.get("notes", ()))),
        ("refined after training", refined),
        ("seed", str(summary.seed)),
    ]
    return [(name, value) for name, value in facts if value]


def _images(view: RunView) -> str:
    """Return which images were used for what."""
    summary, test = view.summary, f"{view.data_name}, {len(view.test)} test images"
    if summary.train_images is None:  # as before version 0.2.0
        return test
    if not view.history:
        return f"{test}; {summary.train_images} to train on"
    watched = "watched, never chosen by"
    if summary.val_images is not None:
        return (
            f"{test}, answered at the end alone; {summary.val_images} to validate with, {watched}; "
            f"{summary.train_images} to train on"
        )
    return f"{test}, {watched}; {summary.train_images} to train on"


def _versions(summary: Summary) -> str:
    lines = [f"{name} {version}" for name, version in summary.versions.items()]
    lines += [f"commit {summary.commit}"] if summary.commit else []
    lines += [f"{summary.backend} back end, {summary.precision}"] if summary.backend else []
    return "\n".join(lines + [f"{name}: {value}" for name, value in summary.hardware.items()])


def _duration(seconds: float) -> str:
    if seconds < 100:
        return f"{seconds:.0f} s"
    return duration(seconds / 60)
