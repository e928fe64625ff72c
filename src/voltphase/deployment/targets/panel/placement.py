"""Where the pixels of a design lie on a panel: tiling, centring, flips and quarter turns, and the way back."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from numbers import Integral
from typing import Any, Final, Literal, TypeVar, get_args

import numpy as np
from numpy.typing import NDArray

from voltphase.core import checks
from voltphase.core.errors import DeploymentError
from voltphase.core.units import metres
from voltphase.optics.grid import Grid

Flip = Literal["none", "rows", "columns", "both"]
Turn = Literal[0, 90, 180, 270]
Resample = Literal["nearest", "area"]

_Value = TypeVar("_Value")
_Scalar = TypeVar("_Scalar", bound=np.generic)
_FLIPS: Final[dict[Flip, tuple[int, ...]]] = {"none": (), "rows": (0,), "columns": (1,), "both": (0, 1)}
_TURNS: Final = get_args(Turn)
# A pitch is a multiple of another one if over ten thousand pixels it is off by one of them.
_MULTIPLE: Final = 1e-4


@dataclass(frozen=True)
class Orientation:
    """How a map is turned before it is put on a panel: mirrored first, then turned.

    Args:
        flip: Which way it is mirrored: the order of its rows (top and bottom change places), of its columns, or both.
        turn: Degrees that it is then turned by, counter-clockwise as it is looked at.

    Examples:
        >>> quarter = Orientation("columns", 90)
        >>> quarter.onto(np.array([[1, 2], [3, 4]])).tolist()
        [[1, 3], [2, 4]]
        >>> quarter.back(quarter.onto(np.array([[1, 2], [3, 4]]))).tolist()
        [[1, 2], [3, 4]]
    """

    flip: Flip = "none"
    turn: Turn = 0

    @property
    def across(self) -> bool:
        """Whether rows of the map become columns of the panel."""
        return self.turn in (90, 270)

    def onto(self, values: NDArray[_Scalar]) -> NDArray[_Scalar]:
        """Return a ``rows x columns`` map as it lies on the panel."""
        return np.rot90(np.flip(values, _FLIPS[self.flip]), self.turn // 90)

    def back(self, values: NDArray[_Scalar]) -> NDArray[_Scalar]:
        """Return what :meth:`onto` was given."""
        return np.flip(np.rot90(values, -self.turn // 90), _FLIPS[self.flip])


@dataclass(frozen=True)
class Axis:
    """The pixels of a panel that one axis of a design lies on.

    Args:
        count: Number of design pixels along the axis.
        ratio: Panel pixels to a design pixel, at least 1; not whole where the map is resampled.
    """

    count: int
    ratio: float

    @cached_property
    def size(self) -> int:
        """Number of panel pixels."""
        return round(self.count * self.ratio)

    @cached_property
    def whole(self) -> bool:
        """Whether every design pixel is as many panel pixels."""
        return float(self.ratio).is_integer()

    @cached_property
    def nearest(self) -> NDArray[np.int64]:
        """The design pixel in which the centre of each panel pixel lies."""
        centres = (np.arange(self.size) + 0.5 - self.size / 2) / self.ratio + self.count / 2
        return np.clip(np.floor(centres).astype(np.int64), 0, self.count - 1)

    @cached_property
    def centres(self) -> NDArray[np.int64]:
        """The panel pixel in which the centre of each design pixel lies: always one that shows it, by :attr:`nearest`.

        Where a design pixel is at least two panel pixels wide, this one lies within it as a whole.
        """
        places = (np.arange(self.count) + 0.5 - self.count / 2) * self.ratio + self.size / 2
        return np.clip(np.floor(places).astype(np.int64), 0, self.size - 1)

    @cached_property
    def shares(self) -> NDArray[np.float64]:
        """The part of each panel pixel that each design pixel covers, ``size x count``; each row adds up to 1."""
        edges = (np.arange(self.size + 1) - self.size / 2) / self.ratio + self.count / 2
        pixels = np.arange(self.count)
        covered = np.minimum(edges[1:, None], pixels + 1) - np.maximum(edges[:-1, None], pixels)
        covered = np.clip(covered, 0, None)
        return covered / covered.sum(1, keepdims=True)


@dataclass(frozen=True)
class Window:
    """The rectangle of a panel that a layer lies on, with its top left pixel, and how its pixels fill it.

    Args:
        top: First row of the panel.
        left: First column of the panel.
        rows: How the rows of the map, turned as they lie on the panel, cover it.
        columns: How its columns do.
        orientation: How the map is turned.
    """

    top: int
    left: int
    rows: Axis
    columns: Axis
    orientation: Orientation

    @property
    def shape(self) -> tuple[int, int]:
        """Panel pixels (rows, columns)."""
        return self.rows.size, self.columns.size

    @property
    def slices(self) -> tuple[slice, slice]:
        """Where it lies in a ``rows x columns`` array of the panel."""
        height, width = self.shape
        return slice(self.top, self.top + height), slice(self.left, self.left + width)

    @property
    def centre(self) -> tuple[float, float]:
        """Row and column of its centre, in which a whole number is the centre of a pixel, from the top left one on."""
        return self.top + (self.rows.size - 1) / 2, self.left + (self.columns.size - 1) / 2

    @property
    def whole(self) -> bool:
        """Whether every design pixel is as many panel pixels."""
        return self.rows.whole and self.columns.whole

    def grid(self, design: Grid) -> Grid:
        """Return where its panel pixels lie, as the design is drawn: its map turned back."""
        rows, columns = (self.columns, self.rows) if self.orientation.across else (self.rows, self.columns)
        pitch = (design.pitch[0] / rows.ratio, design.pitch[1] / columns.ratio)
        return Grid((rows.size, columns.size), pitch, design.offset)

    def spread(self, values: NDArray[_Scalar]) -> NDArray[_Scalar]:
        """Return a map of the design as the panel pixels of the window: each takes the design pixel at its centre."""
        return self.orientation.onto(values)[np.ix_(self.rows.nearest, self.columns.nearest)]

    def gather(self, values: NDArray[_Scalar]) -> NDArray[_Scalar]:
        """Return the map of the design that the panel pixels of the window stand for, one taken for each pixel."""
        return self.orientation.back(values[np.ix_(self.rows.centres, self.columns.centres)])

    def averaged(self, values: NDArray[np.complex128]) -> NDArray[np.complex128]:
        """Return the mean over each panel pixel of a complex map of the design."""
        return self.rows.shares @ self.orientation.onto(values) @ self.columns.shares.T

    def design_pixel(self, row: int, column: int) -> tuple[int, int]:
        """Return the row and column of the design that a pixel of the panel shows."""
        (rows, columns), numbers = (self.rows.count, self.columns.count), (self.rows.nearest, self.columns.nearest)
        turned = np.zeros((rows, columns), dtype=bool)
        turned[numbers[0][row - self.top], numbers[1][column - self.left]] = True
        found = np.argwhere(self.orientation.back(turned))[0]
        return int(found[0]), int(found[1])


@dataclass(frozen=True)
class Placement:
    """How layers are put on panels of one kind; of flips, turns and offsets one is for all layers, or one for each.

    Args:
        shape: (rows, columns) of the panel.
        pitch: Distance between its pixels in metres, (y, x).
        name: Name of the panel, for sentences.
        pixels: Panel pixels along each side of a design pixel; as many as the pitches say if None.
        resample: What a panel pixel shows where the pitches do not fit: the design pixel ``nearest`` to its centre, or
            the state nearest to their mean over its ``area``; None to refuse.
        offset: Panel pixels (rows, columns) that a layer is moved by from its place, downwards and to the right.
        flip: Way in which a map is mirrored.
        turn: Degrees that it is then turned by, counter-clockwise.
        together: Number of layers side by side on one panel, each in the middle of its part of the columns.
    """

    shape: tuple[int, int]
    pitch: tuple[float, float]
    name: str
    pixels: int | None = None
    resample: Resample | None = None
    offset: tuple[int, int] | Sequence[tuple[int, int]] = (0, 0)
    flip: Flip | Sequence[Flip] = "none"
    turn: Turn | Sequence[Turn] = 0
    together: int = 1

    def __post_init__(self) -> None:
        if self.pixels is not None:
            checks.whole(self.pixels, "panel pixels to a design pixel", least=1, error=DeploymentError)
            if self.resample is not None:
                raise DeploymentError("expected either pixels or resample, but got both: leave one out")
        if self.resample is not None:
            checks.word(self.resample, "a way to resample", get_args(Resample), error=DeploymentError)
        checks.whole(self.together, "a number of layers on each panel", least=1, error=DeploymentError)
        what = "an offset as two whole numbers of panel pixels, (rows, columns)"
        given = checks.items(self.offset, what, error=DeploymentError)
        pairs = [given] if given and all(isinstance(one, Integral) for one in given) else given
        offsets = [checks.items(pair, what, error=DeploymentError) for pair in pairs]
        if not offsets or any(len(pair) != 2 for pair in offsets):
            raise DeploymentError(f"expected {what}, but got {checks.shown(self.offset)}")
        numbers = tuple(tuple(checks.whole(n, what, error=DeploymentError) for n in pair) for pair in offsets)
        object.__setattr__(self, "offset", numbers)
        flips = [self.flip] if isinstance(self.flip, str) else checks.items(self.flip, "a flip", error=DeploymentError)
        for flip in flips:
            checks.word(flip, "a flip", tuple(_FLIPS), error=DeploymentError)
        object.__setattr__(self, "flip", tuple(flips))
        turns = [self.turn] if isinstance(self.turn, Integral) else self.turn
        for turn in (turns := checks.items(turns, "a turn", error=DeploymentError)):
            if isinstance(turn, bool) or turn not in _TURNS:
                raise DeploymentError(
                    f"expected a turn out of 0, 90, 180 and 270 degrees, but got {checks.shown(turn)}"
                )
        object.__setattr__(self, "turn", tuple(turns))

    def windows(self, grids: Sequence[Grid]) -> list[Window]:
        """Return where each layer of a design lies.

        Args:
            grids: Grids of the layers in the order light meets them.

        Raises:
            DeploymentError: if a pitch is no multiple of the panel's and nothing is to be resampled, a layer does not
                fit on the panel where it is to lie, two of one panel overlap, or there is not one offset, flip and
                turn for each layer.
        """
        count = len(grids)
        every: Any = ((self.offset, "offset"), (self.flip, "flip"), (self.turn, "turn"))
        offsets, flips, turns = (_for_each(values, count, what) for values, what in every)
        windows = [
            self._window(number, grid, offset, Orientation(flip, turn))
            for number, (grid, offset, flip, turn) in enumerate(zip(grids, offsets, flips, turns, strict=True), 1)
        ]
        for start in range(0, count, self.together):
            numbered = list(enumerate(windows[start : start + self.together], start + 1))
            for (first, one), (second, other) in combinations(numbered, 2):
                if _overlap(one, other):
                    raise DeploymentError(
                        f"expected layers {first} and {second} side by side on {self.name}, but {_place(one)} and "
                        f"{_place(other)} overlap: move them apart by an offset for each layer, or give each a panel"
                    )
        return windows

    def scale(self, grid: Grid) -> float:
        """Return the size of a layer on the panel over its size in the design: 1 unless ``pixels`` says another.

        Where it is another, something between the panel and the design's plane has to magnify.
        """
        return 1.0 if self.pixels is None else self.pixels * self.pitch[0] / grid.pitch[0]

    def _window(self, number: int, grid: Grid, offset: tuple[int, int], orientation: Orientation) -> Window:
        axes = (1, 0) if orientation.across else (0, 1)
        ratios = [self._ratio(number, grid, axis, self.pitch[side]) for side, axis in enumerate(axes)]
        rows, columns = (Axis(grid.shape[axis], ratio) for axis, ratio in zip(axes, ratios, strict=True))
        # Centred in its part of the panel's columns: half a pixel up or left where it cannot be in the middle.
        part = (number - 1) % self.together
        start, end = (self.shape[1] * edge // self.together for edge in (part, part + 1))
        top = (self.shape[0] - rows.size) // 2 + offset[0]
        left = start + (end - start - columns.size) // 2 + offset[1]
        window = Window(top, left, rows, columns, orientation)
        if top < 0 or left < 0 or top + rows.size > self.shape[0] or left + columns.size > self.shape[1]:
            self._refuse(number, grid, window, offset)
        return window

    def _ratio(self, number: int, grid: Grid, axis: int, pitch: float) -> float:
        if self.pixels is not None:
            if not math.isclose(grid.pitch[0], grid.pitch[1]):
                raise DeploymentError(
                    f"expected pixels as wide as they are high in layer {number}, to show each as {self.pixels} x "
                    f"{self.pixels} of {self.name}, but they are {metres(grid.pitch[0], 6)} x "
                    f"{metres(grid.pitch[1], 6)}: leave pixels out"
                )
            return float(self.pixels)
        ratio = grid.pitch[axis] / pitch
        if ratio >= 1 - _MULTIPLE and abs(ratio - round(ratio)) <= _MULTIPLE * ratio:
            return float(round(ratio))
        least = 2 if self.resample == "area" else 1
        if self.resample is not None and ratio > least:
            return ratio
        sides, wanted = grid.extent[axis], metres(grid.pitch[axis], 6)
        fits = [n for n in (math.floor(ratio), math.ceil(ratio)) if n >= 1]
        designs = " or ".join(f"{round(sides / (n * pitch))} pixels of {metres(n * pitch, 6)}" for n in fits)
        if self.resample is not None:
            raise DeploymentError(
                f"expected a pitch above {metres(least * pitch, 6)} in layer {number}, so that every pixel can be read "
                f"back of {self.name} when it is resampled ({self.resample}), but got {wanted}: train with {designs} "
                "along that side"
            )
        resampled = "" if ratio < 1 else ", or resample it (nearest, or area), which changes the light"
        raise DeploymentError(
            f"expected a pitch that is a whole multiple of the {metres(pitch, 6)} of {self.name}, but layer {number} "
            f"has {wanted}, {ratio:.6g} of its pixels: train with {designs} along that side{resampled}"
        )

    def _refuse(self, number: int, grid: Grid, window: Window, offset: tuple[int, int]) -> None:
        rows, columns = self.shape
        height, width = window.shape
        part = columns // self.together
        if height > rows or width > columns or (width > part and not any(offset)):
            parts = f", of which each of {self.together} layers gets {part} columns" if self.together > 1 else ""
            raise DeploymentError(
                f"expected layer {number} to fit on {self.name}, {rows} rows x {columns} columns{parts}, but its "
                f"{grid.rows} x {grid.columns} pixels take {height} x {width} of it: take a larger panel, fewer pixels "
                "in the design, or fewer panel pixels for each"
            )
        raise DeploymentError(
            f"expected layer {number} to lie on {self.name}, {rows} rows x {columns} columns, but moved by "
            f"{offset[0]} rows and {offset[1]} columns it takes {_place(window)}: move it by less"
        )


def _for_each(values: Sequence[_Value], count: int, what: str) -> list[_Value]:
    if len(values) not in (1, count):
        raise DeploymentError(
            f"expected one {what} for all layers or one for each of the {count}, but got {len(values)}"
        )
    return list(values) * (count if len(values) == 1 else 1)


def _overlap(one: Window, other: Window) -> bool:
    return all(
        first.start < second.stop and second.start < first.stop
        for first, second in zip(one.slices, other.slices, strict=True)
    )


def _place(window: Window) -> str:
    rows, columns = window.slices
    return f"rows {rows.start} to {rows.stop - 1} and columns {columns.start} to {columns.stop - 1}"
