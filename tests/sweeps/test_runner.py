from __future__ import annotations

import importlib
import io
import itertools
import json
import os
import re
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
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
from voltphase.reproduction.sizes import Size, get
from voltphase.sweeps import peak_memory, queue, resume, runner
from voltphase.sweeps.queue import TrialQueue
from voltphase.sweeps.results import ResultFolder
from voltphase.sweeps.runner import SweepSummary, run_all
from voltphase.sweeps.runs import Run
from voltphase.sweeps.storage import open_study
from voltphase.training import build_dataset, evaluate, load_run
from voltphase.training.run_folder import locked


@pytest.fixture
def size() -> Size:
    return get("smoke")


@pytest.fixture
def folder(tmp_path: Path) -> ResultFolder:
    return ResultFolder(tmp_path / "results" / "smoke")


class Sweep:
    """Trains runs in a folder; ``said`` is what was said about the last ones."""

    def __init__(self, folder: ResultFolder) -> None:
        self.folder = folder
        self.said: list[str] = []

    def __call__(self, runs: list[Run], minutes: float | None = None) -> SweepSummary:
        self.said = []
        return run_all(runs, self.folder, say=self.said.append, minutes=minutes)


@pytest.fixture
def sweep(folder: ResultFolder) -> Sweep:
    return Sweep(folder)


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The run folders that training was called for."""
    called: list[Path] = []
    whole = resume.train

    def counted(config: Any, out: Path, **options: Any) -> Any:
        called.append(out)
        return whole(config, out, **options)

    monkeypatch.setattr(resume, "train", counted)
    return called


def test_who_waits_sees_how_the_run_at_work_gets_on(size: Size, folder: ResultFolder):
    [run, *_] = table2.runs(size)
    stream = io.StringIO()
    console = Console(file=stream, force_terminal=True, width=100)
    run_all([run], folder, say=lambda _: None, console=console)
    shown = stream.getvalue()
    assert shown.startswith(f"table2 {run.name}\n")
    assert "epoch 2/2" in shown


#: Experiments of dozens of runs.
_MANY = ("study", "readings")


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_every_experiment_runs(name: str, size: Size, tmp_path: Path, folder: ResultFolder, sweep: Sweep):
    fine_device = tmp_path / "fine.csv"
    write_device(fine_device)
    all_runs = EXPERIMENTS[name].runs(size.on(None, fine_device=fine_device, threads=1))
    assert all(run.digest for run in all_runs), "each can be set up"
    runs = all_runs
    if name in _MANY:  # the first of each kind: those that differ in numbers alone are one
        kinds = {tuple(value for value in run.labels.values() if isinstance(value, str)): run for run in runs[::-1]}
        runs = [run for run in runs if run in kinds.values()]
    if name == "figure4":
        runs = runs[:1]  # a process of its own takes seconds to start
    summary = sweep(runs)
    assert summary.failed == []
    assert summary.finished == runs
    for run in runs:
        result = json.loads((tmp_path / "results" / "smoke" / name / f"{run.name}.json").read_text())
        assert result["labels"] == dict(run.labels)
        assert len(result["epochs"]) == result["config"]["training"]["epochs"]
        assert 0 <= result["summary"]["test_accuracy"] <= 1
        if run.settings.get("codesign.relaxation.name") == "unconstrained":
            assert result["deployed"] == {"accuracy": None}
        else:
            assert result["deployed"]["accuracy"] == result["summary"]["test_accuracy"]
            assert result["deployed"]["predictions_equal"] == result["deployed"]["images"]
        if run.own_process:
            assert 1e6 < result["measured"]["peak_bytes"] - result["measured"]["bytes_before"] < 1e9
    report = EXPERIMENTS[name].report(folder.outcomes(all_runs))
    assert len(runs) < len(all_runs) or "missing" not in report


def test_a_result_says_all_about_itself(size: Size, folder: ResultFolder, sweep: Sweep, tmp_path: Path):
    run = table1.runs(size.on(None, data_dir=tmp_path))[0]
    sweep([run])
    text = folder.file(run).read_text()
    result = json.loads(text)
    assert {"versions", "commit", "hardware", "seconds"} <= result["summary"].keys()
    assert (result["experiment"], result["cell"], result["seed"]) == ("table1", run.name, 0)
    assert result["devices"] == ["modelled tn-slm"]
    assert result["config"]["data"]["dir"] is None
    assert str(tmp_path) not in text
    model, config, _ = load_run(next(folder.work.glob("*/config.yaml")).parent)
    answers = evaluate(model, build_dataset(config, "test"))
    probabilities = torch.softmax(answers.outputs.double(), 1)
    best, second = probabilities.topk(2, 1).values.unbind(1)
    sure = (answers.predictions == answers.targets) & (best - second > 0.05 * 10 / 9)
    assert result["accuracy_when_cut"]["0.05"] == pytest.approx(float(sure.double().mean()))
    assert result["accuracy_when_cut"]["0"] == result["summary"]["test_accuracy"]


def test_a_finished_run_is_never_run_again(size: Size, folder: ResultFolder, sweep: Sweep, trained: list[Path]):
    run = table1.runs(size)[0]
    sweep([run])
    before = folder.file(run).read_bytes()
    summary = sweep([run])
    assert summary.finished == [run]
    assert sweep.said == ["1 of 1 runs are there already"]
    assert len(trained) == 1
    assert folder.file(run).read_bytes() == before


def test_what_other_machines_and_earlier_versions_have_made_of_a_modelled_device_counts(
    size: Size, folder: ResultFolder, sweep: Sweep, trained: list[Path]
):
    run = table1.runs(size)[0]
    sweep([run])
    result, file = folder.read(run), folder.file(run)
    assert result is not None
    for device in result["summary"]["devices"]:
        device["digest"] = "of another processor"
    file.write_text(json.dumps(result))
    assert ResultFolder(folder.path).state(run) == "done"
    # A run that has been begun, under the name that it had before.
    file.unlink()
    (folder.work / run.digest).rename(folder.work / run.former_digest)
    assert sweep([run]).finished == [run]
    assert len(trained) == 2
    assert sweep.said[0].endswith("s")
    assert [path.name for path in folder.work.iterdir() if path.is_dir()] == [run.digest]
    result["config"]["device"] = {"file": "slm.csv", "levels": 8}
    file.write_text(json.dumps(result))
    assert folder.state(run) == "other device"


def test_a_run_of_two_experiments_is_trained_once(size: Size, folder: ResultFolder, sweep: Sweep, trained: list[Path]):
    one, other = table1.runs(size)[0], table2.runs(size)[0]
    sweep([one, other])
    assert len(trained) == 1
    first, second = folder.read(one), folder.read(other)
    assert first is not None
    assert second is not None
    assert second == first | {"experiment": "table2"}


def test_the_same_name_with_other_settings_is_another_run(
    size: Size, folder: ResultFolder, sweep: Sweep, trained: list[Path]
):
    run = table1.runs(size)[0]
    longer = Run(run.experiment, run.labels, run.system, {**run.settings, "training.epochs": 3})
    sweep([run])
    sweep([longer])
    assert len(trained) == 2
    assert folder.read(run) is None
    result = folder.read(longer)
    assert result is not None
    assert result["summary"]["epochs"] == 3


@pytest.fixture
def a_second_a_look(monkeypatch: pytest.MonkeyPatch) -> None:
    """A clock of the runner that goes on by a second whenever it is looked at."""
    monkeypatch.setattr(runner, "time", SimpleNamespace(monotonic=itertools.count().__next__))
    monkeypatch.setattr(queue, "LOOK_SECONDS", 0.0)


@pytest.mark.usefixtures("a_second_a_look")
def test_time_that_is_up_ends_a_run_with_its_epoch_and_the_next_run_goes_on(
    size: Size, folder: ResultFolder, sweep: Sweep, trained: list[Path]
):
    first, second = table1.runs(size)[:2]
    summary = sweep([first, second], minutes=0)
    assert (summary.finished, summary.left, trained) == ([], [first, second], [])

    summary = sweep([first, second], minutes=2.5 / 60)
    assert (summary.finished, summary.left) == ([], [first, second])
    [kept] = folder.work.glob("*/metrics.csv")
    assert len(kept.read_text().splitlines()) == 2, "the heading and one epoch"
    summary = sweep([first, second])
    assert (summary.finished, summary.left) == ([first, second], [])
    uninterrupted = ResultFolder(folder.path.parent / "again")
    run_all([first], uninterrupted, say=lambda _: None)
    once, twice = (there.read(first) for there in (uninterrupted, folder))
    assert once is not None
    assert twice is not None
    assert twice["summary"]["test_accuracy"] == once["summary"]["test_accuracy"]
    assert [row["train_loss"] for row in twice["epochs"]] == [row["train_loss"] for row in once["epochs"]]


def test_ctrl_c_ends_it_all_and_its_run_waits_for_who_goes_on(
    size: Size, folder: ResultFolder, sweep: Sweep, monkeypatch: pytest.MonkeyPatch
):
    def interrupted(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    runs = table1.runs(size)[:2]
    with monkeypatch.context() as patch:
        patch.setattr(resume, "train", interrupted)
        with pytest.raises(KeyboardInterrupt):
            sweep(runs)
    assert [trial.state.name for trial in trials(folder)] == ["WAITING"] * 2
    assert sweep(runs).finished == runs
    assert [trial.state.name for trial in trials(folder)] == ["COMPLETE"] * 2


def trials(folder: ResultFolder) -> list[Any]:
    return TrialQueue(open_study("journal", folder.work, "runs")[0], "").trials()


def test_a_run_that_fails_does_not_keep_the_others_from_being_run(size: Size, folder: ResultFolder, sweep: Sweep):
    bad, good = table1.runs(size)[:2]
    unknown = Run("table1", {"data": "no-such"}, "digits", {"data.name": "digts"})
    absent = Run("table1", {"data": "absent"}, "digits", {**bad.settings, "data.test_limit": 5000})
    summary = sweep([unknown, absent, good])
    assert summary.finished == [good]
    assert [run for run, _ in summary.failed] == [unknown, absent]
    assert "data.name" in summary.failed[0][1]
    assert "5000" in summary.failed[1][1]
    assert sum(line.startswith("FAILED table1 ") for line in sweep.said) == 2


@contextmanager
def others_at_work_on(run: Run, folder: ResultFolder) -> Iterator[Callable[..., None]]:
    """Another process that has taken a run; it says what comes of it when it is called."""
    runner.prepare(folder)
    other = TrialQueue(open_study("journal", folder.work, "runs")[0], "")
    if not other.trials():
        other.add(run=run.digest)
    trial = other.take(other.trials()[0])
    assert trial is not None
    yield lambda *values, **about: other.finish(trial, *values, **about)


@pytest.mark.usefixtures("a_second_a_look")
def test_what_others_are_at_work_on_when_time_is_up_is_left_to_them(
    size: Size, folder: ResultFolder, sweep: Sweep, trained: list[Path]
):
    first, second = table1.runs(size)[:2]
    with others_at_work_on(first, folder):
        summary = sweep([first, second], minutes=20 / 60)
    assert (summary.elsewhere, summary.finished) == ([first], [second])
    assert len(trained) == 1
    assert "waiting for 1 run that other processes are at work on" in sweep.said


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Takes a process for dead after half a second."""
    monkeypatch.setattr(queue, "STILL_SECONDS", 0.5)
    monkeypatch.setattr(queue, "LOOK_SECONDS", 0.05)


@pytest.mark.usefixtures("impatient")
def test_a_worker_that_is_killed_leaves_its_run_to_the_others(
    size: Size, folder: ResultFolder, sweep: Sweep, trained: list[Path], monkeypatch: pytest.MonkeyPatch
):
    first, second = table1.runs(size)[:2]
    ready, begun = os.pipe()
    worker = os.fork()
    if worker == 0:
        monkeypatch.setattr(resume, "train", lambda *_, **__: (os.write(begun, b"x"), time.sleep(60)))
        sweep([first])
        os._exit(1)
    os.read(ready, 1)
    os.kill(worker, signal.SIGKILL)
    os.waitpid(worker, 0)
    assert sweep([first, second]).finished == [first, second]
    assert len(trained) == 2
    assert [trial.state.name for trial in trials(folder)] == ["COMPLETE"] * 2, "under the same number"


@pytest.mark.usefixtures("impatient")
def test_a_process_that_was_taken_for_dead_and_trains_keeps_its_run(size: Size, folder: ResultFolder, sweep: Sweep):
    [run] = table1.runs(size)[:1]
    with others_at_work_on(run, folder) as finish:
        kept = folder.work / run.digest
        kept.mkdir()
        (kept / "config.yaml").write_text(run.config.to_yaml())
        with locked(kept):
            threading.Timer(2, finish, kwargs={"error": "it was hopeless"}).start()
            summary = sweep([run])
    assert [(one, reason) for one, reason in summary.failed] == [(run, "it was hopeless")]


def test_what_others_have_finished_meanwhile_is_finished(
    size: Size, folder: ResultFolder, sweep: Sweep, monkeypatch: pytest.MonkeyPatch
):
    first, second = table1.runs(size)[:2]
    sweep([first])
    result = folder.file(first).read_bytes()
    folder.file(first).unlink()
    whole = runner.result_of
    other = TrialQueue(open_study("journal", folder.work, "runs")[0], "")
    other.add(run=first.digest)
    trial = other.take(other.trials()[-1])
    assert trial is not None

    def evaluate_and_let_others_finish(*arguments: Any) -> Any:
        folder.file(first).write_bytes(result)
        other.finish(trial, [0.5])
        return whole(*arguments)

    monkeypatch.setattr(runner, "result_of", evaluate_and_let_others_finish)
    summary = sweep([first, second])
    assert (summary.finished, summary.elsewhere) == ([first, second], [])


def test_two_workers_at_once_give_the_files_that_one_gives(
    size: Size, folder: ResultFolder, sweep: Sweep, monkeypatch: pytest.MonkeyPatch
):
    runs, add = table1.runs(size)[::3], TrialQueue.add

    def slow(*arguments: Any, **about: Any) -> None:
        time.sleep(0.1)  # so that both look before either is done
        add(*arguments, **about)

    monkeypatch.setattr(TrialQueue, "add", slow)
    monkeypatch.setattr(queue, "LOOK_SECONDS", 0.1)
    other = os.fork()
    if other == 0:
        os._exit(sweep(runs).finished != runs)
    assert sweep(runs).finished == runs
    assert os.waitpid(other, 0)[1] == 0
    alone = ResultFolder(folder.path.parent / "alone")
    run_all(runs, alone, say=lambda _: None)
    names = [
        [path.relative_to(there.path) for path in sorted(there.path.glob("*/*.json"))] for there in (folder, alone)
    ]
    assert names[0] == names[1]
    for run in runs:
        both = [there.read(run) or {} for there in (folder, alone)]
        for key in ("config", "seed", "devices", "accuracy_when_cut", "deployed", "labels", "cell"):
            assert both[0][key] == both[1][key]
        losses = [[row["train_loss"] for row in result["epochs"]] for result in both]
        assert losses[0] == losses[1]
    assert [trial.state.name for trial in trials(folder)] == ["COMPLETE"] * len(runs)
    assert {trial.user_attrs["run"] for trial in trials(folder)} == {run.digest for run in runs}


def test_a_run_that_two_processes_added_at_once_is_trained_once(
    size: Size, folder: ResultFolder, sweep: Sweep, trained: list[Path]
):
    run = table1.runs(size)[0]
    runner.prepare(folder)
    other = TrialQueue(open_study("journal", folder.work, "runs")[0], "")
    other.add(run=run.digest)
    other.add(run=run.digest)
    assert sweep([run]).finished == [run]
    folder.file(run).unlink()
    assert sweep([run]).finished == [run]
    assert len(trained) == 2
    assert [trial.state.name for trial in trials(folder)] == ["COMPLETE"] * 2


@pytest.mark.usefixtures("a_second_a_look")
def test_a_begun_run_that_cannot_be_gone_on_with_starts_again(size: Size, folder: ResultFolder, sweep: Sweep):
    run = table1.runs(size)[0]
    sweep([run], minutes=2.5 / 60)
    [checkpoint] = folder.work.glob("*/checkpoints/last.ckpt")
    checkpoint.write_bytes(b"half")
    assert sweep([run]).finished == [run]
    assert not checkpoint.exists(), "it has served"


def test_a_run_that_was_killed_before_it_was_begun_starts_again(size: Size, folder: ResultFolder, sweep: Sweep):
    run = table1.runs(size)[0]
    (folder.work / run.digest / "checkpoints").mkdir(parents=True)
    assert sweep([run]).finished == [run]


def test_a_finished_run_that_is_damaged_starts_again(size: Size, folder: ResultFolder, sweep: Sweep):
    run = table1.runs(size)[0]
    sweep([run])
    [model] = folder.work.glob("*/model.safetensors")
    model.write_bytes(b"half")
    folder.file(run).unlink()
    assert sweep([run]).finished == [run]


@pytest.mark.parametrize("content", ["", "{", "[]", "[" * 5000, '{"summary": {}}', '{"summary": {"devices": [1]}}'])
def test_a_result_that_is_not_whole_is_said_and_run_again(
    size: Size, folder: ResultFolder, sweep: Sweep, content: str, monkeypatch: pytest.MonkeyPatch
):
    run = table1.runs(size)[0]
    folder.file(run).parent.mkdir(parents=True)
    folder.file(run).write_text(content)
    assert "missing" in table1.report(folder.outcomes([run]))
    monkeypatch.setattr(runner._Worker, "work_off", lambda *_: None)
    assert sweep([run]).finished == []
    assert sweep.said[0] == f"{folder.file(run)} is no whole result: it is run again"


@pytest.fixture
def instead_of_training(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Callable[[str], None]]:
    """Lets a process of its own do something else than train; from a module that a fresh process can import."""

    def do(line: str) -> None:
        (tmp_path / "instead.py").write_text(f"import os, time\n\ndef work(*_):\n    {line}\n")
        monkeypatch.syspath_prepend(tmp_path)
        monkeypatch.setattr(peak_memory, "_work", importlib.import_module("instead").work)

    yield do
    sys.modules.pop("instead", None)


def test_a_process_of_its_own_that_is_killed_is_one_sentence(
    instead_of_training: Callable[[str], None], tmp_path: Path
):
    instead_of_training("os.kill(os.getpid(), 9)")
    with pytest.raises(TrainingError, match=r"ended with code -9: .*more memory"):
        peak_memory.train_apart(None, tmp_path)  # pyright: ignore[reportArgumentType]


def test_ctrl_c_ends_a_process_of_its_own_at_once(instead_of_training: Callable[[str], None], tmp_path: Path):
    before = signal.getsignal(signal.SIGINT)
    instead_of_training("time.sleep(60)")
    started = time.monotonic()
    main = threading.main_thread().ident
    assert main is not None
    threading.Timer(0.5, signal.pthread_kill, [main, signal.SIGINT]).start()
    with pytest.raises(KeyboardInterrupt):
        peak_memory.train_apart(None, tmp_path)  # pyright: ignore[reportArgumentType]
    assert time.monotonic() - started < 30
    assert signal.getsignal(signal.SIGINT) == before


@pytest.mark.usefixtures("a_second_a_look")
def test_a_run_of_when_defaults_were_others_starts_again(size: Size, folder: ResultFolder, sweep: Sweep):
    run = table1.runs(size)[0]
    sweep([run])
    [config] = folder.work.glob("*/config.yaml")
    config.write_text(config.read_text().replace("learning_rate: 0.5", "learning_rate: 0.25"))
    folder.file(run).unlink()
    assert sweep([run]).finished == [run]
    assert "learning_rate: 0.5" in config.read_text()


def test_progress_is_a_line_a_run_with_a_count_and_the_time_left(size: Size, sweep: Sweep):
    runs = table1.runs(size)[:2]
    sweep(runs)
    first, second = sweep.said
    assert first.startswith("[1/2] table1 digits-depth1-lambda90-seed0: test 0.")
    assert re.search(r"; about \d+ min left$", first)
    assert second.startswith("[2/2] ")
    assert "left" not in second


def test_time_left_goes_by_what_there_is_to_do(folder: ResultFolder):
    shallow, deep = (Run("e", {"data": d}, "digits", {"optics.depth": d}) for d in (1, 5))
    queue = TrialQueue(open_study("journal", folder.work, "runs")[0], "")
    worker = runner._Worker(queue, folder, {}, None, None, SweepSummary(), print)
    worker._note([shallow], 600.0)
    assert worker.time_left([]) == ""
    assert worker.time_left([deep]) == "; about 30 min left"
    assert worker.time_left([deep, deep]) == "; about 30 min left", "one run under two names"
    assert worker.time_left([deep, Run("e", {"data": 2}, "digits", {"optics.depth": 5, "seed": 1})]).endswith(
        "60 min left"
    )


def test_a_place_that_cannot_be_written(size: Size, tmp_path: Path):
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match=r"cannot write .*file.*; choose a place that can be written"):
        run_all(table1.runs(size), ResultFolder(tmp_path / "file"), say=lambda _: None)
