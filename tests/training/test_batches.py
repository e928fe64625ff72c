from __future__ import annotations

import pytest
import torch

from voltphase.core.errors import DataError
from voltphase.data import ImageDataset, given_datasets
from voltphase.training.batches import ImageBatches


def numbered(count: int) -> ImageDataset:
    # Image i is filled with i, so that an image tells which one it is.
    images = torch.arange(count, dtype=torch.uint8)[:, None, None].expand(count, 2, 2).clone()
    return ImageDataset(images, torch.arange(count) % 3, "numbered", ("a", "b", "c"))


def order(batches: ImageBatches) -> list[int]:
    return [int(image[0, 0]) for images, _ in batches for image in images]


def test_every_image_comes_once_with_its_label():
    batches = ImageBatches(numbered(23), 5, seed=1)
    assert len(batches) == len(list(batches)) == 5
    assert sorted(order(batches)) == list(range(23))
    for images, labels in batches:
        assert torch.equal(images[:, 0, 0].long() % 3, labels)


def test_without_a_seed_images_come_in_order():
    assert order(ImageBatches(numbered(7), 3)) == list(range(7))
    assert [len(labels) for _, labels in ImageBatches(numbered(7), 3)] == [3, 3, 1]


def test_the_order_depends_on_seed_and_epoch_alone():
    epoch = 0
    batches = ImageBatches(numbered(50), 8, seed=4, epoch=lambda: epoch)
    torch.manual_seed(1)
    first = order(batches)
    torch.manual_seed(2)
    assert order(batches) == first
    epoch = 1
    second = order(batches)
    assert second != first
    assert order(ImageBatches(numbered(50), 20, seed=4, epoch=lambda: 1)) == second
    assert order(ImageBatches(numbered(50), 8, seed=5, epoch=lambda: 1)) != second


def test_of_images_given_in_python_a_fifth_of_each_class_is_held_out_by_the_seed():
    images = torch.arange(10, dtype=torch.uint8)[:, None, None].expand(10, 4, 4)
    labels = torch.arange(10) % 3
    given, again = given_datasets((images, labels), 5), given_datasets((images, labels.numpy()), 5)
    train_set, test_set = given["train"], given["test"]
    assert (len(train_set), test_set.labels.bincount().tolist()) == (7, [1, 1, 1])
    assert sorted(train_set.images[:, 0, 0].tolist() + test_set.images[:, 0, 0].tolist()) == list(range(10))
    assert torch.equal(train_set.labels, train_set.images[:, 0, 0].long() % 3)
    assert torch.equal(again["test"].images, test_set.images)
    assert not torch.equal(given_datasets((images, labels), 6)["test"].images, test_set.images)
    assert train_set.classes == ("0", "1", "2")
    assert given_datasets((train_set, test_set), 0) == given


def test_images_that_are_none_are_refused():
    one = torch.zeros(1, 4, 4, dtype=torch.uint8)
    for data in (
        one,
        (one,),
        (one, [0, 1]),
        (one, torch.zeros(1, dtype=torch.int64)),
        (one.float(), [0]),
        (one, [float("nan")]),
    ):
        with pytest.raises(DataError):
            given_datasets(data, 0)  # pyright: ignore[reportArgumentType]


def test_labels_without_end_are_refused_before_names_are_made_for_them():
    with pytest.raises(DataError, match="at most 65536 of them, but got 1000000000000"):
        given_datasets((torch.zeros(2, 4, 4, dtype=torch.uint8), torch.tensor([0, 10**12])), 0)


def test_no_images_are_told_as_that():
    with pytest.raises(DataError, match="at least one image in given images, but got none"):
        given_datasets(([], []), 0)  # pyright: ignore[reportArgumentType]
