"""Light: sources, free space, and what stands in the beam."""

from __future__ import annotations

from voltphase.optics.angular import AngularSpectrum
from voltphase.optics.cascade import Cascade
from voltphase.optics.elements import Aperture, Element, ThinLens, circular_aperture, rectangular_aperture, thin_lens
from voltphase.optics.explain import Explanation
from voltphase.optics.methods import (
    FocalPlane,
    Fraunhofer,
    FresnelImpulse,
    FresnelPixels,
    FresnelTransfer,
    Method,
)
from voltphase.optics.propagator import Propagator
from voltphase.optics.rayleigh import RayleighSommerfeld
from voltphase.optics.sampling import SamplingWarning
from voltphase.optics.sources import ImageSource, gaussian_beam, image_interpolation, plane_wave, point_source
from voltphase.optics.wrapped import WrappedAngularSpectrum, WrappedFresnel

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
