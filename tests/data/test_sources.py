"""Data sets as tensors of bytes: what is loaded, how it is indexed, what is refused."""

from __future__ import annotations

import gzip
import os
import re
import struct
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch.utils.data import DataLoader

from voltphase.core.errors import DataError
from voltphase.data import ImageDataset, default_data_dir, load
from voltphase.data.files.idx import read_idx


def idx_bytes(values: torch.Tensor) -> bytes:
    """The IDX file of a uint8 tensor, written from the format's definition."""
    header = bytes((0, 0, 8, values.ndim)) + struct.pack(f">{values.ndim}I", *values.shape)
    return header + values.numpy().tobytes()


IMAGES = torch.arange(3 * 2 * 4, dtype=torch.uint8).reshape(3, 2, 4)
LABELS = torch.tensor([7, 0, 9], dtype=torch.uint8)


def plain(content: bytes) -> bytes:
    return content


def put_mnist(root: Path, images: bytes, labels: bytes, suffix: str = "", prefix: str = "t10k") -> Path:
    raw = root / "MNIST" / "raw"
    raw.mkdir(parents=True, exist_ok=True)
    (raw / f"{prefix}-images-idx3-ubyte{suffix}").write_bytes(images)
    (raw / f"{prefix}-labels-idx1-ubyte{suffix}").write_bytes(labels)
    return raw


# ---- digits ----


def test_digits_splits_all_of_scikit_learns_images_once() -> None:
    from sklearn.datasets import load_digits

    train, test = load("digits", "train"), load("digits", "test")
    values, targets = load_digits(return_X_y=True)

    def rows(images: torch.Tensor, labels: torch.Tensor) -> list[tuple[int, ...]]:
        return sorted(tuple(row) for row in torch.cat([images.flatten(1), labels[:, None]], 1).tolist())

    # Sixteenths times 15.9375, rounded: 0 -> 0, 8 -> 128 (127.5 to even), 16 -> 255.
    expected = torch.as_tensor(values).mul(255 / 16).round().to(torch.int64)
    ours = torch.cat([train.images, test.images]).to(torch.int64)
    assert rows(ours, torch.cat([train.labels, test.labels])) == rows(expected, torch.as_tensor(targets))
    assert train.images.dtype == torch.uint8
    assert int(train.images.max()) == 255
    assert train.image_shape == (8, 8)


def test_digits_hold_out_a_fifth_of_every_class() -> None:
    train, test = load("digits", "train"), load("digits", "test")
    held, all_of = test.labels.bincount(), torch.cat([train.labels, test.labels]).bincount()
    assert held.tolist() == [round(0.2 * n) for n in all_of.tolist()]


def test_digits_split_is_the_same_for_ever() -> None:
    # The figures published for digits are accuracies on these 359 images and no others.
    test = load("digits", "test")
    assert test.labels[:12].tolist() == [0, 3, 6, 7, 9, 7, 9, 1, 2, 8, 0, 9]
    assert int((test.images.to(torch.int64) * torch.arange(359)[:, None, None]).sum()) == 318_298_017


# ---- MNIST's files ----


@pytest.mark.parametrize(("suffix", "pack"), [("", plain), (".gz", gzip.compress), (".gz", plain)])
def test_idx_files_are_read_plain_or_packed(tmp_path: Path, suffix: str, pack: Callable[[bytes], bytes]) -> None:
    put_mnist(tmp_path, pack(idx_bytes(IMAGES)), pack(idx_bytes(LABELS)), suffix)
    dataset = load("mnist", "test", tmp_path, download=False)
    assert torch.equal(dataset.images, IMAGES)
    assert dataset.images.dtype == torch.uint8
    assert dataset.labels.tolist() == [7, 0, 9]
    assert dataset.labels.dtype == torch.int64
    assert (dataset.name, dataset.classes[9]) == ("mnist", "9")


def test_train_and_test_are_different_files(tmp_path: Path) -> None:
    put_mnist(tmp_path, idx_bytes(IMAGES), idx_bytes(LABELS), prefix="train")
    put_mnist(tmp_path, idx_bytes(IMAGES[:1]), idx_bytes(LABELS[:1]), prefix="t10k")
    assert len(load("mnist", "train", tmp_path, download=False)) == 3
    assert len(load("mnist", "test", tmp_path, download=False)) == 1


def test_data_dir_comes_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put_mnist(tmp_path, idx_bytes(IMAGES), idx_bytes(LABELS))
    monkeypatch.setenv("VOLTPHASE_DATA", str(tmp_path))
    assert default_data_dir() == tmp_path
    assert len(load("mnist", "test", download=False)) == 3
    monkeypatch.setenv("VOLTPHASE_DATA", "")
    assert default_data_dir() == Path.home() / ".cache" / "voltphase"


DAMAGED = {
    "cut short": (idx_bytes(IMAGES)[:-1], "to hold 3 x 2 x 4 = 24 values, but it holds 23: it is damaged"),
    "too long": (idx_bytes(IMAGES) + b"\0", "to hold 3 x 2 x 4 = 24 values, but it holds 25: it is damaged"),
    "cut in the header": (idx_bytes(IMAGES)[:9], "to begin with 16 bytes of header, but it has 9"),
    "empty": (b"", "3-dimensional bytes (magic 00000803), but it begins with nothing"),
    "no images": (idx_bytes(IMAGES[:0]), "to hold values, but it is empty"),
    "labels in place of images": (idx_bytes(LABELS), "(magic 00000803), but it holds labels (magic 00000801)"),
    "a web page": (b"<html>Not found</html>", "but it is a web page"),
    "gzip cut short": (gzip.compress(idx_bytes(IMAGES))[:-9], "to be a whole gzip file, but it is damaged"),
    "a colour image": (
        idx_bytes(IMAGES[..., None].expand(-1, -1, -1, 3).contiguous()),
        "but it holds colour images (magic 00000804)",
    ),
    "compressed twice": (gzip.compress(gzip.compress(idx_bytes(IMAGES))), "but it is compressed twice"),
    "an archive": (b"PK\x03\x04" + bytes(60), "but it is a ZIP archive"),
    "gzip that holds less": (
        gzip.compress(idx_bytes(IMAGES)[:-1]),
        "to hold 3 x 2 x 4 = 24 values, but it holds 23: it is damaged",
    ),
    "gzip that holds more": (
        gzip.compress(idx_bytes(IMAGES) + bytes(1)),
        "to hold 3 x 2 x 4 = 24 values, but it holds more: it is damaged",
    ),
    "gzip with something behind": (
        gzip.compress(idx_bytes(IMAGES)) + b"behind",
        "to be a whole gzip file, but it is damaged",
    ),
    "an absurd header": (
        bytes((0, 0, 8, 3)) + struct.pack(">3I", *(3 * [2**32 - 1])),
        "to hold at most 1073741824 values, but its header promises 4294967295 x 4294967295 x 4294967295 = ",
    ),
    "gzip damaged": (
        bytes(b ^ (0xFF if i == 25 else 0) for i, b in enumerate(gzip.compress(idx_bytes(IMAGES)))),
        "to be a whole gzip file, but it is damaged",
    ),
}


@pytest.mark.parametrize(("content", "message"), DAMAGED.values(), ids=list(DAMAGED))
def test_damaged_images_are_one_sentence_with_the_file(tmp_path: Path, content: bytes, message: str) -> None:
    raw = put_mnist(tmp_path, content, idx_bytes(LABELS))
    with pytest.raises(DataError, match=re.escape(message)) as caught:
        load("mnist", "test", tmp_path)
    assert str(raw / "t10k-images-idx3-ubyte") in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("promised", [24, 1 << 20])
def test_a_small_gzip_file_that_holds_a_lot_is_expanded_no_further_than_its_header_says(
    tmp_path: Path, promised: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    # 256 MB of zeros in 250 kB, as 16 members: a gzip file may have several.
    bomb = gzip.compress(bytes((0, 0, 8, 3)) + struct.pack(">3I", 1, 1, promised)) + 16 * gzip.compress(bytes(16 << 20))
    path = tmp_path / "bomb"
    path.write_bytes(bomb)
    read: list[int] = []
    whole = gzip.GzipFile.read

    def counted(self: gzip.GzipFile, size: int | None = -1) -> bytes:
        content = whole(self, size)
        read.append(len(content))
        return content

    monkeypatch.setattr(gzip.GzipFile, "read", counted)
    with pytest.raises(DataError, match=f"to hold 1 x 1 x {promised} = {promised} values, but it holds more"):
        read_idx(path, dimensions=3)
    assert promised < sum(read) < promised + (1 << 20)


def test_a_header_that_promises_too_much_is_refused_before_anything_is_expanded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "images.gz"
    path.write_bytes(gzip.compress(bytes((0, 0, 8, 3)) + struct.pack(">3I", 10_000, 1000, 1000)))
    with pytest.raises(DataError, match="promises 10000 x 1000 x 1000 = 10000000000 values"):
        read_idx(path, dimensions=3)
    path.write_bytes(gzip.compress(bytes((0, 0, 8, 3)) + struct.pack(">3I", 1000, 1000, 1000)))
    monkeypatch.setattr("voltphase.core.limits.available_memory", lambda: 1_500_000_000)
    with pytest.raises(DataError, match=r"reading .*images\.gz needs about 2 GB, but this machine has 1\.5 GB free"):
        read_idx(path, dimensions=3)


def test_what_is_no_file_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(DataError, match="no regular file"):
        read_idx(tmp_path / "pipe", dimensions=3)


SPELLINGS = [
    "MNIST/raw/t10k-{}.idx{}-ubyte",
    "MNIST/raw/T10K-{}-IDX{}-UBYTE.GZ",
    "MNIST/raw/t10k_{}_idx{}_ubyte",
    "MNIST/raw/t10k-{}-idx{}-ubyte (1).gz",
    "MNIST/raw/t10k-{}-idx{}-ubyte.gz.gz",
    "MNIST/raw/t10k-{}-idx{}-ubyte.gz.txt",
    "MNIST/raw/test-{}-idx{}-ubyte",
    "MNIST/raw/t10k-{0}-idx{1}-ubyte/t10k-{0}-idx{1}-ubyte",
    "MNIST/t10k-{}-idx{}-ubyte.gz",
    "MNIST/MNIST/raw/t10k-{}-idx{}-ubyte.gz",
    "mnist/t10k-{}.idx{}-ubyte",
    "MNIST_data/t10k-{}-idx{}-ubyte.gz",
    "mnist-dataset/t10k-{0}-idx{1}-ubyte/t10k-{0}-idx{1}-ubyte",
]


def put_as(root: Path, spelling: str, images: bytes = idx_bytes(IMAGES), labels: bytes = idx_bytes(LABELS)) -> None:
    for kind, dimensions, content in (("images", 3, images), ("labels", 1, labels)):
        file = root / spelling.format(kind, dimensions)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_files_spelled_otherwise_are_read(tmp_path: Path, spelling: str) -> None:
    put_as(tmp_path, spelling)
    assert load("mnist", "test", tmp_path, download=False).labels.tolist() == [7, 0, 9]


@pytest.mark.parametrize("folder", ["MNIST", "MNIST/raw", "MNIST/MNIST"])
def test_the_folder_of_the_data_set_itself_may_be_named(tmp_path: Path, folder: str) -> None:
    put_as(tmp_path, "MNIST/MNIST/raw/t10k-{}-idx{}-ubyte" if folder == "MNIST/MNIST" else SPELLINGS[0])
    assert len(load("mnist", "test", tmp_path / folder, download=False)) == 3


@pytest.mark.parametrize(
    "folder", ["fashion-mnist", "Fashion_MNIST", "fashionmnist/raw", "fashion-mnist-master/data/fashion", "Fashion"]
)
def test_folders_spelled_otherwise_are_read_and_relatives_are_told_apart(tmp_path: Path, folder: str) -> None:
    put_as(tmp_path, f"{folder}/t10k-{{}}-idx{{}}-ubyte.gz")
    # What macOS leaves in archives, and others whose files are called the same.
    put_as(tmp_path, f"{folder}/._t10k-{{}}-idx{{}}-ubyte", b"", b"")
    for other in ("EMNIST", "KMNIST/raw", f"{folder}/mnist", "QMNIST"):
        put_as(tmp_path, f"{other}/t10k-{{}}-idx{{}}-ubyte", b"", b"")
    assert len(load("fashion-mnist", "test", tmp_path, download=False)) == 3
    with pytest.raises(DataError, match="it is not there"):
        load("mnist", "test", tmp_path, download=False)


@pytest.mark.parametrize("spelling", ["t10k-{}.idx{}-ubyte", "raw/T10K-{}-idx{}-ubyte.gz"])
def test_files_that_may_be_of_any_data_set_are_named_with_the_place_for_them(tmp_path: Path, spelling: str) -> None:
    put_as(tmp_path, spelling)
    for name, folder in (("mnist", "MNIST"), ("fashion-mnist", "FashionMNIST")):
        with pytest.raises(DataError) as caught:
            load(name, "test", tmp_path)
        assert str(tmp_path / spelling.format("images", 3)) in str(caught.value)
        assert f"move it to {tmp_path / folder / 'raw'}" in str(caught.value)


def test_files_in_the_folder_of_another_data_set_are_not_taken(tmp_path: Path) -> None:
    put_as(tmp_path, "Fashion-MNIST/t10k-{}-idx{}-ubyte.gz")
    with pytest.raises(DataError, match="it is not there"):
        load("mnist", "test", tmp_path / "Fashion-MNIST", download=False)
    assert len(load("fashion-mnist", "test", tmp_path / "Fashion-MNIST", download=False)) == 3


def test_the_official_spelling_comes_first(tmp_path: Path) -> None:
    for spelling in SPELLINGS[1:6]:
        put_as(tmp_path, spelling, b"", b"")
    put_mnist(tmp_path, idx_bytes(IMAGES), idx_bytes(LABELS))
    assert len(load("mnist", "test", tmp_path, download=False)) == 3


def test_labels_that_do_not_belong_are_refused(tmp_path: Path) -> None:
    raw = put_mnist(tmp_path, idx_bytes(IMAGES), idx_bytes(LABELS[:2]))
    with pytest.raises(DataError, match=r"holds 3 images and .*t10k-labels-idx1-ubyte 2 labels"):
        load("mnist", "test", tmp_path)
    (raw / "t10k-labels-idx1-ubyte").write_bytes(idx_bytes(LABELS + 1))
    with pytest.raises(DataError, match=r"between 0 and 9 in .*t10k-labels-idx1-ubyte, but got 10"):
        load("mnist", "test", tmp_path)


def test_a_folder_in_place_of_a_file_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=f"cannot read {tmp_path}: is a directory"):
        read_idx(tmp_path, dimensions=1)


def test_missing_files_name_the_place_and_the_ways_out(tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        load("fashion-mnist", "train", tmp_path, download=False)
    raw = tmp_path / "FashionMNIST" / "raw"
    assert str(caught.value) == (
        f"expected train-images-idx3-ubyte.gz in {raw}, but it is not there: put the files of fashion-mnist "
        f"into {raw}, or name the folder that holds FashionMNIST/raw with --data-dir or VOLTPHASE_DATA"
    )


def test_a_home_folder_that_is_not_there_is_one_sentence() -> None:
    with pytest.raises(DataError, match="but there is no home folder for ~nobody-has-this: write it in full"):
        load("mnist", "train", "~nobody-has-this")


def test_unknown_names_and_splits_are_answered_with_the_known_ones() -> None:
    with pytest.raises(
        DataError, match=r"out of arrays, cifar-10, .*digits, .*, but got 'cifar': did you mean cifar-10"
    ):
        load("cifar", "train")
    with pytest.raises(DataError, match="'train' or 'test', but got 'validation'"):
        load("digits", "validation")


@pytest.mark.parametrize(
    ("name", "split", "count", "per_class"),
    [
        ("mnist", "test", 10_000, [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]),
        ("fashion-mnist", "test", 10_000, [1000] * 10),
        ("mnist", "train", 60_000, [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]),
    ],
)
def test_the_real_files(data_dir: Path, name: str, split: str, count: int, per_class: list[int]) -> None:
    dataset = load(name, split, data_dir, download=False)
    assert dataset.images.shape == (count, 28, 28)
    assert dataset.labels.bincount().tolist() == per_class


# ---- ImageDataset ----


@pytest.fixture
def small() -> ImageDataset:
    return ImageDataset(IMAGES, LABELS.long(), "small", tuple("0123456789"))


def test_indexing_gives_images_and_labels(small: ImageDataset) -> None:
    image, label = small[1]
    assert torch.equal(image, IMAGES[1])
    assert label.tolist() == 0
    for index in (slice(1, 3), [1, 2], torch.tensor([1, 2]), torch.tensor([False, True, True])):
        images, labels = small[index]
        assert torch.equal(images, IMAGES[1:])
        assert labels.tolist() == [0, 9]


def test_a_data_loader_fetches_whole_batches(small: ImageDataset) -> None:
    batches = list(DataLoader(small, batch_size=2, collate_fn=small.collate))
    assert [len(labels) for _, labels in batches] == [2, 1]
    assert torch.equal(torch.cat([images for images, _ in batches]), IMAGES)


def test_take_shares_the_first_images(small: ImageDataset) -> None:
    first = small.take(2)
    assert len(first) == 2
    assert first.images.data_ptr() == small.images.data_ptr()
    for count in (0, 4):
        with pytest.raises(DataError, match=f"between 1 and 3 images of small, but got {count}"):
            small.take(count)


@pytest.mark.parametrize(
    ("images", "labels", "message"),
    [
        (
            IMAGES.float(),
            LABELS.long(),
            "from 0 to 1, but got 0 to 7 in image 0: give grey values from 0 to 255 as uint8",
        ),
        (
            IMAGES[0],
            LABELS.long(),
            "uint16 or real numbers from 0 to 1, but got shape (2, 4)",
        ),
        (IMAGES, LABELS, "1-D int64 tensor, but got shape (3,) of uint8"),
        (IMAGES, LABELS.long()[:2], "but got 3 images and 2 labels"),
        (IMAGES[:0], LABELS.long()[:0], "but got none"),
        (IMAGES, LABELS.long() - 1, "between 0 and 9, but got -1"),
        (IMAGES, LABELS.long() + 1, "between 0 and 9, but got 10"),
    ],
)
def test_tensors_that_are_no_data_set_are_refused(images: torch.Tensor, labels: torch.Tensor, message: str) -> None:
    with pytest.raises(DataError, match=re.escape(message)):
        ImageDataset(images, labels, "small", tuple("0123456789"))
