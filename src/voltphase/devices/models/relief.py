"""Reliefs, printed or etched."""

from __future__ import annotations

import numpy as np

from voltphase.core.errors import DeviceError
from voltphase.core.units import require_thickness, require_wavelength
from voltphase.devices.models.base import MODELS, Levels, Positive, absorbing_index, level_count, require_positive
from voltphase.devices.states import DeviceStates

# Wavelengths at which resins are clear, of about the default index.
_KNOWN = (350e-9, 2e-6)


@MODELS.register("printed")
def printed(
    levels: Levels = 16,
    *,
    index: complex | None = None,
    surroundings: Positive = 1.0,
    wavelength: float = 532e-9,
    height: Positive | None = None,
) -> DeviceStates:
    """Printed or etched relief: phase and absorption by the height of the material.

    ``phase = 2 pi (n - surroundings) h / wavelength``, ``amplitude = exp(-2 pi kappa h / wavelength)``; reflection at
    the surfaces, nearly the same for all heights, is left out. X. Lin et al., "All-optical machine learning using
    diffractive deep neural networks", Science 361, 1004 (2018), and its supplement on absorption.

    Args:
        levels: Number of heights, the control values, evenly from zero, in metres.
        index: Complex index n + i kappa of the material at the wavelength used; by default that of a clear resin,
            1.52 + 0.001i from 350 nm to 2 µm.
        surroundings: Index of the medium around the material.
        wavelength: Wavelength in vacuum, in metres.
        height: Greatest height in metres. By default ``levels`` even steps make a full turn of phase.

    Raises:
        DeviceError: if a parameter is out of its range, or the index is not given at a wavelength that has no default.
    """
    count = level_count(levels)
    require_positive(surroundings=surroundings)
    require_wavelength(wavelength, DeviceError)
    material = absorbing_index("index", index, 1.52 + 0.001j, wavelength, _KNOWN, "of a clear resin")
    contrast = material.real - surroundings
    if contrast == 0:
        raise DeviceError(
            f"expected an index other than the surroundings' {surroundings:g}, but both are the same: no height would "
            "change the phase"
        )
    greatest = wavelength / abs(contrast) * (count - 1) / count if height is None else height
    require_thickness(greatest, wavelength, "height", DeviceError)
    heights = np.linspace(0.0, greatest, count)
    return DeviceStates(
        control=heights,
        amplitude=np.exp(-2 * np.pi * material.imag * heights / wavelength),
        phase=2 * np.pi * contrast * heights / wavelength,
        name="printed",
        wavelength=wavelength,
        control_unit="m",
        source=f"modelled: index {material:g} in {surroundings:g}, up to {greatest:.4g} m, wavelength {wavelength:g} m",
    )
