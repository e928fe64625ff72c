"""Exporting the maps a bench needs, and rebuilding the system from the exported files alone."""

from __future__ import annotations

from voltphase.core.installed import needing_extras

with needing_extras():
    from voltphase.deployment.emulator import Emulator
    from voltphase.deployment.export import deploy, deploy_run
    from voltphase.deployment.targets import TARGETS, Panel, SlmImage, Target
    from voltphase.deployment.verify import VerifyResult, on_own_pixels, verify

__all__ = [
    "TARGETS",
    "Emulator",
    "Panel",
    "SlmImage",
    "Target",
    "VerifyResult",
    "deploy",
    "deploy_run",
    "on_own_pixels",
    "verify",
]
