"""The whole path in Python: train, load, deploy and verify, with data of a configuration or images at hand."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch

import voltphase as vp
from voltphase.cli.runs import evaluate as evaluate_run
from voltphase.config import load_config
from voltphase.data import DATASETS, ImageDataset
from voltphase.deployment.manifest import manifest_digest
from voltphase.reporting.run_view import RunView

QUICK = ["optics.depth=1", "training.epochs=1", "data.train_limit=100", "data.test_limit=40"]


def test_images_given_in_python_go_all_the_way(tmp_path: Path) -> None:
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (60, 12, 12), generator=generator, dtype=torch.uint8)
    run = vp.train(load_config("digits", QUICK), data=(images, torch.arange(60) % 10), out=tmp_path / "run")
    assert run.test_set is not None
    assert sorted(run.test_set.labels.tolist()) == list(range(10))
    result = vp.verify(vp.deploy(run, tmp_path / "bench"))
    assert result.passed
    assert result.accuracy == run.summary["test_accuracy"]
    assert len(repr(run).splitlines()) == 2
    assert "after 1 epoch on given images" in repr(run)

    loaded = vp.load_run(tmp_path / "run")
    calls = [
        lambda: vp.deploy(loaded, tmp_path / "two"),
        lambda: vp.training.refine_run(tmp_path / "run", tmp_path / "refined"),
        lambda: RunView.of(tmp_path / "run"),
        lambda: evaluate_run(tmp_path / "run"),
    ]
    for call in calls:
        with pytest.raises(vp.VoltphaseError, match="trained on images given in Python"):
            call()
    assert run.test_set is not None
    again = vp.deploy(loaded, tmp_path / "two", test_set=(run.test_set.images, run.test_set.labels))
    assert vp.verify(again, run.test_set).passed


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


@dataclass(frozen=True)
class Stripes:
    """Stripes that lie, stand or are not there.

    Args:
        period: Period in pixels.
        dir: Folder of nothing.
    """

    period: int = 4
    dir: str | None = None

    def load(self, split: str, *, download: bool = True) -> ImageDataset:
        lines = (torch.arange(12) % self.period < self.period // 2).to(torch.uint8) * 255
        kinds = torch.stack([lines.expand(12, 12), lines[:, None].expand(12, 12)])
        labels = torch.arange(40 if split == "test" else 100) % 2
        return ImageDataset(kinds[labels], labels, "striped", tuple("0123456789"))


def test_a_data_set_with_settings_of_its_own_is_rebuilt_to_verify(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(DATASETS._entries, "stripes", Stripes)
    own = [*QUICK, "data.name=stripes", "data.period=6", f"data.dir={tmp_path}"]
    run = vp.train(load_config("digits", own), out=tmp_path / "run")
    folder = vp.deploy(run, tmp_path / "bench")
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["reference"]["data_settings"] == {"name": "stripes", "period": 6}
    result = vp.verify(folder)
    assert result.passed
    assert result.images == 40
    monkeypatch.delitem(DATASETS._entries, "stripes")
    assert "'striped' cannot be made here" in str(vp.verify(folder))

    manifest["reference"]["data_settings"]["dir"] = "/somewhere"
    manifest["manifest_sha256"] = manifest_digest(manifest)
    (folder / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(vp.VoltphaseError, match=r"data_settings.* without paths"):
        vp.verify(folder)


def test_training_on_images_given_in_python_goes_on_with_them_alone(tmp_path: Path) -> None:
    images = torch.randint(0, 256, (60, 8, 8), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    config, data = load_config("digits", [*QUICK, "training.epochs=2"]), (images, torch.arange(60) % 10)

    def stop(_: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        vp.train(config, out=tmp_path / "run", data=data, watch=stop)
    with pytest.raises(vp.VoltphaseError, match="on images given in Python, which it was started on, but got the conf"):
        vp.train(config, out=tmp_path / "run", resume=True)
    assert vp.train(config, out=tmp_path / "run", data=data, resume=True).summary["epochs"] == 2


@pytest.mark.usefixtures("undrawn")
def test_given_images_draw_and_refine_what_they_trained(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    images = torch.randint(0, 256, (60, 8, 8), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    data = (images, torch.arange(60) % 10)
    run = vp.train(load_config("digits", QUICK), out=tmp_path / "run", data=data)
    assert "epoch 1/1  test" in capsys.readouterr().out
    assert "after 1 epoch on given images" in repr(run)
    again = vp.load_run(run.path, data)  # all that were given to train
    assert run.test_set is not None
    assert again.test_set is not None
    assert torch.equal(again.test_set.images, run.test_set.images)
    bench = vp.deploy(run.path, tmp_path / "bench", test_set=data)
    assert vp.verify(bench, again.test_set).passed
    parts: list[str] = []
    page = vp.reporting.write_report(run.path, test_set=data, watch=parts.append).read_text(encoding="utf-8")
    assert parts == ["learning curves", "images on their way", "maps", "devices", "answers"]
    assert "A diffractive network for given images" in page
    assert "1 epoch, " in page
    options: Any = {"images": 48, "evaluations": 3}
    refined = vp.training.refine_run(run.path, tmp_path / "refined", data=data, **options)
    assert refined["refined"]["loss_after"] <= refined["refined"]["loss_before"]
    for attempt in (
        lambda: vp.reporting.write_report(run.path),
        lambda: vp.training.refine_run(run.path, tmp_path / "more", **options),
    ):
        with pytest.raises(
            vp.VoltphaseError, match=r"was trained on images given in Python.*voltphase.report.*refine_run"
        ):
            attempt()
    with pytest.raises(vp.VoltphaseError, match=r"expected the 10 test images that .* was made with, but got 30"):
        vp.reporting.write_report(run.path, test_set=(images[:30], data[1][:30]))


def test_without_progress_nothing_is_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    few = [*QUICK, "data.train_limit=60", "data.test_limit=20"]
    run = vp.train(load_config("digits", few), out=tmp_path / "run", progress=False)
    assert capsys.readouterr() == ("", "")
    with pytest.raises(vp.VoltphaseError, match=r"expected no images for .*, whose config\.yaml names its data set"):
        vp.reporting.write_report(run.path, test_set=vp.data.load("digits", "test"))
