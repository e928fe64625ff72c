from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch

from voltphase.codesign import CodesignLayer
from voltphase.config import Config, load_config
from voltphase.core.errors import ConfigError, DataError, OutputError
from voltphase.devices import DeviceStates
from voltphase.training import build, load_run, train
from voltphase.training.experiment import settings, unlike
from voltphase.training.run_folder import locked

Make = Callable[..., Config]
Trained = tuple[Path, Config, dict[str, Any]]


@pytest.fixture
def run(trained: Trained, tmp_path: Path) -> Path:
    """A copy of a finished run, to be damaged."""
    return Path(shutil.copytree(trained[0], tmp_path / "run"))


def damage(path: Path) -> str:
    with pytest.raises(DataError) as caught:
        load_run(path)
    return str(caught.value)


def replace(file: Path, old: str, new: str) -> None:
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))


def test_a_run_that_is_there_is_kept(run: Path, tiny: Make):
    before = {file: file.read_bytes() for file in run.rglob("*") if file.is_file()}
    with pytest.raises(OutputError) as caught:
        train(tiny(), run)
    assert str(caught.value) == (
        f"{run} holds a training run already: choose another folder, or give --resume to continue it or --overwrite "
        "to replace it"
    )
    assert {file: file.read_bytes() for file in run.rglob("*") if file.is_file()} == before


def test_files_that_are_no_run_are_never_replaced(tmp_path: Path, tiny: Make):
    (tmp_path / "config.yaml").write_text("model: bert\n")
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / "last.ckpt").write_text("years of work")
    for resume, overwrite in ((False, False), (True, False), (False, True)):
        with pytest.raises(OutputError, match="holds files that are no training run: choose another"):
            train(tiny(), tmp_path, resume=resume, overwrite=overwrite)
    assert (tmp_path / "config.yaml").read_text() == "model: bert\n"
    assert (tmp_path / "checkpoints" / "last.ckpt").read_text() == "years of work"


def test_a_file_in_the_place_of_the_folder_is_refused(tmp_path: Path, tiny: Make):
    file = tmp_path / "run"
    file.write_text("")
    with pytest.raises(OutputError, match="to be a folder to write to, but it is a file"):
        train(tiny(), file)
    with pytest.raises(OutputError, match=r"cannot write .*: not a directory"):
        train(tiny(), file / "below")


def test_resume_and_overwrite_exclude_each_other(run: Path, tiny: Make):
    with pytest.raises(OutputError, match="expected either --resume or --overwrite, but got both"):
        train(tiny(), run, resume=True, overwrite=True)


def test_two_trainings_into_one_folder_at_once_are_refused(run: Path, tiny: Make):
    config = tiny("training.epochs=1")
    before = {file: file.read_bytes() for file in run.rglob("*") if file.is_file()}
    with locked(run), pytest.raises(OutputError, match="another process is training into it"):
        train(config, run, overwrite=True)
    assert {file: file.read_bytes() for file in run.rglob("*") if file.is_file()} == before
    assert train(config, run, overwrite=True)["epochs"] == 1


def test_overwriting_replaces_the_run_and_spares_what_is_not_its_own(run: Path, tiny: Make):
    notes = (run / "notes.txt", run / "checkpoints" / "best.ckpt")
    for file in notes:
        file.write_text("mine")
    summary = train(tiny("training.epochs=1", "seed=5"), run, overwrite=True)
    assert (summary["epochs"], summary["seed"]) == (1, 5)
    assert len((run / "metrics.csv").read_text().splitlines()) == 2
    assert [file.read_text() for file in notes] == ["mine", "mine"]
    assert load_run(run)[2] == summary


def test_nothing_is_left_behind_when_the_data_are_missing(tmp_path: Path, tiny: Make, monkeypatch: pytest.MonkeyPatch):
    def missing(*_: object, **__: object) -> None:
        raise DataError("no data")

    monkeypatch.setattr("voltphase.data.Digits.load", missing)
    with pytest.raises(DataError):
        train(tiny(), tmp_path / "run")
    assert list(tmp_path.iterdir()) == []


def test_resuming_with_another_configuration_is_refused(run: Path, tiny: Make):
    (run / "summary.json").unlink()
    with pytest.raises(ConfigError) as caught:
        train(tiny("training.epochs=4"), run, resume=True)
    assert str(caught.value) == (
        f"expected the configuration {run} was started with, but training.epochs is 4 instead of 3: resume with "
        f"voltphase train {run}/config.yaml --out {run} --resume"
    )


def test_resuming_with_data_or_threads_elsewhere_is_fine(run: Path, tiny: Make, tmp_path: Path):
    summary = train(tiny(f"data.dir={tmp_path}", "training.threads=1"), run, resume=True)
    assert summary["epochs"] == 3


def test_resuming_from_a_damaged_checkpoint_is_refused(run: Path, tiny: Make):
    (run / "summary.json").unlink()
    checkpoint = run / "checkpoints" / "last.ckpt"
    checkpoint.write_bytes(checkpoint.read_bytes()[:1000])
    with pytest.raises(DataError) as caught:
        train(tiny(), run, resume=True)
    assert str(caught.value) == (
        f"expected a checkpoint to resume from in {checkpoint}, but it is damaged: start again with --overwrite"
    )


def test_resuming_what_an_earlier_version_let_diverge_is_refused(run: Path, tiny: Make):
    (run / "summary.json").unlink()
    checkpoint = run / "checkpoints" / "last.ckpt"
    content = torch.load(checkpoint, weights_only=True)
    content["state_dict"]["model.readout.log_scale"].fill_(torch.nan)
    torch.save(content, checkpoint)
    with pytest.raises(DataError, match="state_dict is not what was saved: start again with --overwrite"):
        train(tiny(), run, resume=True)


def test_resuming_with_a_changed_device_is_refused_before_the_end_and_after(tmp_path: Path, tiny: Make):
    run, table = tmp_path / "run", tmp_path / "slm.csv"
    table.write_text("level,control,amplitude,phase\n0,0,1,0\n1,80,0.7,1.5\n2,160,0.9,3.5\n3,255,0.5,5\n")
    config = tiny(f"device.file={table}", "training.epochs=1")
    assert train(config, run) == train(config, run, resume=True)
    replace(table, "0.7,1.5", "0.7,1.6")
    for finished in (True, False):
        if not finished:
            (run / "summary.json").unlink()
        with pytest.raises(ConfigError) as caught:
            train(config, run, resume=True)
        assert str(caught.value) == (
            f"expected the devices that {run} was started with, but a device's table has changed since: restore it, or "
            "start again with --overwrite"
        )


def test_a_model_with_other_last_digits_is_the_same_device(tmp_path: Path, tiny: Make, monkeypatch: pytest.MonkeyPatch):
    # As another processor computes it.
    run, config = tmp_path / "run", tiny("device.model=tn-slm", "device.levels=8", "training.epochs=1")
    (before,) = {device["digest"] for device in train(config, run)["devices"]}
    whole = build.whole_device

    def elsewhere(*arguments: Any) -> Any:
        device = whole(*arguments).tables[0]
        return dataclasses.replace(device, phase=device.phase * (1 + 1e-15))

    monkeypatch.setattr(build, "whole_device", elsewhere)
    assert {device.digest for device in build.build_devices(config)} != {before}
    assert train(config, run, resume=True)["epochs"] == 1
    (run / "summary.json").unlink()
    assert train(config, run, resume=True)["epochs"] == 1


def test_a_folder_that_is_no_run(tmp_path: Path):
    assert damage(tmp_path / "none") == (
        f"expected the folder of a training run, but {tmp_path / 'none'} does not exist: train one with voltphase train"
    )
    assert damage(tmp_path) == (
        f"expected the folder of a training run, but {tmp_path} holds no config.yaml: train one with voltphase train"
    )


def test_an_unfinished_run_says_how_to_finish_it(run: Path):
    (run / "model.safetensors").unlink()
    assert damage(run) == (
        f"expected a finished training run, but {run} holds no model.safetensors: finish it with "
        f"voltphase train {run}/config.yaml --out {run} --resume"
    )


def test_damaged_files_are_named(run: Path):
    model = run / "model.safetensors"
    whole = model.read_bytes()
    model.write_bytes(whole[: len(whole) // 2])
    assert damage(run).startswith(f"expected a trained model in {model}, but it cannot be read: ")
    model.write_bytes(b"")
    assert damage(run).startswith(f"expected a trained model in {model}, but it cannot be read: ")
    safetensors.torch.save_file({"x": torch.zeros(1)}, model)
    assert damage(run) == f"expected a model of the format voltphase-model-1 in {model}, but got None"
    model.write_bytes(whole)
    summary = run / "summary.json"
    whole_summary = summary.read_text()
    summary.write_text("{")
    assert damage(run).startswith(f"expected JSON in {summary}, but it is damaged: ")
    content = json.loads(whole_summary)
    del content["test_accuracy"]
    summary.write_text(json.dumps(content))
    assert damage(run).startswith(f"expected test_accuracy as training writes it in {summary}, but it is missing; ")
    (run / "config.yaml").write_text("optics: {size: none}\n")
    assert damage(run) == (
        f"the training run cannot be read: {run}/config.yaml: expected optics.size to be a whole number from 10 to "
        "8192, a list of 2 of them or a list of either, but got 'none'"
    )


def test_files_of_two_runs_do_not_mix(run: Path):
    model, config = run / "model.safetensors", run / "config.yaml"
    whole = config.read_text()
    replace(config, "depth: 2", "depth: 3")
    assert damage(run) == (
        f"expected {model} to hold 3 layers as its config.yaml says, but it holds 2: one of them is of another run"
    )
    config.write_text(whole)
    replace(config, "size: 16", "size: 20")
    assert damage(run) == (
        f"expected {model} to fit its config.yaml, but layers.0.design is 2 x 16 x 16 instead of 2 x 20 x 20: "
        "one of them is of another run"
    )


@pytest.mark.parametrize(
    ("given", "key", "now", "then"),
    [
        ("optics.skips=[{start: 0, end: 2}]", "optics.skips.0.distance", None, None),
        ("optics.detectors.shares=[0.4, 0.6]", "optics.detectors.shares.0", 0.4, None),
        ("optics.background_light=0.1", "optics.background_light", 0.1, 0.0),
        ("optics.pitch=[36e-6, 30e-6]", "optics.pitch", [36e-6, 30e-6], 36e-6),
        ("task.regions=rings", "task.regions", "rings", "paper"),
    ],
)
def test_what_a_run_was_not_trained_with_is_told_from_its_summary(given: str, key: str, now: Any, then: Any) -> None:
    common = ["optics.depth=2", "optics.detectors.distances=[0.03, 0.05]", "optics.distances=0.03"]
    trained, edited = load_config("digits", common), load_config("digits", [*common, given])
    kept = settings(trained)
    assert list(unlike(trained, kept)) == []
    found = {name: (here, there) for name, here, there in unlike(edited, kept)}
    if then is None:  # of a list where there was none, each entry
        assert found
        assert all(name.startswith(given.split("=")[0]) and there is None for name, (_, there) in found.items())
    else:
        assert found[key] == (now, then)


def test_a_summary_of_an_earlier_version_lacks_settings_that_are_as_usual() -> None:
    trained = load_config("digits", ["optics.depth=2"])
    new = ("optics.skips", "optics.background_light", "optics.source.centre", "task.loss")
    old = {name: value for name, value in settings(trained).items() if not name.startswith(new)}
    assert list(unlike(trained, old)) == []
    for given in ("optics.background_light=0.1", "optics.skips=[{start: 0, end: 2}]"):
        assert list(unlike(load_config("digits", ["optics.depth=2", given]), old))
    assert list(unlike(trained, {})) == []  # none were kept


def test_an_altered_device_table_is_noticed(run: Path):
    file = run / "model.safetensors"
    with safetensors.safe_open(file, framework="pt") as content:
        metadata = content.metadata()
        tensors = {name: content.get_tensor(name) for name in content.keys()}  # noqa: SIM118
    tensors["device 1 phase"][2] += 0.1
    safetensors.torch.save_file(tensors, file, metadata)
    assert str(file) in (sentence := damage(run))
    assert "digest" in sentence or "was changed" in sentence
    del tensors["device 0 control"]
    safetensors.torch.save_file(tensors, file, metadata)
    assert damage(run).startswith(f"expected device tables and the shape of images in {file}, but they are damaged: ")


def test_a_run_does_not_need_the_table_it_was_trained_with(tmp_path: Path, tiny: Make):
    table = tmp_path / "slm.csv"
    table.write_text("level,control,amplitude,phase\n0,0,1,0\n1,80,0.7,1.5\n2,160,0.9,3.5\n3,255,0.5,5\n")
    train(tiny(f"device.file={table}", "training.epochs=1"), tmp_path / "run")
    table.unlink()
    model, config, _ = load_run(tmp_path / "run")
    layer = model.layers[0]
    assert isinstance(layer, CodesignLayer)
    states = layer.device_states
    assert isinstance(states, DeviceStates)
    assert states.control.tolist() == [0, 80, 160, 255]
    assert states.phase.tolist() == [0, 1.5, 3.5, 5]
    assert config.layer_devices[0].file == str(table)
