"""Run folders that version 0.1.0 wrote: they load, answer as they did, go on and are deployed."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from voltphase.cli import app
from voltphase.training import build_dataset, evaluate, load_run

FOLDER = Path(__file__).parent / "version-0.1.0"
EXPECTED = json.loads((FOLDER / "expected.json").read_text(encoding="utf-8"))
# Logits are rounded to six places in the file.
WRITTEN = 1e-6


def call(*words: object) -> str:
    result = CliRunner().invoke(app, [str(word) for word in words])
    assert result.exit_code == 0, result.output
    return result.output


@pytest.mark.parametrize("name", EXPECTED)
def test_it_answers_as_it_did(name: str):
    (model, config, _), expected = load_run(FOLDER / name), EXPECTED[name]
    digests = [hashlib.sha256(one.numpy().astype("<i8").tobytes()).hexdigest() for one in model.levels()]
    assert digests == expected["levels_sha256"]
    found = evaluate(model, build_dataset(config, "test"))
    assert found.metrics["accuracy"] == expected["test_accuracy"]
    wanted = torch.tensor(expected["first_logits"])
    torch.testing.assert_close(found.outputs[0], wanted, rtol=1e-5, atol=WRITTEN)


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize("name", EXPECTED)
def test_it_is_deployed_verified_and_reported(name: str, tmp_path: Path):
    run = shutil.copytree(FOLDER / name, tmp_path / "run")
    call("deploy", run, "--out", tmp_path / "bench")
    assert "passed" in call("verify", tmp_path / "bench")
    call("report", run)
    assert (run / "report.html").is_file()


@pytest.mark.parametrize("name", EXPECTED)
def test_it_goes_on_from_its_checkpoint_to_the_same_end(name: str, tmp_path: Path):
    run = shutil.copytree(FOLDER / name, tmp_path / "run")
    summary = json.loads((run / "summary.json").read_text(encoding="utf-8"))
    for file in ("summary.json", "model.safetensors"):
        (run / file).unlink()
    call("train", run / "config.yaml", "--out", run, "--resume")
    again = json.loads((run / "summary.json").read_text(encoding="utf-8"))
    for key in ("test_accuracy", "train_accuracy", "epochs", "seed"):
        assert again[key] == summary[key]
    # Models were not computed for the wavelength of the light, and a device's notes have other words today. The last
    # digits of a model, and with them its digest, are the processor's.
    for layer, before in zip(load_run(run)[0].layers, load_run(FOLDER / name)[0].layers, strict=True):
        for now, then in zip(layer.device_states.tables, before.device_states.tables, strict=True):
            np.testing.assert_allclose(now.values(), then.values(), rtol=0, atol=1e-12)
