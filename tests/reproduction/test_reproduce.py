"""The command line of the experiments."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from voltphase.cli import app
from voltphase.reproduction import sizes
from voltphase.reproduction.paper import table2
from voltphase.sweeps.results import ResultFolder

Keep = Callable[..., dict[str, Any]]


def call(*words: str | Path) -> Result:
    return CliRunner().invoke(app, ["reproduce", *(str(word) for word in words)], terminal_width=80)


@pytest.fixture(autouse=True)
def no_data(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("VOLTPHASE_DATA", raising=False)
    monkeypatch.chdir(tmp_path)


def test_from_data_to_a_page(tmp_path: Path):
    words = ["table2", "--preset", "smoke", "--out", "out", "--depth", "1", "--threads", "1"]
    result = call(*words)
    assert result.exit_code == 0, result.output
    first, line, count, note, page, picture = result.stdout.splitlines()
    assert first == "no measured modulator given: using the modelled tn-slm"
    assert line.startswith("[1/1] table2 digits-depth1-lambda90-seed0: test 0.")
    assert count == "1 of 1 runs are done"
    assert note == sizes.INCONCLUSIVE
    assert page == "written: out/smoke/reproduction.md"
    assert picture == "written: out/smoke/figures/reproduce-smoke-table2.png"
    text = (tmp_path / "out/smoke/reproduction.md").read_text()
    assert "Device: modelled tn-slm." in text
    assert sizes.INCONCLUSIVE in text
    assert "The paper:" not in text
    assert "1 of 1 runs are there already" in call(*words).stdout
    assert call(*words, "--list").stdout == "done  table2 digits-depth1-lambda90-seed0\n"


def test_what_was_made_with_another_device_is_never_replaced(tmp_path: Path, keep: Keep):
    run = table2.runs(sizes.get("smoke"))[0]
    folder = ResultFolder(tmp_path / "out" / "smoke")
    keep(folder, run, 0.9)
    before = folder.file(run).read_bytes()
    words = ["table2", "--preset", "smoke", "--out", "out", "--depth", "1"]
    assert call(*words, "--list").stdout == f"other device  table2 {run.name}\n"
    result = call(*words)
    assert result.exit_code == 2
    assert result.stderr.startswith(f"error: expected out/smoke/table2/{run.name}.json to be of the device to run with")
    assert "made with measured tn-slm: " in result.stderr
    assert folder.file(run).read_bytes() == before


def test_the_measured_modulator_is_looked_for_beside_the_data(tmp_path: Path):
    devices = tmp_path / "data" / "devices"
    devices.mkdir(parents=True)
    for kind, values in (("phase", (0, 3)), ("intensity", (1, 1))):
        (devices / f"tn-slm-{kind}.csv").write_text(f"0,0,{values[0]}\n9,0,{values[1]}\n")
    words = ["table1", "--preset", "smoke", "--out", "out", "--max-minutes", "0"]
    assert "using the modelled tn-slm" in call(*words).stdout
    assert "using the modelled tn-slm" not in call(*words, "--data-dir", "data").stdout


def test_time_that_is_up_is_no_failure():
    result = call("table2", "--preset", "smoke", "--out", "out", "--max-minutes", "0")
    assert result.exit_code == 0
    assert "2 are left: the same command goes on with them" in result.stdout


def test_runs_can_be_listed_and_nothing_is_written(tmp_path: Path):
    result = call("table1", "--only", "mnist", "--only", "lambda5", "--depth", "3", "--list")
    assert result.stdout == "to do  table1 mnist-depth3-lambda5-seed0\n"
    assert list(tmp_path.iterdir()) == []


def test_rendering_alone_runs_nothing(tmp_path: Path):
    result = call("figure2", "--preset", "smoke", "--out", "out", "--render-only", "--page", "docs/page.md")
    assert result.exit_code == 0, result.output
    assert "0 of 6 cells are there" in (tmp_path / "docs/page.md").read_text()
    assert not (tmp_path / "out").exists()


def test_a_run_that_fails_is_reported_at_the_end(tmp_path: Path):
    (tmp_path / "data").mkdir()
    # The measured device has two states and figure 3 wants eight as well.
    (tmp_path / "two.csv").write_text("level,control,amplitude,phase\n0,0,1,0\n1,9,1,3.141592653589793\n")
    words = ["--preset", "smoke", "--out", "out", "--only", "codesign", "--device-file", "two.csv"]
    result = call("figure3", *words)
    assert result.exit_code == 1
    assert "1 of 2 runs are done" in result.stdout
    [sentence] = result.stderr.splitlines()
    assert sentence.startswith("failed: figure3 digits-codesign-depth2-levels8-seed0: expected")


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["table3"], "expected an experiment out of table1, "),
        (["table1", "--preset", "gpu"], "expected a preset out of smoke, cpu, paper, but got 'gpu'"),
        (
            ["table1", "--only", "cifar"],
            "expected --only and --depth to leave runs of table1, but none fits: voltphase reproduce table1 --list "
            "names them all",
        ),
        (["table1", "--device-file", "absent.csv"], "absent.csv"),
        (["table1", "--preset", "smoke", "--out", "file"], "cannot write file/smoke: "),
    ],
)
def test_what_does_not_fit_is_one_sentence(words: list[str], sentence: str, tmp_path: Path):
    (tmp_path / "file").touch()
    result = call(*words)
    assert result.exit_code == 2
    assert result.stderr.startswith("error: ")
    assert result.stderr.count("\n") == 1
    assert sentence in result.stderr


def test_an_interruption_says_how_to_go_on(monkeypatch: pytest.MonkeyPatch):
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("voltphase.sweeps.runner.run_all", interrupt)
    result = call("table2", "--preset", "smoke", "--out", "out")
    assert result.exit_code == 130
    assert result.stderr.startswith("interrupted: the same command goes on")
