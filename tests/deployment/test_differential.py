"""Pairs of detector regions, carried from the model to the bench and back."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from voltphase import DONN, Grid
from voltphase.core.errors import DeploymentError
from voltphase.data import ImageDataset
from voltphase.deployment import Emulator, deploy, verify
from voltphase.deployment.formulas import readout_formula
from voltphase.deployment.manifest import Manifest, manifest_digest
from voltphase.tasks import Classification, Regions

SHAPE = (20, 24)
PAIRS = Regions(
    ((2, 3, 4, 4), (2, 14, 4, 5), (12, 8, 5, 4), (8, 8, 4, 4), (14, 1, 3, 3), (14, 18, 3, 3)), SHAPE, paired=True
)


@pytest.fixture
def model(make_device) -> DONN:
    return DONN(
        grid=Grid(SHAPE, pitch=36e-6),
        wavelength=532e-9,
        distances=0.02,
        devices=[make_device(8), make_device(3, seed=1)],
        task=Classification(PAIRS.boxes, PAIRS.paired, "mean", 5.0),
        image_shape=(7, 6),
        gain=[2.0, 0.7],
        seed=3,
    ).eval()


@pytest.fixture
def folder(tmp_path: Path, model: DONN, dataset: ImageDataset) -> Path:
    return deploy(model, tmp_path / "bench", dataset=dataset)


def test_the_files_alone_give_the_same_contrasts(folder: Path, model: DONN, dataset: ImageDataset):
    emulator = Emulator.from_folder(folder)
    logits = emulator(dataset.images)
    assert logits.shape == (30, 3)
    torch.testing.assert_close(logits, model(dataset.images).detach(), rtol=0, atol=1e-5)
    assert verify(folder, dataset).passed


def test_rounding_explains_more_in_the_dark_and_no_more_in_the_light(
    tmp_path: Path, make_device, monkeypatch: pytest.MonkeyPatch
):
    regions = Regions(((2, 1, 4, 4), (12, 1, 4, 4), (2, 19, 4, 4), (12, 19, 4, 4)), SHAPE, paired=True)
    model = DONN(
        grid=Grid(SHAPE, pitch=36e-6),
        wavelength=532e-9,
        distances=1e-4,
        devices=[make_device(8), make_device(3, seed=1)],
        task=Classification(regions.boxes, True, "fraction", 5.0),
        image_shape=(7, 6),
    ).eval()
    images = torch.randint(0, 256, (30, 7, 6), generator=torch.Generator().manual_seed(5), dtype=torch.uint8)
    images[:, :, 2:] = 0  # at this distance the second pair is dark
    dataset = ImageDataset(images, torch.arange(30) % 2, "half noise", ("left", "right"))
    result = verify(deploy(model, tmp_path / "bench", dataset=dataset), dataset)
    assert result.passed
    assert result.max_logit_difference > 1e-4  # 2e-5 of the largest logit there can be
    shifted = model(images).detach() + torch.tensor([2e-4, 0])
    monkeypatch.setattr("voltphase.deployment.export.all_outputs", lambda *_: shifted)
    assert verify(deploy(model, tmp_path / "shifted", dataset=dataset), dataset).logits_different == 30


def test_the_manifest_says_that_regions_are_paired_and_that_gain_cancels(folder: Path):
    readout = json.loads((folder / "manifest.json").read_text())["readout"]
    assert readout["differential"] is True
    assert readout["digital_factor"] == 1
    assert len(readout["regions"]) == 6
    assert readout["classes"] == ["left", "right", "low"]
    assert Manifest.read(folder).readout.on_detector == PAIRS


def test_a_manifest_whose_classes_are_no_pairs_is_refused(folder: Path):
    path = folder / "manifest.json"
    content = json.loads(path.read_text())
    content["readout"]["differential"] = False
    content["readout"]["formula"] = readout_formula("mean", differential=False)
    content["manifest_sha256"] = manifest_digest(content)
    path.write_text(json.dumps(content))
    with pytest.raises(DeploymentError, match="expected names of 6 classes for 6 regions, but got 3"):
        Manifest.read(folder)


def test_the_note_tells_how_a_pair_is_read(folder: Path):
    note = (folder / "README.txt").read_text()
    words = " ".join(note.split())
    assert "the highest contrast (P - N) / (P + N) names the class" in words
    assert "multiply contrasts by 5." in words
    assert "0       left +        2-5        3-6" in note
    assert "3       right -       8-11       8-11" in note
