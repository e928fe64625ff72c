"""Light step by step, from plane to plane: what a network never holds all of while it trains."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from torch import Tensor

from voltphase.network.beams import intensity
from voltphase.network.reading import light_on_planes
from voltphase.tasks.background_light import as_field

if TYPE_CHECKING:
    from voltphase.network.donn import DONN


def detector_field_of(model: DONN, images: Tensor) -> Tensor:
    """Return the field on the detector; see :meth:`voltphase.DONN.detector_field`."""
    draws, made = [layer.draws for layer in model.layers], {}

    def arriving() -> Iterator[Tensor]:
        for number in range(len(model.beams.beams)):
            # All beams meet the states of one draw.
            for layer, count in zip(model.layers, draws, strict=True):
                layer.draws = count
            yield light_on_planes(model, images, number, made)["detector"]

    # One after the other: without gradients, no fields but those of one beam are kept.
    return next(arriving()) if model.beams.single else as_field(model.beams.added(map(intensity, arriving())))


def detector_light(model: DONN, images: Tensor) -> Tensor:
    """Return the intensity on the detector of all light, whatever the detector tells apart of it."""
    light = intensity(model.detector_field(images))
    return light.sum(1) if model.readout.channels > 1 else light
