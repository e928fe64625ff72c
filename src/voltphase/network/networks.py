"""Networks side by side: whose the layers are, and what of the detector each of them reads."""

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
class Networks:
    """Networks side by side, with planes alike and layers of their own, each lit by an equal share of the light.

    What they leave on the detector does not interfere. The layers of a :class:`voltphase.DONN` are those of all its
    networks, network after network.

    Args:
        count: Number of networks.
        combine: How they make one answer. ``sum``: the light of all falls on one and the same detector, where
            intensities add (an ensemble). With ``classes`` and ``difference`` the detector has a part for each, side by
            side from left to right: a network reads its own share of the classes, or of two networks the first reads
            the regions that speak for the classes, and the second those that speak against them.

    Raises:
        ConfigError: if there is no network, or not as many as ``combine`` takes.

    Examples:
        >>> Networks(2, "classes").layers(1, depth=3)
        (3, 4, 5)
    """

    count: int = 1
    combine: Combine = "sum"

    def __post_init__(self) -> None:
        checks.whole(self.count, "a number of networks", least=1)
        checks.word(self.combine, "a way to combine networks", get_args(Combine))
        if self.combine == "difference" and self.count != 2:
            raise ConfigError(
                f"expected 2 networks, the first of which speaks for the classes and the second against them, for "
                f"combine difference, but got {self.count}: set count to 2, or use combine sum or classes"
            )
        if self.combine == "classes" and self.count < 2:
            raise ConfigError("expected 2 networks or more to share the classes for combine classes, but got 1")

    @property
    def areas(self) -> int:
        """Number of parts, side by side, that the detector has."""
        return 1 if self.combine == "sum" else self.count

    @property
    def told(self) -> str:
        """How the networks make one answer, in words."""
        return {
            "sum": "their intensities add on one detector",
            "classes": f"each reads its share of the classes on its own of {self.count} parts of the detector",
            "difference": "the first, on the left of the detector, speaks for the classes, and the second against them",
        }[self.combine]

    def area(self, number: int) -> int:
        """Return the part of the detector that the light of a network falls on."""
        return 0 if self.combine == "sum" else number

    def layers(self, number: int, depth: int) -> tuple[int, ...]:
        """Return the numbers of a network's layers out of those of all, counted from 0."""
        return tuple(range(number * depth, (number + 1) * depth))

    def depth(self, layers: int) -> int:
        """Return the number of layers of one network, with a ConfigError if all do not have as many."""
        if layers % self.count:
            raise ConfigError(
                f"expected devices for the layers of {self.count} networks, as many for each, but got {layers}: list "
                "those of the first network, then those of the next"
            )
        return layers // self.count

    def planes(self, way: Sequence[Grid]) -> list[Grid]:
        """Return the planes of all: the source, all layers, and the whole detector, of those on the way of one."""
        source, *layers, part = way
        shape = part.rows, part.columns * self.areas
        whole = part if self.areas == 1 else Grid(shape, part.pitch, part.offset)
        return [source, *layers * self.count, whole]

    def read_by(self, readout: Readout) -> Readout:
        """Return a readout that was made for one network's part of the detector as one of the whole detector.

        Raises:
            ConfigError: if the networks cannot be read so.
        """
        if self.areas == 1:
            return readout
        wanted = "a task that reads regions of the detector, such as classification,"
        checks.instance(readout, RegionReadout, f"{wanted} for networks to combine by {self.combine}")
        assert isinstance(readout, RegionReadout)
        regions, (rows, columns) = readout.regions, readout.shape
        if self.combine == "difference" and not regions.paired:
            raise ConfigError(
                "expected a pair of regions for each class for networks to combine by difference, but got one region "
                "for each: set task.differential to true"
            )
        if regions.classes < self.count:
            raise ConfigError(
                f"expected at least one class for each of {self.count} networks to combine by classes, but got "
                f"{regions.classes}: take fewer networks"
            )
        boxes = tuple(
            (row, column + columns * self._reads(index, regions), *size)
            for index, (row, column, *size) in enumerate(regions.boxes)
        )
        readout.lay(replace(regions, boxes=boxes, shape=(rows, columns * self.areas)))
        return readout

    def _reads(self, region: int, regions: Regions) -> int:
        """Return which network reads a region."""
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
