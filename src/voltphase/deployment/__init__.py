"""Exporting the maps a bench needs, and rebuilding the system from the exported files alone."""

from __future__ import annotations

from voltphase.core.installed import needing_extras

with needing_extras():
    from voltphase.deployment.emulator import Emulator
    from voltphase.deployment.export import deploy, deploy_run
    from voltphase.deployment.targets import TARGETS, SlmImage, Target
    from voltphase.deployment.verify import VerifyResult, verify

__all__ = ["TARGETS", "Emulator", "SlmImage", "Target", "VerifyResult", "deploy", "deploy_run", "verify"]
