"""A mirror of pistons."""

from __future__ import annotations

import math
from typing import Annotated

import numpy as np
from annotated_types import Ge, Gt

from voltphase.devices import DeviceStates


def mirror(
    levels: Annotated[int, Ge(2)] = 16, *, stroke: Annotated[float, Gt(0)] = 250e-9, wavelength: float = 532e-9
) -> DeviceStates:
    """Return the states of a mirror whose pistons move by the square of the voltage.

    Args:
        levels: Number of voltages, evenly spaced from 0 to 10 V.
        stroke: Way of a piston at 10 V in metres.
        wavelength: Wavelength of the light in metres.
    """
    voltage = np.linspace(0, 10, levels)
    phase = 4 * math.pi * stroke / wavelength * (voltage / 10) ** 2
    return DeviceStates(voltage, np.full(levels, 0.95), phase, "acme mirror", "V")
