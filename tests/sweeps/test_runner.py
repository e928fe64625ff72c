from __future__ import annotations

import importlib
import io
import itertools
import json
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from rich.console import Console

from voltphase.core.errors import OutputError, TrainingError
from voltphase.reproduction.paper import table1, table2
from voltphase.reproduction.paper.figure4 import write_device
from voltphase.reproduction.registry import EXPERIMENTS
from voltphase.reproduction.sizes import Preset, get
from voltphase.sweeps import peak_memory as measuring
from voltphase.sweeps import runner
from voltphase.sweeps.lock import claim
from voltphase.sweeps.results import ResultFolder
from voltphase.sweeps.runner import Tally, run_cells
from voltphase.sweeps.runs import Cell
from voltphase.training import build_dataset, evaluate, load_run


@pytest.fixture
def preset() -> Preset:
    return get("smoke")


@pytest.fixture
def folder(tmp_path: Path) -> ResultFolder:
    return ResultFolder(tmp_path / "results" / "smoke")


class Run:
    """Runs cells in a folder; ``said`` is what was said about the last ones."""

    def __init__(self, folder: ResultFolder) -> None:
        self.folder = folder
        self.said: list[str] = []

    def __call__(self, cells: list[Cell], minutes: float | None = None) -> Tally:
        self.said = []
        return run_cells(cells, self.folder, preset="smoke", say=self.said.append, minutes=minutes)


@pytest.fixture
def run(folder: ResultFolder) -> Run:
    return Run(folder)


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The run folders that training was called for."""
    called: list[Path] = []
    whole = runner.train

    def counted(config: Any, out: Path, **options: Any) -> Any:
        called.append(out)
        return whole(config, out, **options)

    monkeypatch.setattr(runner, "train", counted)
    return called


def test_who_waits_sees_how_the_cell_at_work_gets_on(preset: Preset, folder: ResultFolder):
    [cell, *_] = table2.cells(preset)
    stream = io.StringIO()
    console = Console(file=stream, force_terminal=True, width=100)
    run_cells([cell], folder, preset="smoke", say=lambda _: None, console=console)
    shown = stream.getvalue()
    assert shown.startswith(f"table2 {cell.name}\n")
    assert "epoch 2/2" in shown


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_every_experiment_runs(name: str, preset: Preset, tmp_path: Path, folder: ResultFolder, run: Run):
    fine_device = tmp_path / "fine.csv"
    write_device(fine_device)
    cells = EXPERIMENTS[name].cells(preset.on(None, fine_device=fine_device, threads=1))
    if name == "figure4":
        cells = cells[:1]  # a process of its own takes seconds to start
    tally = run(cells)
    assert tally.failed == []
    assert tally.finished == cells
    for cell in cells:
        result = json.loads((tmp_path / "results" / "smoke" / name / f"{cell.name}.json").read_text())
        assert result["labels"] == dict(cell.labels)
        assert len(result["epochs"]) == result["config"]["training"]["epochs"]
        assert 0 <= result["summary"]["test_accuracy"] <= 1
        if cell.settings.get("codesign.relaxation.name") == "unconstrained":
            assert result["deployed"] == {"accuracy": None}
        else:
            assert result["deployed"]["accuracy"] == result["summary"]["test_accuracy"]
            assert result["deployed"]["predictions_equal"] == result["deployed"]["images"]
        if cell.own_process:
            assert 1e6 < result["measured"]["peak_bytes"] - result["measured"]["bytes_before"] < 1e9
    assert name == "figure4" or "missing" not in EXPERIMENTS[name].report(folder.outcomes(cells))


def test_a_result_says_all_about_itself(preset: Preset, folder: ResultFolder, run: Run, tmp_path: Path):
    cell = table1.cells(preset.on(None, data_dir=tmp_path))[0]
    run([cell])
    text = folder.file(cell).read_text()
    result = json.loads(text)
    assert {"versions", "commit", "hardware", "seconds"} <= result["summary"].keys()
    assert (result["experiment"], result["preset"], result["seed"]) == ("table1", "smoke", 0)
    assert result["devices"] == ["modelled tn-slm"]
    assert result["config"]["data"]["dir"] is None
    assert str(tmp_path) not in text
    model, config, _ = load_run(next(folder.work.glob("*/config.yaml")).parent)
    answers = evaluate(model, build_dataset(config, "test"))
    probabilities = torch.softmax(answers.logits.double(), 1)
    best, second = probabilities.topk(2, 1).values.unbind(1)
    sure = (answers.predictions == answers.labels) & (best - second > 0.05 * 10 / 9)
    assert result["accuracy_when_cut"]["0.05"] == pytest.approx(float(sure.double().mean()))
    assert result["accuracy_when_cut"]["0"] == result["summary"]["test_accuracy"]


def test_a_finished_cell_is_never_run_again(preset: Preset, folder: ResultFolder, run: Run, trained: list[Path]):
    cell = table1.cells(preset)[0]
    run([cell])
    before = folder.file(cell).read_bytes()
    tally = run([cell])
    assert tally.finished == [cell]
    assert run.said == ["1 of 1 cells are there already"]
    assert len(trained) == 1
    assert folder.file(cell).read_bytes() == before


def test_a_cell_of_two_experiments_is_trained_once(preset: Preset, folder: ResultFolder, run: Run, trained: list[Path]):
    one, other = table1.cells(preset)[0], table2.cells(preset)[0]
    run([one, other])
    assert len(trained) == 1
    first, second = folder.read(one), folder.read(other)
    assert first is not None
    assert second is not None
    assert second == first | {"experiment": "table2"}


def test_the_same_name_with_other_settings_is_another_run(
    preset: Preset, folder: ResultFolder, run: Run, trained: list[Path]
):
    cell = table1.cells(preset)[0]
    longer = Cell(cell.experiment, cell.labels, cell.system, {**cell.settings, "training.epochs": 3})
    run([cell])
    run([longer])
    assert len(trained) == 2
    assert folder.read(cell) is None
    result = folder.read(longer)
    assert result is not None
    assert result["summary"]["epochs"] == 3


@pytest.fixture
def a_second_a_look(monkeypatch: pytest.MonkeyPatch) -> None:
    """A clock of the runner that goes on by a second whenever it is looked at."""
    monkeypatch.setattr(runner, "time", SimpleNamespace(monotonic=itertools.count().__next__))


@pytest.mark.usefixtures("a_second_a_look")
def test_time_that_is_up_ends_a_cell_with_its_epoch_and_the_next_run_goes_on(
    preset: Preset, folder: ResultFolder, run: Run, trained: list[Path]
):
    first, second = table1.cells(preset)[:2]
    tally = run([first, second], minutes=0)
    assert (tally.finished, tally.left, trained) == ([], [first, second], [])

    tally = run([first, second], minutes=2.5 / 60)
    assert (tally.finished, tally.left) == ([], [first, second])
    [kept] = folder.work.glob("*/metrics.csv")
    assert len(kept.read_text().splitlines()) == 2, "the heading and one epoch"
    assert not list(folder.work.glob("*.claim"))

    tally = run([first, second])
    assert (tally.finished, tally.left) == ([first, second], [])
    uninterrupted = ResultFolder(folder.path.parent / "again")
    run_cells([first], uninterrupted, preset="smoke", say=lambda _: None)
    once, twice = (there.read(first) for there in (uninterrupted, folder))
    assert once is not None
    assert twice is not None
    assert twice["summary"]["test_accuracy"] == once["summary"]["test_accuracy"]
    assert [row["train_loss"] for row in twice["epochs"]] == [row["train_loss"] for row in once["epochs"]]


def test_ctrl_c_ends_it_all_and_leaves_no_claim(
    preset: Preset, folder: ResultFolder, run: Run, monkeypatch: pytest.MonkeyPatch
):
    def interrupted(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(runner, "train", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run(table1.cells(preset)[:2])
    assert not list(folder.work.glob("*.claim"))


def test_a_cell_that_fails_does_not_keep_the_others_from_being_run(preset: Preset, folder: ResultFolder, run: Run):
    bad, good = table1.cells(preset)[:2]
    unknown = Cell("table1", {"data": "no-such"}, "digits", {"data.name": "digts"})
    absent = Cell("table1", {"data": "absent"}, "digits", {**bad.settings, "data.test_limit": 5000})
    tally = run([unknown, absent, good])
    assert tally.finished == [good]
    assert [cell for cell, _ in tally.failed] == [unknown, absent]
    assert "data.name" in tally.failed[0][1]
    assert "5000" in tally.failed[1][1]
    assert sum(line.startswith("FAILED table1 ") for line in run.said) == 2


def test_what_others_are_at_work_on_is_left_to_them(
    preset: Preset, folder: ResultFolder, run: Run, trained: list[Path]
):
    first, second = table1.cells(preset)[:2]
    runner.prepare(folder)
    with claim(folder.work / f"{first.digest}.claim"):
        tally = run([first, second])
    assert (tally.elsewhere, tally.finished) == ([first], [second])
    assert len(trained) == 1


def test_what_others_have_finished_meanwhile_is_finished(
    preset: Preset, folder: ResultFolder, run: Run, monkeypatch: pytest.MonkeyPatch
):
    first, second = table1.cells(preset)[:2]
    run([first])
    result = folder.file(first).read_bytes()
    folder.file(first).unlink()
    whole = runner.finish

    def finish_and_let_others_finish(*arguments: Any) -> Any:
        folder.file(first).write_bytes(result)
        return whole(*arguments)

    monkeypatch.setattr(runner, "finish", finish_and_let_others_finish)
    with claim(folder.work / f"{first.digest}.claim"):
        tally = run([first, second])
    assert (tally.finished, tally.elsewhere) == ([second, first], [])


@pytest.mark.usefixtures("a_second_a_look")
def test_a_begun_run_that_cannot_be_gone_on_with_starts_again(preset: Preset, folder: ResultFolder, run: Run):
    cell = table1.cells(preset)[0]
    run([cell], minutes=2.5 / 60)
    [checkpoint] = folder.work.glob("*/checkpoints/last.ckpt")
    checkpoint.write_bytes(b"half")
    assert run([cell]).finished == [cell]
    assert not checkpoint.exists(), "it has served"


def test_a_run_that_was_killed_before_it_was_begun_starts_again(preset: Preset, folder: ResultFolder, run: Run):
    cell = table1.cells(preset)[0]
    (folder.work / cell.digest / "checkpoints").mkdir(parents=True)
    assert run([cell]).finished == [cell]


def test_a_finished_run_that_is_damaged_starts_again(preset: Preset, folder: ResultFolder, run: Run):
    cell = table1.cells(preset)[0]
    run([cell])
    [model] = folder.work.glob("*/model.safetensors")
    model.write_bytes(b"half")
    folder.file(cell).unlink()
    assert run([cell]).finished == [cell]


@pytest.mark.parametrize("content", ["", "{", "[]", "[" * 5000, '{"summary": {}}', '{"summary": {"devices": [1]}}'])
def test_a_result_that_is_not_whole_is_said_and_run_again(
    preset: Preset, folder: ResultFolder, run: Run, content: str, monkeypatch: pytest.MonkeyPatch
):
    cell = table1.cells(preset)[0]
    folder.file(cell).parent.mkdir(parents=True)
    folder.file(cell).write_text(content)
    assert "missing" in table1.report(folder.outcomes([cell]))
    monkeypatch.setattr(runner, "_run_cell", lambda *_: "ran")
    assert run([cell]).finished == [cell]
    assert run.said[0] == f"{folder.file(cell)} is no whole result: its cell is run again"


@pytest.fixture
def instead_of_training(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Callable[[str], None]]:
    """Lets a process of its own do something else than train; from a module that a fresh process can import."""

    def do(line: str) -> None:
        (tmp_path / "instead.py").write_text(f"import os, time\n\ndef work(*_):\n    {line}\n")
        monkeypatch.syspath_prepend(tmp_path)
        monkeypatch.setattr(measuring, "_work", importlib.import_module("instead").work)

    yield do
    sys.modules.pop("instead", None)


def test_a_process_of_its_own_that_is_killed_is_one_sentence(
    instead_of_training: Callable[[str], None], tmp_path: Path
):
    instead_of_training("os.kill(os.getpid(), 9)")
    with pytest.raises(TrainingError, match=r"ended with code -9: .*more memory"):
        measuring.train_apart(None, tmp_path)  # pyright: ignore[reportArgumentType]


def test_ctrl_c_ends_a_process_of_its_own_at_once(instead_of_training: Callable[[str], None], tmp_path: Path):
    before = signal.getsignal(signal.SIGINT)
    instead_of_training("time.sleep(60)")
    started = time.monotonic()
    main = threading.main_thread().ident
    assert main is not None
    threading.Timer(0.5, signal.pthread_kill, [main, signal.SIGINT]).start()
    with pytest.raises(KeyboardInterrupt):
        measuring.train_apart(None, tmp_path)  # pyright: ignore[reportArgumentType]
    assert time.monotonic() - started < 30
    assert signal.getsignal(signal.SIGINT) == before


@pytest.mark.usefixtures("a_second_a_look")
def test_a_run_of_when_defaults_were_others_starts_again(preset: Preset, folder: ResultFolder, run: Run):
    cell = table1.cells(preset)[0]
    run([cell])
    [config] = folder.work.glob("*/config.yaml")
    config.write_text(config.read_text().replace("learning_rate: 0.5", "learning_rate: 0.25"))
    folder.file(cell).unlink()
    assert run([cell]).finished == [cell]
    assert "learning_rate: 0.5" in config.read_text()


def test_progress_is_a_line_a_cell_with_a_count_and_the_time_left(preset: Preset, run: Run):
    cells = table1.cells(preset)[:2]
    run(cells)
    first, second = run.said
    assert first.startswith("[1/2] table1 digits-depth1-lambda90-seed0: test 0.")
    assert first.endswith("; about 0 min left")
    assert second.startswith("[2/2] ")
    assert "left" not in second


def test_time_left_goes_by_what_there_is_to_do(preset: Preset):
    shallow, deep = (Cell("e", {"data": d}, "digits", {"optics.depth": d}) for d in (1, 5))
    pace = runner._Pace()
    pace.note(shallow, 600.0)
    assert pace.remaining([]) == ""
    assert pace.remaining([deep]) == "; about 30 min left"
    assert pace.remaining([deep, deep]) == "; about 30 min left", "one run under two names"
    assert pace.remaining([deep, Cell("e", {"data": 2}, "digits", {"optics.depth": 5, "seed": 1})]).endswith(
        "60 min left"
    )


def test_a_place_that_cannot_be_written(preset: Preset, tmp_path: Path):
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match=r"cannot write .*file.*; choose a place that can be written"):
        run_cells(table1.cells(preset), ResultFolder(tmp_path / "file"), preset="smoke", say=lambda _: None)
