"""What stands in the beam and is not trained: lenses, apertures, masks and relays."""

from __future__ import annotations

from voltphase.optics.elements.element import Aperture, Element, LensWarning, ThinLens
from voltphase.optics.elements.optic import ELEMENTS, Lens, MaskFile, Optic, Relay, Stop
from voltphase.optics.elements.transmissions import circular_aperture, rectangular_aperture, thin_lens

__all__ = [
    "ELEMENTS",
    "Aperture",
    "Element",
    "Lens",
    "LensWarning",
    "MaskFile",
    "Optic",
    "Relay",
    "Stop",
    "ThinLens",
    "circular_aperture",
    "rectangular_aperture",
    "thin_lens",
]
