"""Light through mixtures and thin films.

Complex refractive indices are n + i kappa with time dependence exp(-i omega t): a positive kappa absorbs.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def lorentz_lorenz(fraction: NDArray[np.float64], first: complex, second: complex) -> NDArray[np.complex128]:
    """Return the complex index of a mixture finer than the wavelength, by the Lorentz-Lorenz relation.

    The polarisabilities ``(n**2 - 1) / (n**2 + 2)`` of the two materials add in proportion to their volumes, of which
    ``fraction`` is the second's (M. Born and E. Wolf, Principles of Optics, section 2.3).
    """

    def polarisability(index: complex) -> complex:
        return (index**2 - 1) / (index**2 + 2)

    mixed = (1 - fraction) * polarisability(first) + fraction * polarisability(second)
    return np.sqrt((1 + 2 * mixed) / (1 - mixed))


def film_transmission(
    index: NDArray[np.complex128], thickness: float, wavelength: float, before: float, after: float
) -> NDArray[np.complex128]:
    """Return the complex amplitude that a film between two transparent media lets through at normal incidence.

    Airy's sum over the beams reflected within (Born and Wolf, section 1.6.4), scaled by the square root of
    ``after / before``, the indices of these media, so that its square is the share of the power. Lengths are in metres.
    """
    delta = 2 * np.pi * index * thickness / wavelength
    through = (2 * before / (before + index)) * (2 * index / (index + after))
    reflected = ((before - index) / (before + index)) * ((index - after) / (index + after))
    single, double = np.exp(1j * delta), np.exp(2j * delta)
    return np.sqrt(after / before) * through * single / (1 + reflected * double)


def continuous_phase(values: NDArray[np.complex128], step: int) -> NDArray[np.float64]:
    """Return the phase, in radians and from zero, of every ``step``-th value along a finely sampled curve.

    Unwrapping needs neighbours less than half a turn apart, which the levels of a coarse device are not: so a model is
    evaluated in between them for this, and only for this.
    """
    phase = np.unwrap(np.angle(values))
    return (phase - phase[0])[::step]
