"""Mirrors that send light on or away, and mirrors that move along it."""

from __future__ import annotations

import math
from typing import Annotated, Final

import numpy as np
from annotated_types import Gt, Le

from voltphase.core import checks
from voltphase.core.errors import DeviceError
from voltphase.core.units import require_wavelength
from voltphase.devices.models.base import MODELS, Positive
from voltphase.devices.states import DeviceStates

# Of the full stroke, at each of 16 codes in their order, as ti-plm 1.1 has them.
_STROKE: Final = (
    *(0.0, 0.0126, 0.0259, 0.0495, 0.071, 0.0878, 0.1382, 0.2153),
    *(0.3274, 0.361, 0.4204, 0.5046, 0.5916, 0.673, 0.8254, 1.0),
)


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


@MODELS.register("ti-plm")
def ti_plm(
    *,
    design_wavelength: Positive | None = None,
    reflectance: Annotated[float, Gt(0), Le(1)] = 1.0,
    wavelength: float = 532e-9,
) -> DeviceStates:
    """Texas Instruments' phase light modulator: even amplitude, 16 uneven heights of a mirror.

    ``phase = 2 pi 15/16 stroke design_wavelength / wavelength``. The strokes are those that TI's library ``ti-plm``
    publishes for its 0.47 and 0.67 inch devices: they are uneven, and differ from one device to another, so that a
    measured table is better. More stroke is taken for more path.

    Args:
        design_wavelength: Wavelength in metres at which the full stroke is 15/16 of a wave; by default that of the
            light, as TI's library takes it.
        reflectance: Share of the power that a mirror reflects, above 0 and at most 1.
        wavelength: Wavelength of the light in metres. The stroke stays, so that longer waves get less phase.

    Raises:
        DeviceError: if a parameter is out of its range.
    """
    design = wavelength if design_wavelength is None else design_wavelength
    for one in (wavelength, design):
        require_wavelength(one, DeviceError)
    reflectance = checks.number(reflectance, "a reflectance", above=0, most=1, error=DeviceError)
    stroke = np.array(_STROKE)
    return DeviceStates(
        control=np.arange(len(stroke), dtype=float),
        amplitude=np.full(len(stroke), math.sqrt(reflectance)),
        phase=2 * np.pi * 15 / 16 * stroke * design / wavelength,
        name="ti-plm",
        wavelength=wavelength,
        control_unit="grey level",
        source=f"modelled: stroke of 15/16 of {design:g} m, reflectance {reflectance:g}, wavelength {wavelength:g} m",
    )
