"""Light step by step, from plane to plane: what a network never holds all of while it trains."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor, nn

from voltphase.core import checks
from voltphase.network.beams import intensity
from voltphase.optics.propagator import across
from voltphase.tasks.background_light import as_field

if TYPE_CHECKING:
    from voltphase.network.donn import DONN


def propagators_of(model: DONN, beam: int) -> list[nn.Module]:
    """Return what takes a beam across each gap by itself, made anew and where the network is."""
    return [gap.to(model.source.rows.device) for gap in across(model.beams.beams[beam].paths, model.source.dtype)]


def planes_of(model: DONN, images: Tensor, beam: int) -> dict[str, Tensor]:
    """Return the field of a beam on each plane; see :meth:`voltphase.DONN.planes`."""
    about = model.beams.beams[checks.whole(beam, "a beam", least=0, most=len(model.beams.beams) - 1)]
    *propagators, last = propagators_of(model, beam)
    planes = {"source": (field := model.beams.lit(beam, model.source(images)))}
    for cross, number in zip(propagators, about.layers, strict=True):
        planes[f"layer {number + 1} in"] = arrived = cross(field)
        planes[f"layer {number + 1} out"] = field = model.layers[number](arrived, states=about.states)
    return planes | {"detector": last(field)}


def detector_field_of(model: DONN, images: Tensor) -> Tensor:
    """Return the field on the detector; see :meth:`voltphase.DONN.detector_field`."""
    draws, each = [layer.draws for layer in model.layers], []
    for number in range(len(model.beams.beams)):
        # All beams meet the states of one draw.
        for layer, count in zip(model.layers, draws, strict=True):
            layer.draws = count
        each.append(planes_of(model, images, number)["detector"])
    return each[0] if model.beams.single else as_field(model.beams.added(map(intensity, each)))


def detector_light(model: DONN, images: Tensor) -> Tensor:
    """Return the intensity on the detector of all light, whatever the detector tells apart of it."""
    light = intensity(model.detector_field(images))
    return light.sum(1) if model.readout.channels > 1 else light
