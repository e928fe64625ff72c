"""Pictures of the light: deployed, rebuilt from files alone, and compared."""

from __future__ import annotations

import json
import runpy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from voltphase import DONN, Grid
from voltphase.core.errors import DeploymentError
from voltphase.data import ImageDataset
from voltphase.deployment import Emulator, deploy, verify
from voltphase.deployment.manifest import manifest_digest
from voltphase.devices import tn_slm
from voltphase.tasks import Image, MaskWarning, Segmentation

TASKS = [
    Image(pixels=(20, 24)),
    Image(window=(2, 4, 16, 18), pixels=(8, 6), measure="amplitude", loss="correlation"),
    Image(window=(0, 0, 10, 10), pixels=(10, 10), measure="field"),
]


def data(task: Image) -> ImageDataset:
    generator = torch.Generator().manual_seed(1)
    images = torch.randint(0, 256, (30, 8, 8), dtype=torch.uint8, generator=generator)
    assert task.pixels is not None
    dtype = torch.complex64 if task.measure == "field" else torch.float32
    targets = torch.randn(30, *task.pixels, dtype=dtype, generator=generator)
    return ImageDataset(images, targets if task.measure == "field" else targets.abs(), "pairs")


def network(task: Image) -> DONN:
    grids = [Grid(24, 36e-6)] * 3 + [Grid((20, 24), 36e-6)]
    return DONN(
        grid=grids,
        wavelength=532e-9,
        distances=0.03,
        devices=[tn_slm(5)] * 2,
        task=task,
        image_shape=(8, 8),
        gain=(1.5, 0.5),
    ).eval()


def test_a_figure_has_the_article_that_it_is_spoken_with(tmp_path: Path) -> None:
    task = Segmentation(window=(0, 0, 20, 20), pixels=(5, 5))
    targets = torch.arange(30)[:, None, None].expand(30, 5, 5) % 2
    images = data(TASKS[0]).images
    with pytest.warns(MaskWarning, match="15 of the 30 masks of cells are empty"):
        task.check_data("cells", (), targets)
    folder = deploy(network(task), tmp_path / "bench", dataset=ImageDataset(images, targets.float(), "cells"))
    assert "reaches an iou of" in " ".join((folder / "README.txt").read_text().split())


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.measure)
def test_a_picture_is_rebuilt_from_the_files_and_verified(task: Image, tmp_path: Path) -> None:
    model, dataset = network(task), data(task)
    folder = deploy(model, tmp_path / "bench", dataset=dataset)
    emulator = Emulator.from_folder(folder)
    torch.testing.assert_close(emulator(dataset.images), model(dataset.images), rtol=1e-4, atol=1e-7)
    result = verify(folder, dataset)
    assert result.verdict == "passed"
    assert result.predictions_equal == result.images == 30
    assert result.metric.name == "correlation"
    record = json.loads((folder / "manifest.json").read_text())["readout"]
    assert record["task"]["settings"]["measure"] == record["measure"] == task.measure
    assert record["digital_factor"] == 1
    note, axes = (folder / "README.txt").read_text(), "[image, row, column" + ", part]" * (task.measure == "field")
    assert "picture of" in note
    assert f"what the detector reads for each, {axes}" in note
    assert f"the pictures of the light for all 30 test images, {axes}" in note
    assert "[image, class]" not in note
    assert "in data_sha256 they stand for labels" in " ".join(note.split())
    assert verify(deploy(model, tmp_path / "alone")).passed


def test_one_pixel_of_one_layer_at_another_level_fails(tmp_path: Path) -> None:
    model, dataset = network(TASKS[0]), data(TASKS[0])
    folder = deploy(model, tmp_path / "bench", dataset=dataset)
    layer = model.layers[1]
    levels = layer.levels()
    levels[12, 11] = (levels[12, 11] + 2) % 5
    layer.set_levels(levels)
    other = deploy(model, tmp_path / "other", dataset=dataset)
    logits = (folder / "expected-logits.npy").read_bytes()
    (other / "expected-logits.npy").write_bytes(logits)
    manifest = json.loads((other / "manifest.json").read_text())
    manifest["reference"]["logits"] = json.loads((folder / "manifest.json").read_text())["reference"]["logits"]
    manifest["manifest_sha256"] = manifest_digest({k: v for k, v in manifest.items() if k != "manifest_sha256"})
    (other / "manifest.json").write_text(json.dumps(manifest))
    result = verify(other, dataset)
    assert not result.passed
    assert result.predictions_equal == 0


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"regions": [[0, 0, 20, 24], [0, 0, 4, 4]]}, "one region with the pixels of a picture, but got 2"),
        ({"pixels": [7, 7]}, "a whole number of samples for each pixel"),
        ({"measure": "sum"}, "a measure out of intensity, amplitude, field"),
        ({"formula": "another"}, "expected the formula of this measure"),
        ({"pixels": None}, "at least two"),
    ],
)
def test_a_manifest_that_contradicts_itself_is_refused(change: dict[str, Any], words: str, tmp_path: Path) -> None:
    folder = deploy(network(TASKS[0]), tmp_path / "bench")
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["readout"] |= change
    manifest["manifest_sha256"] = manifest_digest(manifest)
    (folder / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(DeploymentError, match=words):
        verify(folder)


def test_other_targets_are_other_data(tmp_path: Path) -> None:
    model, dataset = network(TASKS[2]), data(TASKS[2])
    folder = deploy(model, tmp_path / "bench", dataset=dataset)
    other = ImageDataset(dataset.images, dataset.targets.conj_physical(), "pairs")
    with pytest.raises(DeploymentError, match="but got others"):
        verify(folder, other)
    samples = np.load(folder / "sample-labels.npy")
    np.testing.assert_allclose(samples, torch.view_as_real(dataset.targets[:20]).reshape(20, -1).numpy())


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.measure)
def test_numpy_alone_reads_the_same_pictures(task: Image, tmp_path: Path) -> None:
    folder = deploy(network(task), tmp_path / "bench", dataset=data(task))
    example = runpy.run_path(str(Path(__file__).parents[2] / "examples" / "emulate.py"))
    readings = example["Emulator"](folder).readings(np.load(folder / "sample-images.npy"))
    np.testing.assert_allclose(readings, np.load(folder / "sample-readings.npy"), rtol=0, atol=2e-6)
