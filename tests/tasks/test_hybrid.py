"""Electronics behind the light: what they compute, and what a deployed folder holds of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import voltphase as vp
from voltphase.core.errors import ConfigError, DataError
from voltphase.tasks import ElectronicReadout, Hybrid

FEW = [
    *("optics.depth=1", "optics.size=32", "training.epochs=4", "training.batch_size=20"),
    *("data.train_limit=200", "data.test_limit=60", "task.name=hybrid", "task.readings=6"),
]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> vp.workflow.TrainedRun:
    config = vp.config.load_config("digits", FEW)
    return vp.train(config, out=tmp_path_factory.mktemp("hybrid") / "run", progress=False)


def test_logits_are_a_linear_layer_of_what_the_light_gives(run: vp.workflow.TrainedRun) -> None:
    readout = run.model.readout
    assert isinstance(readout, ElectronicReadout)
    images = vp.data.load("digits", "test").images[:5]
    weights, bias = (one.detach().numpy() for one in (readout.electronics.weight, readout.electronics.bias))
    taken = readout.scale * run.model.measure(images).detach().numpy()
    expected = taken @ weights.T + bias
    np.testing.assert_allclose(vp.tasks.all_outputs(run.model, images), expected, rtol=1e-4, atol=1e-5)
    assert weights.shape == (10, 6)
    assert run.summary["task"] == {"classes": 10}


def test_light_and_electronics_learn(run: vp.workflow.TrainedRun) -> None:
    fresh = Hybrid(readings=6).make_readout((32, 32)).electronics.weight
    assert torch.equal(fresh, Hybrid(readings=6).make_readout((32, 32)).electronics.weight)
    readout = run.model.readout
    assert isinstance(readout, ElectronicReadout)
    assert not torch.equal(fresh, readout.electronics.weight)
    assert run.summary["test_accuracy"] > 0.3


def test_the_light_is_deployed_and_the_electronics_read_it(run: vp.workflow.TrainedRun, tmp_path: Path) -> None:
    bench = vp.deploy(run, tmp_path / "bench")
    result = vp.verify(bench)
    assert result.passed
    assert result.images == 20
    emulator, test = vp.deployment.Emulator.from_folder(bench), vp.data.load("digits", "test").take(60)
    readout = run.model.readout
    assert isinstance(readout, ElectronicReadout)
    with torch.no_grad():
        found = readout.electronics(emulator(test.images))
    torch.testing.assert_close(found, vp.tasks.all_outputs(run.model, test.images), rtol=1e-4, atol=1e-4)
    assert float((found.argmax(1) == test.labels).double().mean()) == run.summary["test_accuracy"]
    note = " ".join((bench / "README.txt").read_text(encoding="utf-8").split())
    assert "what the electronics take" in note


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(DataError, match="images of 3 classes for the task hybrid, but mine has 2"):
        Hybrid(classes=3).check_data("mine", ("a", "b"), torch.tensor([0, 1]))
    with pytest.raises(ConfigError, match="'grid', 'rings' or a list of detector regions"):
        Hybrid(regions="paper")  # pyright: ignore[reportArgumentType]
    with pytest.raises(ConfigError, match="a number of readings"):
        Hybrid(readings=0)
