"""Kinds of things to deploy to: each writes the maps of a design into files and reads them back."""

from __future__ import annotations

from voltphase.deployment.targets.base import TARGETS, Layer, Shown, Target, Written
from voltphase.deployment.targets.fabrication import Gds, Heights, Stl
from voltphase.deployment.targets.panel import Panel
from voltphase.deployment.targets.slm_image import SlmImage

__all__ = ["TARGETS", "Gds", "Heights", "Layer", "Panel", "Shown", "SlmImage", "Stl", "Target", "Written"]
