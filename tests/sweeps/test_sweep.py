"""Sweeps: what they try, what they leave, and how they go on."""

from __future__ import annotations

import csv
import math
import os
import re
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner, Result

import voltphase as vp
from voltphase.cli import app
from voltphase.config import load_config
from voltphase.core.errors import ConfigError, DataError, LostProcessError, OutputError, TrainingError, VoltphaseError
from voltphase.devices.models import tn_slm
from voltphase.reporting import write_sweep_report
from voltphase.sweeps import queue as queues
from voltphase.sweeps import resume
from voltphase.sweeps.search import SweepResult, run_sweep
from voltphase.sweeps.search import sweep as sweeps
from voltphase.training import RunFolder

SMALL = {
    "optics": {"size": 16, "depth": 1, "distances": 0.02},
    "data": {"train_limit": 60, "test_limit": 20},
    "training": {"epochs": 2, "batch_size": 30},
}
GRID = {
    "config": "digits",
    "set": SMALL,
    "search": {"codesign.gain": [1.0, 3.0]},
    "sampler": "grid",
    "storage": "journal",  # the quickest
}
RANGE = {"codesign.gain": {"low": 0.1, "high": 1000.0, "log": True}}


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> SweepResult:
    """A grid with two seeds, of which one value cannot be trained."""
    search = {"codesign.gain": [1.0, 3.0], "data.test_limit": [20, 5000]}
    shared = {**SMALL, "data": {"train_limit": 60, "val_fraction": 0.2}}
    given = {**GRID, "set": shared, "search": search, "seeds": 2}
    return run_sweep(given, tmp_path_factory.mktemp("sweep") / "grid")


@pytest.fixture(autouse=True)
def no_report(monkeypatch: pytest.MonkeyPatch) -> None:
    """Draws nothing, which would take most of the time."""
    monkeypatch.setattr(sweeps, "write_sweep_report", lambda *_: None)


def call(*words: str | Path) -> Result:
    return CliRunner().invoke(app, ["sweep", *map(str, words)], terminal_width=80)


def test_a_grid_leaves_a_row_a_trial_and_says_why_one_failed(found: SweepResult) -> None:
    with (found.path / "trials.csv").open(encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    assert [row["state"] for row in rows] == ["complete", "failed", "complete", "failed"]
    assert [(row["codesign.gain"], row["data.test_limit"]) for row in rows[:2]] == [("1.0", "20"), ("1.0", "5000")]
    assert "5000" in rows[1]["error"]
    assert [bool(row["best"]) for row in rows].count(True) == 1
    for row in (rows[0], rows[2]):
        runs = [vp.load_run(found.path / "trials" / f"{int(row['trial']):04}" / f"seed-{seed}") for seed in (0, 1)]
        values = [run.summary["val_accuracy"] for run in runs]
        assert float(row["accuracy"]) == pytest.approx(sum(values) / 2)
        assert float(row["accuracy_spread"]) == pytest.approx(abs(values[0] - values[1]) / math.sqrt(2), abs=1e-3)
        assert float(row["test_accuracy"]) == pytest.approx(sum(run.summary["test_accuracy"] for run in runs) / 2)
    assert not list(found.path.glob("trials/*/*/checkpoints"))


def test_the_best_configuration_is_ready_to_be_trained(found: SweepResult) -> None:
    assert load_config(found.path / "best.yaml") == found.best
    best = found.ranked[0]
    assert (best["best"], best["codesign.gain"]) == ("yes", found.best.codesign.gain)
    run = found.path / "trials" / f"{best['trial']:04}" / "seed-0"
    assert RunFolder(run).read_config() == found.best


def test_the_report_has_the_trials_and_optunas_plots(found: SweepResult) -> None:
    page = (found.path / "report.html").read_text(encoding="utf-8")
    assert page.count("data:image/svg+xml") >= 2
    assert "accuracy against each setting" in page
    assert "5000" in page
    assert page.count("<tr>") == 5
    assert repr(found) == f"SweepResult({str(found.path)!r}, 4 trials, best: trial {found.ranked[0]['trial']})"


def test_a_finished_sweep_is_not_run_again_and_another_one_is_refused(tmp_path: Path, quick: Counter[Path]) -> None:
    first = run_sweep(GRID, tmp_path / "s")
    assert run_sweep(GRID, tmp_path / "s").rows == first.rows
    assert set(quick.values()) == {1}
    for changed, sentence in (
        (
            {"search": {"codesign.gain": [1.0, 4.0]}},
            r"search codesign\.gain is \[1\.0, 4\.0\] instead of \[1\.0, 3\.0\]",
        ),
        ({"set": {**SMALL, "training.epochs": 3}}, r"settings training\.epochs is 3 instead of 2"),
        ({"seeds": 2}, r"seeds is \[0, 1\] instead of \[0\]"),
    ):
        with pytest.raises(ConfigError, match=sentence):
            run_sweep({**GRID, **changed}, tmp_path / "s")


def test_a_folder_of_something_else_is_left_alone(tmp_path: Path, quick: Counter[Path]) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "report.html").write_text("mine")
    with pytest.raises(OutputError, match=r"holds report\.html of something else"):
        run_sweep(GRID, tmp_path / "mine")
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "metrics.csv").write_text("epoch\n")
    with pytest.raises(OutputError, match="holds a training run"):
        run_sweep(GRID, tmp_path / "run")
    assert [len(list(folder.iterdir())) for folder in (tmp_path / "mine", tmp_path / "run")] == [1, 1]
    for storage in ("postgres", ""):
        with pytest.raises(ConfigError, match="expected storage to be sqlite, journal or the URL"):
            run_sweep({**GRID, "storage": storage}, tmp_path / "none")
    assert not (tmp_path / "none").exists()


def test_more_trials_are_added_to_those_there(tmp_path: Path, quick: Counter[Path]) -> None:
    given = {**GRID, "search": RANGE, "sampler": "random"}
    few = run_sweep({**given, "trials": 3}, tmp_path / "s").rows
    more = run_sweep({**given, "trials": 5}, tmp_path / "s").rows
    assert [row | {"best": ""} for row in more[:3]] == [row | {"best": ""} for row in few]
    assert len(more) == 5
    assert len({row["codesign.gain"] for row in more}) == 5
    assert set(quick.values()) == {1}


def test_tpe_finds_the_best_and_bad_trials_end_early(tmp_path: Path, quick: Counter[Path]) -> None:
    shared = {**SMALL, "training": {"epochs": 9, "batch_size": 30}}
    said: list[str] = []
    given = {**GRID, "set": shared, "search": RANGE, "sampler": "tpe", "trials": 20, "seeds": [3, 4]}
    result = run_sweep(given, tmp_path / "s", say=said.append)
    assert result.best.codesign.gain == pytest.approx(10, rel=0.5)
    pruned = [row for row in result.rows if row["state"] == "pruned"]
    assert pruned
    assert {row["epochs"] for row in pruned} <= set(range(3, 9))
    assert [row["state"] for row in result.rows[:5]] == ["complete"] * 5
    assert sum("ended early" in line for line in said) == len(pruned)
    assert said[0].startswith("[1/20] trial 0: codesign.gain ")
    assert "accuracy 0." in said[0]
    assert " ± 0.0" in said[0]
    assert re.search(r"; about \d+ min left$", said[0])
    assert {folder.name for folder in quick} == {"seed-3", "seed-4"}


@pytest.mark.usefixtures("quick")
def test_of_two_aims_those_are_best_that_none_beats_in_both(tmp_path: Path) -> None:
    search = {"codesign.gain": [1.0, 10.0], "optics.depth": [1, 2]}
    metric = {"accuracy": "maximize", "optics.depth": "minimize"}
    shared = {"data": SMALL["data"], "training": SMALL["training"]}
    given = {**GRID, "set": shared, "search": search, "sampler": "nsga2", "trials": 12, "metric": metric}
    result = run_sweep(given, tmp_path / "s")
    assert {(row["codesign.gain"], row["optics.depth"]) for row in result.rows if row["best"]} == {(10.0, 1)}
    page = write_sweep_report(tmp_path / "s", result.study, list(metric), result.ranked, "", "0.2").read_text()
    assert page.count("data:image/svg+xml") == 7


def test_if_all_fail_the_first_reason_is_said(tmp_path: Path) -> None:
    given = {**GRID, "set": {**SMALL, "device.levels": 5000}}
    with pytest.raises(TrainingError, match=r"all 2 failed, the first because .*5000"):
        run_sweep(given, tmp_path / "s")
    assert "5000" in (tmp_path / "s" / "trials.csv").read_text(encoding="utf-8")


def test_a_device_that_has_changed_since_is_refused(tmp_path: Path, quick: Counter[Path]) -> None:
    tn_slm(8).save(tmp_path / "a.csv")
    tn_slm(4).save(tmp_path / "b.csv")
    search = {"device.file": [str(tmp_path / "a.csv"), str(tmp_path / "b.csv")]}
    given = {**GRID, "set": {**SMALL, "device.levels": None}, "search": search}
    run_sweep(given, tmp_path / "s")
    tn_slm(6).save(tmp_path / "b.csv")
    with pytest.raises(ConfigError, match="a device's table or a mask has changed since"):
        run_sweep(given, tmp_path / "s")
    assert len(quick) == 2


def test_a_modelled_device_is_the_same_on_every_machine(
    tmp_path: Path, quick: Counter[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    study = run_sweep(GRID, tmp_path / "s").study
    known = study.user_attrs["sweep"]
    assert known["devices"] == {"": [None]}
    study.set_user_attr("sweep", {**known, "devices": {"": ["as another processor, and earlier versions, have it"]}})
    monkeypatch.setattr("voltphase.sweeps.runs.build_devices", lambda _: [tn_slm(3)])
    run_sweep(GRID, tmp_path / "s")
    assert set(quick.values()) == {1}


def test_a_table_that_changes_and_data_that_vanish_end_the_worker_and_lose_no_trial(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table, data = tmp_path / "slm.csv", tmp_path / "data.npz"
    tn_slm(4).save(table)
    images, targets = np.arange(80 * 16, dtype=np.uint8).reshape(80, 4, 4), np.arange(80) % 4
    whole: Any = resume.train

    def give() -> None:
        np.savez(data, images=images, targets=targets)

    def then(happens: Callable[[], object]) -> None:
        def trained(*arguments: Any, **options: Any) -> Any:
            summary = whole(*arguments, **options)
            happens()
            return summary

        monkeypatch.setattr(resume, "train", trained)

    give()
    own = {"name": "arrays", "train": str(data), "test": str(data)}
    shared = {"optics": SMALL["optics"], "training": {**SMALL["training"], "epochs": 1}, "data": own}
    given = {**GRID, "set": {**shared, "device": {"file": str(table), "levels": None}}}
    given["search"] = {"codesign.gain": [1.0, 2.0, 3.0]}
    then(data.unlink)
    with pytest.raises(DataError, match=r"data\.npz"):
        run_sweep(given, tmp_path / "s")
    give()
    then(lambda: tn_slm(6).save(table))
    with pytest.raises(ConfigError, match="a device's table or a mask has changed since, or is gone"):
        run_sweep(given, tmp_path / "s")
    tn_slm(4).save(table)
    then(lambda: None)
    rows = run_sweep(given, tmp_path / "s").rows
    assert [(row["state"], row["codesign.gain"]) for row in rows] == [("complete", gain) for gain in (1.0, 2.0, 3.0)]


def test_a_worker_that_could_train_nothing_takes_no_trial(
    tmp_path: Path, quick: Counter[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(sentence: str, **shared: Any) -> None:
        with pytest.raises(VoltphaseError, match=sentence):
            run_sweep({**GRID, "set": {**SMALL, **shared}}, tmp_path / sentence[:4])

    refused("start workers one by one", **{"training.nodes": 2})
    refused("none.csv", **{"device.file": str(tmp_path / "none.csv")})
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    refused("expected a CUDA GPU", **{"training.accelerator": "gpu"})
    for name, value in {"TORCHELASTIC_RUN_ID": "1", "WORLD_SIZE": "2", "RANK": "0", "LOCAL_RANK": "0"}.items():
        monkeypatch.setenv(name, value)
    for name, value in {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "1"}.items():
        monkeypatch.setenv(name, value)
    refused("torchrun or srun has started several", **{"training.devices": 2})
    assert not quick


def test_connections_to_a_database_are_closed(tmp_path: Path, quick: Counter[Path]) -> None:
    result = run_sweep({**GRID, "storage": "sqlite"}, tmp_path / "s")
    storage: Any = result.study._storage
    assert storage._backend.engine.pool.checkedin() == 0
    assert len(result.study.trials) == len(quick) == 2


def test_an_interrupted_trial_goes_on_from_its_last_epoch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole, epochs = resume.train, []

    def interrupted(*arguments: Any, watch: Any, **options: Any) -> Any:
        def watched(figures: Any) -> None:
            epochs.append(figures["epoch"])
            if len(epochs) == 1:
                raise KeyboardInterrupt

        return whole(*arguments, watch=watched, **options)

    monkeypatch.setattr(resume, "train", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run_sweep(GRID, tmp_path / "s")
    result = run_sweep(GRID, tmp_path / "s")
    assert epochs == [1, 2, 1, 2]
    alone = run_sweep(GRID, tmp_path / "t")
    assert [row["accuracy"] for row in result.rows] == [row["accuracy"] for row in alone.rows]


@pytest.mark.parametrize("error", [OutputError("no space left on device"), LostProcessError("process 1 ended")])
@pytest.mark.usefixtures("quick")
def test_what_no_trial_is_to_blame_for_ends_the_worker_and_its_trial_waits(
    error: VoltphaseError, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def end(*_: Any, **__: Any) -> None:
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(sweeps, "train_on", end)
        with pytest.raises(type(error), match=str(error)) as caught:
            run_sweep(GRID, tmp_path / "s")
        assert str(caught.value).endswith("the same command goes on") == isinstance(error, LostProcessError)
    assert [row["state"] for row in run_sweep(GRID, tmp_path / "s").rows] == ["complete"] * 2


@pytest.fixture
def eager(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queues, "LOOK_SECONDS", 0.05)


@pytest.mark.usefixtures("eager")
@pytest.mark.parametrize("storage", ["sqlite", "journal"])
def test_workers_that_begin_at_once_make_and_train_each_trial_once(
    storage: str, tmp_path: Path, quick: Counter[Path]
) -> None:
    given = {**GRID, "search": RANGE, "sampler": "random", "trials": 12, "storage": storage}
    results: list[SweepResult] = []
    threads = [threading.Thread(target=lambda: results.append(run_sweep(given, tmp_path / "s"))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 3
    assert len(results[0].study.trials) == 12
    assert len(quick) == 12
    assert set(quick.values()) == {1}
    assert results[0].rows == results[1].rows == results[2].rows


@pytest.mark.usefixtures("eager")
@pytest.mark.parametrize("storage", ["sqlite", "journal", "postgresql"])
def test_a_worker_that_is_killed_leaves_its_trial_to_another(
    storage: str, tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queues, "STILL_SECONDS", 0.5)
    url = request.getfixturevalue("postgresql") if storage == "postgresql" else storage
    out = tmp_path / tmp_path.name  # a study in a database of many
    given = {**GRID, "storage": url}
    ready, begun = os.pipe()
    worker = os.fork()
    if worker == 0:
        whole = resume.train

        def stuck(*arguments: Any, watch: Any, **options: Any) -> Any:
            def wait(_: object) -> None:
                os.write(begun, b"x")
                time.sleep(60)

            return whole(*arguments, watch=wait, **options)

        resume.train = stuck
        run_sweep(given, out)
        os._exit(1)
    os.read(ready, 1)
    os.kill(worker, signal.SIGKILL)
    os.waitpid(worker, 0)
    result = run_sweep(given, out)
    assert [row["state"] for row in result.rows] == ["complete"] * 2
    assert [trial.number for trial in result.study.trials] == [0, 1]
    alone = run_sweep(GRID, tmp_path / "alone")
    assert [row["accuracy"] for row in result.rows] == [row["accuracy"] for row in alone.rows]


@pytest.mark.usefixtures("eager")
def test_a_sweep_whose_maker_died_is_made_by_who_comes_next(
    tmp_path: Path, quick: Counter[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queues, "STILL_SECONDS", 0.2)
    with monkeypatch.context() as patch:
        patch.setattr(queues.TrialQueue, "add", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            run_sweep(GRID, tmp_path / "s")
    started = time.monotonic()
    assert len(run_sweep(GRID, tmp_path / "s").rows) == 2
    assert time.monotonic() - started > 0.2


@pytest.mark.usefixtures("quick")
def test_the_command_shows_a_table_and_what_comes_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "gains.yaml").write_text(
        "config: digits\nset: {training.epochs: 2}\nsearch: {codesign.gain: [1.0, 10]}\nsampler: grid\n"
    )
    result = call("gains.yaml")
    assert result.exit_code == 0, result.output
    first, second, header, best, _, where, again = result.stdout.splitlines()
    assert re.match(r"\[1/2\] trial 0: codesign\.gain 1: accuracy 0\.1333; about \d+ min left$", first)
    assert second.startswith("[2/2] trial 1: codesign.gain 10: accuracy 0.2")
    assert header.split()[:4] == ["trial", "best", "codesign.gain", "accuracy"]
    assert best.split()[:4] == ["1", "yes", "10", "0.2"]
    assert where == "all trials: sweeps/gains/trials.csv, report: sweeps/gains/report.html, the best again:"
    assert again == "  voltphase train sweeps/gains/best.yaml"


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["none.yaml"], "none.yaml is not there"),
        (["s.yaml", "--workers", "3"], "expected --slurm with --workers"),
        (["s.yaml", "--slurm"], "a file of SQLite is for one machine"),
        (["j.yaml", "--slurm"], "expected SLURM to take the jobs"),
        (["j.yaml", "--slurm", "--slurm-option", "x="], "expected --slurm-option KEY=VALUE"),
        (["s.yaml", "--out", "file"], "cannot write file"),
        (["p.yaml"], "cannot use the storage postgresql+psycopg://me@127.0.0.1:1/x"),
    ],
)
def test_what_does_not_fit_is_one_sentence(
    words: list[str], sentence: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    text = "config: digits\nsearch: {codesign.gain: [1.0, 3.0]}\nsampler: grid\n"
    for name, storage in (("s", "sqlite"), ("j", "journal"), ("p", "postgresql://me@127.0.0.1:1/x")):
        (tmp_path / f"{name}.yaml").write_text(f"{text}storage: {storage}\n")
    result = call(*words)
    assert result.exit_code == 2, result.output
    assert result.stderr.startswith("error: ")
    assert result.stderr.count("\n") == 1
    assert sentence in result.stderr


def test_an_interruption_says_how_to_go_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("voltphase.sweeps.search.run_sweep", interrupt)
    result = call("any.yaml", "--out", tmp_path / "s")
    assert result.exit_code == 130
    assert result.stderr.startswith("interrupted: the same command goes on")
