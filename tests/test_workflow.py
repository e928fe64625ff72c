"""The whole path in Python: train, load, deploy and verify, with data of a configuration or images at hand."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import voltphase as vp
from voltphase.config import load_config

QUICK = ["optics.depth=1", "training.epochs=1", "data.train_limit=100", "data.test_limit=40"]


def test_images_given_in_python_go_all_the_way(tmp_path: Path) -> None:
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (60, 12, 12), generator=generator, dtype=torch.uint8)
    run = vp.train(load_config("digits", QUICK), data=(images, torch.arange(60) % 10), out=tmp_path / "run")
    assert run.test_set is not None
    assert len(run.test_set) == 12
    result = vp.verify(vp.deploy(run, tmp_path / "bench"))
    assert result.passed
    assert result.accuracy == run.summary["test_accuracy"]
    assert len(repr(run).splitlines()) == 2
    assert "1 epochs on given images" in repr(run)


def test_a_run_is_deployed_by_its_folder_as_by_itself(tmp_path: Path) -> None:
    config = load_config("digits", QUICK)
    run = vp.train(config, out=tmp_path / "run")
    model, loaded, summary = vp.load_run(tmp_path / "run")
    assert (loaded, summary) == (config, run.summary)
    assert not model.training
    folders = [vp.deploy(run, tmp_path / "one"), vp.deploy(str(tmp_path / "run"), tmp_path / "two")]
    one, two = ({path.name: path.read_bytes() for path in folder.iterdir()} for folder in folders)
    assert one == two
    assert vp.verify(vp.deploy(model, tmp_path / "three")).passed


def test_a_preset_can_be_named_instead_of_a_configuration(tmp_path: Path) -> None:
    with pytest.raises(vp.VoltphaseError, match="nothing-of-mine"):
        vp.train("nothing-of-mine", out=tmp_path / "run")


def test_a_test_set_may_be_given_as_images_and_labels(tmp_path: Path) -> None:
    images = torch.randint(0, 256, (30, 12, 12), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    pair = images, torch.arange(30) % 9  # the tenth class has no image
    model = vp.DONN(
        grid=vp.Grid(20, 36e-6),
        wavelength=532e-9,
        distances=0.01,
        devices=[vp.devices.model("tn-slm")],
        task=vp.tasks.Classification(scale=1.0),
        image_shape=(12, 12),
    ).eval()
    folder = vp.deploy(model, tmp_path / "bench", test_set=pair)
    result = vp.verify(folder, pair)
    assert result.passed
    assert result.accuracy == vp.training.evaluate(model, pair).metrics["accuracy"]


def test_what_is_no_folder_is_refused() -> None:
    with pytest.raises(vp.VoltphaseError, match="3"):
        vp.load_run(3)  # pyright: ignore[reportArgumentType]
