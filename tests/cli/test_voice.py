"""What commands print: for people, for scripts, and for nobody."""

from __future__ import annotations

import json
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from voltphase.cli import app
from voltphase.deployment.proof.compare import Check

TINY = (
    *("optics.size=16", "optics.depth=1", "optics.distances=0.02", "device.levels=4", "training.batch_size=50"),
    *("data.train_limit=100", "data.test_limit=50", "training.epochs=1"),
)
SETTINGS = [word for setting in TINY for word in ("--set", setting)]


def call(*words: str | Path) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words])


def figures(result: Result, code: int = 0) -> dict[str, Any]:
    assert result.exit_code == code, result.output
    return json.loads(result.stdout)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("voice") / "run"
    told = call("train", "digits", *SETTINGS, "--out", folder, "--json")
    summary = json.loads((folder / "summary.json").read_text())
    assert figures(told) == {"run": str(folder), **summary}
    # What people read is there as well, elsewhere.
    assert "epoch 1/1" in told.stderr
    assert "results are in" in told.stderr
    return folder


def test_what_each_command_comes_to(run: Path, tmp_path: Path) -> None:
    summary = json.loads((run / "summary.json").read_text())
    answered = figures(call("evaluate", run, "--json"))
    assert answered == {"run": str(run), "split": "test", "images": 50, "test_accuracy": summary["test_accuracy"]}
    refined = figures(
        call("refine", run, "--out", tmp_path / "refined", "--images", "50", "--evaluations", "3", "--json")
    )
    assert refined["run"] == str(tmp_path / "refined")
    assert refined["refined"]["loss_after"] <= refined["refined"]["loss_before"]
    deployed = figures(call("deploy", run, "--out", tmp_path / "bench", "--json"))
    assert deployed == {"folder": str(tmp_path / "bench"), "notes": [], "own_pixels": []}
    verified = figures(call("verify", tmp_path / "bench", "--json"))
    assert (verified["passed"], verified["verdict"]) == (True, "passed")
    assert verified["value"] == verified["expected_value"] == summary["test_accuracy"]
    assert {"what", "passed", "verdict", "figures"} == verified["checks"][0].keys()


def test_a_check_that_fails_has_figures_and_its_exit_code(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert call("deploy", run, "--out", tmp_path / "bench", "--quiet").output == ""
    failed = Check("pixels", False, "others")
    monkeypatch.setattr(import_module("voltphase.deployment.verify"), "_own_pixels", lambda *_: [failed])
    assert figures(call("verify", tmp_path / "bench", "--json"), code=1)["passed"] is False


def test_quiet_prints_errors_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("voltphase.loggers.TensorBoard.open", None)  # a warning
    words = ("train", "digits", *SETTINGS, "--set", "training.loggers=tensorboard", "--out", tmp_path / "run")
    done = call(*words, "--quiet")
    assert (done.exit_code, done.output) == (0, "")
    assert "tensorboard" in json.loads((tmp_path / "run" / "summary.json").read_text())["failed_loggers"]
    again = call(*words, "-q", "--json")
    assert (again.exit_code, again.stdout) == (2, "")
    assert again.stderr.startswith("error: ")
    both = call(*words, "--overwrite", "-q", "--json")
    assert (figures(both)["epochs"], both.stderr) == (1, "")
    # It was of these calls alone.
    aloud = call(*words, "--overwrite")
    assert "epoch 1/1" in aloud.stdout
    assert "warning: the logger tensorboard is left out" in aloud.stderr


def test_a_sweep_and_a_reproduction(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("voltphase.sweeps.search.sweep.write_sweep_report", lambda *_: None)
    file = tmp_path / "gain.yaml"
    few = {"data": {"train_limit": 60, "test_limit": 20}, "training": {"epochs": 1, "batch_size": 30}}
    small = {"optics": {"size": 16, "depth": 1, "distances": 0.02}, **few}
    given = {"config": "digits", "set": small, "search": {"codesign.gain": [1.0, 3.0]}, "sampler": "grid"}
    file.write_text(json.dumps(given), encoding="utf-8")
    swept = figures(call("sweep", file, "--out", tmp_path / "sweep", "--json"))
    assert (swept["sweep"], swept["trials"], swept["failed"]) == (str(tmp_path / "sweep"), 2, 0)
    assert [row["codesign.gain"] in (1.0, 3.0) for row in swept["best"]] == [True]
    words = ("reproduce", "table1", "--preset", "smoke", "--out", tmp_path, "--json")
    listed = figures(call(*words, "--list"))["runs"]
    assert {run["state"] for run in listed} == {"to do"}
    assert {run["experiment"] for run in listed} == {"table1"}
    rendered = figures(call(*words, "--render-only"))
    assert rendered["folder"] == str(tmp_path / "smoke")
    assert all(Path(file).is_file() for file in rendered["files"])
