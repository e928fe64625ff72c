"""What a network reads of images, light included."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor, nn

from voltphase.core import checks
from voltphase.network.beams import intensity
from voltphase.optics.paths import Path
from voltphase.optics.propagator import across
from voltphase.optics.skips import Splitters

if TYPE_CHECKING:
    from voltphase.network.donn import DONN

# Samples of the source's field that are looked at together: half a megabyte of complex64.
_SOURCE_SAMPLES = 2**16


class Reading(NamedTuple):
    """What a network reads of images.

    Attributes:
        outputs: Outputs of the task's readout.
        measured: What the readout measured of the light.
        light_share: Part of each image's light on the source that arrives where the readout counts it, without gain.
    """

    outputs: Tensor
    measured: Tensor
    light_share: Tensor


def light_units(model: DONN) -> dict[str, float]:
    """Return how much light an intensity of one stands for in a sample of each plane, in samples of the source.

    Gain, which no hardware has, is taken out. Planes have the names of :meth:`voltphase.DONN.planes`.

    Examples:
        >>> import voltphase as vp
        >>> plane, device = vp.Grid(16, 36e-6), vp.devices.tn_slm()
        >>> model = vp.DONN(grid=plane, wavelength=532e-9, distances=0.02, devices=[device], gain=2)
        >>> light_units(model)
        {'source': 1.0, 'layer 1 in': 1.0, 'layer 1 out': 0.25, 'detector': 0.25}
    """
    source, *planes, detector = [math.prod(grid.pitch) for grid in model.grids]
    units = {"source": 1.0}
    for layers in dict.fromkeys(beam.layers for beam in model.beams.beams):
        gain = 1.0
        for number in layers:
            units[f"layer {number + 1} in"] = planes[number] / source / gain**2
            gain *= model.layers[number].gain
            units[f"layer {number + 1} out"] = planes[number] / source / gain**2
    return units | {"detector": detector / source / model.gain**2}


def crossings(model: DONN, paths: Sequence[Path]) -> list[nn.Module]:
    """Return what takes light along each of some paths, step by step, made anew and where the network is."""
    return [step.to(model.source.rows.device) for step in across(paths, model.source.dtype)]


def light_on_planes(
    model: DONN, images: Tensor, beam: int, made: dict[tuple[Path, ...], list[nn.Module]] | None = None
) -> dict[str, Tensor]:
    """Return the field of a beam on each plane in the order light meets them; see :meth:`voltphase.DONN.planes`.

    Args:
        model: The network.
        images: The images.
        beam: Number of the beam.
        made: What was made of the paths of other beams, which grows: beams with the same paths share it.
    """
    run = model.beams.beams[checks.whole(beam, "a beam", least=0, most=len(model.beams.beams) - 1)]
    made = {} if made is None else made
    for paths in (run.paths, run.past):
        if paths not in made:
            made[paths] = crossings(model, paths)
    *propagators, last = made[run.paths]
    splitters = Splitters(model.skips, made[run.past])
    planes = {"source": model.beams.lit(beam, model.source(images))}
    field = splitters.behind(0, planes["source"])
    for plane, (cross, number) in enumerate(zip(propagators, run.layers, strict=True), start=1):
        planes[f"layer {number + 1} in"] = arrived = splitters.before(plane, cross(field))
        planes[f"layer {number + 1} out"] = field = model.layers[number](arrived, states=run.states)
        field = splitters.behind(plane, field)
    return planes | {"detector": splitters.before(len(propagators) + 1, last(field))}


def sent_light(model: DONN, images: Tensor) -> Tensor:
    """Return the light of each image on the source, a few at a time: all fields at once would take much memory."""
    parts = images.split(max(1, _SOURCE_SAMPLES // math.prod(model.grids[0].shape)))
    return torch.cat([intensity(model.source(part)).sum((-2, -1)) for part in parts])
