"""What a terminal and a notebook show of a network."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from pathlib import PurePath
from typing import TYPE_CHECKING

import numpy as np

from voltphase.core import checks
from voltphase.core.display.card import card
from voltphase.core.display.pictures import phase_picture
from voltphase.core.units import metres
from voltphase.core.words import counted
from voltphase.optics.gap import Gap
from voltphase.optics.paths import Placed, length_of

if TYPE_CHECKING:
    from voltphase.network.donn import DONN

# Layers that are drawn.
_MOST_DRAWN = 8
# Settings of an element that say what plane it stands on.
_PLACE = ("size", "pitch")


def lines_of(model: DONN) -> dict[str, str]:
    """Return what is to be said of each plane of a network, by its name; layers that are alike have one line."""
    rows, columns = model.source.image_shape
    count, (*distances, behind) = model.networks.count, model.distances
    lines = {"source": f"images of {rows} x {columns} on {model.grids[0]}"}
    each = [
        f"{grid}, {metres(distance)} on; {layer.device_states.name}, {len(layer.device_states)} levels"
        for grid, distance, layer in zip(model.grids[1:-1], distances * count, model.layers, strict=True)
    ]
    first = 1
    for text, alike in groupby(each):
        last = first + len(list(alike)) - 1
        lines[f"layer {first}" if first == last else f"layers {first} to {last}"] = text
        first = last + 1
    lines |= {"between planes": "; ".join(ways)} if (ways := way_of(model)) else {}
    beside = f", with background light of {model.background_light:g}" if model.background_light else ""
    if count > 1:
        lines["networks"] = f"{count} side by side, of {len(distances)} of these layers each; {model.networks.told}"
    for number, (skip, way) in enumerate(zip(model.skips, model.beams.beams[0].past, strict=True), start=1):
        length = sum(step.geometry.distance for step in way if isinstance(step, Gap))
        past = f"past the layers between, {metres(length)} on"
        lines[f"skip {number}"] = f"{skip.share:.3g} of the light from plane {skip.start} to plane {skip.end} {past}"
    asked = f"{type(model.task).__name__}{beside}"
    if model.layout.detectors is None:
        return lines | {"detector": f"{model.grids[-1]}, {metres(behind)} on; {asked}"}
    return lines | {"detectors": f"{model.way[-1]} each, {detectors_of(model)}; {asked}"}


def detectors_of(model: DONN) -> str:
    """Return how far from the last layer each of several detectors is, what it gets, and how they make one answer."""
    layout = model.layout
    each = zip(layout.light, layout.ends, strict=True)
    told = ", ".join(f"{share:.3g} of the light {metres(length_of(steps))} on" for share, steps in each)
    return f"{told}; {layout.detectors.told}" if layout.detectors else told


def way_of(model: DONN) -> list[str]:
    """Return what is between each two planes that elements stand between, in the order light meets it."""
    layers = [f"layer {number}" for number in range(1, len(model.way) - 1)]
    ends = model.layout.ends
    detectors = ["detector"] if len(ends) == 1 else [f"detector {number}" for number in range(1, len(ends) + 1)]
    starts = ["source", *layers, *layers[-1:] * (len(ends) - 1)]
    ways = zip(starts, [*layers, *detectors], model.layout.every_span, strict=True)
    return [
        f"{start} to {end}: {', '.join(filter(None, map(_step_words, steps)))}"
        for start, end, steps in ways
        if any(isinstance(step, Placed) for step in steps)
    ]


def _step_words(step: float | Placed) -> str:
    if not isinstance(step, Placed):
        return metres(step) if step else ""
    told = []
    for name, value in vars(step.optic).items():
        each = value if isinstance(value, tuple) else (value,)
        if name not in _PLACE and any(each) and all(isinstance(one, str) or checks.is_number(one) for one in each):
            words = (PurePath(one).name if isinstance(one, str) else metres(one) for one in each)
            told.append(f"{name.replace('_', ' ')} {' and '.join(words)}")
    return f"{step.title} ({', '.join(told)})" if told else step.title


def light_of(model: DONN) -> str:
    """Return what is to be said of the light: its spectrum and its coherence."""
    return str(model.spectrum) + ("" if model.coherence is None else f", {model.coherence}")


def text_of(model: DONN) -> str:
    """Return a network as a terminal shows it."""
    about = lines_of(model) | {"runs on": model.explain().summary}
    width = max(map(len, about)) + 2
    title = f"DONN({counted(len(model.layers), 'layer')}, light of {light_of(model)}"
    return "\n".join([title, *(f"  {name:<{width}}{text}" for name, text in about.items())]) + ")"


def html_of(model: DONN) -> str:
    """Return a network as a notebook shows it, with what its devices are set to."""
    about = {"light": light_of(model)} | lines_of(model) | {"runs on": model.explain().summary}
    return card(f"DONN of {counted(len(model.layers), 'layer')}", about, _pictures(model))


def _pictures(model: DONN) -> Iterator[str]:
    for number, layer in enumerate(model.layers[:_MOST_DRAWN], start=1):
        if layer.relaxation.discrete:  # there are levels, and to look at them draws nothing
            states = layer.states_at(layer.levels()).cpu().numpy()
            states = states if states.ndim == 2 else states[0]
            yield phase_picture(np.asarray(states), f"phase of layer {number}")
