"""What a network reads of images, light included."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor


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
