from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from voltphase import DONN, Grid, RegionReadout
from voltphase.data import ImageDataset, load
from voltphase.deployment import deploy, verify
from voltphase.deployment.verify import compare
from voltphase.errors import DeploymentError


def replace_logits(folder: Path, logits: np.ndarray) -> None:
    np.save(folder / "expected-logits.npy", logits)
    manifest = json.loads((folder / "manifest.json").read_text())
    digest = hashlib.sha256((folder / "expected-logits.npy").read_bytes()).hexdigest()
    manifest["reference"]["logits"]["sha256"] = digest
    (folder / "manifest.json").write_text(json.dumps(manifest))


def test_what_was_deployed_passes(tmp_path, make, dataset):
    model = make()
    folder = deploy(model, tmp_path / "bench", dataset=dataset)
    result = verify(folder, dataset)
    accuracy = (model(dataset.images).argmax(1) == dataset.labels).double().mean().item()
    assert result.passed
    assert result.accuracy == result.expected_accuracy == accuracy
    assert result.images == result.predictions_equal == 30
    assert result.max_logit_difference < 1e-4
    assert str(result) == (
        f"passed: accuracy {accuracy:.4f} from the files, {accuracy:.4f} expected; 30 of 30 predictions equal; logits "
        f"differ by at most {result.max_logit_difference:.1e}, 0 of them by more than rounding explains"
    )


def test_other_logits_fail(deployed, dataset):
    logits = np.load(deployed / "expected-logits.npy")
    replace_logits(deployed, logits[:, ::-1])
    result = verify(deployed, dataset)
    assert not result.passed
    assert result.predictions_equal < result.images
    assert result.logits_different == 60  # the middle one of three stays
    assert str(result).startswith("FAILED: ")


def test_other_images_are_refused(deployed, dataset):
    others = ImageDataset(dataset.images.flip(0), dataset.labels, "noise", dataset.classes)
    with pytest.raises(DeploymentError, match=r"expected the 30 images of noise \(test\) .* got others \(30 images\)"):
        verify(deployed, others)


def test_other_labels_are_refused(deployed, dataset):
    others = ImageDataset(dataset.images, dataset.labels.flip(0), "noise", dataset.classes)
    with pytest.raises(DeploymentError, match="got others"):
        verify(deployed, others)


def test_a_data_set_without_a_known_name_must_be_passed(deployed):
    with pytest.raises(DeploymentError, match="was deployed with 'noise': pass the data set"):
        verify(deployed)


def test_without_a_test_set_there_is_nothing_to_verify(tmp_path, make):
    folder = deploy(make(), tmp_path / "bench")
    with pytest.raises(DeploymentError, match="it was deployed without one: deploy again with a data set"):
        verify(folder)


def test_changed_logits_are_noticed(deployed, dataset):
    np.save(deployed / "expected-logits.npy", np.zeros((30, 3), np.float32))
    with pytest.raises(DeploymentError, match=r"expected-logits\.npy as it was deployed, but its SHA-256 differs"):
        verify(deployed, dataset)


@pytest.mark.parametrize(
    "logits", [np.zeros((29, 3), np.float32), np.zeros((30, 3), np.int64), np.full((30, 3), np.nan, np.float32)]
)
def test_logits_of_another_kind_are_refused(deployed, dataset, logits):
    replace_logits(deployed, logits)
    with pytest.raises(DeploymentError, match=r"expected finite logits of shape \(30, 3\) in .*expected-logits\.npy"):
        verify(deployed, dataset)


def test_a_tie_within_rounding_may_fall_either_way():
    expected = torch.tensor([[1.0, 1.0 - 1e-7], [0.0, 1.0]])
    result = compare(expected.flip(1), expected, torch.tensor([0, 1]), 1.0, 1e-6)
    assert not result.passed
    near = expected.clone()
    near[0] = near[0].flip(0)
    result = compare(near, expected, torch.tensor([0, 1]), 1.0, 1e-6)
    assert result.passed
    assert (result.predictions_equal, result.accuracy) == (1, 0.5)


def test_a_small_shift_that_rounding_does_not_explain_fails():
    expected = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    result = compare(expected + 1e-4, expected, torch.tensor([0, 1]), 1.0, 1e-6)
    assert result.predictions_equal == 2
    assert not result.passed


def test_digits_are_found_by_name(tmp_path, make_device):
    test_set = load("digits", "test").take(40)
    model = DONN(
        grid=Grid((16, 16), 36e-6),
        wavelength=532e-9,
        distances=0.01,
        devices=[make_device(4)],
        readout=RegionReadout.paper(16),
        image_shape=(8, 8),
    ).eval()
    assert verify(deploy(model, tmp_path / "bench", dataset=test_set)).passed
