"""The whole path on the command line, at a size that takes seconds."""

from __future__ import annotations

import json
import os
import shutil
import signal
import struct
import sys
import time
from pathlib import Path

import pytest
import torch
from tests.forked import Forked
from typer.testing import CliRunner, Result

from voltphase.cli import app, main
from voltphase.training import load_run

SETTINGS = {
    "optics.size": 16,
    "optics.depth": 2,
    "optics.distances": 0.02,
    "device.levels": 4,
    "data.train_limit": 100,
    "data.test_limit": 50,
    "training.batch_size": 50,
    "training.epochs": 2,
}
TINY = [word for key, value in SETTINGS.items() for word in ("--set", f"{key}={value}")]


def call(*words: str | Path) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words], terminal_width=80)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("cli") / "run"
    result = call("train", "digits", *TINY, "--seed", "3", "--out", out)
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert "the other 252 are not used" in lines[0]
    assert "back end" in lines[4]
    lines = lines[5:]
    assert lines[0].startswith("epoch 1/2  test 0.")
    assert lines[1].startswith("epoch 2/2  test 0.")
    assert lines[2].startswith("test accuracy ")
    assert lines[3].startswith("light: ")
    assert lines[4] == f"results are in {out}, next:"
    assert lines[5:] == [
        f"  voltphase report {out}",
        f"  voltphase deploy {out} --out {out}-bench",
        f"  voltphase verify {out}-bench",
    ]
    assert json.loads((out / "summary.json").read_text())["seed"] == 3
    return out


def test_evaluate_gives_the_recorded_accuracy(run: Path):
    accuracy = json.loads((run / "summary.json").read_text())["test_accuracy"]
    result = call("evaluate", run)
    assert result.exit_code == 0, result.output
    assert result.stdout == (
        f"test accuracy {accuracy:.4f}: {round(50 * accuracy)} of 50 images of digits\n"
        f"recorded when trained: {accuracy:.4f}\n"
    )
    assert call("evaluate", run, "--split", "train").stdout.startswith("train accuracy 0.")


def test_deploy_and_verify_agree(run: Path, tmp_path: Path):
    bench = tmp_path / "bench"
    result = call("deploy", run, "--out", bench)
    assert result.exit_code == 0, result.output
    assert result.stdout == f"deployed to {bench}, next:\n  voltphase verify {bench}\n  voltphase bench-sheet {bench}\n"
    result = call("verify", bench)
    assert result.exit_code == 0, result.output
    assert "50 of 50 predictions equal" in result.stdout
    assert result.stdout.splitlines()[-1] == "passed"
    again = call("deploy", run, "--out", bench)
    assert again.exit_code == 2
    assert again.stderr.startswith("error: ")
    assert str(bench) in again.stderr


@pytest.mark.usefixtures("undrawn")
def test_a_refined_run_is_a_run_like_any_other(run: Path, tmp_path: Path):
    out, bench = tmp_path / "refined", tmp_path / "bench"
    result = call("refine", run, "--out", out, "--images", "80", "--evaluations", "12")
    assert result.exit_code == 0, result.output
    summary = json.loads((out / "summary.json").read_text())
    refined = summary["refined"]
    lines = result.stdout.splitlines()
    assert lines[0].startswith(
        f"loss {refined['loss_before']:.4f} -> {refined['loss_after']:.4f} on 80 training images, "
        f"{refined['changed_pixels']} pixels changed in "
    )
    assert lines[1] == f"test accuracy {refined['test_accuracy_before']:.4f} -> {summary['test_accuracy']:.4f}"
    assert f"  voltphase deploy {out} --out {out}-bench" in lines
    assert f"recorded when trained: {summary['test_accuracy']:.4f}" in call("evaluate", out).stdout
    assert call("deploy", out, "--out", bench).exit_code == 0
    assert call("verify", bench).stdout.splitlines()[-1] == "passed"
    assert call("report", out).exit_code == 0
    again = call("refine", run, "--out", out)
    assert (again.exit_code, again.stderr) == (
        2,
        f"error: expected a new folder, but {out} exists already: choose another or remove it\n",
    )


@pytest.mark.usefixtures("undrawn")
def test_the_report_is_one_file(run: Path):
    result = call("report", run)
    assert result.exit_code == 0, result.output
    page = Path(result.stdout.removeprefix("report: ").strip())
    assert page.suffix == ".html"
    assert "<html" in page.read_text(encoding="utf-8")


def test_the_same_seed_gives_the_same_maps_whatever_the_command(run: Path, tmp_path: Path):
    again = tmp_path / "again"
    assert call("train", run / "config.yaml", "--out", again).exit_code == 0
    for one, other in zip(load_run(run)[0].levels(), load_run(again)[0].levels(), strict=True):
        assert torch.equal(one, other)


def test_an_existing_run_is_kept_resumed_or_replaced(run: Path):
    kept = (run / "model.safetensors").read_bytes()
    words = ["train", run / "config.yaml", "--out", run]
    refused = call(*words)
    assert refused.exit_code == 2
    assert refused.stderr == (
        f"error: {run} holds a training run already: choose another folder, or give --resume to continue it or "
        "--overwrite to replace it\n"
    )
    assert call(*words, "--resume").exit_code == 0
    assert call("train", run / "config.yaml", "--resume").exit_code == 0  # the folder of the file is the run's
    assert (run / "model.safetensors").read_bytes() == kept
    assert call(*words, "--overwrite").exit_code == 0
    assert load_run(run)[2]["epochs"] == 2


def test_a_runs_own_file_begins_no_run_under_another_name(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    shutil.copytree(run, tmp_path / "runs" / "mine")
    monkeypatch.chdir(tmp_path)
    assert "runs/mine holds a training run already" in call("train", "runs/mine/config.yaml").stderr
    monkeypatch.chdir(tmp_path / "runs" / "mine")
    assert call("train", "config.yaml", "--set", "optics.size=no").exit_code == 2  # a file that has no folder in it


@pytest.mark.usefixtures("undrawn")
def test_a_run_whose_data_have_moved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    raw = tmp_path / "old" / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for prefix, count in (("train", 100), ("t10k", 50)):
        images, labels = (torch.randint(high, shape) for high, shape in ((256, (count, 28, 28)), (10, (count,))))
        for kind, values in (("images-idx3", images), ("labels-idx1", labels)):
            header = struct.pack(f">4B{values.ndim}I", 0, 0, 8, values.ndim, *values.shape)
            (raw / f"{prefix}-{kind}-ubyte").write_bytes(header + values.to(torch.uint8).numpy().tobytes())
    run, new = tmp_path / "run", tmp_path / "new"
    words = ["--set", "data.name=mnist", "--set", "training.epochs=1", "--data-dir", tmp_path / "old"]
    assert call("train", "digits", *TINY, *words, "--out", run).exit_code == 0
    (tmp_path / "old").rename(new)
    assert call("report", run, "--data-dir", new).exit_code == 0
    monkeypatch.setenv("VOLTPHASE_DATA", str(new))
    assert call("evaluate", run).exit_code == 0


def test_runs_have_a_place_of_their_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.yaml").write_text("preset: digits\n")
    assert call("train", "mine.yaml", *TINY, "--set", "training.epochs=1").exit_code == 0
    assert (tmp_path / "runs" / "mine" / "summary.json").is_file()


@pytest.mark.usefixtures("undrawn")
def test_the_demo_replaces_an_earlier_one_and_ends_with_equal_accuracies_and_a_page(run: Path, tmp_path: Path):
    shutil.copytree(run, tmp_path / "demo" / "run")
    assert call("deploy", run, "--out", tmp_path / "demo" / "bench").exit_code == 0
    result = call("demo", "--out", tmp_path / "demo", *TINY, "--set", "training.epochs=1")
    assert result.exit_code == 0, result.output
    assert load_run(tmp_path / "demo" / "run")[2]["epochs"] == 1
    emulated, again, report = result.stdout.splitlines()[-3:]
    accuracy = json.loads((tmp_path / "demo" / "run" / "summary.json").read_text())["test_accuracy"]
    assert emulated == f"accuracy emulated:               {accuracy:.4f}"
    assert again == f"accuracy re-emulated from files: {accuracy:.4f} (equal)"
    assert Path(report.removeprefix("report: ")).is_file()


def test_an_altered_deployment_fails(run: Path, tmp_path: Path):
    bench = tmp_path / "bench"
    assert call("deploy", run, "--out", bench).exit_code == 0
    manifest = bench / "manifest.json"
    manifest.write_text(manifest.read_text()[:-50])
    result = call("verify", bench)
    assert result.exit_code == 2
    assert result.stderr.startswith("error: ")
    assert "manifest.json" in result.stderr


@pytest.mark.skipif(os.name == "nt", reason="signals are sent otherwise on Windows")
def test_ctrl_c_says_how_to_go_on(tmp_path: Path):
    out = tmp_path / "run"

    def train() -> None:
        sys.argv = ["voltphase", "train", "digits", *TINY, "--set", "training.epochs=5000", "--out", str(out)]
        main()

    process = Forked(train)
    deadline = time.monotonic() + 60
    while not (out / "checkpoints" / "last.ckpt").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    os.kill(process.pid, signal.SIGINT)
    ended = process.wait()
    assert ended.code == 130
    assert ended.stderr == f"interrupted: continue with voltphase train {out}/config.yaml --out {out} --resume\n"
    assert not list(out.rglob(".*"))
