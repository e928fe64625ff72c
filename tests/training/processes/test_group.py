"""Real processes that train together: what they come to, and how they end."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

import voltphase as vp
from voltphase.config import load_config
from voltphase.core.errors import TrainingError
from voltphase.training import load_run

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
# Processes are forked from one that has imported everything, which takes longer than all that they do.
_PROGRAM = """
import errno, json, os, shutil, signal, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
import processes
from voltphase.core.errors import DataError
from voltphase.devices.models import tn_slm
from voltphase.training import run
from voltphase.training.loop import TrainingModule
from voltphase.training.processes import group

few, found, usual = json.loads(sys.argv[2]), {}, processes.voltphase
group._REASON_SECONDS = 1.0

def stopped(stop, rank, steps=5):
    def main():
        if os.environ.get("RANK") == rank:
            count, taken = TrainingModule.count_step, []
            def counted(self):
                taken.append(count(self))
                if len(taken) == steps:
                    stop()
            TrainingModule.count_step = counted
        usual()
    return main

def interrupt():
    raise KeyboardInterrupt

def fill(*_):
    raise OSError(errno.ENOSPC, "No space left on device")

def lacking():
    if os.environ.get("RANK") == "1":
        def missing(*_):
            raise DataError("expected train-images in data, but it is not there")
        run.load_datasets = missing
    usual()

def full():
    write = Path.write_bytes
    Path.write_bytes = lambda path, content: fill() if path.name == "metrics.csv" else write(path, content)
    usual()

def go(name, count, *more, main=usual, out=None):
    processes.voltphase, log = main, Path(f"{name}.log")
    chosen = [part for one in [*few, f"training.devices={count}", *more] for part in ("--set", one)]
    call = ["train", "digits", *chosen, "--out", out or name, *(["--resume"] if out else [])]
    codes = [os.waitstatus_to_exitcode(os.waitpid(one, 0)[1]) for one in processes.start(call, count, log)]
    found[name] = [codes, [line for line in log.read_text().splitlines() if not line.startswith(" ")]]

few.append("device.file=slm.csv")
tn_slm(4).save("slm.csv")
go("one", 1), go("two", 2, "training.loggers=[tensorboard]"), go("three", 3)
go("interrupted", 2, main=stopped(interrupt, "1"))
shutil.copytree("interrupted", "alone"), shutil.copytree("interrupted", "begun")
go("resumed", 2, out="interrupted"), go("resumed alone", 1, out="alone")
go("killed", 2, main=stopped(lambda: os.kill(os.getpid(), signal.SIGKILL), "1"))
go("lacking", 2, main=lacking)
go("full", 2, main=full)
go("diverged", 2, "training.learning_rate=1e38")
Path("file").touch()
go("unwritable", 2, out="file/run")
tn_slm(5).save("slm.csv")
go("changed", 2, out="begun")
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """A folder with runs, and of each the exit codes of its processes and the lines that they wrote."""
    folder = tmp_path_factory.mktemp("ran")
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM, str(SCRIPTS), json.dumps(FEW)],
        cwd=folder,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return folder, json.loads(done.stdout)


def result(run: Path) -> tuple[list[list[float]], list[torch.Tensor]]:
    """Each epoch's temperature, loss and metrics, and the levels."""
    rows = [row.split(",")[1:5] for row in (run / "metrics.csv").read_text().splitlines()[1:]]
    return [[float(one) for one in row] for row in rows], load_run(run)[0].levels()


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


def test_a_training_in_python_starts_the_others_gives_them_its_data_and_ends_them(tmp_path: Path) -> None:
    images, labels = torch.randint(0, 256, (40, 8, 8), dtype=torch.uint8), torch.arange(40) % 4
    config, seen = load_config("digits", [*FEW, "data.train_limit=null", "data.test_limit=null"]), []
    both = config.model_copy(update={"training": config.training.model_copy(update={"devices": 2})})
    run = vp.train(both, out=tmp_path / "two", data=(images, labels), progress=False, watch=seen.append)
    one = vp.train(config, out=tmp_path / "one", data=(images, labels), progress=False)
    assert [row["train_loss"] for row in seen] == pytest.approx([row[1] for row in result(one.path)[0]], rel=1e-4)
    assert run.summary["test_accuracy"] == one.summary["test_accuracy"]
    assert run.summary["hardware"]["processes"] == 2

    def end(_: object) -> None:
        raise TrainingError("expected another watch")

    with pytest.raises(TrainingError, match="expected another watch"):
        vp.train(both, out=tmp_path / "two", data=(images, labels), progress=False, watch=end, overwrite=True)
