"""Checked settings read from YAML, whatever they are of: models, keys, and what is wrong with them in words."""

from __future__ import annotations

from voltphase.core.installed import needing_extras

with needing_extras():
    from voltphase.settings.fields import Choice, Section, Settings
    from voltphase.settings.messages import describe
    from voltphase.settings.yaml_io import read_yaml, write_yaml

__all__ = ["Choice", "Section", "Settings", "describe", "read_yaml", "write_yaml"]
