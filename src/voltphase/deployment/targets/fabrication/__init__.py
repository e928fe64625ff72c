"""Targets that are made rather than loaded: etched plates and printed reliefs."""

from __future__ import annotations

from voltphase.deployment.targets.fabrication.gds import Gds
from voltphase.deployment.targets.fabrication.heights import Heights
from voltphase.deployment.targets.fabrication.stl import Stl

__all__ = ["Gds", "Heights", "Stl"]
