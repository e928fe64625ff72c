"""Files that panels take, a file of code for each kind."""

from __future__ import annotations

from voltphase.panels.formats.base import FORMATS, Format, Frame
from voltphase.panels.formats.grey import Grey
from voltphase.panels.formats.santec_csv import SantecCsv

__all__ = ["FORMATS", "Format", "Frame", "Grey", "SantecCsv"]
