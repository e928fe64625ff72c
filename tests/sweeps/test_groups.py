"""Runs of a sweep that a GPU trains together."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from tests.training.test_steps import RecordedOperations

from voltphase.core.errors import TrainingError
from voltphase.sweeps import groups, runner
from voltphase.sweeps.groups import companions
from voltphase.sweeps.queue import TrialQueue
from voltphase.sweeps.results import ResultFolder
from voltphase.sweeps.runner import SweepSummary, run_all
from voltphase.sweeps.runs import Run
from voltphase.sweeps.storage import open_study
from voltphase.training import train

Sweep = Callable[..., tuple[SweepSummary, list[str]]]


def run(name: int, own_process: bool = False, **settings: Any) -> Run:
    dotted = {key.replace("__", "."): value for key, value in settings.items()}
    return Run("e", {"run": name}, "digits", {"seed": name, **dotted}, own_process)


@pytest.fixture
def on_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """Has runs grouped, and steps recorded, as on a GPU; on a CPU."""
    monkeypatch.setattr(groups, "accelerator_of", lambda _: "cuda")
    target = "voltphase.training.several.together"
    monkeypatch.setattr(f"{target}.accelerator_of", lambda _: "cuda")
    monkeypatch.setattr(f"{target}.same_gpu", lambda _: nullcontext())
    monkeypatch.setattr("voltphase.training.steps.training_step.graphs_of", lambda _: RecordedOperations())


@pytest.fixture
def folder(tmp_path: Path) -> ResultFolder:
    return ResultFolder(tmp_path / "results")


@pytest.fixture
def sweep(folder: ResultFolder) -> Sweep:
    def train(runs: list[Run], minutes: float | None = None) -> tuple[SweepSummary, list[str]]:
        said: list[str] = []
        return run_all(runs, folder, say=said.append, minutes=minutes), said

    return train


@pytest.fixture
def grouped(monkeypatch: pytest.MonkeyPatch) -> list[list[int]]:
    """The seeds of each group that was trained."""
    found: list[list[int]] = []
    whole = runner.train_several

    def noted(configs: Any, *arguments: Any, **options: Any) -> Any:
        found.append([config.seed for config in configs])
        return whole(configs, *arguments, **options)

    monkeypatch.setattr(runner, "train_several", noted)
    return found


def small(seed: int, **settings: Any) -> Run:
    optics: dict[str, Any] = {"optics__size": 16, "optics__depth": 1, "optics__distances": 0.02}
    limits: dict[str, Any] = {
        "data__train_limit": 100,
        "data__test_limit": 40,
        "training__batch_size": 40,
        "training__epochs": 2,
    }
    return run(seed, **optics | limits | settings)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA GPU")
def test_on_a_cpu_each_is_trained_by_itself() -> None:
    assert companions(run(1), [run(2), run(3)]) == []


@pytest.mark.usefixtures("on_gpu")
def test_those_of_one_shape_are_trained_together() -> None:
    alike = [
        run(2),
        run(3, codesign__gain=9, device__levels=4),
        run(4, training__learning_rate=0.1, codesign__relaxation__name="gumbel-softmax"),
    ]
    others = [
        run(5, training__epochs=2),
        run(6, training__batch_size=20),
        run(7, optics__depth=1, optics__distances=0.05),
        run(8, data__train_limit=200),
        run(9, own_process=True),
        run(10, data__name="digts"),
        Run("other name", {"run": 0}, "digits", {"seed": 1}),
    ]
    assert companions(run(1), [alike[0], *others, *alike[1:]]) == alike
    assert companions(run(1, own_process=True), alike) == []
    assert companions(run(10, data__name="digts"), alike) == []


@pytest.mark.usefixtures("on_gpu")
@pytest.mark.parametrize(("size", "batch", "count"), [(64, 500, 8), (100, 500, 4), (200, 250, 2), (200, 500, 1)])
def test_as_many_as_fill_a_gpu(size: int, batch: int, count: int) -> None:
    runs = [run(seed, optics__size=size, training__batch_size=batch) for seed in range(12)]
    assert len(companions(runs[0], runs[1:])) + 1 == count


@pytest.mark.usefixtures("on_gpu")
def test_a_sweep_trains_them_together_and_keeps_a_result_of_each(
    folder: ResultFolder, sweep: Sweep, grouped: list[list[int]], tmp_path: Path
) -> None:
    runs = [small(1), small(2), small(3, training__epochs=1), small(4)]
    summary, said = sweep(runs)
    assert summary.finished == runs
    assert grouped == [[1, 2, 4]]
    assert said[0] == "training 3 runs together"
    assert "with 2 others at the same time" in said[1]
    results = [folder.read(one) or {} for one in runs]
    assert [result["summary"].get("trained_together") for result in results] == [3, 3, None, 3]
    assert [folder.state(one) for one in runs] == ["done"] * 4
    # What each came to by itself.
    apart = ResultFolder(tmp_path / "apart")
    for one, result in zip(runs, results, strict=True):
        run_all([one], apart, say=lambda _: None)
        alone = apart.read(one) or {}
        for key in ("accuracy_when_cut", "deployed", "config"):
            assert result[key] == alone[key]
        assert [row["train_loss"] for row in result["epochs"]] == [row["train_loss"] for row in alone["epochs"]]
    assert sweep(runs)[1] == ["4 of 4 runs are there already"]
    assert len(grouped) == 1


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """A clock of the runner that goes on while it waits alone, or where it is put forward."""
    clock = SimpleNamespace(now=0.0, monotonic=lambda: clock.now)
    monkeypatch.setattr(runner, "time", clock)
    monkeypatch.setattr(TrialQueue, "wait", lambda *_: setattr(clock, "now", clock.now + 2))
    return clock


@pytest.mark.usefixtures("on_gpu", "clock")
def test_what_others_hold_and_what_is_trained_already_is_left_out(
    folder: ResultFolder, sweep: Sweep, grouped: list[list[int]]
) -> None:
    runs = [small(seed) for seed in range(1, 6)]
    runner.prepare(folder)
    train(runs[1].config, folder.work / runs[1].digest)
    (folder.work / runs[2].digest).mkdir()  # killed before it began
    other = TrialQueue(open_study("journal", folder.work, "runs")[0], "")
    other.add(run=runs[0].digest)
    assert other.take(other.trials()[0]) is not None
    summary, _ = sweep(runs, minutes=1 / 60)
    assert grouped == [[3, 4, 5]]
    assert summary.elsewhere == runs[:1]
    assert summary.finished == runs[1:]


@pytest.mark.usefixtures("on_gpu")
def test_one_that_fails_is_said_and_the_others_have_results(sweep: Sweep, grouped: list[list[int]]) -> None:
    runs = [small(1), small(2, training__learning_rate=1e30, task__scale=2.0), small(3)]
    summary, said = sweep(runs)
    assert grouped == [[1, 2, 3]]
    assert summary.finished == [runs[0], runs[2]]
    assert [(one, "diverged" in why) for one, why in summary.failed] == [(runs[1], True)]
    assert "3 runs together: expected a finite loss" in said[1]


@pytest.mark.usefixtures("on_gpu")
def test_a_group_that_cannot_be_trained_goes_on_one_by_one(sweep: Sweep, monkeypatch: pytest.MonkeyPatch) -> None:
    def without_memory(*_: Any, **__: Any) -> None:
        raise TrainingError("no memory")

    monkeypatch.setattr(runner, "train_several", without_memory)
    runs = [small(1), small(2)]
    summary, said = sweep(runs)
    assert summary.finished == runs
    assert said[:2] == [
        "training 2 runs together",
        "2 runs together: no memory: each that is not finished goes on by itself",
    ]


@pytest.mark.usefixtures("on_gpu")
def test_time_that_is_up_ends_all_with_their_epoch(
    folder: ResultFolder, sweep: Sweep, clock: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = runner.train_several

    def slow(*arguments: Any, watch: Callable[[Any], None], **options: Any) -> Any:
        def watched(figures: Any) -> None:
            clock.now += 100
            watch(figures)

        return whole(*arguments, watch=watched, **options)

    runs = [small(1), small(2)]
    with monkeypatch.context() as patch:
        patch.setattr(runner, "train_several", slow)
        summary, _ = sweep(runs, minutes=1)
    assert (summary.finished, summary.left) == ([], runs)
    for one in runs:
        assert len((folder.work / one.digest / "metrics.csv").read_text().splitlines()) == 2
    assert sweep(runs)[0].finished == runs
