"""Grey levels of more than 8 bits in two colours of a picture, as they go over HDMI."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np

from voltphase.core.errors import ConfigError, DeploymentError
from voltphase.panels.formats.base import AGAIN, FORMATS, Format, Frame, PanelFile
from voltphase.panels.formats.pictures import Kind, read_picture, write_picture

_Colour = Literal["red", "green", "blue"]
_CHANNELS: Final[dict[_Colour, int]] = {"red": 0, "green": 1, "blue": 2}


@FORMATS.register("two-colours")
@dataclass(frozen=True)
class TwoColours(Format):
    """A picture of colours: the upper 8 bits of a grey level in one, the others in another, and 0 in the third.

    Args:
        upper: Colour with the upper 8 bits.
        lower: Colour with the other bits, as a number from 0.
        kind: Kind of file.
    """

    upper: _Colour = "red"
    lower: _Colour = "blue"
    kind: Kind = "bmp"

    def __post_init__(self) -> None:
        if self.upper == self.lower:
            raise ConfigError(f"expected two colours for upper and lower, but got {self.upper} for both")

    @property
    def suffix(self) -> str:
        return f".{self.kind}"

    def obstacle(self, shape: tuple[int, int], bits: int) -> str | None:
        return None if 8 < bits <= 16 else f"two colours are for grey levels of 9 to 16 bits, not of {bits}"

    def write(self, frames: Sequence[Frame], bits: int) -> bytes:
        (frame,) = frames
        picture = np.zeros((*frame.shape, 3), dtype=np.uint8)
        picture[..., _CHANNELS[self.upper]] = frame >> (bits - 8)
        picture[..., _CHANNELS[self.lower]] = frame & self._mask(bits)
        return write_picture(picture, self.kind)

    def read(self, file: PanelFile) -> list[Frame]:
        picture = read_picture(file.content, file.name, file.shape, 24, self.kind, exact=file.exact)
        most = np.zeros(3, dtype=np.uint16)
        most[_CHANNELS[self.upper]], most[_CHANNELS[self.lower]] = 255, self._mask(file.bits)
        if (picture > most).any():
            row, column, channel = np.argwhere(picture > most)[0]
            colour = list(_CHANNELS)[channel]
            raise DeploymentError(
                f"expected at most {most[channel]} in {colour} in {file.name}, but got {picture[row, column, channel]} "
                f"at row {row}, column {column}: {AGAIN}"
            )
        upper, lower = picture[..., _CHANNELS[self.upper]], picture[..., _CHANNELS[self.lower]]
        return [((upper << (file.bits - 8)) | lower).astype(np.uint16)]

    def words(self, bits: int) -> str:
        return f"24-bit {self.kind.upper()} with {bits} bits in {self.upper} and {self.lower}"

    def _mask(self, bits: int) -> int:
        return (1 << (bits - 8)) - 1
