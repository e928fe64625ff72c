"""Rectangles on the detector, and the layouts that come with voltphase."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise
from typing import Annotated, Final, Literal

from annotated_types import Len

from voltphase.core import checks
from voltphase.core.errors import ConfigError, GeometryError, VoltphaseError

_PAPER_SIZE = 200
_PAPER_BOX = 20
_PAPER_CORNERS = (
    *((40, 40), (40, 90), (40, 140)),
    *((90, 30), (90, 70), (90, 110), (90, 150)),
    *((140, 40), (140, 90), (140, 140)),
)

PAPER_CLASSES: Final = len(_PAPER_CORNERS)

# Twenty regions in four rows of five, 34 samples apart: about the area of the paper's ten.
_PAIR_ROWS = (39, 73, 107, 141)
_PAIR_COLUMNS = (22, 56, 90, 124, 158)

# The part of the detector that the regions of any number of classes take, as the paper's ten do; twice it in pairs.
_REGIONS_AREA = 0.1
# Radii of rings, as parts of the shorter side: one for single regions, two for pairs.
_RING, _PAIR_RINGS = 0.31, (0.22, 0.36)

# Far more samples a side than any machine can propagate to.
_LARGEST_SIZE = 1 << 20

Box = tuple[int, int, int, int]
#: Layouts for any number of classes.
Layout = Literal["grid", "rings"]
#: Regions one by one, as a configuration lists them.
Boxes = Sequence[Annotated[Sequence[int], Len(4, 4)]]


@dataclass(frozen=True)
class Regions:
    """Rectangles on the detector, one per class, or a pair per class for differential detection.

    Args:
        boxes: (row, column, height, width) of each region in samples, row and column of its first corner.
        shape: (rows, columns) of the detector.
        paired: Whether two regions in a row belong to one class: light in the first speaks for it, in the second
            against it.

    Raises:
        GeometryError: if a region is empty or reaches outside the detector, there are fewer than two, or a pair lacks
            its second region.

    Examples:
        >>> regions = Regions.paper(64)
        >>> len(regions), regions.boxes[0]
        (10, (13, 13, 6, 6))
    """

    boxes: tuple[Box, ...]
    shape: tuple[int, int]
    paired: bool = False

    def __post_init__(self) -> None:
        rows, columns = shape = checks.size(self.shape, "the shape of the detector", error=GeometryError)
        advice = "give (row, column, height, width) of each"
        boxes = checks.items(self.boxes, "a list of detector regions", error=GeometryError, advice=advice)
        object.__setattr__(self, "paired", checks.flag(self.paired, "paired"))
        object.__setattr__(self, "shape", shape)
        object.__setattr__(
            self, "boxes", tuple(checked_box(box, index, GeometryError) for index, box in enumerate(boxes))
        )
        if self.paired and len(self.boxes) % 2:
            raise GeometryError(
                f"expected two detector regions for each class, but got {len(self.boxes)}: list the region for and the "
                "region against each class in turn"
            )
        if len(self.boxes) < 2:
            raise GeometryError(f"expected at least two detector regions, but got {len(self.boxes)}")
        for index, (row, column, height, width) in enumerate(self.boxes):
            if height < 1 or width < 1:
                raise GeometryError(f"expected detector region {index} to hold samples, but it is {height} x {width}")
            if row < 0 or column < 0 or row + height > rows or column + width > columns:
                raise GeometryError(
                    f"expected detector region {index} inside the {rows} x {columns} detector, but it covers rows "
                    f"{row} to {row + height - 1} and columns {column} to {column + width - 1}: move or shrink it"
                )

    def __len__(self) -> int:
        return len(self.boxes)

    @property
    def classes(self) -> int:
        """Number of classes that the regions tell apart."""
        return len(self.boxes) // 2 if self.paired else len(self.boxes)

    def class_of(self, region: int) -> int:
        """Return the class that a region speaks for or, as the second of a pair, against.

        Args:
            region: Index of the region.
        """
        return region // 2 if self.paired else region

    @classmethod
    def paper(cls, size: int = _PAPER_SIZE) -> Regions:
        """Return the paper's ten 20 x 20 regions in rows of 3, 4, 3 on 200 x 200 samples, scaled to a detector.

        Args:
            size: Number of samples along each side of the detector.

        Raises:
            GeometryError: if ``size`` is too small for ten regions.
        """
        scale = _checked_size(size, "the paper's regions") / _PAPER_SIZE
        box = round(_PAPER_BOX * scale)
        return cls(tuple((round(r * scale), round(c * scale), box, box) for r, c in _PAPER_CORNERS), (size, size))

    @classmethod
    def paper_pairs(cls, size: int = _PAPER_SIZE) -> Regions:
        """Return ten pairs of regions, each as large as one of the paper's, in four rows of five.

        A pair lies one above the other, its upper region the first of it in every second column. Upside down the
        layout is the same with each first region in the place of a second one: neither sign is nearer to the axis.

        Args:
            size: Number of samples along each side of the detector.

        Raises:
            GeometryError: if ``size`` is too small for twenty regions.
        """
        size = _checked_size(size, "ten pairs of regions")
        box = round(_PAPER_BOX * size / _PAPER_SIZE)
        rows, columns = (
            [round(corner * (size - box) / (_PAPER_SIZE - _PAPER_BOX)) for corner in corners]
            for corners in (_PAIR_ROWS, _PAIR_COLUMNS)
        )
        boxes: list[Box] = []
        for upper, lower in (rows[:2], rows[2:]):
            for index, column in enumerate(columns):
                pair = (upper, lower) if index % 2 == 0 else (lower, upper)
                boxes += [(row, column, box, box) for row in pair]
        return cls(tuple(boxes), (size, size), paired=True)

    @classmethod
    def laid_out(cls, layout: Layout, shape: tuple[int, int], count: int, *, paired: bool = False) -> Regions:
        """Return squares for any number of classes, which take a tenth of the detector in all, or a fifth in pairs.

        Args:
            layout: ``grid``, evenly spaced rows of as equal length as can be, for ten the paper's; pairs lie one above
                the other, with the region for the class above and below by turns. Or ``rings``, every region at the
                same distance from the axis; in pairs there are two rings, the regions for the classes on the inner and
                on the outer one by turns.
            shape: (rows, columns) of the detector.
            count: Number of classes.
            paired: Whether each class has two regions.

        Raises:
            GeometryError: if the detector is too small for so many regions.

        Examples:
            >>> Regions.laid_out("grid", (200, 200), 10) == Regions.paper(200)
            True
            >>> len(Regions.laid_out("rings", (64, 64), 26, paired=True))
            52
        """
        side = min(shape)
        box = side * math.sqrt(_REGIONS_AREA / checks.whole(count, "a number of classes", least=1))
        box, boxes = (_grid if layout == "grid" else _rings)(shape, count, paired, box)
        overlap = any(abs(a[0] - b[0]) < box and abs(a[1] - b[1]) < box for a, b in combinations(boxes, 2))
        if not box or overlap or any(not (0 <= a[axis] <= shape[axis] - box) for a in boxes for axis in (0, 1)):
            raise GeometryError(
                f"expected a detector with room for the regions of {count} classes as {layout}, but got {shape[0]} x "
                f"{shape[1]} samples: take more samples, or another layout in task.regions"
            )
        return cls(tuple((row, column, box, box) for row, column in boxes), shape, paired)


def regions_of(regions: Layout | Sequence[Box], shape: tuple[int, int], count: int, *, paired: bool) -> Regions:
    """Return the regions of a setting that is a layout for any number of classes or a list."""
    if isinstance(regions, str):
        return Regions.laid_out(regions, shape, count, paired=paired)
    return Regions(tuple(regions), shape, paired)


def checked_regions(regions: object, layouts: Sequence[str]) -> str | tuple[Box, ...]:
    """Return a setting that names a layout or lists regions; refuse what is neither with a ConfigError."""
    if isinstance(regions, str) and regions in layouts:
        return regions
    what = f"{', '.join(map(repr, layouts))} or a list of detector regions"
    boxes = checks.items(regions, what, advice="give (row, column, height, width) of each")
    return tuple(checked_box(box, index, ConfigError) for index, box in enumerate(boxes))


def require_count(regions: str | Sequence[Sequence[int]], count: int | None, each: str, *, paired: bool) -> None:
    """Refuse, with a ConfigError, a list of other than one region, or a pair, for each of a known number of answers."""
    wanted = (count or 0) * (1 + paired)
    if count is not None and not isinstance(regions, str) and len(regions) != wanted:
        raise ConfigError(
            f"expected a list of {wanted} regions, {'two' if paired else 'one'} for each {each} of {count}, but got "
            f"{len(regions)}: correct it, or take grid, which is laid out for any number"
        )


def _grid(shape: tuple[int, int], count: int, paired: bool, box: float) -> tuple[int, list[tuple[int, int]]]:
    rows = max(1, round(math.sqrt(count / (1 + paired))))
    each, more = divmod(count, rows)
    longer = sorted(range(rows), key=lambda row: abs(2 * row + 1 - rows))[:more]  # those in the middle
    size = round(box)
    down, corners = _spread(shape[0], rows * (1 + paired), size), []
    for row in range(rows):
        for index, column in enumerate(_spread(shape[1], each + (row in longer), size)):
            tops = down[2 * row : 2 * row + 2] if paired else [down[row]]
            corners += [(top, column) for top in (tops if index % 2 == 0 else reversed(tops))]
    return size, corners


def _spread(length: int, count: int, box: int) -> list[int]:
    """Return the first samples of so many boxes on one axis, evenly spaced and alike from both ends."""
    first = [round(length * (index + 1) / (count + 1) - box / 2) for index in range(count // 2)]
    middle = [(length - box) // 2] if count % 2 else []
    return [*first, *middle, *(length - box - start for start in reversed(first))]


def _rings(shape: tuple[int, int], count: int, paired: bool, box: float) -> tuple[int, list[tuple[int, int]]]:
    radii, side = _PAIR_RINGS if paired else (_RING,), min(shape)
    # Squares this far apart never overlap, whatever the direction.
    apart = [2 * radii[0] * math.sin(math.pi / count)] if count > 1 else []
    apart += [after - before for before, after in pairwise(radii)]
    size, corners = int(min([box, *(side * distance / math.sqrt(2) for distance in apart)])), []
    for index in range(count):
        turn = 2 * math.pi * index / count
        for radius in radii if index % 2 == 0 else reversed(radii):
            y, x = (side * radius * part for part in (-math.cos(turn), math.sin(turn)))
            corners.append((round((shape[0] - size) / 2 + y), round((shape[1] - size) / 2 + x)))
    return size, corners


def _checked_size(size: object, purpose: str) -> int:
    checked = checks.whole(size, "a detector's size", most=_LARGEST_SIZE, error=GeometryError)
    if checked < _PAPER_SIZE // _PAPER_BOX:
        raise GeometryError(f"expected a detector of at least 10 x 10 for {purpose}, but got {checked}")
    return checked


def checked_box(box: object, index: int, error: type[VoltphaseError]) -> Box:
    """Return a region of the detector as four whole numbers; refuse what is none."""
    what = f"detector region {index}"
    numbers = checks.items(box, f"{what} as (row, column, height, width)", error=error)
    if len(numbers) != 4:
        raise error(f"expected {what} as (row, column, height, width), but got {checks.shown(box)}")
    row, column, height, width = (checks.whole(n, f"the numbers of {what}", error=error) for n in numbers)
    return row, column, height, width
