"""Methods of propagation: from the geometry of two planes to a kernel, and where each is right."""

from __future__ import annotations

from voltphase.optics.methods.angular_spectrum import AngularSpectrum
from voltphase.optics.methods.base import METHODS, Method, SeparableMethod
from voltphase.optics.methods.far_field import FocalPlane, Fraunhofer
from voltphase.optics.methods.fresnel import FresnelImpulse, FresnelPixels, FresnelTransfer
from voltphase.optics.methods.periodic import PeriodicAngularSpectrum, PeriodicFresnel
from voltphase.optics.methods.rayleigh_sommerfeld import RayleighSommerfeld

__all__ = [
    "METHODS",
    "AngularSpectrum",
    "FocalPlane",
    "Fraunhofer",
    "FresnelImpulse",
    "FresnelPixels",
    "FresnelTransfer",
    "Method",
    "PeriodicAngularSpectrum",
    "PeriodicFresnel",
    "RayleighSommerfeld",
    "SeparableMethod",
]
