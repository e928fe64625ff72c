"""Mirrors that send light on or away."""

from __future__ import annotations

import math
from typing import Annotated

import numpy as np
from annotated_types import Gt, Le

from voltphase.core import checks
from voltphase.core.errors import DeviceError
from voltphase.devices.models.base import MODELS
from voltphase.devices.states import DeviceStates


@MODELS.register("dmd")
def dmd(
    *, contrast: Annotated[float, Gt(1)] = math.inf, reflectance: Annotated[float, Gt(0), Le(1)] = 1.0
) -> DeviceStates:
    """Digital micromirrors: light or no light.

    D. Dudley, W. Duncan and J. Slaughter, "Emerging digital micromirror device (DMD) applications", Proc. SPIE 4985, 14
    (2003).

    Args:
        contrast: Intensity of a mirror that is on over that of one that is off, above 1.
        reflectance: Share of the power that a mirror that is on sends on, above 0 and at most 1.

    Raises:
        DeviceError: if a parameter is out of its range.
    """
    if not (isinstance(contrast, float) and contrast == math.inf):
        contrast = checks.number(contrast, "a contrast", above=1, error=DeviceError, advice="give on over off")
    reflectance = checks.number(reflectance, "a reflectance", above=0, most=1, error=DeviceError)
    on = math.sqrt(reflectance)
    return DeviceStates(
        control=np.array([0.0, 1.0]),
        amplitude=np.array([on / math.sqrt(contrast), on]),
        phase=np.zeros(2),
        name="dmd",
        control_unit="mirror state",
        source=f"modelled: contrast {contrast:g}, reflectance {reflectance:g}",
    )
