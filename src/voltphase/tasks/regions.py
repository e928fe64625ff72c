"""Rectangles on the detector, and the layouts that come with voltphase."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from voltphase.core import checks
from voltphase.core.errors import GeometryError, VoltphaseError

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

# Far more samples a side than any machine can propagate to.
_LARGEST_SIZE = 1 << 20

Box = tuple[int, int, int, int]


@dataclass(frozen=True)
class Regions:
    """Rectangles on the detector, one per class, or a pair per class for differential detection.

    Args:
        boxes: (row, column, height, width) of each region in samples, row and column of its first corner.
        shape: (rows, columns) of the detector.
        paired: Whether two regions in a row belong to one class: light in the first speaks for it, in the second
            against it.

    Raises:
        GeometryError: if a region is empty or reaches outside the detector, there are fewer than two classes, or a
            pair lacks its second region.

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
        if self.paired and (len(self.boxes) % 2 or len(self.boxes) < 4):
            raise GeometryError(
                f"expected two detector regions for each of at least two classes, but got {len(self.boxes)}: list the "
                "region for and the region against each class in turn"
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
