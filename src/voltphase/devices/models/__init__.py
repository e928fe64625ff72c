"""Devices computed from their physics, a file for each family."""

from __future__ import annotations

from voltphase.devices.models.base import MODELS, model
from voltphase.devices.models.liquid_crystal import ferroelectric, lcos, tn_slm
from voltphase.devices.models.micromirrors import dmd, ti_plm
from voltphase.devices.models.phase_change import phase_change
from voltphase.devices.models.relief import printed

__all__ = ["MODELS", "dmd", "ferroelectric", "lcos", "model", "phase_change", "printed", "ti_plm", "tn_slm"]
