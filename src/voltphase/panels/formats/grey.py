"""A grey picture: one value a pixel, as it is sent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
from annotated_types import Ge, Le

from voltphase.core.errors import ConfigError, DeploymentError
from voltphase.panels.formats.base import AGAIN, FORMATS, Format, Frame, PanelFile
from voltphase.panels.formats.pictures import Kind, read_picture, write_picture

_Side = Annotated[int, Ge(0), Le(8192)]


@FORMATS.register("grey")
@dataclass(frozen=True)
class Grey(Format):
    """A grey picture of 8 or 16 bits; a panel's pixels may fill a part of it, never resized.

    Args:
        kind: Kind of file.
        depth: Bits of a value in the file; grey levels of fewer bits are its lowest.
        picture: Rows and columns of the picture, where it is larger than the panel; what is around it is 0.
        corner: Row and column of the picture, from 0, at which the panel's first pixel is.
    """

    kind: Kind = "bmp"
    depth: Literal[8, 16] = 8
    picture: tuple[_Side, _Side] | None = None
    corner: tuple[_Side, _Side] = (0, 0)

    def __post_init__(self) -> None:
        if self.kind == "bmp" and self.depth == 16:
            raise ConfigError("expected a PNG for grey of 16 bits, but got bmp, which has 8: take kind png")

    @property
    def suffix(self) -> str:
        return f".{self.kind}"

    def obstacle(self, shape: tuple[int, int], bits: int) -> str | None:
        if bits > self.depth:
            return f"a value of {self.depth} bits cannot hold grey levels of {bits}"
        (top, left), (rows, columns) = self.corner, self._size(shape)
        if top + shape[0] > rows or left + shape[1] > columns:
            return (
                f"{shape[0]} x {shape[1]} pixels from row {top}, column {left} do not lie within a picture of {rows} x "
                f"{columns}"
            )
        return None

    def write(self, frames: Sequence[Frame], bits: int) -> bytes:
        (frame,) = frames
        picture = np.zeros(self._size(frame.shape), dtype=np.uint16)
        picture[self._part(frame.shape)] = frame
        return write_picture(picture if self.depth == 16 else picture.astype(np.uint8), self.kind)

    def read(self, file: PanelFile) -> list[Frame]:
        picture = read_picture(file.content, file.name, self._size(file.shape), self.depth, self.kind, exact=file.exact)
        part = self._part(file.shape)
        around = picture.copy()
        around[part] = 0
        if file.exact and around.any():
            row, column = np.argwhere(around)[0]
            raise DeploymentError(
                f"expected 0 around the panel's pixels in {file.name}, but got {picture[row, column]} at row {row}, "
                f"column {column}: {AGAIN}"
            )
        return [picture[part]]

    def largest(self, shape: tuple[int, int], bits: int) -> int:
        return super().largest(self._size(shape), bits)

    def words(self, bits: int) -> str:
        within = f", within {self.picture[0]} x {self.picture[1]}" if self.picture else ""
        return f"{self.depth}-bit grey {self.kind.upper()}{within}"

    def _size(self, shape: tuple[int, ...]) -> tuple[int, int]:
        return self.picture or (shape[0], shape[1])

    def _part(self, shape: tuple[int, ...]) -> tuple[slice, slice]:
        (top, left), (rows, columns) = self.corner, shape
        return slice(top, top + rows), slice(left, left + columns)
