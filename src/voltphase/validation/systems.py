"""Networks that show light as it is: one clear layer, and a detector whose samples are read one by one."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from voltphase.devices import dmd
from voltphase.network.donn import DONN
from voltphase.optics.grid import Grid
from voltphase.optics.paths import Span
from voltphase.tasks import Image
from voltphase.validation.light import DOUBLE, WAVELENGTH


def clear_system(grids: Sequence[Grid], distances: Sequence[Span], **options: Any) -> DONN:
    """Return a network of one layer, mirrors that are all on, with images of as many pixels as the source has samples.

    Args:
        grids: Planes of the source, the layer and the detector.
        distances: What is between them.
        options: Further arguments of the network.
    """
    given = {"wavelength": WAVELENGTH, "devices": [dmd()]} | options
    model = DONN(
        grid=grids, distances=distances, task=Image(), image_shape=grids[0].shape, dtype=DOUBLE, **given
    ).eval()
    model.layers[0].set_levels(torch.ones(grids[1].shape, dtype=torch.int64))
    return model


def intensity(model: DONN, images: Tensor) -> Tensor:
    """Return the intensity on the detector, ``batch x rows x columns``; that of a white pixel on the source is 1.

    By what trains a network, in place of the walk from plane to plane.
    """
    reading, sent = model.read(images), model.source(images).abs().square().sum((-2, -1))
    pixels = math.prod(model.grids[0].pitch) / math.prod(model.grids[-1].pitch)
    return (reading.measured * (reading.light_share * sent * pixels)[:, None, None]).detach()
