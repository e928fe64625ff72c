"""Real processes that train together: what they come to, and how they end."""

from __future__ import annotations

import errno
import importlib.util
import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
import torch
from tests.forked import take_streams

import voltphase as vp
from voltphase.config import load_config
from voltphase.core.errors import DataError, TrainingError
from voltphase.devices.models import tn_slm
from voltphase.training import load_run, run, train
from voltphase.training.loop import TrainingModule
from voltphase.training.processes import group, start

SCRIPTS = Path(__file__).parents[3] / "scripts"
FEW = [
    "optics.size=12",
    "optics.depth=1",
    "optics.distances=0.02",
    "device.levels=4",
    "data.train_limit=61",
    "data.test_limit=5",
    "training.batch_size=20",
    "training.epochs=2",
    "training.threads=1",
]


@contextmanager
def started() -> Iterator[Callable[..., tuple[list[int], list[str]]]]:
    """Starts so many processes of the command line, each of which runs ``main``; gives exit codes and what they say.

    They are forked from this one, which has imported everything: that takes longer than all that they do.
    """
    spec = importlib.util.spec_from_file_location("processes", SCRIPTS / "processes.py")
    assert spec is not None
    assert spec.loader is not None
    processes: Any = importlib.util.module_from_spec(spec)
    with mock.patch.dict(os.environ), pytest.MonkeyPatch.context() as patch:
        spec.loader.exec_module(processes)
        patch.setattr(group, "_REASON_SECONDS", 1.0)
        usual = processes.voltphase

        def go(call: list[str], count: int, log: Path, main: Callable[[], None]) -> tuple[list[int], list[str]]:
            def run() -> None:
                take_streams(1, 2)
                main()
                usual()

            processes.voltphase = run
            codes = [os.waitstatus_to_exitcode(os.waitpid(one, 0)[1]) for one in processes.start(call, count, log)]
            return codes, [line for line in log.read_text().splitlines() if not line.startswith(" ")]

        yield go


def in_second(stop: Callable[[], object]) -> Callable[[], None]:
    """Has the second process stop in its fifth step."""

    def prepare() -> None:
        if os.environ.get("RANK") != "1":
            return
        count, taken = TrainingModule.count_step, []

        def counted(self: TrainingModule) -> None:
            taken.append(count(self))
            if len(taken) == 5:
                stop()

        TrainingModule.count_step = counted

    return prepare


def interrupt() -> None:
    raise KeyboardInterrupt


def lacking() -> None:
    def missing(*_: object) -> None:
        raise DataError("expected train-images in data, but it is not there")

    if os.environ.get("RANK") == "1":
        run.load_datasets = missing


def full() -> None:
    write = Path.write_bytes

    def fill(path: Path, content: Any) -> int:
        if path.name == "metrics.csv":
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(path, content)

    Path.write_bytes = fill  # pyright: ignore[reportAttributeAccessIssue]


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """A folder with runs, and of each the exit codes of its processes and the lines that they wrote."""
    folder = tmp_path_factory.mktemp("ran")
    found: dict[str, Any] = {}

    def go(
        name: str, count: int, *more: str, prepare: Callable[[], None] = lambda: None, out: str | None = None
    ) -> None:
        settings = [*FEW, "device.file=slm.csv", f"training.devices={count}", *more]
        chosen = [part for one in settings for part in ("--set", one)]
        call = ["train", "digits", *chosen, "--out", out or name, *(["--resume"] if out else [])]
        found[name] = start(call, count, Path(f"{name}.log"), prepare)

    with pytest.MonkeyPatch.context() as patch, started() as start:
        patch.chdir(folder)
        tn_slm(4).save("slm.csv")
        train(load_config("digits", [*FEW, "device.file=slm.csv"]), Path("one"))  # here, so that all is warm for others
        go("two", 2, "training.loggers=[tensorboard]")
        go("three", 3)
        go("interrupted", 2, prepare=in_second(interrupt))
        for name in ("alone", "begun"):
            shutil.copytree("interrupted", name)
        go("resumed", 2, out="interrupted")
        go("resumed alone", 1, out="alone")
        go("killed", 2, prepare=in_second(lambda: os.kill(os.getpid(), signal.SIGKILL)))
        go("lacking", 2, prepare=lacking)
        go("full", 2, prepare=full)
        go("diverged", 2, "training.learning_rate=1e38")
        Path("file").touch()
        go("unwritable", 2, out="file/run")
        tn_slm(5).save("slm.csv")
        go("changed", 2, out="begun")
    return folder, found


def result(folder: Path) -> tuple[list[list[float]], list[torch.Tensor]]:
    """Each epoch's temperature, loss and metrics, and the levels."""
    rows = [row.split(",")[1:5] for row in (folder / "metrics.csv").read_text().splitlines()[1:]]
    return [[float(one) for one in row] for row in rows], load_run(folder)[0].levels()


def test_two_and_three_processes_come_to_what_one_comes_to(ran: tuple[Path, dict[str, Any]]) -> None:
    folder, found = ran
    rows, levels = result(folder / "one")
    for name, count in (("two", 2), ("three", 3)):
        assert found[name][0] == [0] * count
        assert sum(line.startswith("epoch 1/2") for line in found[name][1]) == 1
        others, other_levels = result(folder / name)
        for row, other in zip(rows, others, strict=True):
            assert other == pytest.approx(row, rel=1e-4)
        assert torch.equal(other_levels[0], levels[0])
        assert load_run(folder / name)[2]["hardware"]["processes"] == count


def test_of_several_processes_the_first_alone_logs(ran: tuple[Path, dict[str, Any]]) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    folder, found = ran
    assert sum(line.startswith("tensorboard: ") for line in found["two"][1]) == 1
    (file,) = (folder / "two" / "tensorboard").iterdir()
    points = EventAccumulator(str(file)).Reload().Scalars("train_loss")
    losses = [row[1] for row in result(folder / "two")[0]]
    assert [(point.step, point.value) for point in points] == [
        (epoch, pytest.approx(loss, rel=1e-5)) for epoch, loss in enumerate(losses, start=1)
    ]


def test_an_interrupted_run_goes_on_bit_by_bit_and_with_another_number(ran: tuple[Path, dict[str, Any]]) -> None:
    folder, found = ran
    assert found["interrupted"][0] == [130, 130]
    assert [line for line in found["interrupted"][1] if "interrupted" in line] == [
        "interrupted: continue with voltphase train interrupted/config.yaml --out interrupted --resume"
    ]
    assert found["resumed"][0] == [0, 0]
    file = "model.safetensors"
    assert (folder / "interrupted" / file).read_bytes() == (folder / "two" / file).read_bytes()
    assert result(folder / "interrupted")[0] == result(folder / "two")[0]
    assert found["resumed alone"][0] == [0]
    assert torch.equal(result(folder / "alone")[1][0], result(folder / "two")[1][0])


@pytest.mark.parametrize(
    ("name", "codes", "sentence"),
    [
        ("killed", [2, -signal.SIGKILL], "one of them ended without a word"),
        ("lacking", [2, 2], "expected train-images in data, but it is not there"),
        ("full", [2, 2], "cannot write full/metrics.csv: no space left on device"),
        ("diverged", [2, 2], "training diverged in epoch 1"),
        ("unwritable", [2, 2], "cannot write file/run: not a directory"),
        ("changed", [2, 2], "a device's table has changed since"),
    ],
)
def test_what_fails_in_one_process_is_said_once_and_ends_all(
    ran: tuple[Path, dict[str, Any]], name: str, codes: list[int], sentence: str
) -> None:
    folder, found = ran
    assert found[name][0] == codes
    (line,) = [line for line in found[name][1] if line.startswith("error:")]
    assert sentence in line
    assert not any(word in line for line in found[name][1] for word in ("Traceback", "[W", "Exception"))
    # No run folder where nothing could be trained.
    assert (folder / name).exists() == (name not in ("lacking", "unwritable", "changed"))
    assert not list(folder.rglob(".voltphase-*"))


def test_a_training_in_python_starts_the_others_and_gives_them_its_data(tmp_path: Path) -> None:
    images, labels = torch.randint(0, 256, (40, 8, 8), dtype=torch.uint8), torch.arange(40) % 4
    config, seen = load_config("digits", [*FEW, "data.train_limit=null", "data.test_limit=null"]), []
    both = config.model_copy(update={"training": config.training.model_copy(update={"devices": 2})})
    trained = vp.train(both, out=tmp_path / "two", data=(images, labels), progress=False, watch=seen.append)
    one = vp.train(config, out=tmp_path / "one", data=(images, labels), progress=False)
    assert [row["train_loss"] for row in seen] == pytest.approx([row[1] for row in result(one.path)[0]], rel=1e-4)
    assert trained.summary["test_accuracy"] == one.summary["test_accuracy"]
    assert trained.summary["hardware"]["processes"] == 2


def test_who_starts_the_others_ends_them_whatever_happens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    others: list[Any] = []
    popen = subprocess.Popen
    monkeypatch.setattr(subprocess, "Popen", lambda *call, **how: others.append(popen(*call, **how)) or others[-1])
    monkeypatch.setattr(start, "_PROGRAM", "import sys; sys.stdin.read()")  # which trains nothing, and ends with this
    end = start._end
    monkeypatch.setattr(start, "_end", lambda started, wait: end(started, wait=0.1))  # they do not end by themselves
    call = start.Call(load_config("digits", [*FEW, "training.devices=3"]), tmp_path / "run", False, False)

    def fail() -> None:
        with start._others(call) as (place, _, ended):
            assert (place.rank, place.count, len(others), ended()) == (0, 3, 2, None)
            raise TrainingError("expected another watch")

    with pytest.raises(TrainingError, match="expected another watch"):
        fail()
    assert [process.poll() for process in others] == [0, 0]
