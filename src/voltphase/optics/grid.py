"""Where the samples of a plane lie."""

from __future__ import annotations

import copy
import math
from contextlib import suppress
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any, TypeVar

import torch

from voltphase.core import checks
from voltphase.core.display.card import card
from voltphase.core.display.pictures import planes_picture
from voltphase.core.errors import GeometryError
from voltphase.core.units import OFFSET, PITCH, SMALLEST_PITCH, metres, require_length

_Number = TypeVar("_Number", int, float)


@dataclass(frozen=True)
class Grid:
    """A plane across the beam, sampled at ``shape`` points.

    Sample ``j`` of ``n`` along an axis lies at ``(j - (n - 1) / 2) * pitch + offset``. Axis order is
    (rows = y, columns = x) throughout.

    Args:
        shape: Numbers of rows and columns, each at least 1; one number for a square.
        pitch: Distance between samples in metres, one number or (y, x).
        offset: Centre of the grid (y, x) in metres.

    Raises:
        GeometryError: if the shape is not one or two whole numbers, the pitch not one or two numbers, the offset not
            two, a size is below 1, a pitch is below 1e-10 m or above 0.1 m, or a number is not finite.

    Warns:
        UnitWarning: if a pitch is above 5 mm or an offset above 0.5 m: they look to be in another unit.

    Examples:
        >>> grid = Grid(5, pitch=0.001, offset=(0.0, 0.002))
        >>> grid.coordinates()[1].tolist()
        [0.0, 0.001, 0.002, 0.003, 0.004]
    """

    shape: tuple[int, int]
    pitch: tuple[float, float]
    offset: tuple[float, float] = (0.0, 0.0)

    def __init__(
        self,
        shape: int | tuple[int, int],
        pitch: float | tuple[float, float],
        offset: tuple[float, float] = (0.0, 0.0),
    ) -> None:
        sizes = (shape, shape) if isinstance(shape, Integral) else shape
        shape = _pair(sizes, int, "whole numbers of samples as a grid's shape, one or (rows, columns)")
        pitches = (pitch, pitch) if isinstance(pitch, Real) else pitch
        pitches = _pair(pitches, float, "numbers of metres as a grid's pitch, one or (y, x)")
        offset = _pair(offset, float, "numbers of metres as a grid's offset, (y, x)")
        if min(shape) < 1:
            raise GeometryError(f"expected a grid of at least 1 x 1 samples, but got {shape[0]} x {shape[1]}")
        if not all(math.isfinite(p) and p > 0 for p in pitches):
            raise GeometryError(f"expected a pitch in metres above zero, but got {pitch}: a typical one is 36e-6")
        if not all(math.isfinite(o) for o in offset):
            raise GeometryError(f"expected a finite offset in metres, but got {offset}")
        if min(pitches) < SMALLEST_PITCH:
            raise GeometryError(
                f"expected a pitch in metres of at least {SMALLEST_PITCH:g}, the size of an atom, but got {pitch}: a "
                "typical one is 36e-6"
            )
        require_length(PITCH, *pitches)
        require_length(OFFSET, *offset)
        object.__setattr__(self, "shape", shape)
        object.__setattr__(self, "pitch", pitches)
        object.__setattr__(self, "offset", offset)

    def __str__(self) -> str:
        y, x = (metres(pitch, 6) for pitch in self.pitch)
        pitch = y if y == x else f"{y} (y), {x} (x)"
        centre = f", centre at {metres(self.offset[0], 6)} (y), {metres(self.offset[1], 6)} (x)"
        return f"{self.rows} x {self.columns} samples, pitch {pitch}{centre if any(self.offset) else ''}"

    def __repr__(self) -> str:
        return f"Grid({self})"

    def _repr_html_(self) -> str:
        height, width = self.extent
        return card(
            "Grid",
            {"samples": str(self), "size": f"{metres(height)} x {metres(width)}"},
            [planes_picture([self.extent])],
        )

    @property
    def rows(self) -> int:
        """The number of rows."""
        return self.shape[0]

    @property
    def columns(self) -> int:
        """The number of columns."""
        return self.shape[1]

    @property
    def extent(self) -> tuple[float, float]:
        """Width of the sampled area in metres, (y, x): samples times pitch."""
        return (self.rows * self.pitch[0], self.columns * self.pitch[1])

    def resized(self, shape: tuple[int, int]) -> Grid:
        """Return the grid of another shape (rows, columns) at the same pitch and offset, with no further warning."""
        resized = copy.copy(self)
        object.__setattr__(resized, "shape", shape)
        return resized

    def coordinates(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the y of each row and the x of each column in metres, two 1-D float64 tensors on the CPU."""
        y, x = (
            (torch.arange(n, dtype=torch.float64, device="cpu") - (n - 1) / 2) * pitch + offset
            for n, pitch, offset in zip(self.shape, self.pitch, self.offset, strict=True)
        )
        return y, x


def around(grid: Grid, point: tuple[float, float], what: str = "centre") -> tuple[torch.Tensor, torch.Tensor]:
    """Return :meth:`Grid.coordinates` as seen from a point (y, x) in metres, after a look at both that are given."""
    checks.instance(grid, Grid, "a voltphase.Grid", error=GeometryError)
    point = checks.pair(point, f"{what} in metres", error=GeometryError)
    require_length(OFFSET, *point, what=what)
    y, x = (coordinate - at for coordinate, at in zip(grid.coordinates(), point, strict=True))
    return y, x


def _pair(given: Any, number: type[_Number], expected: str) -> tuple[_Number, _Number]:
    kind = Integral if number is int else Real  # numpy's scalars are such too
    with suppress(TypeError, OverflowError):  # no pair at all, or whole numbers beyond the range of floats
        pair: tuple[Any, ...] = tuple(given)
        if len(pair) == 2 and all(isinstance(one, kind) for one in pair):
            return number(pair[0]), number(pair[1])
    raise GeometryError(f"expected {expected}, but got {checks.shown(given)}")
