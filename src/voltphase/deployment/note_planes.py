"""What the note for the person at the bench says of planes: where they stand, and splitters and detectors."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Final

from voltphase.deployment.manifest import Manifest
from voltphase.optics.grid import Grid
from voltphase.optics.paths import length_of

_WIDTH: Final = 100


def planes_blocks(manifest: Manifest) -> list[str]:
    """Return the blocks of the note that say where planes, splitters and detectors stand."""
    planes = list(in_turn(manifest))
    name_width = max(12, *(len(name) + 2 for name, *_ in planes))
    width = max(16, *(len(load) + 2 for _, _, load, _ in planes))
    rows = [
        f"{name:<{name_width}}{millimetres(position):<14}{load:<{width}}{grid_words(grid)}"
        for name, position, load, grid in planes
    ]
    return [
        "\n".join([f"{'plane':<{name_width}}{'position':<14}{'carries':<{width}}samples", *rows]),
        paragraph(f"Gaps, from the source on: {_gaps(manifest)}.{_relays(manifest)}"),
        *map(paragraph, splitters_words(manifest)),
        *([] if manifest.beams is None else [paragraph(text, "  ") for text in networks_words(manifest)]),
    ]


def splitters_words(manifest: Manifest) -> list[str]:
    """Return the paragraphs on skips, on several detectors and on networks side by side, where there are some."""
    return [
        *_splitters(manifest),
        *([] if manifest.detectors is None else [_cameras(manifest)]),
        *([] if manifest.beams is None else [_side_by_side(manifest)]),
    ]


def _gaps(manifest: Manifest) -> str:
    spans = [[millimetres(step) for step in steps if isinstance(step, float)] for steps in manifest.spans()]
    if manifest.detectors is None:
        return ", ".join(chain(*spans))
    ends = enumerate(spans[manifest.depth :], start=1)
    to = [f"from the last layer to detector {number}: {', '.join(steps)}" for number, steps in ends]
    return "; ".join([", ".join(chain(*spans[: manifest.depth])), *to])


def _relays(manifest: Manifest) -> str:
    """Return where the lenses of relays stand, which are no planes of their own; nothing where there are none."""
    lengths = {element.length for element in manifest.propagation.elements if element.length}
    if not lengths:
        return ""
    each = " or ".join(map(millimetres, sorted(lengths)))
    return (
        f" A relay, {each} long, comes in addition: its first lens stands a focal length behind the position given, "
        "an aperture, if it has one, in the focal plane behind that lens, the second lens its own focal length behind "
        "that plane; light goes on from the image, its own focal length farther on."
    )


def _cameras(manifest: Manifest) -> str:
    detectors, lengths = manifest.all_detectors, map(length_of, manifest.spans()[manifest.depth :])
    each = ", ".join(
        f"{one.share:.6g} of the power to detector {number}, {millimetres(length)} behind the last layer"
        for number, (one, length) in enumerate(zip(detectors, lengths, strict=True), start=1)
    )
    asked = (
        "The pictures of all are added, sample by sample, before anything is read"
        if manifest.part == manifest.grids[-1]
        else "Each has its own regions, see Detector, below"
    )
    return (
        f"Beam splitters behind the last layer that lose next to nothing send {each}, measured along the way of the "
        "light. Each is a camera by itself, with its middle on the axis; all have to count alike, with the same "
        f"exposure and gain, or be corrected for it. A splitter's reflection mirrors left and right. {asked}."
    )


def _splitters(manifest: Manifest) -> Iterator[str]:
    names = ["the source", *(f"layer {number}" for number in range(1, manifest.depth + 1)), "the detector"]
    each = " of each network" if manifest.beams is not None else ""
    for skip in manifest.skips or ():
        yield (
            f"A beam splitter behind {names[skip.start]}{each} reflects {skip.share:.6g} of the power past the layers "
            f"between to another one in front of {names[skip.end]}, which reflects as much; "
            f"{millimetres(skip.distance_m)} from plane to plane on the way past. Ways have to differ by less "
            "than the coherence length of the light, and hold still to a small part of a wavelength; a reflection "
            "mirrors left and right, and two undo that. The second splitter's other port is left dark."
        )


def _side_by_side(manifest: Manifest) -> str:
    beams = manifest.all_beams
    apart = (
        "Each has an axis of its own, which meets its own part of the detector in the middle."
        if len({beam.area for beam in beams}) > 1
        else "The light of all falls on the same samples of the detector, where it must not interfere: the ways there "
        "have to differ by more than its coherence length. Or send one after the other, and add the readings."
    )
    return (
        f"{len(beams)} networks stand side by side. Beam splitters behind the source (or sources that show the same "
        f"image) give each its part of the light, and no light of one may reach another. {apart}"
    )


def networks_words(manifest: Manifest) -> Iterator[str]:
    """Yield a sentence on each network: its layers, its light, and where that falls."""
    part, detector = manifest.part, manifest.grids[-1]
    for number, beam in enumerate(manifest.all_beams, start=1):
        layers = ", ".join(map(str, beam.layers))
        where = ""
        if part != detector and manifest.detectors is None:
            first, middle = beam.area * part.columns, (beam.area + 0.5) * part.columns - detector.columns / 2
            where = (
                f"; it falls on columns {first}-{first + part.columns - 1} of the detector, and its axis meets these "
                f"at x = {middle * part.pitch[1] * 1e3:+.4g} mm from the detector's middle"
            )
        own = f"layer{'s' * (len(beam.layers) > 1)} {layers}"
        yield f"Network {number}: {own}, with {beam.weight:.6g} of the light{where}."


def in_turn(manifest: Manifest) -> Iterator[tuple[str, float, str, Grid]]:
    """Yield the name of each plane and element, how far it is from the source, what it carries, and its samples."""
    loads, planes = ["the input", *(layer.target.files[0].file for layer in manifest.layers)], manifest.positions
    last = planes[manifest.depth][1]
    for number, (name, position, grid) in enumerate(planes):
        if (further := number - len(loads)) > 0:
            yield from _between(manifest, manifest.depth + further, last)
        yield name, position, loads[number] if number < len(loads) else "", grid
        if number <= manifest.depth:
            yield from _between(manifest, number, position)


def _between(manifest: Manifest, behind: int, at: float) -> Iterator[tuple[str, float, str, Grid]]:
    """Yield what stands between two planes, the first of which is so far from the source, as :func:`in_turn` does."""
    steps = (step for step in manifest.spans()[behind] if isinstance(step, float))
    between = [element for element in manifest.propagation.elements if element.behind == behind]
    apart = manifest.detectors is not None and behind >= manifest.depth
    to = f", on the way to detector {behind - manifest.depth + 1}" if apart else ""
    for element, distance in zip(between, steps, strict=False):
        at += distance
        yield element.kind, at, f"{element.words}{to}", element.grid.grid
        at += element.length


def paragraph(text: str, indent: str = "") -> str:
    """Return text in lines of the note's width."""
    # File names have hyphens, and a name in two lines cannot be copied.
    return textwrap.fill(
        text,
        _WIDTH,
        initial_indent=indent,
        subsequent_indent=indent,
        break_on_hyphens=False,
        break_long_words=False,
    )


def grid_words(grid: Grid) -> str:
    """Return the samples of a plane as a person reads them."""
    pitch_y, pitch_x = (f"{pitch * 1e6:.6g}" for pitch in grid.pitch)
    words = f"{grid.rows} rows x {grid.columns} columns, pitch "
    words += f"{pitch_x} um" if pitch_x == pitch_y else f"{pitch_y} um down, {pitch_x} um across"
    if any(grid.offset):
        words += f", centre {off_axis(grid.offset)}"
    return words


def off_axis(point: Sequence[float]) -> str:
    """Return where a point, (y, x) in metres, lies."""
    return f"{point[0] * 1e3:+.4g} mm down and {point[1] * 1e3:+.4g} mm right of the axis"


def millimetres(distance: float) -> str:
    """Return a length in metres as a person reads it."""
    return f"{distance * 1e3:.6g} mm"
