"""Frames of one bit, 24 to a picture of colours, as controllers of digital micromirrors take them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from voltphase.core.errors import DeploymentError
from voltphase.panels.formats.base import AGAIN, FORMATS, Format, Frame, PanelFile
from voltphase.panels.formats.pictures import read_picture, write_picture


@FORMATS.register("bit-planes")
@dataclass(frozen=True)
class BitPlanes(Format):
    """A BMP of 24 bits a pixel that holds up to 24 frames of one bit; planes without a frame are 0.

    Args:
        order: Colours in the order of frames: with ``grb`` the first eight are bits 0 to 7 of green.
    """

    frames: ClassVar[int] = 24
    order: Literal["rgb", "rbg", "grb", "gbr", "brg", "bgr"] = "grb"

    @property
    def suffix(self) -> str:
        return ".bmp"

    def obstacle(self, shape: tuple[int, int], bits: int) -> str | None:
        return None if bits == 1 else f"a bit plane is of one bit, not of {bits}"

    def write(self, frames: Sequence[Frame], bits: int) -> bytes:
        picture = np.zeros((*frames[0].shape, 3), dtype=np.uint8)
        for number, frame in enumerate(frames):
            channel, bit = self._place(number)
            picture[..., channel] |= frame.astype(np.uint8) << bit
        return write_picture(picture, "bmp")

    def read(self, file: PanelFile) -> list[Frame]:
        picture = read_picture(file.content, file.name, file.shape, 24, "bmp", exact=file.exact)
        rest = picture.copy()
        found = []
        for channel, bit in map(self._place, range(file.frames)):
            found.append((picture[..., channel] >> bit) & 1)
            rest[..., channel] &= ~np.uint16(1 << bit)
        if rest.any():
            row, column, _ = np.argwhere(rest)[0]
            raise DeploymentError(
                f"expected {file.frames} of {self.frames} bit planes in {file.name} and 0 in the others, but one of "
                f"these has a bit at row {row}, column {column}: {AGAIN}"
            )
        return found

    def words(self, bits: int) -> str:
        return f"24-bit BMP of {self.frames} bit planes"

    def _place(self, number: int) -> tuple[int, int]:
        return "rgb".index(self.order[number // 8]), number % 8
