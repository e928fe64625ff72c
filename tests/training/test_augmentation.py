"""Training images that are shifted, turned, mirrored and bent."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from voltphase.config import Config
from voltphase.data import ImageDataset
from voltphase.training import load_run, train
from voltphase.training.batches import Augmentation, Flip, ImageBatches, moved

IMAGES = torch.randint(0, 256, (3, 8, 8), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
VALUES = IMAGES.double() / 255
NONE, PLAIN = torch.zeros(3), torch.ones(3, 2)


def test_a_quarter_of_a_turn_is_the_one_of_the_pixels() -> None:
    found = moved(VALUES, NONE + math.pi / 2, torch.zeros(3, 2), PLAIN)
    torch.testing.assert_close(found, torch.rot90(VALUES, -1, (1, 2)), atol=1e-6, rtol=0)  # from x (right) to y (down)


def test_a_turn_keeps_shapes_on_pixels_that_are_not_square_in_number() -> None:
    # A disc on a plane of 20 x 40 pixels stays that disc.
    y, x = torch.meshgrid(torch.arange(20.0) - 9.5, torch.arange(40.0) - 19.5, indexing="ij")
    disc = torch.exp(-(y**2 + x**2) / 18)[None].double()
    found = moved(disc, torch.tensor([0.7]), torch.zeros(1, 2), PLAIN[:1])
    # Bilinear interpolation is off by at most an eighth of both second derivatives, 1/9 each at the centre.
    torch.testing.assert_close(found, disc, atol=2 / 9 / 8, rtol=0)


@pytest.mark.parametrize(("down", "right"), [(1, 0), (0, 2), (-3, 1)])
def test_a_shift_moves_by_parts_of_the_side_and_leaves_black(down: int, right: int) -> None:
    found = moved(VALUES, NONE, torch.tensor([[down / 8, right / 8]] * 3), PLAIN)
    expected = torch.zeros_like(VALUES)
    inside = [slice(max(by, 0), 8 + min(by, 0)) for by in (down, right)]
    whence = [slice(max(-by, 0), 8 + min(-by, 0)) for by in (down, right)]
    expected[:, inside[0], inside[1]] = VALUES[:, whence[0], whence[1]]
    torch.testing.assert_close(found, expected, atol=1e-6, rtol=0)


def test_signs_mirror() -> None:
    for axis in (0, 1):
        sign = PLAIN.clone()
        sign[:, axis] = -1
        found = moved(VALUES, NONE, torch.zeros(3, 2), sign)
        torch.testing.assert_close(found, VALUES.flip(axis + 1), atol=1e-6, rtol=0)


def test_a_bend_of_one_displacement_everywhere_is_a_shift() -> None:
    bend = torch.zeros(3, 2, 4, 4)
    bend[:, 0] = 2 / 8  # from one pixel further right
    found = moved(VALUES, NONE, torch.zeros(3, 2), PLAIN, bend)
    torch.testing.assert_close(found[:, :, :7], VALUES[:, :, 1:], atol=1e-6, rtol=0)


@pytest.mark.parametrize("flip", ["none", "horizontal", "vertical", "both"])
def test_what_is_drawn_stays_within_what_is_asked_for(flip: Flip) -> None:
    image = torch.zeros(500, 21, 21)
    image[:, 10, 10] = 1
    generator = torch.Generator().manual_seed(1)
    found = Augmentation(shift=2 / 21)(image, generator)
    assert int(found[:, 8:13, 8:13].count_nonzero()) == int(found.count_nonzero())
    assert bool((found[:, 8] > 0).any())
    assert bool((found[:, :, 12] > 0).any())
    image = torch.zeros(500, 4, 4)
    image[:, 0, 0] = 1
    corners = Augmentation(flip=flip)(image, generator).round()
    shares = [float(corners[:, row, column].mean()) for row, column in ((0, 0), (0, 3), (3, 0), (3, 3))]
    expected = {"none": [1, 0, 0, 0], "horizontal": [0.5, 0.5, 0, 0], "vertical": [0.5, 0, 0.5, 0], "both": [0.25] * 4}
    assert shares == pytest.approx(expected[flip], abs=0.08)


def batches(epoch: int, seed: int = 3) -> list[Tensor]:
    dataset = ImageDataset(IMAGES.repeat(4, 1, 1), torch.zeros(12, dtype=torch.int64), "few", ("a",))
    changes = Augmentation(0.1, 0.3, "both", 0.05)
    made = ImageBatches(dataset, 5, seed=seed, epoch=lambda: epoch, augmentation=changes)
    return [images for images, _ in made]


def test_seed_and_epoch_say_what_is_drawn() -> None:
    torch.manual_seed(5)
    first = torch.cat(batches(0))
    torch.manual_seed(6)
    assert torch.equal(torch.cat(batches(0)), first)
    assert not torch.equal(torch.cat(batches(1)), first)
    assert not torch.equal(torch.cat(batches(0, seed=4)), first)
    assert (first.dtype, float(first.min()) >= 0, float(first.max()) <= 1 + 1e-6) == (torch.float32, True, True)


def test_target_pictures_of_the_size_of_the_images_move_with_them() -> None:
    images = torch.rand(8, 12, 9, generator=torch.Generator().manual_seed(0))
    changes = Augmentation(0.1, 0.3, "both", 0.05)
    for targets, moves in ((images.double() / 2, True), (images[:, ::2], False), (images + 0j, False)):
        dataset = ImageDataset(images, targets, "pairs")
        ((changed, wanted),) = ImageBatches(dataset, 8, seed=1, augmentation=changes)
        ((_, plain),) = ImageBatches(dataset, 8, seed=1)
        expected = changed.double() / 2 if moves else plain
        torch.testing.assert_close(wanted, expected, rtol=0, atol=1e-5)
        assert moves != torch.equal(wanted, plain)


def test_a_run_with_augmentation_is_repeated_and_gone_on_with(tiny: Callable[..., Config], tmp_path: Path) -> None:
    changes = ["training.augmentation.shift=0.1", "training.augmentation.rotation=0.2"]
    config = tiny(*changes, "training.augmentation.elastic=0.05")

    def stop(figures: dict[str, float]) -> None:
        if figures["epoch"] == 2:
            raise KeyboardInterrupt

    train(config, tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        train(config, tmp_path / "cut", watch=stop)
    train(config, tmp_path / "cut", resume=True)
    train(tiny(), tmp_path / "plain")
    whole, cut, plain = ([*load_run(tmp_path / name)[0].parameters()] for name in ("whole", "cut", "plain"))
    assert all(torch.equal(one, other) for one, other in zip(whole, cut, strict=True))
    assert not torch.equal(whole[0], plain[0])
