"""Polarised light through liquid crystal, by Jones calculus.

Jones vectors are (x, y) amplitudes, time dependence exp(-i omega t): an index n over a length d adds the phase
+2 pi n d / wavelength. Angles are in radians, counter-clockwise from x.

Sources: P. Yeh and C. Gu, Optics of Liquid Crystal Displays (Wiley 1999), chapter 4; A. Yariv and P. Yeh, Optical Waves
in Crystals (Wiley 1984), chapter 5; B. E. A. Saleh and K. Lu, "Theory and design of the liquid crystal television as
an optical spatial phase modulator", Optical Engineering 29, 240 (1990).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def rotation(angle: float) -> NDArray[np.float64]:
    """Return the ``2 x 2`` matrix that turns a Jones vector by an angle."""
    return np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])


def linear(angle: float) -> NDArray[np.float64]:
    """Return the unit Jones vector of light polarised along an angle."""
    return np.array([np.cos(angle), np.sin(angle)])


def molecular_tilt(voltage: NDArray[np.float64], threshold: float, saturation: float) -> NDArray[np.float64]:
    """Return the tilt of the molecules in the middle of a nematic cell, in radians from the plane of the cell.

    Zero up to the threshold of the Freedericksz transition, then ``pi/2 - 2 arctan(exp(-(V - threshold)/saturation))``
    of the root-mean-square voltage V: the molecules stand upright far above it (Saleh and Lu 1990; ``saturation`` is
    their V_0, the excess voltage at which the tilt is 49.6 degrees).
    """
    excess = np.maximum(voltage - threshold, 0.0) / saturation
    return np.pi / 2 - 2 * np.arctan(np.exp(-excess))


def extraordinary_index(tilt: NDArray[np.float64], ordinary: float, extraordinary: float) -> NDArray[np.float64]:
    """Return the index that light polarised along a director tilted towards the beam meets (the index ellipsoid)."""
    return 1 / np.sqrt((np.cos(tilt) / extraordinary) ** 2 + (np.sin(tilt) / ordinary) ** 2)


def twisted_nematic(twist: float, retardance: NDArray[np.float64] | float) -> NDArray[np.complex128]:
    """Return the Jones matrices of a cell whose director turns evenly from x at the entrance by ``twist`` at the exit.

    The retardance is half the phase between extraordinary and ordinary light over the cell, beta = pi (n_e - n_o) d /
    wavelength. The ``... x 2 x 2`` matrices are unitary, of determinant one: the phase common to both polarisations is
    left out.
    """
    beta = np.asarray(retardance, dtype=np.float64)
    gamma = np.hypot(beta, twist)
    cosine = np.cos(gamma)
    sine = np.sinc(gamma / np.pi)  # sin(gamma) / gamma, also at zero
    local = np.empty((*beta.shape, 2, 2), dtype=np.complex128)
    local[..., 0, 0] = cosine + 1j * beta * sine
    local[..., 0, 1] = twist * sine
    local[..., 1, 0] = -twist * sine
    local[..., 1, 1] = cosine - 1j * beta * sine
    return rotation(twist) @ local
