"""From light in a window of the detector to a picture."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal, get_args

import torch
from torch import Tensor

from voltphase.core import checks
from voltphase.core.dtypes import with_standard_torch
from voltphase.core.errors import ConfigError, GeometryError, VoltphaseError
from voltphase.tasks.base import Readout, require_complex_field
from voltphase.tasks.region_readout import share
from voltphase.tasks.regions import Box

Picture = Literal["intensity", "amplitude", "field"]
_ADVICE: Final = "give (row, column, height, width) in samples"


class WindowReadout(Readout):
    """A picture of the light in a window of the detector, in units of the light on the whole detector.

    Pixel p of the picture is, with intensity ``I = abs(field)**2``:

    - ``intensity``: I summed over the samples of p, over I summed over the whole detector;
    - ``amplitude``: the square root of that;
    - ``field``: the complex field over the square root of I summed over the whole detector, as [real part, imaginary
      part]; a pixel is one sample then.

    So it does not depend on how bright the light is, and the squares of a picture of the whole detector add up to 1 (of
    ``intensity``, its pixels). Where no light arrives all of it is 0.

    Args:
        shape: (rows, columns) of the detector.
        window: (row, column, height, width) of the window in samples; the whole detector by default.
        pixels: (rows, columns) of the picture, each pixel a block of as many samples; one a sample by default.
        measure: What the picture is of, one of the above.

    Raises:
        GeometryError: if the window reaches beyond the detector or is no whole number of samples for each pixel.
        ConfigError: for an unknown measure.

    Examples:
        >>> readout = WindowReadout((8, 8), window=(0, 0, 4, 8), pixels=(1, 2))
        >>> readout(torch.ones(1, 8, 8, dtype=torch.complex64)).tolist()
        [[[0.25, 0.25]]]
    """

    @with_standard_torch
    def __init__(
        self,
        shape: tuple[int, int],
        window: Sequence[int] | None = None,
        pixels: Sequence[int] | None = None,
        measure: Picture = "intensity",
    ) -> None:
        super().__init__()
        checks.word(measure, "a measure", get_args(Picture))
        rows, columns = self.shape = checks.size(shape, "the shape of the detector", error=GeometryError)
        row, column, height, width = checked_window((0, 0, rows, columns) if window is None else window)
        if row < 0 or column < 0 or row + height > rows or column + width > columns:
            raise GeometryError(
                f"expected the window inside the {rows} x {columns} detector, but it covers rows {row} to "
                f"{row + height - 1} and columns {column} to {column + width - 1}: move or shrink task.window"
            )
        self.box: Box = (row, column, height, width)
        self.pixels = (height, width) if pixels is None else checked_pixels(pixels)
        self.measure: Picture = measure
        if height % self.pixels[0] or width % self.pixels[1] or (measure == "field" and self.pixels != (height, width)):
            whole = "one sample" if measure == "field" else "a whole number of samples"
            raise GeometryError(
                f"expected {whole} for each pixel of a picture of the {measure}, but got {self.pixels[0]} x "
                f"{self.pixels[1]} pixels in a window of {height} x {width}: change task.pixels or task.window"
            )
        # All of the detector: what the window holds is a part of it.
        self.register_buffer("window_rows", torch.arange(rows), persistent=False)
        self.register_buffer("window_columns", torch.arange(columns), persistent=False)

    @property
    def output_shape(self) -> tuple[int, ...]:
        """Shape of the picture of one image."""
        return (*self.pixels, 2) if self.measure == "field" else self.pixels

    def counted(self) -> Tensor:
        counted = torch.zeros(self.shape, device=self.window_rows.device)
        self._cut(counted)[:] = 1
        return counted

    def read(self, window: Tensor) -> Tensor:
        """Return the picture, a real ``batch x rows x columns`` tensor; of a ``field`` with a last axis of two."""
        require_complex_field(window)
        light = window.real.square() + window.imag.square()
        total = light.sum((-2, -1), keepdim=True)
        if self.measure == "field":
            return torch.view_as_real(share(self._cut(window), root(total)))
        (rows, columns), light = self.pixels, self._cut(light)
        blocks = light.unflatten(-1, (columns, -1)).unflatten(-3, (rows, -1)) if self.box[2:] != self.pixels else None
        shares = share(light if blocks is None else blocks.sum((-3, -1)), total)
        return root(shares) if self.measure == "amplitude" else shares

    def outputs(self, measured: Tensor) -> Tensor:
        return measured

    def extra_repr(self) -> str:
        return f"window={self.box}, pixels={self.pixels}, measure={self.measure!r}"

    def _cut(self, plane: Tensor) -> Tensor:
        row, column, height, width = self.box
        return plane[..., row : row + height, column : column + width]


def root(light: Tensor) -> Tensor:
    """Return the square root of light, with a slope of 0 where there is none."""
    lit = light > torch.finfo(light.dtype).tiny
    return torch.where(lit, torch.where(lit, light, 1).sqrt(), 0)


def checked_window(window: object, error: type[VoltphaseError] = GeometryError) -> Box:
    """Return a window as four whole numbers, of which the last two are at least 1; refuse what is none."""
    numbers = checks.items(window, "a window as (row, column, height, width)", error=error, advice=_ADVICE)
    if len(numbers) != 4:
        raise error(f"expected a window as (row, column, height, width), but got {checks.shown(window)}: {_ADVICE}")
    row, column = (checks.whole(number, "the corner of a window", error=error) for number in numbers[:2])
    return row, column, *checks.size(numbers[2:], "the height and width of a window", error=error)


def checked_pixels(pixels: object) -> tuple[int, int]:
    """Return the size of a picture as two whole numbers of at least 1; refuse what is none."""
    return checks.size(pixels, "the pixels of a picture as (rows, columns)", error=ConfigError)
