"""Electrodes of Texas Instruments' phase light modulators, by its own library."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np

from voltphase.core.errors import DeploymentError
from voltphase.core.installed import needing_extras
from voltphase.panels.formats.base import AGAIN, FORMATS, Format, Frame, PanelFile
from voltphase.panels.formats.pictures import read_picture, write_picture

_BITS: Final = 4  # of 16 heights of a mirror
_ON: Final = 255  # all bits of a pixel, so that all planes of a video frame show the same


@FORMATS.register("ti-plm")
@dataclass(frozen=True)
class TiPlm(Format):
    """A grey BMP with two by two pixels for the electrodes under each mirror, each 0 or 255, made by ``ti-plm``.

    A level is the index of a mirror's height, from 0 at rest to 15; which electrodes raise it, and how they lie, is in
    TI's library.

    Args:
        model: Name of the device in TI's library.
    """

    model: Literal["p47", "p67"] = "p67"

    @property
    def suffix(self) -> str:
        return ".bmp"

    def obstacle(self, shape: tuple[int, int], bits: int) -> str | None:
        return None if bits == _BITS else f"a mirror has 16 heights, {_BITS} bits, not {bits}"

    def write(self, frames: Sequence[Frame], bits: int) -> bytes:
        (frame,) = frames
        return write_picture(self._plm().electrode_map(frame) * np.uint8(_ON), "bmp")

    def read(self, file: PanelFile) -> list[Frame]:
        plm, (rows, columns) = self._plm(), file.shape
        layout = plm.electrode_layout.astype(np.uint16)
        high, wide = layout.shape
        picture = read_picture(file.content, file.name, (rows * high, columns * wide), 8, "bmp", exact=file.exact)
        if ((picture != 0) & (picture != _ON)).any():
            row, column = np.argwhere((picture != 0) & (picture != _ON))[0]
            raise DeploymentError(
                f"expected 0 or {_ON} for each electrode in {file.name}, but got {picture[row, column]} at row {row}, "
                f"column {column}: {AGAIN}"
            )
        upright = np.flip(picture, tuple(axis for axis, flipped in enumerate(plm.data_flip) if flipped))
        electrodes = (upright > 0).reshape(rows, high, columns, wide).astype(np.uint16)
        memory = (electrodes << layout[:, None, :]).sum((1, 3))
        return [np.argsort(plm.memory_lut).astype(np.uint16)[memory]]

    def words(self, bits: int) -> str:
        return "8-bit grey BMP of electrodes, 2 x 2 a mirror"

    def _plm(self) -> Any:  # without type hints
        with needing_extras():
            from ti_plm import PLM
        return PLM.from_db(self.model)
