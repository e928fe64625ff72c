"""Panels of pixels: a design placed on one, with corrections, in the file that its maker's software takes."""

from __future__ import annotations

from voltphase.deployment.targets.panel.target import Panel

__all__ = ["Panel"]
