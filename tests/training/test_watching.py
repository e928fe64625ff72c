"""What loggers are told of a training, what they leave, and what becomes of it where one fails or all is killed."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable, Collection
from dataclasses import dataclass
from io import StringIO
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from rich.console import Console

from voltphase.config import Config
from voltphase.core.errors import MissingLibraryError
from voltphase.core.installed import _EXTRAS
from voltphase.loggers import LOGGERS, EpochRecord, Log, Logger, RunToLog
from voltphase.loggers.wandb import _records_in
from voltphase.training import load_run, train
from voltphase.training.watching import watcher
from voltphase.training.watching.pictures import layer_pictures, level_counts

Make = Callable[..., Config]
Trained = tuple[Path, Config, dict[str, Any]]


class Notes(Log):
    """Keeps all that it is told, and fails where it is to."""

    def __init__(self, run: RunToLog, failing: Collection[str], there: Collection[int] = ()) -> None:
        self.run, self.failing, self.there = run, failing, there
        self.records: list[EpochRecord] = []
        self.finished: list[bool] = []

    @property
    def epochs(self) -> Collection[int]:
        return self.there

    def write(self, record: EpochRecord) -> None:
        if f"epoch {record.epoch}" in self.failing:
            raise OSError(28, "No space left on device")
        self.records.append(record)

    def close(self, *, finished: bool) -> None:
        self.finished.append(finished)
        if "close" in self.failing:
            raise RuntimeError("the server is away")


@pytest.fixture
def notes(monkeypatch: pytest.MonkeyPatch) -> list[Notes]:
    """What a logger named ``noted`` opens; its setting ``failing`` says where it fails."""
    opened: list[Notes] = []

    @dataclass(frozen=True)
    class Noted(Logger):
        library = "json"

        failing: str = ""

        def open(self, run: RunToLog) -> Log:
            if self.failing == "open":
                raise ConnectionError("no answer")
            opened.append(Notes(run, [self.failing]))
            return opened[-1]

        def how_to_look(self, run: RunToLog) -> str:
            return f"look into {run.folder.name}"

    monkeypatch.setattr(LOGGERS, "_entries", {**LOGGERS._all(), "noted": Noted})
    return opened


def same_levels(one: Path, other: Path) -> bool:
    return all(map(torch.equal, load_run(one)[0].levels(), load_run(other)[0].levels()))


def test_a_logger_is_told_of_each_epoch(notes: list[Notes], trained: Trained, tmp_path: Path, tiny: Make) -> None:
    told = Console(record=True, width=200, file=StringIO())
    config = tiny("training.loggers={name: noted, pictures_every: 2}", "training.epochs=5")
    train(config, tmp_path / "run", console=told)
    (log,) = notes
    assert "noted: look into run\n" in told.export_text()
    assert (log.run.name, log.run.folder, log.finished) == ("run", tmp_path / "run", [True])
    assert log.run.settings["optics.depth"] == 2
    assert not any("loggers" in key for key in log.run.settings)
    assert [record.epoch for record in log.records] == [1, 2, 3, 4, 5]
    assert [bool(record.pictures) for record in log.records] == [True, True, False, True, True]
    levels = [of_layer.numpy() for of_layer in load_run(tmp_path / "run")[0].levels()]
    last = log.records[-1]
    for number, of_layer in enumerate(levels, start=1):
        counts = last.counts[f"layer-{number}/level_counts"]
        assert counts.tolist() == [int((of_layer == level).sum()) for level in range(4)]
        assert last.figures[f"layer-{number}/levels_in_use"] == np.count_nonzero(counts)
        assert last.pictures[f"layer-{number}/levels"].shape == (256, 256, 3)
    shares = [[record.figures[name] for record in log.records] for name in ("changed_share", "layer-1/changed_share")]
    assert all(0 <= share <= 1 for share in (*shares[0], *shares[1]))
    assert shares[0][0] > 0
    assert last.figures["changed_share"] == np.mean([last.figures[f"layer-{one}/changed_share"] for one in (1, 2)])
    assert {"temperature", "train_loss", "train_accuracy", "test_accuracy", "seconds"} <= last.figures.keys()
    assert list(last.figures)[-1] == "epoch"


def test_the_share_of_changed_pixels_is_from_one_epoch_to_the_next(
    notes: list[Notes], tmp_path: Path, tiny: Make
) -> None:
    seen: list[np.ndarray] = []
    whole = watcher._levels_of

    def noting(model: Any) -> Any:
        levels = whole(model)
        assert levels is not None
        seen.append(np.stack(levels))
        return levels

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(watcher, "_levels_of", noting)
        train(tiny("training.loggers=noted", "training.epochs=2"), tmp_path / "run")
    expected = [float((now != before).mean()) for before, now in pairwise(seen)]
    assert [record.figures["changed_share"] for record in notes[0].records] == expected


def test_nothing_is_worked_out_that_nobody_asked_for(
    trained: Trained, tmp_path: Path, tiny: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watcher, "_levels_of", None)
    train(tiny(), tmp_path / "run")
    assert same_levels(trained[0], tmp_path / "run")


def test_free_phases_have_pictures_and_no_levels(notes: list[Notes], tmp_path: Path, tiny: Make) -> None:
    train(
        tiny("training.loggers=noted", "training.epochs=1", "codesign.relaxation.name=unconstrained"), tmp_path / "run"
    )
    (record,) = notes[0].records
    assert list(record.pictures) == ["layer-1/phase", "layer-2/phase"]
    assert not record.counts
    assert "changed_share" not in record.figures


@pytest.mark.parametrize(
    ("failing", "words", "logged"),
    [
        ("open", "left out: ConnectionError: no answer", []),
        ("epoch 2", "left out from epoch 2 on: OSError: [Errno 28] No space left on device", [1]),
        ("close", "left out: RuntimeError: the server is away", [1, 2, 3]),
    ],
)
def test_a_logger_that_fails_is_left_out_and_training_goes_on(
    failing: str, words: str, logged: list[int], notes: list[Notes], trained: Trained, tmp_path: Path, tiny: Make
) -> None:
    with pytest.warns(watcher.LoggerWarning, match="training goes on, and metrics.csv has every epoch") as warned:
        summary = train(tiny(f"training.loggers={{name: noted, failing: {failing}}}"), tmp_path / "run")
    assert len(warned) == 1
    assert "the logger noted is left out" in str(warned[0].message)
    assert summary["failed_loggers"] == {"noted": words}
    assert [record.epoch for log in notes for record in log.records] == logged
    assert "failed_loggers" not in trained[2]
    assert same_levels(trained[0], tmp_path / "run")


def test_a_library_that_is_missing_is_told_before_anything_is_made(
    tmp_path: Path, tiny: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert {LOGGERS[name].library for name in LOGGERS} <= _EXTRAS.keys()  # pyright: ignore[reportFunctionMemberAccess]
    monkeypatch.setitem(sys.modules, "wandb", None)
    with pytest.raises(MissingLibraryError, match=r"the library wandb, .* pip install 'voltphase.*\[wandb\]'"):
        train(tiny("training.loggers=wandb"), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_layer_as_a_picture(trained: Trained) -> None:
    layer = load_run(trained[0])[0].layers[0].train()
    levels = layer.levels().numpy()
    draws = layer.draws
    pictures = layer_pictures(layer, levels)
    assert (layer.training, layer.draws) == (True, draws)  # as training left it
    assert {name: picture.shape for name, picture in pictures.items()} == dict.fromkeys(
        ("phase", "levels"), (256, 256, 3)
    )
    # A pixel is a square of 16 dots, of the colour of its level alone.
    for picture in pictures.values():
        assert picture.dtype == np.uint8
        dots = picture[::16, ::16]
        assert np.array_equal(dots.repeat(16, axis=0).repeat(16, axis=1), picture)
        assert [len(np.unique(dots[levels == level], axis=0)) for level in range(4)] == [1] * 4
        assert len(np.unique(dots.reshape(-1, 3), axis=0)) == 4
    assert level_counts(np.array([[0, 2], [2, 2]]), 4).tolist() == [1, 0, 3, 0]


def tensorboard_points(run: Path, name: str) -> dict[int, float]:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(run / "tensorboard"), size_guidance={"scalars": 0}).Reload()
    return once((event.step, event.value) for event in events.Scalars(name))


def once(points: Any) -> dict[int, float]:
    found = list(points)
    assert len(dict(found)) == len(found), "a point is there twice"
    return dict(found)


def test_a_real_logger_whose_disk_fails_says_nothing_more(
    trained: Trained, tmp_path: Path, tiny: Make, capfd: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"

    def break_disk(figures: dict[str, float]) -> None:
        if figures["epoch"] == 2:
            (file,) = (run / "tensorboard").glob("events*")
            file.rename(tmp_path / "before")
            file.mkdir()

    with pytest.warns(watcher.LoggerWarning, match=r"tensorboard is left out from epoch 2 on \(IsADirectoryError"):
        train(tiny("training.loggers=tensorboard"), run, watch=break_disk)
    assert capfd.readouterr() == ("", "")
    assert same_levels(trained[0], run)


def test_a_logger_that_is_asked_for_later_gets_the_epochs_before(tmp_path: Path, tiny: Make) -> None:
    run = tmp_path / "run"

    def stop(figures: dict[str, float]) -> None:
        if figures["epoch"] == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(tiny(), run, watch=stop)
    train(tiny("training.loggers=tensorboard"), run, resume=True)
    losses = tensorboard_points(run, "train_loss")
    rows = [line.split(",") for line in (run / "metrics.csv").read_text().splitlines()]
    assert losses == pytest.approx({int(row[0]): float(row[2]) for row in rows[1:]}, rel=1e-5)
    assert tensorboard_points(run, "changed_share").keys() == {3}
    train(tiny(), run, overwrite=True)
    assert not (run / "tensorboard").exists()


def train_and_be_killed(config: Config, run: Path) -> None:
    """Train in a process that is killed once its second epoch is kept, and not logged yet."""

    def kill(figures: dict[str, float]) -> None:
        if figures["epoch"] == 2:
            os.kill(os.getpid(), signal.SIGKILL)

    child = os.fork()  # which has imported all that takes long
    if not child:
        try:
            train(config, run, watch=kill)
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs a process that is forked")
def test_a_run_that_is_killed_goes_on_in_the_same_logs(
    tmp_path: Path, tiny: Make, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    import mlflow
    import mlflow.store.tracking.sqlalchemy_store
    import wandb  # noqa: F401 - once for both processes

    for name in ("WANDB_MODE", "MLFLOW_TRACKING_URI"):
        monkeypatch.delenv(name, raising=False)
    run, config = tmp_path / "run", tiny("training.loggers=[tensorboard, wandb, mlflow]", "training.threads=1")
    train_and_be_killed(config, run)
    hooks = sys.excepthook, sys.exit
    train(config, run, resume=True)
    assert capfd.readouterr() == ("", "")
    assert (sys.excepthook, sys.exit) == hooks
    assert not mlflow.is_tracking_uri_set()

    rows = [line.split(",") for line in (run / "metrics.csv").read_text().splitlines()]
    accuracies = {int(row[0]): float(row[rows[0].index("test_accuracy")]) for row in rows[1:]}
    assert accuracies.keys() == {1, 2, 3}
    found = {"tensorboard": tensorboard_points(run, "test_accuracy")}

    client = mlflow.MlflowClient(f"sqlite:///{run / 'mlflow' / 'mlflow.db'}")
    (experiment,) = client.search_experiments(filter_string="name = 'voltphase'")
    (stored,) = client.search_runs([experiment.experiment_id])
    assert (stored.info.run_name, stored.info.status) == ("run", "FINISHED")
    assert stored.data.params["optics.size"] == "16"
    history = client.get_metric_history(stored.info.run_id, "test_accuracy")
    found["mlflow"] = once((metric.step, metric.value) for metric in history)
    artifacts = run / "mlflow" / "artifacts" / stored.info.run_id / "artifacts" / "layer-1"
    assert sum(json.loads((artifacts / "level_counts" / "000003.json").read_text())["pixels"]) == 256
    assert (artifacts / "levels" / "000003.png").read_bytes().startswith(b"\x89PNG")

    histories = [history_of(record) for file in run.glob("wandb/*run-*/*.wandb") for record in wandb_records(file)]
    found["wandb"] = once((int(one["epoch"]), one["test_accuracy"]) for one in histories if one)
    last = next(one for one in histories if one.get("epoch") == 3)
    assert sum(last["layer-1/level_counts/values"]) == 256
    assert last["layer-1/phase/width"] == 256
    for name, points in found.items():
        assert points == pytest.approx(accuracies, rel=1e-5), name


def wandb_records(file: Path) -> list[Any]:
    from wandb.proto import wandb_internal_pb2

    made: Any = wandb_internal_pb2
    return [made.Record.FromString(content) for content in _records_in(file.read_bytes())]


def history_of(record: Any) -> dict[str, Any]:
    return {item.key or "/".join(item.nested_key): json.loads(item.value_json) for item in record.history.item}
