from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from voltphase.config import Config
from voltphase.core.errors import DataError, DeploymentError, OutputError
from voltphase.deployment import deploy_run, verify
from voltphase.training import build_dataset, load_run, train

SETTINGS = {
    "data": {"name": "digits", "train_limit": 60, "test_limit": 50},
    "optics": {"size": 20, "pitch": 36e-6, "distances": 0.02, "depth": 2},
    "device": {"model": "tn-slm", "levels": 6},
    "training": {"epochs": 1, "batch_size": 20, "accelerator": "cpu"},
}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a network trained for a moment."""
    folder = tmp_path_factory.mktemp("runs") / "tiny"
    train(Config.model_validate(SETTINGS), folder)
    return folder


def test_a_run_deploys_with_its_test_set_and_is_verified_by_name(run, tmp_path):
    result = verify(deploy_run(run, tmp_path / "bench"))
    summary = json.loads((run / "summary.json").read_text())
    assert result.passed
    assert result.images == result.predictions_equal == 50
    assert result.accuracy == result.expected_accuracy == summary["test_accuracy"]


def test_the_maps_are_those_of_the_run(run, tmp_path):
    folder = deploy_run(run, tmp_path / "bench")
    model, config, _ = load_run(run)
    for number, levels in enumerate(model.levels(), start=1):
        np.testing.assert_array_equal(np.load(folder / f"layer-{number}-levels.npy"), levels.numpy())
    expected = model(build_dataset(config, "test").images).detach().numpy()
    np.testing.assert_allclose(np.load(folder / "expected-logits.npy"), expected, rtol=1e-5, atol=1e-6)


def test_weights_that_are_not_those_of_the_summary_are_refused(run, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(run, copy)
    summary = json.loads((copy / "summary.json").read_text())
    (copy / "summary.json").write_text(json.dumps({**summary, "test_accuracy": 0.999}))
    with pytest.raises(DeploymentError, match=r"a test accuracy of 0\.9990 on digits, but it reaches 0\.\d{4}"):
        deploy_run(copy, tmp_path / "bench")
    assert not (tmp_path / "bench").exists()


def test_an_existing_folder_is_refused_before_any_work(tmp_path):
    with pytest.raises(OutputError, match="exists already"):
        deploy_run(tmp_path / "no run", tmp_path)


def test_no_run(tmp_path):
    with pytest.raises(DataError, match="expected the folder of a training run"):
        deploy_run(tmp_path / "no run", tmp_path / "bench")
