"""Masks of pictures of the light: the threshold, the overlap, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torchmetrics.functional.classification import binary_f1_score, binary_jaccard_index

from voltphase.config import load_config
from voltphase.core.errors import ConfigError, DataError
from voltphase.tasks import TASKS, Image, MaskWarning, Segmentation
from voltphase.tasks.segmentation import bright, dice, iou


def pictures(shape: tuple[int, ...] = (6, 9, 7), seed: int = 0) -> torch.Tensor:
    return torch.rand(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def test_it_is_found_by_its_name() -> None:
    assert TASKS["segmentation"] is Segmentation
    assert isinstance(Segmentation(), Image)


def test_the_threshold_parts_a_picture_into_classes_with_the_least_variance_in_them() -> None:
    for picture, mask in zip(pictures().square(), bright(pictures().square()), strict=True):
        within = [
            sum(float((part - part.mean()).square().sum()) for part in (picture[picture > at], picture[picture <= at]))
            for at in picture.flatten().sort().values[:-1]
        ]
        best = picture.flatten().sort().values[min(range(len(within)), key=within.__getitem__)]
        assert torch.equal(mask, picture > best)


def test_a_mask_depends_on_no_brightness_and_no_even_background() -> None:
    given = pictures()
    assert torch.equal(bright(3e-9 * given), bright(given))
    assert torch.equal(bright((given + 100).float()), bright((given + 100).float().double()))
    assert not bright(torch.full((1, 4, 4), 0.3)).any()
    assert bright(torch.tensor([[[0, 255, 255, 0]]], dtype=torch.uint8)).tolist() == [[[False, True, True, False]]]


def test_overlaps_are_those_of_torchmetrics() -> None:
    outputs, targets = pictures(), (pictures(seed=1) > 0.6).double()
    masks = Segmentation().predict(outputs)
    for index, (mask, target) in enumerate(zip(masks, targets, strict=True)):
        assert iou(outputs, targets)[index].item() == pytest.approx(binary_jaccard_index(mask, target.int()).item())
        assert dice(outputs, targets)[index].item() == pytest.approx(binary_f1_score(mask, target.int()).item())
    assert iou(targets, targets).min() == dice(targets, targets).min() == 1
    assert iou(torch.zeros(1, 2, 2), torch.ones(1, 2, 2)).item() == 0


@pytest.mark.parametrize("loss", ["mse", "correlation"])
def test_an_image_without_an_object_is_told_teaches_nothing_and_is_right_where_nothing_is_found(loss: Any) -> None:
    task, masks = Segmentation(loss=loss), torch.ones(3, 4, 4).tril() * torch.tensor([1, 1, 0])[:, None, None]
    with pytest.warns(MaskWarning, match="1 of the 3 masks of cells are empty"):
        task.check_data("cells", (), masks)
    light = pictures((3, 4, 4)).float().requires_grad_()
    task.compute_loss(light, masks).backward()
    assert light.grad is not None
    assert light.grad.isfinite().all()
    assert light.grad[:2].abs().amax((1, 2)).min() > 0
    assert not light.grad[2].any()
    even = torch.stack([light[0], light[1], torch.full((4, 4), 0.2)]).detach()
    for overlap in (iou, dice):
        assert overlap(light.detach(), masks)[2] == 0
        assert overlap(even, masks)[2] == 1
    assert all(metric.of(light.detach(), masks) >= 0 for metric in task.metrics)


def test_a_field_is_no_choice_of_what_is_thresholded() -> None:
    with pytest.raises(ConfigError, match=r"task\.measure to be intensity or amplitude, but got 'field'"):
        load_config("digits", ["task.name=segmentation", "task.measure=field"])


def test_targets_that_are_no_masks_are_refused() -> None:
    targets = torch.ones(3, 4, 4)
    Segmentation().check_data("cells", (), targets)
    targets[1, 2, 2] = 0.5
    with pytest.raises(DataError, match=r"masks of 0 and 1 as targets .* that of image 1 of cells has values between"):
        Segmentation().check_data("cells", (), targets)
    with pytest.raises(DataError, match=r"an object in some masks .* all those of cells are empty"):
        Segmentation().check_data("cells", (), torch.zeros(3, 4, 4))
    with pytest.raises(ConfigError, match=r"intensity or amplitude as task\.measure .* got field"):
        Segmentation(measure="field")  # pyright: ignore[reportArgumentType]
