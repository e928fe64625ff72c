"""Parts of a detector, side by side: which part of an answer is read on each, and what a readout needs of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, get_args

import torch
from torch import Tensor, nn

from voltphase.core import checks
from voltphase.core.errors import ConfigError
from voltphase.optics.grid import Grid
from voltphase.tasks import RegionReadout, Regions
from voltphase.tasks.base import Readout

Combine = Literal["sum", "classes", "difference"]


@dataclass(frozen=True)
class Combination:
    """How several networks, or several detectors, make one answer.

    Args:
        count: How many there are.
        combine: ``sum``: their intensities add on one plane. With ``classes`` and ``difference`` each has a part of the
            whole detector, side by side from left to right: it reads its share of the classes, or of two the first
            reads the regions that speak for the classes, and the second those that speak against them.
        what: What they are: ``networks`` or ``detectors``.

    Raises:
        ConfigError: if there are not as many as ``combine`` takes.

    Examples:
        >>> Combination(2, "classes", "networks").areas
        2
    """

    count: int
    combine: Combine
    what: str

    def __post_init__(self) -> None:
        checks.word(self.combine, f"a way to combine {self.what}", get_args(Combine))
        if self.combine == "difference" and self.count != 2:
            raise ConfigError(
                f"expected 2 {self.what}, the first of which speaks for the classes and the second against them, for "
                f"combine difference, but got {self.count}: give 2, or use combine sum or classes"
            )
        if self.combine == "classes" and self.count < 2:
            raise ConfigError(f"expected 2 {self.what} or more to share the classes for combine classes, but got 1")

    @property
    def areas(self) -> int:
        """Number of parts, side by side, that the whole detector has."""
        return 1 if self.combine == "sum" else self.count

    def area(self, number: int) -> int:
        """Return the part of the whole detector that the light of one falls on."""
        return 0 if self.combine == "sum" else number

    def whole(self, part: Grid) -> Grid:
        """Return the samples of the whole detector, of those of a part."""
        return part if self.areas == 1 else Grid((part.rows, part.columns * self.areas), part.pitch, part.offset)

    def read_by(self, readout: Readout) -> Readout:
        """Return a readout that was made for one part of the detector as one of the whole detector.

        Raises:
            ConfigError: if they cannot be read so.
        """
        if self.areas == 1:
            return readout
        wanted = "a task that reads regions of the detector, such as classification,"
        checks.instance(readout, RegionReadout, f"{wanted} for {self.what} to combine by {self.combine}")
        assert isinstance(readout, RegionReadout)
        regions, (rows, columns) = readout.regions, readout.shape
        if self.combine == "difference" and not regions.paired:
            raise ConfigError(
                f"expected a pair of regions for each class for {self.what} to combine by difference, but got one "
                "region for each: set task.differential to true"
            )
        if regions.classes < self.count:
            raise ConfigError(
                f"expected at least one class for each of {self.count} {self.what} to combine by classes, but got "
                f"{regions.classes}: take fewer {self.what}"
            )
        boxes = tuple(
            (row, column + columns * self._reads(index, regions), *size)
            for index, (row, column, *size) in enumerate(regions.boxes)
        )
        readout.lay(replace(regions, boxes=boxes, shape=(rows, columns * self.areas)))
        return readout

    def _reads(self, region: int, regions: Regions) -> int:
        """Return on which part a region is read."""
        if self.combine == "difference":
            return region % 2
        return regions.class_of(region) * self.count // regions.classes


class Areas(nn.Module):
    """Equal parts of a detector, side by side from left to right, each with the light of other beams on it.

    Args:
        readout: Readout of the whole detector.
        count: Number of parts.

    Attributes:
        count: Number of parts.
        window: Rows and columns of a part that the readout needs, the same for all: as they are numbered in it.
    """

    positions: Tensor

    def __init__(self, readout: Readout, count: int) -> None:
        super().__init__()
        columns, needed = readout.shape[1] // count, readout.window_columns.tolist()
        each = sorted({column % columns for column in needed})
        self.count, self.window = count, (readout.window_rows.tolist(), each)
        place = {column: index for index, column in enumerate(each)}
        positions = [column // columns * len(each) + place[column % columns] for column in needed]
        self.register_buffer("positions", torch.tensor(positions), persistent=False)

    def windowed(self, light: Tensor) -> Tensor:
        """Return the readout's window of the windows of all parts, ``... x rows x columns`` side by side."""
        return light if self.count == 1 else light.index_select(-1, self.positions)

    def masks(self, columns: Tensor) -> Sequence[Tensor]:
        """Return the weights of each part's columns in each region, of those of the readout's window."""
        if self.count == 1:
            return [columns]
        width = len(self.window[1])
        spread = columns.new_zeros(self.count * width, columns.shape[1])
        return spread.index_copy(0, self.positions, columns).split(width)
