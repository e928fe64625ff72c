"""Images of one's own: arrays, tensors, data sets of torch, files of numpy and folders of pictures."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import Dataset, IterableDataset, TensorDataset

from voltphase.core.errors import DataError
from voltphase.data import (
    Arrays,
    DataWarning,
    Digits,
    ImageDataset,
    PicturePairs,
    Pictures,
    check_together,
    dataset_of,
    given_datasets,
    grey,
    load,
    splits_of,
)
from voltphase.tasks import Classification

IMAGES = np.arange(10 * 3 * 4, dtype=np.uint8).reshape(10, 3, 4)
LABELS = np.arange(10) % 2


class Items(Dataset[Any]):
    """A data set of torch with whatever items."""

    classes = ("left", "right")

    def __init__(self, items: list[Any]) -> None:
        self.items = items
        self.asked: list[int] = []

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: int) -> Any:
        self.asked.append(index)
        return self.items[index]


class Stream(IterableDataset[Any]):
    def __iter__(self) -> Any:
        return iter(())


# ---- what a pixel is ----


@pytest.mark.parametrize(
    ("given", "stored"),
    [
        (IMAGES, torch.from_numpy(IMAGES)),
        (IMAGES[:, None], torch.from_numpy(IMAGES)),
        (IMAGES[..., None], torch.from_numpy(IMAGES)),
        (IMAGES > 50, torch.from_numpy(IMAGES > 50).to(torch.uint8) * 255),
        (IMAGES.astype(np.uint16) * 257, torch.from_numpy(IMAGES).float() / 255),
        (IMAGES.astype(np.float32) / 255, torch.from_numpy(IMAGES).float() / 255),
        (IMAGES.astype(np.float64) / 255, torch.from_numpy(IMAGES).double() / 255),
    ],
    ids=["bytes", "channel first", "channel last", "boolean", "16 bit", "single", "double"],
)
def test_a_pixel_is_as_bright_as_its_type_says(given: Any, stored: torch.Tensor) -> None:
    images = dataset_of((given, LABELS)).images
    assert images.dtype == stored.dtype
    torch.testing.assert_close(images, stored)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (IMAGES.astype(np.float32), "from 0 to 1, but got 0 to 11 in image 0: give grey values from 0 to 255 as uint8"),
        (IMAGES.astype(np.int64), "but got shape (10, 3, 4) of int64: give grey values as uint8"),
        (np.where(IMAGES == 50, -0.1, 0.5), "from 0 to 1, but got -0.1 to 0.5 in image 4"),
        (np.where(IMAGES == 50, np.nan, 0.5), "but got a value that is not a number in image 4"),
        (np.where(IMAGES == 50, np.inf, 0.5), "but got 0.5 to inf in image 4"),
        (np.repeat(IMAGES[..., None], 3, -1), "make them grey with voltphase.data.grey"),
        ([*IMAGES[:9], IMAGES[9][:2]], "as the first, 3 x 4 uint8, but image 9 is 2 x 4 uint8"),
    ],
    ids=["grey values", "whole numbers", "negative", "nan", "infinite", "colours", "mixed sizes"],
)
def test_images_whose_range_is_not_known_or_not_held_are_refused(given: Any, message: str) -> None:
    with pytest.raises(DataError) as caught:
        dataset_of((given, LABELS))
    assert message in str(caught.value)


@pytest.mark.parametrize("kind", [np.uint8, np.uint16, np.float64])
def test_grey_is_made_as_pillow_makes_it(kind: type) -> None:
    colours = np.random.default_rng(0).integers(0, 256, (5, 6, 7, 3), dtype=np.uint8)
    expected = np.stack([np.asarray(Image.fromarray(one).convert("L")) for one in colours])
    for axes in ((0, 1, 2, 3), (0, 3, 1, 2)):
        made = grey(colours.astype(kind).transpose(axes))
        assert made.dtype == torch.from_numpy(np.zeros(1, kind)).dtype
        assert np.abs(made.numpy().astype(float) - expected).max() <= (0.5001 if kind is np.float64 else 0)


# ---- data in Python ----


@pytest.mark.parametrize(
    "picture",
    [Image.fromarray, torch.from_numpy, lambda image: torch.from_numpy(image)[None] / 255, np.asarray],
    ids=["pictures", "tensors", "as ToTensor makes them", "arrays"],
)
def test_a_data_set_of_torch_is_read_once(picture: Callable[[Any], Any]) -> None:
    items = Items([(picture(image), int(label)) for image, label in zip(IMAGES, LABELS, strict=True)])
    data = dataset_of(items)
    assert items.asked == list(range(10))
    assert (data.name, data.classes, data.image_shape) == ("Items", ("left", "right"), (3, 4))
    expected = torch.from_numpy(IMAGES) if data.images.dtype == torch.uint8 else torch.from_numpy(IMAGES) / 255
    assert torch.equal(data.images, expected)
    assert data.labels.tolist() == LABELS.tolist()


def test_all_forms_of_images_to_train_and_to_test_with_are_the_same() -> None:
    train, test = (IMAGES[:6], LABELS[:6]), (IMAGES[6:], LABELS[6:])
    expected = [one.images for one in given_datasets((dataset_of(train), dataset_of(test)), 0).values()]
    tensors = [TensorDataset(*map(torch.from_numpy, part)) for part in (train, test)]
    for data in ((train, test), {"train": train, "test": test}, tuple(tensors), [dataset_of(train), tensors[1]]):
        if isinstance(data, list):
            data = (data[0], dataset_of(test))
        for found, wanted in zip(given_datasets(data, 0).values(), expected, strict=True):  # pyright: ignore[reportArgumentType]
            assert torch.equal(found.images, wanted)


def test_targets_that_are_no_labels_are_kept_and_refused_by_a_task_that_wants_labels() -> None:
    pictures = np.zeros((10, 5, 5))
    data = dataset_of((IMAGES, pictures))
    assert (data.targets.shape, data.classes) == ((10, 5, 5), ())
    assert repr(data) == "ImageDataset('given images', 10 images of 3 x 4, targets of shape (10, 5, 5) of float64)"
    given = given_datasets((IMAGES, pictures), 0)
    assert {split: len(one) for split, one in given.items()} == {"train": 8, "test": 2}
    with pytest.raises(DataError, match=r"a label for each image.* targets of 10 x 5 x 5"):
        Classification().check_data(data.name, data.classes, data.targets)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"train": (IMAGES, LABELS)}, "under the keys train, test and perhaps val, but got train"),
        (((IMAGES, LABELS), (IMAGES[:, :2], LABELS)), "images of 3 x 4, but got images of 2 x 4"),
        (((IMAGES, LABELS), (IMAGES, np.zeros((10, 2)))), "the classes"),
        (Items([]), "at least one image"),
        (Items([IMAGES[0]]), "(image, target) as item 0"),
        (Items([(IMAGES[0], 0), (IMAGES[0][:2], 1)]), "3 x 4 torch.uint8, but image 1 is 2 x 4 torch.uint8"),
        (Stream(), "that can be indexed"),
        ((IMAGES, np.where(LABELS, np.nan, 1.0)), "finite targets in given images, but that of image 1"),
        ((IMAGES, LABELS[:9]), "10 images and 9 labels"),
    ],
    ids=["one part", "sizes", "kinds of target", "empty", "no pairs", "mixed sizes", "stream", "nan", "too few"],
)
def test_data_that_do_not_fit_are_told_in_a_sentence(data: Any, message: str) -> None:
    with pytest.raises(DataError) as caught:
        given_datasets(data, 0)
    assert message in str(caught.value)


def test_a_class_that_is_missing_is_warned_of() -> None:
    with pytest.warns(DataWarning, match="no image to test with of the class 1"):
        given_datasets(((IMAGES, LABELS), (IMAGES[::2], LABELS[::2])), 0)
    with pytest.warns(DataWarning, match="no image to train with of the class 0"):
        given_datasets(((IMAGES[1::2], LABELS[1::2]), (IMAGES, LABELS)), 0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        given_datasets(((IMAGES, LABELS), (IMAGES, LABELS)), 0)


# ---- files of numpy ----


def test_arrays_are_read_from_files(tmp_path: Path) -> None:
    np.savez(tmp_path / "train.npz", images=IMAGES, targets=LABELS)
    np.savez_compressed(tmp_path / "test.npz", images=IMAGES[:4] / 255, targets=LABELS[:4], more=[1])
    source = Arrays(train="train.npz", test=str(tmp_path / "test.npz"), dir=str(tmp_path))
    train, test = source.load("train"), source.load("test")
    assert (len(train), len(test), train.name, train.notes) == (10, 4, "train.npz", ())
    torch.testing.assert_close(test.images, torch.from_numpy(IMAGES[:4] / 255))


def test_arrays_to_test_with_may_lack_the_last_class_and_have_no_other(tmp_path: Path) -> None:
    for name, labels in (("train", [0, 1, 2, 2]), ("fewer", [0, 1, 1, 0]), ("more", [0, 1, 2, 3])):
        np.savez(tmp_path / f"{name}.npz", images=np.zeros((4, 3, 3), np.uint8), targets=np.array(labels))
    few = Arrays("train.npz", "fewer.npz", dir=str(tmp_path))
    assert few.load("test").classes == few.load("train").classes == ("0", "1", "2")
    with pytest.warns(DataWarning, match="no image to test with of the class 2"):
        check_together({split: few.load(split) for split in ("train", "test")})
    with pytest.raises(DataError, match=r"the labels of more.npz between 0 and 2, but got 3"):
        Arrays("train.npz", "more.npz", dir=str(tmp_path)).load("test")


def test_images_of_one_class_are_refused_by_what_tells_classes_apart() -> None:
    with pytest.raises(DataError, match="at least two classes for the task classification, but those of mine are all"):
        Classification().check_data("mine", ("a",), torch.zeros(4, dtype=torch.int64))


def test_of_arrays_in_one_file_a_fifth_of_each_class_is_held_out_and_said(tmp_path: Path) -> None:
    labels = np.repeat([0, 1], [30, 10])
    images = np.arange(40, dtype=np.uint8)[:, None, None].repeat(2, 1)
    np.savez(tmp_path / "all.npz", images=images, targets=labels)
    parts = {
        seed: [Arrays(str(tmp_path / "all.npz"), split_seed=seed).load(s) for s in ("train", "test")] for seed in (0, 1)
    }
    for train, test in parts.values():
        assert sorted(train.images[:, 0, 0].tolist() + test.images[:, 0, 0].tolist()) == list(range(40))
        assert test.labels.bincount().tolist() == [6, 2]
        assert train.notes == test.notes
        assert "8 of the 40 images in all.npz are held out to test with" in train.notes[0]
    assert not torch.equal(parts[0][1].images, parts[1][1].images)


def test_what_is_held_out_is_the_same_share_of_each_class_however_images_are_given(tmp_path: Path) -> None:
    labels = np.random.default_rng(0).permutation(np.repeat([0, 1, 2, 3], [1, 2, 6, 30]))
    images = np.arange(39, dtype=np.uint8)[:, None, None].repeat(2, 1)
    np.savez(tmp_path / "all.npz", images=images, targets=labels)
    with pytest.warns(DataWarning, match="no image to test with of the class 0"):
        given = given_datasets((images, labels), 4)
    assert given["test"].labels.bincount().tolist() == [0, 1, 1, 6]
    for split, found in given.items():
        assert torch.equal(found.images, Arrays(str(tmp_path / "all.npz"), split_seed=4).load(split).images)


def test_too_few_images_to_hold_any_out_are_told_by_their_name(tmp_path: Path) -> None:
    np.savez(tmp_path / "one.npz", images=IMAGES[:1], targets=LABELS[:1])
    (tmp_path / "few" / "a").mkdir(parents=True)
    Image.fromarray(IMAGES[0]).save(tmp_path / "few" / "a" / "0.png")
    for load_it, name, count in (
        (lambda: Arrays(str(tmp_path / "one.npz")).load("train"), "one.npz", 1),
        (lambda: Pictures(str(tmp_path / "few")).load("test"), "few", 1),
        (lambda: given_datasets((IMAGES[:2], [0, 1]), 0), "given images", 2),
    ):
        with pytest.raises(DataError, match=f"at least two images of a class in {name}, .* but got {count} in all"):
            load_it()


@pytest.mark.parametrize("inference", [False, True])
def test_images_and_targets_of_a_computation_are_taken_in_as_data(inference: bool) -> None:
    with torch.inference_mode(inference):
        images, targets = torch.rand(4, 3, 3), torch.rand(4, 2)
    if not inference:
        images, targets = images.requires_grad_(), targets.requires_grad_() * 2
    data = dataset_of((images, targets))
    for given, kept in ((images, data.images), (targets, data.targets)):
        assert torch.equal(kept, given.detach())
        assert not kept.requires_grad
        assert not kept.is_inference()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "cannot read"),
        (b"", "it cannot be read so"),
        (b"images,targets\n", "it cannot be read so"),
        ({"x": IMAGES, "targets": LABELS}, "it has no images, only x, targets"),
        ({"images": np.array([None, 1]), "targets": LABELS}, "it cannot be read so"),
        ({"images": np.repeat(IMAGES[..., None], 3, -1), "targets": LABELS}, "make them grey"),
        ({"images": np.array(["a", "b"]), "targets": LABELS[:2]}, "the images of x.npz as a tensor or an array of num"),
        ({"images": IMAGES, "targets": LABELS * 10**6}, "labels of x.npz that count classes from 0, at most 65536"),
    ],
    ids=["missing", "empty", "text", "other names", "objects", "colours", "words", "no labels"],
)
def test_files_that_hold_something_else_are_told_in_a_sentence(tmp_path: Path, content: Any, message: str) -> None:
    path = tmp_path / "x.npz"
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content is not None:
        np.savez(path, allow_pickle=True, **content)
    with pytest.raises(DataError) as caught:
        Arrays(str(path)).load("train")
    assert message in str(caught.value)


def test_colour_arrays_become_grey_where_that_is_chosen(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", images=np.repeat(IMAGES[..., None], 3, -1), targets=LABELS)
    data = Arrays(str(tmp_path / "x.npz"), str(tmp_path / "x.npz"), colour="grey").load("test")
    assert torch.equal(data.images, torch.from_numpy(IMAGES))


def test_a_data_set_that_wants_settings_is_not_loaded_by_its_name_alone() -> None:
    with pytest.raises(DataError, match=r"arrays wants train, too: use voltphase.data.Arrays\(train=...\)"):
        load("arrays", "train")


# ---- folders of pictures ----


def write(folder: Path, name: str, pixels: Any, suffix: str = ".png", mode: str | None = None) -> Path:
    path = folder / f"{name}{suffix}"
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = Image.fromarray(np.asarray(pixels))
    (picture if mode is None else picture.convert(mode)).save(path)
    return path


@pytest.mark.parametrize("suffix", [".png", ".tif", ".TIFF", ".bmp"])
@pytest.mark.parametrize("mode", [None, "RGB", "P", "1"])
def test_pictures_are_read_as_grey_levels(tmp_path: Path, suffix: str, mode: str | None) -> None:
    dark = (IMAGES[:2] > 5).astype(np.uint8) * 255 if mode == "1" else IMAGES[:2]
    for split in ("train", "test"):
        for label, image in zip(("b", "a"), dark, strict=True):
            write(tmp_path / split / label, "0", image, suffix, mode)
    data = Pictures(str(tmp_path)).load("test")
    assert data.classes == ("a", "b")
    assert torch.equal(data.images[data.labels.argsort()], torch.from_numpy(dark[::-1].copy()))


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_pictures_of_16_bits_keep_them(tmp_path: Path, suffix: str) -> None:
    deep = (np.arange(12, dtype=np.uint16) * 5000).reshape(3, 4)
    for split in ("train", "test"):
        write(tmp_path / split / "a", "0", deep, suffix)
    expected = torch.from_numpy(deep.astype(np.float32)) / 65535
    assert torch.equal(Pictures(str(tmp_path)).load("test").images, expected[None])
    write(tmp_path / "test" / "a", "1", np.full((3, 4), 51, np.uint8))  # a fifth of white, as 13107 of 16 bits
    images = Pictures(str(tmp_path)).load("test").images
    torch.testing.assert_close(images[images[:, 0, 0].argsort()], torch.stack((expected, torch.full((3, 4), 0.2))))


def test_of_folders_of_classes_a_fifth_is_held_out_and_the_first_few_are_of_all_classes(tmp_path: Path) -> None:
    for index in range(60):
        write(tmp_path / "abc"[index // 20], f"{index}", np.full((2, 2), index, np.uint8))
    (tmp_path / "a" / "notes.txt").write_text("none")
    (tmp_path / "a" / ".DS_Store").write_text("none")
    source = Pictures(str(tmp_path))
    train, test = source.load("train"), source.load("test")
    assert (len(train), test.labels.bincount().tolist(), train.name) == (48, [4, 4, 4], tmp_path.name)
    for part in (train, test):
        assert torch.equal(part.images[:, 0, 0] // 20, part.labels.to(torch.uint8))
    assert not set(train.images[:, 0, 0].tolist()) & set(test.images[:, 0, 0].tolist())
    assert set(train.take(10).labels.tolist()) == {0, 1, 2}
    assert "12 of the 60 pictures" in train.notes[1]
    assert train.notes[0] == "1 files that are no pictures are left out, such as a/notes.txt"
    assert torch.equal(source.load("train").images, train.images)


def test_colour_pictures_become_grey_where_that_is_chosen(tmp_path: Path) -> None:
    colours = np.random.default_rng(0).integers(0, 256, (3, 4, 3), dtype=np.uint8)
    for split in ("train", "test"):
        write(tmp_path / split / "a", "0", colours)
    with pytest.raises(DataError, match=r"a/0.png has colours: set data.colour to grey"):
        Pictures(str(tmp_path)).load("test")
    made = Pictures(str(tmp_path), colour="grey").load("test").images[0]
    assert np.array_equal(made.numpy(), np.asarray(Image.fromarray(colours).convert("L")))


def test_what_is_no_folder_of_pictures_is_told_in_a_sentence(tmp_path: Path) -> None:
    def refused(message: str) -> None:
        with pytest.raises(DataError, match=message):
            Pictures(str(tmp_path / "x")).load("train")

    refused("cannot read")
    (tmp_path / "x").mkdir()
    refused("a folder for each class in .*, but there is none")
    (tmp_path / "x" / "a").mkdir()
    refused(r"pictures \(PNG, TIF, TIFF, BMP\) of the class a in .*, but there are none")
    write(tmp_path / "x" / "a", "0", IMAGES[0])
    write(tmp_path / "x" / "a", "1", IMAGES[1])
    write(tmp_path / "x" / "b", "4", IMAGES[0][:2])
    refused(r"of one size in .*, but got (3 x 4|2 x 4) \(1, such as [ab]/[014].png\), ")
    (tmp_path / "x" / "train").mkdir()
    refused("both train and test")


def test_pictures_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    for split in ("train", "test"):
        whole = write(tmp_path / split / "a", "0", IMAGES[0]).read_bytes()
    for name, content in (("1", b"no picture"), ("2", whole[:50]), ("3", b""), ("4", whole)):
        (tmp_path / "test" / "a" / f"{name}.png").write_bytes(content)
    write(tmp_path / "test" / "a", "5", np.zeros((3, 4, 4), np.uint8))
    with pytest.raises(DataError) as caught:
        Pictures(str(tmp_path)).load("test")
    assert "4 of 6 cannot: " in str(caught.value)
    assert str(caught.value).endswith(", and 1 more")
    causes = {"1.png is no picture", "2.png cannot be read (", "3.png is no picture", "5.png has transparent parts"}
    assert sum(f"a/{cause}" in str(caught.value) for cause in causes) == 3


def test_pictures_that_pillow_would_cut_to_8_bits_or_one_page_are_refused(tmp_path: Path) -> None:
    import struct
    import zlib

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    for split in ("train", "test"):
        (tmp_path / split / "a").mkdir(parents=True)
    header = struct.pack(">IIBBBBB", 1, 1, 16, 2, 0, 0, 0)  # one pixel of three times 16 bits
    pixel = zlib.compress(bytes([0, 1, 2, 3, 4, 5, 6]))
    png = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixel) + chunk(b"IEND", b"")
    (tmp_path / "test" / "a" / "0.png").write_bytes(png)
    with pytest.raises(DataError, match=r"a/0.png has colours or transparency of 16 bits"):
        Pictures(str(tmp_path)).load("test")
    first, second = (Image.fromarray(image) for image in IMAGES[:2])
    (tmp_path / "test" / "a" / "0.png").unlink()
    first.save(tmp_path / "test" / "a" / "0.tif", save_all=True, append_images=[second])
    with pytest.raises(DataError, match=r"a/0.tif holds several pictures"):
        Pictures(str(tmp_path)).load("test")


def test_other_classes_to_test_with_are_refused_and_fewer_are_not(tmp_path: Path) -> None:
    for place in ("train/a", "train/b", "test/a"):
        write(tmp_path / place, "0", IMAGES[0])
    data = Pictures(str(tmp_path)).load("test")
    assert (len(data), data.classes) == (1, ("a", "b"))
    write(tmp_path / "test/c", "0", IMAGES[0])
    with pytest.raises(DataError, match=r"the classes to train on, a, b, in .*, but got c, too"):
        Pictures(str(tmp_path)).load("test")


def test_images_without_light_are_a_data_set() -> None:
    data = ImageDataset(np.zeros((2, 3, 3), np.uint8), torch.tensor([0, 1]), "dark", ("a", "b"))  # pyright: ignore[reportArgumentType]
    assert not data.images.any()


# ---- pairs of pictures ----


def write_pairs(folder: Path, count: int = 3) -> None:
    """Write images whose targets are larger, have 16 bits and another suffix."""
    for index in range(count):
        write(folder / "images", f"{index}", IMAGES[index])
        write(folder / "targets", f"{index}", np.full((5, 6), 1000 * index, np.uint16), ".tif")


def test_pairs_of_pictures_are_matched_by_their_names(tmp_path: Path) -> None:
    for split in ("train", "test"):
        write_pairs(tmp_path / split)
    (tmp_path / "test" / "targets" / "notes.txt").write_text("none")
    (tmp_path / "more").mkdir()
    data = PicturePairs(tmp_path.name, dir=str(tmp_path.parent)).load("test")
    assert torch.equal(data.images, torch.from_numpy(IMAGES[:3]))
    assert data.targets.shape == (3, 5, 6)
    torch.testing.assert_close(data.targets[:, 4, 5], torch.tensor([0, 1000, 2000]) / 65535)
    assert (data.name, data.classes) == (tmp_path.name, ())
    assert data.notes == (
        f"more in {tmp_path} is not used",
        "1 files that are no pictures are left out, such as targets/notes.txt",
    )


def test_of_pairs_in_one_piece_a_fifth_is_held_out(tmp_path: Path) -> None:
    write_pairs(tmp_path, 10)
    parts = {seed: [PicturePairs(str(tmp_path), split_seed=seed).load(s) for s in ("train", "test")] for seed in (0, 1)}
    for train, test in parts.values():
        shown = [part.images[:, 0, 0].tolist() for part in (train, test)]
        assert sorted(shown[0] + shown[1]) == IMAGES[:, 0, 0].tolist()
        assert (len(train), len(test)) == (8, 2)
        assert f"2 of the 10 pairs in {tmp_path.name} are held out to test with" in train.notes[0]
        for part in (train, test):  # each with its own target
            torch.testing.assert_close(part.targets[:, 0, 0] * 65535, part.images[:, 0, 0] * (1000 / 12))
    assert not torch.equal(parts[0][1].images, parts[1][1].images)


def test_what_is_no_folder_of_pairs_is_told_in_a_sentence(tmp_path: Path) -> None:
    def refused(message: str) -> None:
        with pytest.raises(DataError, match=message):
            PicturePairs(str(tmp_path / "x")).load("train")

    refused("cannot read")
    (tmp_path / "x").mkdir()
    refused("expected folders images and targets in .*, but there is none")
    (tmp_path / "x" / "images").mkdir()
    refused(r"cannot read .*targets")
    (tmp_path / "x" / "targets").mkdir()
    refused(r"pictures \(PNG, TIF, TIFF, BMP\) in .*images, but there are none")
    write(tmp_path / "x" / "images", "0", IMAGES[0])
    write(tmp_path / "x" / "targets", "0", IMAGES[0])
    assert [len(PicturePairs(str(tmp_path / "x")).load(split)) for split in ("train", "test")] == [1, 1]
    for index in range(1, 6):
        write(tmp_path / "x" / "images", f"{index}", IMAGES[index])
    refused(
        r"of the same name in .*targets for each one, but 5 of 6 have none: images/1.png; images/2.png; images/3.png, "
        "and 2 more"
    )
    for index in range(1, 7):
        write(tmp_path / "x" / "targets", f"{index}", IMAGES[index][: 3 if index < 3 else 2])
    refused(r"in .*images for each one, but 1 of 7 have none: targets/6.png")
    write(tmp_path / "x" / "images", "6", IMAGES[6])
    size = r"\d x 4 \(\d, such as \d.png\)"
    refused(rf"of one size in .*targets, but got {size}, {size}")
    write(tmp_path / "x" / "images", "6", IMAGES[6], ".bmp")
    refused(r"one picture of each name in .*images, but got 6.bmp and 6.png")
    (tmp_path / "x" / "test").mkdir()
    refused("both train and test in .*, or folders images and targets, but got images, targets, test")


# ---- images to validate with by themselves ----


def test_folders_and_files_hold_images_to_validate_with(tmp_path: Path) -> None:
    for split, count in (("train", 3), ("val", 2), ("test", 1)):
        write_pairs(tmp_path / "pairs" / split, count)
        for index in range(count):
            write(tmp_path / "classes" / split / "a", f"{index}", IMAGES[index])
        np.savez(tmp_path / f"{split}.npz", images=IMAGES[:count], targets=LABELS[:count])
    of_files: dict[str, Any] = {split: str(tmp_path / f"{split}.npz") for split in ("train", "val", "test")}
    for source in (Pictures(str(tmp_path / "classes")), PicturePairs(str(tmp_path / "pairs")), Arrays(**of_files)):
        assert splits_of(source) == ("train", "val", "test")
        assert [len(source.load(split)) for split in splits_of(source)] == [3, 2, 1]
        assert all(len(source.load(split).notes) == 0 for split in splits_of(source))
    assert splits_of(Arrays(of_files["train"], of_files["test"])) == ("train", "test")
    assert splits_of(Digits()) == ("train", "test")
    part = Arrays(of_files["train"], val=of_files["val"])
    assert [len(part.load(split)) for split in splits_of(part)] == [2, 2, 1]
    with pytest.raises(DataError, match="the split 'train' or 'test', but got 'val'"):
        load("digits", "val")


def test_images_to_validate_with_are_given_in_python_and_fit_those_to_train_on() -> None:
    given = given_datasets({"test": (IMAGES, LABELS), "train": (IMAGES[:6], LABELS[:6]), "val": (IMAGES, LABELS)}, 0)
    assert {split: len(one) for split, one in given.items()} == {"train": 6, "val": 10, "test": 10}
    both = {"train": (IMAGES, LABELS), "test": (IMAGES, LABELS)}
    with pytest.raises(DataError, match=r"the val images of given images .* 3 x 4, but got images of 2 x 4"):
        given_datasets({**both, "val": (IMAGES[:, :2], LABELS)}, 0)
    with pytest.warns(DataWarning, match="no image to validate with of the class 1"):
        given_datasets({**both, "val": (IMAGES[::2], LABELS[::2])}, 0)
