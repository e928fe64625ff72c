"""The examples of numbers and of logic, all the way from a file and from Python."""

from __future__ import annotations

import json
import runpy
from pathlib import Path

import pytest
from typer.testing import CliRunner

import voltphase as vp
from voltphase.cli import app

EXAMPLES = Path(__file__).parent.parent / "examples"


def call(*words: object) -> str:
    result = CliRunner().invoke(app, list(map(str, words)))
    assert result.exit_code == 0, result.output
    return result.output


@pytest.mark.usefixtures("undrawn")
def test_a_half_adder_of_light_adds_from_its_files(tmp_path: Path) -> None:
    run, bench = tmp_path / "run", tmp_path / "bench"
    said = call("train", EXAMPLES / "logic.yaml", "--out", run, "--set", "training.epochs=10")
    assert "task, as the data say: bits 2" in said
    assert "of the input's reaches what is read, contrast margin" in said
    summary = json.loads((run / "summary.json").read_text())
    assert (summary["test_accuracy"], summary["task"]) == (1.0, {"bits": 2})
    call("report", run)
    assert "every bit is right for 4 of 4 test images" in (run / "report.html").read_text(encoding="utf-8")
    call("deploy", run, "--out", bench)
    assert "4 of 4 predictions equal" in call("verify", bench)
    emulator = vp.deployment.Emulator.from_folder(bench)
    test = vp.data.LogicTable("half-adder").load("test")
    assert ((emulator(test.images) > 0).long() == test.targets).all()
    assert "A class stands for a bit here" in (bench / "README.txt").read_text(encoding="utf-8").replace("\n", " ")


@pytest.mark.usefixtures("undrawn")
def test_numbers_are_learned_from_python_and_verified_from_files(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    example = runpy.run_path(str(EXAMPLES / "own_numbers.py"))
    example["main"](tmp_path / "spots.npz", 400, 8)
    said = capsys.readouterr().out.splitlines()[-1]
    assert said.endswith("; passed")
    assert float(said.split()[1].rstrip(",")) > 0.8
    manifest = json.loads((tmp_path / "bench" / "manifest.json").read_text())
    assert manifest["reference"]["metric"] == "mae"
    assert len(manifest["readout"]["task"]["settings"]["ranges"]) == 2
