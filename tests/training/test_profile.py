"""Where the time of a training goes."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
import torch
from tests.training.conftest import TINY
from typer.testing import CliRunner

from voltphase.cli import app
from voltphase.config import Config
from voltphase.training import train
from voltphase.training.steps import Learner
from voltphase.training.watching.profile import Profile, profiled, spending


class Clock:
    """Moves as it is told."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_time_within_something_else_counts_once() -> None:
    clock = Clock()
    profile = Profile(clock)
    clock.now = 2.0
    with profile.spending("evaluation"):
        clock.now = 3.0
    profile.begin_training()
    for _ in range(2):
        with profile.spending("steps"):
            clock.now += 1.0
            with profile.spending("data"):
                clock.now += 5.0
            with profile.spending("forward"):
                clock.now += 7.0
    with suppress(ValueError), profile.spending("checkpoint"):
        clock.now += 11.0
        raise ValueError
    clock.now += 4.0
    profile.end()
    clock.now = 1000.0
    expected = {"preparing": 2, "data": 10, "forward": 14, "steps": 2, "evaluation": 1, "checkpoint": 11, "host": 4}
    assert profile.seconds == expected
    assert profile.total == sum(expected.values()) == 44
    assert profile.rows()[1] == ("preparing", "    2.00", "  4.5%")
    assert profile.rows()[-1] == ("all", "   44.00", "100.0%")


def test_of_a_gpu_a_step_is_measured_to_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()

    def wait(device: torch.device) -> None:
        clock.now += 5.0

    monkeypatch.setattr(torch.cuda, "synchronize", wait)
    profile = Profile(clock)
    for device in ("cuda", "cpu"):
        with profile.spending("steps", torch.device(device)):
            clock.now += 1.0
    profile.end()
    assert profile.seconds == {"steps": 7, "host": 0}


def test_nothing_is_measured_unless_somebody_asks() -> None:
    with spending("forward"):
        pass
    with profiled() as profile, spending("forward"):
        pass
    with spending("backward"):
        pass
    assert list(profile.seconds) == ["forward", "host"]


def test_the_parts_of_a_training_are_what_they_take(
    tmp_path: Path, tiny: Callable[..., Config], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A step that is slower by a known time shows in its own part alone."""
    whole = Learner._loss
    calls = 0

    def slow(learner: Learner, images: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        nonlocal calls
        calls += 1
        time.sleep(0.05)
        return whole(learner, images, targets)

    monkeypatch.setattr(Learner, "_loss", slow)
    with profiled() as profile:
        train(tiny("training.epochs=2"), tmp_path / "run")
    spent = profile.seconds
    assert list(spent) == [
        *("preparing", "data", "forward", "backward", "optimiser", "steps", "evaluation", "checkpoint", "host")
    ]
    assert calls == 8
    assert spent["forward"] >= 8 * 0.05 > spent["optimiser"]
    assert all(seconds > 0 for seconds in spent.values())
    assert sum(spent.values()) == pytest.approx(profile.total)


def test_a_command_ends_with_the_table_and_keeps_it(tmp_path: Path) -> None:
    run = tmp_path / "run"
    words = ["train", "digits", "--out", str(run), *(word for one in TINY for word in ("--set", one))]
    told = CliRunner().invoke(app, [*words, "--profile"])
    assert told.exit_code == 0, told.output
    kept = json.loads((run / "profile.json").read_text())
    assert sum(kept["seconds"].values()) == pytest.approx(kept["total_seconds"], abs=1e-4)
    lines = told.stdout.splitlines()
    table = lines[next(number for number, line in enumerate(lines) if "time spent on" in line) :]
    assert [line.split()[0] for line in table[1:-1]][: len(kept["seconds"])] == list(kept["seconds"])
    again = CliRunner().invoke(app, [*words, "--overwrite", "--profile", "--json", "--quiet"])
    assert json.loads(again.stdout)["profile"].keys() == kept["seconds"].keys()
    assert CliRunner().invoke(app, [*words, "--overwrite", "--quiet"]).output == ""
    assert not (run / "profile.json").exists()
