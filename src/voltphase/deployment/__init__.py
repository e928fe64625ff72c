"""Exporting the maps a bench needs, and rebuilding the system from the exported files alone."""

from __future__ import annotations

from voltphase.deployment.emulator import Emulator
from voltphase.deployment.export import deploy, deploy_run
from voltphase.deployment.verify import VerifyResult, verify

__all__ = ["Emulator", "VerifyResult", "deploy", "deploy_run", "verify"]
