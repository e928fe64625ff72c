"""Tasks whose settings the data complete: how many classes there are is known when training begins, and kept."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

import voltphase as vp
from voltphase.core.errors import DataError
from voltphase.reporting import write_report

QUICK = ["optics.depth=1", "optics.size=40", "training.epochs=1", "training.batch_size=30"]


def letters(count: int) -> vp.data.ImageDataset:
    """Images of 26 classes: one dot among 26 places."""
    labels = torch.arange(count) % 26
    images = torch.zeros(count, 36, dtype=torch.uint8)
    images[torch.arange(count), labels] = 255
    return vp.data.ImageDataset(images.view(count, 6, 6), labels, "letters", tuple("abcdefghijklmnopqrstuvwxyz"))


@pytest.mark.usefixtures("undrawn")
def test_more_classes_than_ten_train_report_deploy_and_verify(tmp_path: Path) -> None:
    config = vp.config.load_config("digits", QUICK)
    run = vp.train(config, out=tmp_path / "run", data={"train": letters(52), "test": letters(26)}, progress=False)
    assert run.summary["task"] == {"regions": "grid", "classes": 26}
    assert run.config.task.regions == "paper"  # what was asked for stays as it was
    assert run.model.readout.regions == vp.Regions.laid_out("grid", (40, 40), 26, paired=True)
    again = vp.load_run(tmp_path / "run", letters(26))
    assert torch.equal(again.model(letters(26).images), run.model(letters(26).images))
    write_report(run.path, test_set=letters(26))
    bench = vp.deploy(again, tmp_path / "bench")
    record = json.loads((bench / "manifest.json").read_text())["readout"]
    assert (record["task"]["settings"]["classes"], record["task"]["settings"]["regions"]) == (26, "grid")
    assert (len(record["regions"]), record["classes"][25]) == (52, "z")
    assert vp.verify(bench, letters(26)).passed


def test_ten_classes_leave_nothing_to_the_data(tmp_path: Path) -> None:
    config = vp.config.load_config("digits", [*QUICK, "data.train_limit=60", "data.test_limit=20"])
    assert "task" not in vp.train(config, out=tmp_path / "run", progress=False).summary


@pytest.mark.parametrize("task", [{"clases": 26}, {"classes": 1}])
def test_settings_that_fit_no_task_are_refused(task: dict[str, object], tmp_path: Path) -> None:
    config = vp.config.load_config("digits", QUICK)
    run = vp.train(config, out=tmp_path / "run", data={"train": letters(52), "test": letters(26)}, progress=False)
    file = run.path / "summary.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"task": task}))
    with pytest.raises(DataError, match=r"settings of the task as training writes them in .*summary\.json, but got"):
        vp.load_run(run.path)


def test_a_task_that_is_not_installed_any_more_is_told_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("preset: digits\ntask: {name: left-or-right}\n")
    with pytest.raises(
        DataError, match=r"cannot be read: .* task.name .* got 'left-or-right': install the package that"
    ):
        vp.load_run(tmp_path)


def test_black_images_alone_are_told_before_training_begins(tmp_path: Path) -> None:
    labels = torch.arange(20) % 2
    data = torch.zeros(20, 6, 6, dtype=torch.uint8), labels
    config = vp.config.load_config("digits", QUICK)
    with pytest.raises(DataError, match="all 16 images to train on of given images are black"):
        vp.train(config, out=tmp_path / "run", data=data)
    assert not (tmp_path / "run").exists()
    # Where a black pixel has light, images that are alike can be trained on.
    lit = vp.config.load_config("digits", [*QUICK, "optics.source.background=0.5"])
    assert vp.train(lit, out=tmp_path / "run", data=data, progress=False).summary["epochs"] == 1
