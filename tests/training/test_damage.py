"""A run folder whose files are not whole: each command says so in one sentence, and nothing is lost or believed."""

from __future__ import annotations

import copy
import json
import os
import pickle
import re
import shutil
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import safetensors
import safetensors.torch
import torch

from voltphase.cli.exit_codes import BAD_INPUT
from voltphase.config import Config
from voltphase.core.errors import ConfigError, DataError, TrainingError, VoltphaseError
from voltphase.deployment import deploy_run
from voltphase.reporting import write_report
from voltphase.training import load_run, refine_run, train

Make = Callable[..., Config]
Trained = tuple[Path, Config, dict[str, Any]]
Content = dict[str, Any]


@pytest.fixture
def run(trained: Trained, tmp_path: Path) -> Path:
    """A run that was cut off after its last epoch."""
    path = Path(shutil.copytree(trained[0], tmp_path / "run"))
    (path / "summary.json").unlink()
    return path


def contents(path: Path) -> dict[str, bytes | None]:
    return {
        str(file.relative_to(path)): file.read_bytes() if file.is_file() and file.stat().st_size < 1 << 40 else None
        for file in sorted(path.rglob("*"))
    }


def refused(run: Path, config: Config, error: type[VoltphaseError] = DataError) -> str:
    before = contents(run)
    with pytest.raises(error) as caught:
        train(config, run, resume=True)
    assert contents(run) == before
    sentence = str(caught.value)
    assert "last.ckpt" in sentence
    assert "--overwrite" in sentence
    assert len(sentence.splitlines()) == 1
    return sentence


def change(run: Path, edit: Callable[[Content], Any]) -> None:
    file = run / "checkpoints" / "last.ckpt"
    content = torch.load(file, weights_only=True)
    edit(content)
    torch.save(content, file)


PARTS = ("voltphase", "state_dict", "optimizer_states", "lr_schedulers", "loops", "pytorch-lightning_version", "epoch")


@pytest.mark.parametrize("part", ["digests", *PARTS[:-1]])
@pytest.mark.parametrize("value", ["missing", None, 3, "text", [], {}])
def test_a_part_of_a_checkpoint_that_is_missing_or_of_another_type_is_named(
    run: Path, tiny: Make, part: str, value: object
):
    change(run, lambda content: content.pop(part) if value == "missing" else content.update({part: value}))
    assert (part if part != "digests" else "digest") in refused(run, tiny())


def _numbers(content: Any) -> Iterator[tuple[Any, Any]]:
    """Each place of a number or tensor in nested dicts and lists."""
    for key, value in content.items() if isinstance(content, dict) else enumerate(content):
        if isinstance(value, dict | list):
            yield from _numbers(value)
        elif isinstance(value, int | float | torch.Tensor):
            yield content, key


@pytest.mark.parametrize("part", PARTS)
def test_any_number_in_a_checkpoint_that_was_altered_is_found(run: Path, tiny: Make, part: str):
    file = run / "checkpoints" / "last.ckpt"
    whole = torch.load(file, weights_only=True)
    places = len(list(_numbers({part: whole[part]})))
    for place in {0, places // 3, places // 2, places - 1} if places else set():
        content = copy.deepcopy(whole)
        top = {part: content[part]}
        holder, key = list(_numbers(top))[place]
        holder[key] = holder[key] + 1
        torch.save(content | top, file)
        assert f"{part} is not what was saved" in refused(run, tiny())


EDITS: dict[str, Callable[[Content], Any]] = {
    "a history of nothing": lambda content: content["voltphase"].update(history=[]),
    "a history of texts": lambda content: content["voltphase"]["history"].__setitem__(0, "epoch 1"),
    "no history": lambda content: content["voltphase"].pop("history"),
    "no devices": lambda content: content["voltphase"].pop("devices"),
    "another shape": lambda content: content["state_dict"].update({"model.layers.0.design": torch.zeros(2, 8, 8)}),
    "another type": lambda content: content["state_dict"].update(
        {"model.layers.0.design": content["state_dict"]["model.layers.0.design"].double()}
    ),
    "a layer missing": lambda content: content["state_dict"].pop("model.layers.1.design"),
    "a layer too many": lambda content: content["state_dict"].update({"model.layers.2.design": torch.zeros(2, 16, 16)}),
    "a moment missing": lambda content: content["optimizer_states"][0]["state"].pop(0),
    "a moment that is infinite": lambda content: content["optimizer_states"][0]["state"][0]["exp_avg"].fill_(torch.inf),
    "another version": lambda content: content.update({"pytorch-lightning_version": "99.banana"}),
    "a tensor that says to be huge": lambda content: content["state_dict"].update(
        {"model.layers.0.design": torch.zeros(1).expand(1 << 40)}
    ),
    "something more": lambda content: content.update(extra=1),
}


@pytest.mark.parametrize("edit", EDITS.values(), ids=EDITS)
def test_a_checkpoint_that_was_altered_is_refused(run: Path, tiny: Make, edit: Callable[[Content], Any]):
    change(run, edit)
    refused(run, tiny())


class _Bomb:
    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.mark),)


def _nested(content: Content) -> None:
    layer: list[Any] = []
    for _ in range(60):
        layer = [layer, layer]
    content["loops"] = layer


def _compressed(file: Path) -> None:
    with zipfile.ZipFile(file) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in entries.items():
            archive.writestr(name, content)


FILES: dict[str, Callable[[Path], Any]] = {
    "empty": lambda file: file.write_bytes(b""),
    "half": lambda file: file.write_bytes(file.read_bytes()[: file.stat().st_size // 2]),
    "but a byte": lambda file: file.write_bytes(file.read_bytes()[:-1]),
    "the beginning missing": lambda file: file.write_bytes(file.read_bytes()[100:]),
    "text": lambda file: file.write_text("epoch: 3\n"),
    "random": lambda file: file.write_bytes(bytes(range(256)) * 100),
    "a pickle": lambda file: file.write_bytes(pickle.dumps({"state_dict": {}})),
    "a pickle that acts": lambda file: file.write_bytes(pickle.dumps(_Bomb(file.with_name("acted")))),
    "a checkpoint that acts": lambda file: torch.save({"state_dict": _Bomb(file.with_name("acted"))}, file),
    "a tensor": lambda file: torch.save(torch.zeros(3), file),
    "an empty group": lambda file: torch.save({}, file),
    "PyTorch's old format": lambda file: torch.save({"state_dict": {}}, file, _use_new_zipfile_serialization=False),
    "compressed": _compressed,
    "another zip": lambda file: zipfile.ZipFile(file, "w").close(),
    "gigantic": lambda file: os.truncate(file, 1 << 43),
    "a folder": lambda file: (file.unlink(), file.mkdir()),
    "a pipe": lambda file: (file.unlink(), os.mkfifo(file)),
    "a link to nothing": lambda file: (file.unlink(), file.symlink_to("nowhere")),
    "a link to itself": lambda file: (file.unlink(), file.symlink_to(file.name)),
    "missing": lambda file: file.unlink(),
}


@pytest.mark.parametrize("damage", FILES.values(), ids=FILES)
def test_a_file_that_is_no_checkpoint_is_refused(
    run: Path, tiny: Make, damage: Callable[[Path], Any], monkeypatch: pytest.MonkeyPatch
):
    # What PyTorch does if it is not told.
    monkeypatch.setenv("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "1")
    checkpoint = run / "checkpoints" / "last.ckpt"
    damage(checkpoint)
    refused(run, tiny())
    assert not (run / "checkpoints" / "acted").exists()


def test_lists_within_lists_without_end_are_refused_in_no_time(run: Path, tiny: Make):
    change(run, _nested)
    started = time.monotonic()
    refused(run, tiny())
    assert time.monotonic() - started < 20


def test_a_flipped_bit_anywhere_is_found_or_harmless(run: Path, tiny: Make, trained: Trained):
    file = run / "checkpoints" / "last.ckpt"
    whole = file.read_bytes()
    for place in range(0, len(whole), len(whole) // 12):
        (run / "summary.json").unlink(missing_ok=True)
        file.write_bytes(whole[:place] + bytes([whole[place] ^ 4]) + whole[place + 1 :])
        try:
            summary = train(tiny(), run, resume=True)
        except (DataError, ConfigError, TrainingError):
            continue
        assert summary["test_accuracy"] == trained[2]["test_accuracy"]
        assert all(
            torch.equal(a, b) for a, b in zip(load_run(run)[0].levels(), load_run(trained[0])[0].levels(), strict=True)
        )


def test_the_checkpoint_of_another_run_is_refused_by_what_differs(run: Path, tiny: Make, tmp_path: Path):
    train(tiny("seed=7", "training.epochs=1"), tmp_path / "other")
    shutil.copyfile(tmp_path / "other" / "checkpoints" / "last.ckpt", run / "checkpoints" / "last.ckpt")
    assert "seed 7 instead of 0" in refused(run, tiny(), ConfigError)


def test_a_checkpoint_that_lightning_does_not_take_is_one_sentence(
    run: Path, tiny: Make, monkeypatch: pytest.MonkeyPatch
):
    def broken(*_: object, **__: object) -> None:
        raise KeyError("loops of another version")

    monkeypatch.setattr(
        "lightning.pytorch.trainer.connectors.checkpoint_connector._CheckpointConnector.restore_loops", broken
    )
    with pytest.raises(DataError, match=r"Lightning .* does not take it: start again with --overwrite"):
        train(tiny(), run, resume=True)


def test_a_refused_run_can_be_replaced(run: Path, tiny: Make):
    (run / "checkpoints" / "last.ckpt").write_bytes(b"damaged")
    refused(run, tiny("training.epochs=3"))
    assert train(tiny("training.epochs=1"), run, overwrite=True)["epochs"] == 1


# What can happen to any file of a finished run.
def _lone_byte(file: Path) -> None:
    file.write_bytes(b"\xff")


DAMAGES: dict[str, Callable[[Path], Any]] = {
    "empty": lambda file: file.write_bytes(b""),
    "half": lambda file: file.write_bytes(file.read_bytes()[: file.stat().st_size // 3]),
    "binary": _lone_byte,
    "zeros": lambda file: file.write_bytes(bytes(1000)),
    "gigantic": lambda file: os.truncate(file, 1 << 43),
    "a folder": lambda file: (file.unlink(), file.mkdir()),
    "a pipe": lambda file: (file.unlink(), os.mkfifo(file)),
    "a link to nothing": lambda file: (file.unlink(), file.symlink_to("nowhere")),
}
_NAMES = ("config.yaml", "metrics.csv", "summary.json", "model.safetensors")


@pytest.fixture
def finished(trained: Trained, tmp_path: Path) -> Path:
    return Path(shutil.copytree(trained[0], tmp_path / "run"))


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
@pytest.mark.parametrize("name", _NAMES)
def test_a_damaged_file_of_a_run_is_one_sentence_from_every_command(
    finished: Path, tmp_path: Path, tiny: Make, name: str, damage: Callable[[Path], Any]
):
    damage(finished / name)
    commands = {
        "resume": lambda: train(tiny(), finished, resume=True),
        "report": lambda: write_report(finished),
        "refine": lambda: refine_run(finished, tmp_path / "refined", images=10, evaluations=3),
        "deploy": lambda: deploy_run(finished, tmp_path / "bench"),
        "load": lambda: load_run(finished),
    }
    for command, do in commands.items():
        if name == "metrics.csv" and command in ("deploy", "load"):
            continue  # which do not read it
        if command == "resume" and name in ("model.safetensors", "summary.json") and not (finished / name).is_file():
            continue  # which makes it anew
        with pytest.raises(VoltphaseError) as caught:
            do()
        assert len(str(caught.value).splitlines()) == 1, command
        assert finished.name in str(caught.value), command
    assert {file.name for file in tmp_path.iterdir()} == {"run"}


SUMMARIES: dict[str, Any] = {
    "a list": [],
    "a number": 3,
    "no accuracy": lambda summary: summary.pop("test_accuracy"),
    "an accuracy in words": lambda summary: summary.update(test_accuracy="0.9"),
    "an accuracy above 1": lambda summary: summary.update(train_accuracy=97.0),
    "no devices": lambda summary: summary.pop("devices"),
    "devices without digests": lambda summary: summary.update(devices=[{}]),
    "devices in words": lambda summary: summary.update(devices="lcos"),
    "hardware in words": lambda summary: summary.update(hardware="a machine"),
    "versions in words": lambda summary: summary.update(versions=None),
    "seconds in words": lambda summary: summary.update(seconds="long"),
    "refined by nothing": lambda summary: summary.update(refined={}),
}


@pytest.mark.parametrize("edit", SUMMARIES.values(), ids=SUMMARIES)
def test_a_summary_with_other_figures_than_training_writes_is_refused(finished: Path, tiny: Make, edit: Any):
    file = finished / "summary.json"
    content = json.loads(file.read_text())
    if callable(edit):
        edit(content)
    else:
        content = edit
    file.write_text(json.dumps(content))
    for do in (lambda: load_run(finished), lambda: train(tiny(), finished, resume=True)):
        with pytest.raises(DataError, match=r"summary\.json"):
            do()


def test_settings_that_were_cut_off_or_changed_are_named(finished: Path):
    file = finished / "config.yaml"
    whole = file.read_text()
    for lost in ("training:", "task:", "seed:"):
        kept = whole if lost == "seed:" else whole.partition(f"\n{lost}")[0] + "\n"
        file.write_text(re.sub("(?m)^seed: 0", "seed: 5", kept) if lost == "seed:" else kept)
        with pytest.raises(DataError, match=rf"config\.yaml, but (training|task|{lost[:-1]})"):
            load_run(finished)


METRICS: dict[str, Callable[[str], str]] = {
    "a column missing": lambda text: "\n".join(line.rpartition(",")[0] for line in text.splitlines()),
    "a row too short": lambda text: text + "4,1\n",
    "a row too long": lambda text: text + "4,1,1,1,1,1,1,1\n",
    "words": lambda text: text.replace("1,", "one,", 1),
    "not a number": lambda text: text + "4,nan,1,1,1,1,1\n",
    "infinite": lambda text: text + "4,1,inf,1,1,1,1\n",
    "an epoch missing": lambda text: text.replace("\n2,", "\n5,"),
    "an epoch twice": lambda text: text + text.splitlines()[-1] + "\n",
    "other columns": lambda text: text.replace("temperature", "heat"),
    "an unclosed quote": lambda text: text + '"',
    "no rows": lambda text: text.splitlines()[0] + "\n",
}


@pytest.mark.parametrize("edit", METRICS.values(), ids=METRICS)
def test_metrics_other_than_training_writes_are_refused(finished: Path, tiny: Make, edit: Callable[[str], str]):
    file = finished / "metrics.csv"
    file.write_text(edit(file.read_text()))
    for do in (lambda: write_report(finished), lambda: train(tiny(), finished, resume=True)):
        with pytest.raises(DataError, match=r"metrics\.csv"):
            do()


def _edit_model(file: Path, edit: Callable[[dict[str, torch.Tensor], dict[str, str]], Any]) -> None:
    with safetensors.safe_open(file, framework="pt") as content:
        metadata = content.metadata()
        tensors = {name: content.get_tensor(name) for name in content.keys()}  # noqa: SIM118
    edit(tensors, metadata)
    safetensors.torch.save_file(tensors, file, metadata)


_DESIGN = "layers.0.design"
MODELS: dict[str, Callable[[dict[str, torch.Tensor], dict[str, str]], Any]] = {
    "one value": lambda tensors, _: tensors[_DESIGN][0, 0, 0].add_(1e-3),
    "not a number": lambda tensors, _: tensors[_DESIGN].fill_(torch.nan),
    "not a number, no digest": lambda tensors, about: (tensors[_DESIGN].fill_(torch.nan), about.pop("digest")),
    "another type": lambda tensors, about: (
        tensors.update({_DESIGN: tensors[_DESIGN].double()}),
        about.pop("digest"),
    ),
    "a layer missing": lambda tensors, about: (tensors.pop(_DESIGN), about.pop("digest")),
    "something more": lambda tensors, _: tensors.update(more=torch.zeros(1)),
    "no devices": lambda _, about: about.pop("devices"),
    "devices in words": lambda _, about: about.update(devices="[1, 2]"),
    "devices without end": lambda _, about: about.update(devices="[" * 100_000),
    "another device's name": lambda _, about: about.update(devices=about["devices"].replace('"name": "', '"name": "x')),
    "no shape": lambda tensors, _: tensors.pop("image shape"),
    "a shape of text": lambda tensors, _: tensors.update({"image shape": torch.zeros(3, 3)}),
    "another format": lambda _, about: about.update(format="voltphase-model-9"),
}


@pytest.mark.parametrize("edit", MODELS.values(), ids=MODELS)
def test_a_model_that_was_altered_is_refused(finished: Path, tiny: Make, edit: Callable[..., Any]):
    _edit_model(finished / "model.safetensors", edit)
    for do in (lambda: load_run(finished), lambda: train(tiny(), finished, resume=True)):
        with pytest.raises(DataError, match=r"model\.safetensors"):
            do()


def test_what_is_said_of_a_damaged_summary_helps(finished: Path, tiny: Make, trained: Trained):
    (finished / "model.safetensors").write_bytes(b"damaged")
    (finished / "metrics.csv").write_bytes(b"damaged")
    with pytest.raises(DataError, match=r"or remove .*summary\.json and have all made anew .* --resume$"):
        train(tiny(), finished, resume=True)
    (finished / "summary.json").unlink()
    assert train(tiny(), finished, resume=True)["test_accuracy"] == trained[2]["test_accuracy"]
    assert all(
        torch.equal(a, b) for a, b in zip(load_run(finished)[0].levels(), load_run(trained[0])[0].levels(), strict=True)
    )


def test_the_command_line_says_it_and_exits_2(finished: Path):
    from typer.testing import CliRunner

    from voltphase.cli import app

    (finished / "model.safetensors").write_bytes(b"damaged")
    for command in ("evaluate", "report"):
        result = CliRunner().invoke(app, [command, str(finished)])
        assert result.exit_code == BAD_INPUT
        assert "model.safetensors" in result.output
