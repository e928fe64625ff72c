"""Layouts of regions for any number of classes."""

from __future__ import annotations

import math

import pytest
import torch

from voltphase.core.errors import GeometryError
from voltphase.tasks import Regions

COUNTS = [1, 2, 3, 5, 7, 10, 26, 47]


def cover_of(regions: Regions) -> torch.Tensor:
    """How many regions for and against a class cover each sample."""
    cover = torch.zeros(2, *regions.shape)
    for index, (row, column, height, width) in enumerate(regions.boxes):
        cover[index % 2 if regions.paired else 0, row : row + height, column : column + width] += 1
    return cover


@pytest.mark.parametrize("count", COUNTS)
@pytest.mark.parametrize("paired", [False, True])
@pytest.mark.parametrize("layout", ["grid", "rings"])
@pytest.mark.parametrize("shape", [(64, 64), (200, 200), (96, 128)])
def test_every_class_has_its_squares_and_none_overlap(layout, shape: tuple[int, int], paired: bool, count: int) -> None:
    if count == 1 and not paired:
        return  # a single region tells nothing apart
    if count == 47 and layout == "rings" and min(shape) < 200:
        with pytest.raises(GeometryError, match="room for the regions of 47 classes as rings, but got"):
            Regions.laid_out(layout, (24, 24), count, paired=paired)
        return
    regions = Regions.laid_out(layout, shape, count, paired=paired)
    assert (regions.classes, regions.paired) == (count, paired)
    sizes = {box[2:] for box in regions.boxes}
    assert len(sizes) == 1
    assert cover_of(regions).sum(0).max() == 1
    if layout == "grid":
        area = sum(height * width for *_, height, width in regions.boxes) / min(shape) ** 2
        assert area == pytest.approx(0.2 if paired else 0.1, rel=0.45)  # a side is a whole number of samples


def test_ten_on_a_grid_are_the_papers() -> None:
    assert Regions.laid_out("grid", (200, 200), 10) == Regions.paper(200)


@pytest.mark.parametrize("size", [64, 65, 200])
@pytest.mark.parametrize("count", [1, 4, 10, 26])
def test_pairs_on_a_grid_favour_neither_sign(size: int, count: int) -> None:
    regions = Regions.laid_out("grid", (size, size), count, paired=True)
    cover = cover_of(regions)
    assert torch.equal(cover[0].flip(0), cover[1])
    assert all(first[1] == second[1] for first, second in zip(regions.boxes[0::2], regions.boxes[1::2], strict=True))


@pytest.mark.parametrize("paired", [False, True])
def test_rings_are_as_far_from_the_axis_for_every_class(paired: bool) -> None:
    regions = Regions.laid_out("rings", (400, 400), 12, paired=paired)
    radii = [
        math.hypot(row + height / 2 - 200, column + width / 2 - 200) for row, column, height, width in regions.boxes
    ]
    wanted = [88, 144] if paired else [124]
    for index, radius in enumerate(radii):
        number, second = divmod(index, 2) if paired else (index, 0)
        assert radius == pytest.approx(wanted[(number + second) % 2] if paired else wanted[0], abs=0.8)


def test_a_detector_without_room_is_refused() -> None:
    with pytest.raises(
        GeometryError, match=r"room for the regions of 100 classes as grid, but got 6 x 6 samples: take"
    ):
        Regions.laid_out("grid", (6, 6), 100)
