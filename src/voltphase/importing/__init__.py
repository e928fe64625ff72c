"""Designs that somebody else made, as runs: from maps in files, or from weights of other programs."""

from __future__ import annotations

from voltphase.core.installed import needing_extras

with needing_extras():
    from voltphase.importing.design import Design, MapsConfig
    from voltphase.importing.run import import_design
    from voltphase.importing.states import DesignWarning

__all__ = ["Design", "DesignWarning", "MapsConfig", "import_design"]
