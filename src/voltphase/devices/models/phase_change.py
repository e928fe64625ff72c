"""Films whose atoms are ordered or not."""

from __future__ import annotations

import math

import numpy as np

from voltphase.core.errors import DeviceError
from voltphase.core.units import require_thickness, require_wavelength
from voltphase.devices.models.base import FINE, MODELS, Levels, Positive, absorbing_index, level_count, require_positive
from voltphase.devices.models.thin_film import continuous_phase, film_transmission, lorentz_lorenz
from voltphase.devices.states import DeviceStates

# Wavelengths at which the default indices hold to about a percent.
_KNOWN = (1400e-9, 1700e-9)


@MODELS.register("phase-change")
def phase_change(
    levels: Levels = 16,
    *,
    amorphous: complex | None = None,
    crystalline: complex | None = None,
    thickness: Positive = 1e-6,
    wavelength: float = 1550e-9,
    before: Positive = 1.0,
    substrate: Positive = 1.45,
) -> DeviceStates:
    """Phase-change film: amplitude and phase by how much of it is crystalline.

    Mixtures by the Lorentz-Lorenz relation, transmission of a thin film by Airy's formula: Y. G. Chen et al.,
    "Engineering the phase front of light with phase-change material based planar lenses", Scientific Reports 5, 8660
    (2015). The default indices, 3.28 and 4.05, are about those of Sb2Se3 at 1550 nm: M. Delaney et al., "A new family
    of ultralow loss reversible phase-change materials for photonic integrated circuits: Sb2S3 and Sb2Se3", Advanced
    Functional Materials 30, 2002447 (2020). There are defaults from 1400 to 1700 nm only.

    Args:
        levels: Number of crystallised fractions, the control values, evenly from 0 to 1.
        amorphous: Complex index n + i kappa of the film at fraction 0, at the wavelength used.
        crystalline: Complex index n + i kappa of the film at fraction 1, at the wavelength used.
        thickness: Thickness of the film in metres.
        wavelength: Wavelength in vacuum, in metres.
        before: Index of the medium that the light comes from.
        substrate: Index of the medium that the light goes to.

    Returns:
        ``levels`` states; the amplitude's square is the share of the power.

    Raises:
        DeviceError: if a parameter is out of its range, or an index is not given at a wavelength that has no default.
    """
    count = level_count(levels)
    require_positive(before=before, substrate=substrate)
    require_wavelength(wavelength, DeviceError)
    require_thickness(thickness, wavelength, "thickness", DeviceError)
    first, last = (
        absorbing_index(name, given, default, wavelength, _KNOWN, "of Sb2Se3")
        for name, given, default in (("amorphous", amorphous, 3.28), ("crystalline", crystalline, 4.05))
    )
    step = math.ceil(FINE / (count - 1))
    fraction = np.linspace(0.0, 1.0, step * (count - 1) + 1)
    index = lorentz_lorenz(fraction, first, last)
    light = film_transmission(index, thickness, wavelength, before, substrate)
    return DeviceStates(
        control=fraction[::step],
        amplitude=np.abs(light[::step]),
        phase=continuous_phase(light, step),
        name="phase-change",
        wavelength=wavelength,
        control_unit="crystallised fraction",
        source=(
            f"modelled: film of {thickness:g} m, index {first:g} to {last:g} on {substrate:g}, wavelength "
            f"{wavelength:g} m"
        ),
    )
