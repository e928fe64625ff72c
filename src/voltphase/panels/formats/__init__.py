"""Files that panels take, a file of code for each kind."""

from __future__ import annotations

from voltphase.panels.formats.base import FORMATS, Format, Frame, PanelFile
from voltphase.panels.formats.bit_planes import BitPlanes
from voltphase.panels.formats.grey import Grey
from voltphase.panels.formats.santec_csv import SantecCsv
from voltphase.panels.formats.ti_plm import TiPlm
from voltphase.panels.formats.two_colours import TwoColours

__all__ = ["FORMATS", "BitPlanes", "Format", "Frame", "Grey", "PanelFile", "SantecCsv", "TiPlm", "TwoColours"]
