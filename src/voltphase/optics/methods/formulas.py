"""The mathematics of free space: kernels and transfer functions, each named for what it is.

All are built in double precision. Time dependence is exp(-i omega t), so free space over a distance z adds the
phase 2 pi z / wavelength. That common factor, the carrier, is left out of every function here but
:func:`carrier`. Propagating backwards (a negative distance) is, between equal pitches, the adjoint of propagating
forwards.

Lengths are in metres, and displacements those of the target minus those of the source; frequencies are in cycles per
metre. ``pitch`` is that of the source's samples. Tensors are real and of any shape, or of shapes that broadcast against
each other, and what is returned is complex128 and of that shape, unless it says otherwise.
"""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import torch
from scipy.special import wofz
from torch import Tensor

# A phase in turns that no floating-point number near 1 can hold.
NO_TURN = 1e-17


def carrier(wavelength: float, distance: float) -> complex:
    """exp(2 pi i z / wavelength), with the many whole turns taken off before anything is rounded."""
    turns = float(Fraction(distance) / Fraction(wavelength) % 1)
    return complex(math.cos(2 * math.pi * turns), math.sin(2 * math.pi * turns))


def fresnel_transfer(displacement: Tensor, pitch: float, wavelength: float, distance: float) -> Tensor:
    """Return one axis of the Fresnel transfer function, integrated exactly over the band of the samples.

    The field between samples is taken to be their band-limited (sinc) interpolation. Sent through the Fresnel
    transfer function exp(-i pi wavelength z f^2) (Goodman, Introduction to Fourier Optics, eq. 4-21), the light of
    one sample is::

        k(d) = pitch * integral over |f| <= 1 / (2 pitch) of exp(2 pi i f d - i pi wavelength z f^2) df

    evaluated here in closed form in Fresnel integrals. A discrete convolution with it is what the transfer function
    does to the interpolated field, exactly: nothing wraps around, and no distance is too short or too long, as one
    is for a transfer function sampled at the frequencies of a DFT. Distance zero gives the interpolation itself.
    """
    d = displacement.double()
    spread = wavelength * abs(distance)
    edge = 1 / (2 * pitch)
    if spread * edge**2 < NO_TURN:
        return torch.sinc(d / pitch).to(torch.complex128)
    # The integral of exp(-i pi t^2 / 2) between the two edges of the band, times exp(i pi d^2 / spread). The fast
    # phases are multiplied out by hand, so that no two large ones are ever subtracted in floating point.
    upper = math.sqrt(2 * spread) * (edge - d / spread)
    lower = math.sqrt(2 * spread) * (-edge - d / spread)
    at_edge = math.pi * spread * edge**2
    inside = (1 - 1j) / 2 * (upper.sign() - lower.sign()) * phasor(math.pi * d**2 / spread)
    from_upper = upper.sign() * fresnel_tail(upper.abs()).conj() * phasor(2 * math.pi * edge * d - at_edge)
    from_lower = lower.sign() * fresnel_tail(lower.abs()).conj() * phasor(-2 * math.pi * edge * d - at_edge)
    kernel = (inside - from_upper + from_lower) * (pitch / math.sqrt(2 * spread))
    return kernel if distance > 0 else kernel.conj().resolve_conj()


def fresnel_impulse(displacement: Tensor, pitch: float, wavelength: float, distance: float) -> Tensor:
    """Return one axis of the sampled impulse response sqrt(1 / (i wavelength z)) exp(i pi d^2 / (wavelength z)).

    Goodman, eq. 4-16, times the pitch, as each sample stands for the light around it. Right only where the phase
    turns by less than pi between samples; the distance is not zero.
    """
    spread = wavelength * abs(distance)
    kernel = phasor(math.pi * displacement.double() ** 2 / spread - math.pi / 4) * (pitch / math.sqrt(spread))
    return kernel if distance > 0 else kernel.conj().resolve_conj()


def fresnel_pixels(displacement: Tensor, width: float, wavelength: float, distance: float) -> Tensor:
    """Return one axis of the Fresnel diffraction of a uniform pixel, integrated exactly over its shining width.

    The impulse response integrated from ``d - width / 2`` to ``d + width / 2``, in closed form in Fresnel
    integrals (Goodman, section 4.5.1). Distance zero gives the pixel itself.
    """
    d = displacement.double()
    if wavelength * abs(distance) < NO_TURN * width**2:
        # Half a pixel away two neighbours share the point.
        return (((width / 2 - d.abs()) / width).sign() / 2 + 0.5).to(torch.complex128)
    scale = math.sqrt(2 / (wavelength * abs(distance)))
    integral = fresnel_integral((d + width / 2) * scale) - fresnel_integral((d - width / 2) * scale)
    kernel = (1 - 1j) / 2 * integral
    return kernel if distance > 0 else kernel.conj().resolve_conj()


def far_field(
    target: Tensor, source: Tensor, pitch: float, wavelength: float, distance: float, curvature: float = 1.0
) -> Tensor:
    """Return one axis of Fraunhofer diffraction, a ``target x source`` matrix, of their 1-D coordinates.

    ``sqrt(1 / (i wavelength z)) exp(i pi curvature x'^2 / (wavelength z)) exp(-2 pi i x x' / (wavelength z))`` times
    the pitch (Goodman, eq. 4-25; behind a lens, eq. 5-19, where ``curvature`` is 1 - front / focal length). The
    distance, or focal length, is above zero.
    """
    x, at = source.double()[None, :], target.double()[:, None]
    spread = wavelength * distance
    phase = math.pi * curvature * at**2 / spread - 2 * math.pi * at * x / spread - math.pi / 4
    return phasor(phase) * (pitch / math.sqrt(spread))


def angular_spectrum(frequency_y: Tensor, frequency_x: Tensor, wavelength: float, distance: float) -> Tensor:
    """The transfer function exp(2 pi i z (sqrt(1 / wavelength^2 - f^2) - 1 / wavelength)) of free space.

    Goodman, eq. 3-74, carrier removed. Evanescent waves decay with ``|z|`` whatever its sign.
    """
    transverse = (frequency_y.double() ** 2 + frequency_x.double() ** 2) * wavelength**2
    axial = torch.sqrt((1 - transverse).clamp(min=0))
    # sqrt(1 - s) - 1, written so that the small s of paraxial light cancel nothing.
    turns = -transverse.clamp(max=1) / (1 + axial) * (distance / wavelength)
    decay = torch.sqrt((transverse - 1).clamp(min=0)) * (2 * math.pi * abs(distance) / wavelength)
    return phasor(2 * math.pi * turns) * torch.exp(-decay)


def plane_waves(frequency_y: Tensor, frequency_x: Tensor, wavelength: float, distance: float) -> Tensor:
    """Return :func:`angular_spectrum` continued to complex frequencies, over a distance of zero or above.

    Analytic where a frequency's real and imaginary parts have opposite signs, which is below the branch point at
    grazing light.
    """
    transverse = (frequency_y**2 + frequency_x**2) * wavelength**2
    return torch.exp(-2j * math.pi * distance / wavelength * transverse / (1 + torch.sqrt(1 - transverse)))


def fresnel_transfer_function(frequency: Tensor, wavelength: float, distance: float) -> Tensor:
    """Return one axis of the Fresnel transfer function exp(-i pi wavelength z f^2), complex128."""
    return phasor(-math.pi * wavelength * distance * frequency.double() ** 2)


def rayleigh_sommerfeld(
    displacement_y: Tensor, displacement_x: Tensor, area: float, wavelength: float, distance: float
) -> Tensor:
    """The kernel of the first Rayleigh-Sommerfeld integral, z exp(ikr) (1 / r - ik) / (2 pi r^2), sampled.

    Goodman, eq. 3-41 with the obliquity of the first solution and its near-field term; times the ``area`` of a source
    sample in square metres, carrier removed. The distance is not zero.
    """
    z, k = abs(distance), 2 * math.pi / wavelength
    beside = displacement_y.double() ** 2 + displacement_x.double() ** 2
    r = torch.sqrt(beside + z**2)
    amplitude = torch.complex(1 / r, torch.full_like(r, -k)) * (z * area / (2 * math.pi) / r**2)
    kernel = amplitude * phasor(k * (beside / (r + z)))
    return kernel if distance > 0 else kernel.conj().resolve_conj()


def fresnel_integral(t: Tensor) -> Tensor:
    """C(t) + i S(t), the integral of exp(i pi s^2 / 2) from 0 to t; a complex128 tensor."""
    t = t.double()
    return t.sign() * ((1 + 1j) / 2 - fresnel_tail(t.abs()) * phasor(math.pi / 2 * t**2))


def fresnel_tail(t: Tensor) -> Tensor:
    """The slowly varying factor g(t) + i f(t) of what is left of a Fresnel integral beyond t >= 0.

    The integral of exp(i pi s^2 / 2) from t to infinity is ``(g + i f) exp(i pi t^2 / 2)``, f and g being the
    auxiliary functions of Abramowitz & Stegun, 7.3.5 and 7.3.6, here by the Faddeeva function.
    """
    z = (1 + 1j) / 2 * math.sqrt(math.pi) * t.detach().cpu().double().numpy()
    return torch.from_numpy(np.asarray((1 + 1j) / 2 * wofz(z)))


def phasor(phase: Tensor) -> Tensor:
    """Return exp(i phase) of a real tensor."""
    return torch.polar(torch.ones_like(phase), phase)
