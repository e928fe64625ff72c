"""Images that stay in their files, where these are large beside the memory that is free."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import voltphase as vp
from voltphase.config import load_config
from voltphase.core.errors import DataError
from voltphase.data import Arrays, ImageDataset, dataset_of
from voltphase.data import mapped as module
from voltphase.training import ImageBatches, batches, train

COUNT = 60
DRAWN = np.random.default_rng(0)
IMAGES = DRAWN.integers(0, 256, (COUNT, 8, 8), dtype=np.uint8)
LABELS = np.arange(COUNT) % 10


@pytest.fixture
def memory(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Says how much memory there is."""

    def there_is(size: float) -> None:
        monkeypatch.setattr(module, "available_memory", lambda: int(size))
        monkeypatch.setattr("voltphase.core.limits.available_memory", lambda: int(size))

    return there_is


def folder(path: Path, images: Any = IMAGES, targets: Any = LABELS) -> Path:
    path.mkdir()
    np.save(path / "images.npy", images)
    np.save(path / "targets.npy", targets)
    return path


def in_file(path: Path) -> np.ndarray:
    return np.load(path / "images.npy", mmap_mode="r")


def test_a_file_that_is_written_to_ends_with_a_sentence_and_one_that_is_replaced_does_not_matter(
    tmp_path: Path, memory: Callable[[float], None]
) -> None:
    path = folder(tmp_path / "train")
    memory(IMAGES.nbytes)
    batches = ImageBatches(dataset_of((in_file(path), LABELS)), 10, seed=0)
    before = next(iter(batches))[0]
    (path / "images.npy").rename(path / "old.npy")
    assert torch.equal(next(iter(batches))[0], before)
    np.save(path / "images.npy", 255 - IMAGES)
    assert torch.equal(next(iter(batches))[0], before)
    (path / "old.npy").rename(path / "images.npy")
    with (path / "images.npy").open("r+b") as stream:
        stream.truncate(200)  # as numpy.save does first
    with pytest.raises(DataError, match=r"images\.npy to stay as it is while batches are read from it"):
        next(iter(batches))


def test_only_what_is_large_beside_the_free_memory_stays_in_its_file(
    tmp_path: Path, memory: Callable[[float], None]
) -> None:
    path = folder(tmp_path / "train")
    small = dataset_of((in_file(path), LABELS))
    assert not small.mapped
    small.images[0, 0, 0] = 1  # memory of its own
    memory(4 * IMAGES.nbytes - 1)
    large = dataset_of((in_file(path), LABELS), name="mine")
    assert large.mapped
    assert large.notes == ("the images of mine, 3.8e-06 GB, are read from their file batch by batch",)
    assert torch.equal(large.images, torch.from_numpy(IMAGES))
    # It is the file itself, not a copy of it.
    with (path / "images.npy").open("r+b") as stream:
        stream.seek(-1, 2)
        stream.write(bytes([77]))
    assert large.images[-1, -1, -1] == 77


def test_learning_from_a_file_is_learning_from_memory_to_the_bit(
    tmp_path: Path, memory: Callable[[float], None]
) -> None:
    small = ["optics.size=16", "optics.depth=2", "training.epochs=2", "training.batch_size=16", "device.model=lcos"]
    small += ["optics.distances=0.02"]
    told = []
    given = [f"data.train={folder(tmp_path / 'train')}", f"data.test={folder(tmp_path / 'test')}"]
    for run, size in (("memory", 1e12), ("file", 2 * IMAGES.nbytes)):
        memory(size)
        config = load_config("digits", ["data.name=arrays", *given, *small])
        told.append(train(config, tmp_path / run))
    assert (tmp_path / "memory" / "metrics.csv").is_file()
    in_memory, of_file = told
    assert "data_notes" not in in_memory
    assert "read from their file" in of_file["data_notes"][0]
    for figure in ("train_accuracy", "test_accuracy", "test_light_share", "scale"):
        assert of_file.get(figure) == in_memory.get(figure)
    weights = [(tmp_path / run / "model.safetensors").read_bytes() for run in ("memory", "file")]
    assert weights[0] == weights[1]


def test_nothing_is_held_out_of_a_file(tmp_path: Path, memory: Callable[[float], None]) -> None:
    path = folder(tmp_path / "train")
    memory(IMAGES.nbytes)
    with pytest.raises(DataError, match="by themselves, since those of train stay in their file"):
        Arrays(str(path)).load("train")
    with pytest.raises(DataError, match=r"as test and val, and leave data\.val_fraction at 0"):
        vp.data.given_datasets((in_file(path), LABELS), seed=0)
    assert len(dataset_of((in_file(path), LABELS)).take(7)) == 7  # which needs no copy


def test_a_range_is_checked_piece_by_piece(
    tmp_path: Path, memory: Callable[[float], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("voltphase.data.dataset._AT_ONCE", 200)
    wrong = IMAGES.astype(np.float32) / 255
    wrong[41, 3, 3] = 1.5
    path = folder(tmp_path / "train", wrong, np.zeros((COUNT, 2, 2), np.float32))
    memory(wrong.nbytes)
    with pytest.raises(DataError, match=r"to 1\.5 in image 41"):
        dataset_of((in_file(path), LABELS))
    targets = np.zeros((COUNT, 8, 8), np.float32)
    targets[5, 0, 0] = np.nan
    path = folder(tmp_path / "other", IMAGES, targets)
    memory(2 * targets.nbytes)
    with pytest.raises(DataError, match="that of image 5 is not"):
        dataset_of((in_file(path), np.load(path / "targets.npy", mmap_mode="r")))


def test_a_type_that_has_to_be_converted_is_refused_where_it_does_not_fit(
    tmp_path: Path, memory: Callable[[float], None]
) -> None:
    path = folder(tmp_path / "train", IMAGES.astype(np.uint16))
    memory(3 * 2 * IMAGES.nbytes)
    with pytest.raises(DataError, match=r"reading the images of given images needs .* uint8 or float32"):
        dataset_of((in_file(path), LABELS))


def test_a_folder_without_its_arrays_is_refused(tmp_path: Path) -> None:
    path = folder(tmp_path / "train")
    (path / "images.npy").write_bytes(b"nothing")
    with pytest.raises(DataError, match=r"expected an array in .*images\.npy"):
        Arrays(str(path)).load("train")
    (path / "images.npy").unlink()
    with pytest.raises(DataError, match=r"cannot read .*images\.npy"):
        Arrays(str(path)).load("train")


def test_batches_of_a_file_are_copies(tmp_path: Path, memory: Callable[[float], None]) -> None:
    path = folder(tmp_path / "train")
    memory(IMAGES.nbytes)
    for seed in (None, 0):
        for images, _ in ImageBatches(dataset_of((in_file(path), LABELS)), 16, seed=seed):
            images.zero_()  # of the file's own pages it would end the process
    assert np.array_equal(in_file(path), IMAGES)


def test_what_is_too_large_for_a_gpu_stays_and_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = ImageDataset(torch.from_numpy(IMAGES), torch.from_numpy(LABELS), "mine")
    monkeypatch.setattr(batches, "gpu_memory", lambda: IMAGES.nbytes)
    fetched = ImageBatches(dataset, 16)
    with pytest.warns(vp.data.DataWarning, match="of mine stay in the machine"):
        fetched.to(torch.device("cuda"))
    assert fetched._images is dataset.images
