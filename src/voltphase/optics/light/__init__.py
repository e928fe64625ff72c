"""What light is besides one plane wave of one wavelength: its spectrum, and how far its waves know of each other."""

from __future__ import annotations

from voltphase.optics.light.coherence import Coherence, CoherenceWarning
from voltphase.optics.light.spectrum import Line, Spectrum

__all__ = ["Coherence", "CoherenceWarning", "Line", "Spectrum"]
