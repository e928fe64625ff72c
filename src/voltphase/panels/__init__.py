"""Panels that a laboratory puts on the table: what is known of each, and the files that it is fed."""

from __future__ import annotations

from voltphase.core.installed import needing_extras

with needing_extras():
    from voltphase.panels.formats import FORMATS, Format, PanelFile
    from voltphase.panels.profile import Correction, Profile, load_profile, profiles

__all__ = ["FORMATS", "Correction", "Format", "PanelFile", "Profile", "load_profile", "profiles"]
