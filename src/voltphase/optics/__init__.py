"""Light: sources, free space, and what stands in the beam."""

from __future__ import annotations

from voltphase.optics.elements import (
    ELEMENTS,
    Aperture,
    Element,
    Lens,
    LensWarning,
    MaskFile,
    Optic,
    Relay,
    Stop,
    ThinLens,
    circular_aperture,
    rectangular_aperture,
    thin_lens,
)
from voltphase.optics.explain import Explanation
from voltphase.optics.kernels.kernel import Kernel
from voltphase.optics.light import Coherence, Spectrum
from voltphase.optics.masks import Mask
from voltphase.optics.methods import (
    METHODS,
    AngularSpectrum,
    FocalPlane,
    Fraunhofer,
    FresnelImpulse,
    FresnelPixels,
    FresnelTransfer,
    Method,
    PeriodicAngularSpectrum,
    PeriodicFresnel,
    RayleighSommerfeld,
    SeparableMethod,
)
from voltphase.optics.propagator import Propagator
from voltphase.optics.sampling import SamplingWarning
from voltphase.optics.sources import (
    ImageSource,
    SourceLight,
    gaussian_beam,
    image_interpolation,
    plane_wave,
    point_source,
)
from voltphase.optics.stack import Stack

__all__ = [
    "ELEMENTS",
    "METHODS",
    "AngularSpectrum",
    "Aperture",
    "Coherence",
    "Element",
    "Explanation",
    "FocalPlane",
    "Fraunhofer",
    "FresnelImpulse",
    "FresnelPixels",
    "FresnelTransfer",
    "ImageSource",
    "Kernel",
    "Lens",
    "LensWarning",
    "Mask",
    "MaskFile",
    "Method",
    "Optic",
    "PeriodicAngularSpectrum",
    "PeriodicFresnel",
    "Propagator",
    "RayleighSommerfeld",
    "Relay",
    "SamplingWarning",
    "SeparableMethod",
    "SourceLight",
    "Spectrum",
    "Stack",
    "Stop",
    "ThinLens",
    "circular_aperture",
    "gaussian_beam",
    "image_interpolation",
    "plane_wave",
    "point_source",
    "rectangular_aperture",
    "thin_lens",
]
