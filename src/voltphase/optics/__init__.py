"""Light: sources, free space, and what stands in the beam."""

from __future__ import annotations

from voltphase.optics.backends.cpu.cascade import Cascade
from voltphase.optics.elements import Aperture, Element, ThinLens, circular_aperture, rectangular_aperture, thin_lens
from voltphase.optics.explain import Explanation
from voltphase.optics.methods.angular_spectrum import AngularSpectrum
from voltphase.optics.methods.base import (
    FocalPlane,
    Fraunhofer,
    FresnelImpulse,
    FresnelPixels,
    FresnelTransfer,
    Method,
)
from voltphase.optics.methods.periodic import WrappedAngularSpectrum, WrappedFresnel
from voltphase.optics.methods.rayleigh_sommerfeld import RayleighSommerfeld
from voltphase.optics.propagator import Propagator
from voltphase.optics.sampling import SamplingWarning
from voltphase.optics.sources import ImageSource, gaussian_beam, image_interpolation, plane_wave, point_source

__all__ = [
    "AngularSpectrum",
    "Aperture",
    "Cascade",
    "Element",
    "Explanation",
    "FocalPlane",
    "Fraunhofer",
    "FresnelImpulse",
    "FresnelPixels",
    "FresnelTransfer",
    "ImageSource",
    "Method",
    "Propagator",
    "RayleighSommerfeld",
    "SamplingWarning",
    "ThinLens",
    "WrappedAngularSpectrum",
    "WrappedFresnel",
    "circular_aperture",
    "gaussian_beam",
    "image_interpolation",
    "plane_wave",
    "point_source",
    "rectangular_aperture",
    "thin_lens",
]
