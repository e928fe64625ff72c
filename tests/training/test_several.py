"""Designs that are trained together leave what each leaves alone, through errors, interrupts and all."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import threading
from collections.abc import Callable, Sequence
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
import torch
from rich.console import Console
from tests.training.conftest import TINY
from tests.training.test_run import FILES, same_result
from tests.training.test_steps import RecordedOperations

from voltphase.config import Config, load_config
from voltphase.core.errors import ConfigError, OutputError, TrainingError
from voltphase.training import RunFolder, evaluate, load_run, train
from voltphase.training.checkpoint import read_checkpoint
from voltphase.training.loop import TrainingModule
from voltphase.training.several import train_several
from voltphase.training.several.together import train_together

Make = Callable[..., Config]

NAMES = ("one", "two", "three")
OF_EACH = (
    ["seed=1"],
    ["seed=2", "codesign.gain=3", "training.learning_rate=0.1", "training.learning_rate_decay=none"],
    ["seed=3", "codesign.relaxation.name=softmax", "codesign.schedule.per=epoch", "optics.backend=reference"],
)


def record_steps(patch: pytest.MonkeyPatch) -> list[RecordedOperations]:
    """Have steps recorded on a CPU as they are on a GPU; each recorder that is made is in the list."""
    made: list[RecordedOperations] = []

    def graphs_of(device: torch.device) -> RecordedOperations:
        made.append(RecordedOperations())
        return made[-1]

    patch.setattr("voltphase.training.steps.training_step.graphs_of", graphs_of)
    return made


@pytest.fixture
def recorders(monkeypatch: pytest.MonkeyPatch) -> list[RecordedOperations]:
    return record_steps(monkeypatch)


def config_of(*own: str) -> Config:
    # Three steps an epoch: of 40 images, of 40 and of 30.
    return load_config("digits", [*TINY, "data.train_limit=110", "training.epochs=5", *own])


@pytest.fixture
def configs() -> list[Config]:
    return [config_of(*own) for own in OF_EACH]


def grouped(configs: Sequence[Config], folder: Path, **options: Any) -> list[Any]:
    """What a GPU does with them."""
    outs = [folder / name for name in NAMES[: len(configs)]]
    return train_together(configs, outs, NAMES[: len(configs)], **({"console": None, "watch": None} | options))


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What each leaves alone, its steps recorded too; to be read, not written."""
    out = tmp_path_factory.mktemp("alone")
    with pytest.MonkeyPatch.context() as patch:
        record_steps(patch)
        for own, name in zip(OF_EACH, NAMES, strict=True):
            train(config_of(*own), out / name)
    return out


def test_each_leaves_what_it_leaves_alone(
    alone: Path, configs: list[Config], recorders: list[RecordedOperations], tmp_path: Path
) -> None:
    threads, handler = threading.active_count(), signal.getsignal(signal.SIGINT)
    summaries = grouped(configs, tmp_path / "group")
    assert [len(recorder.branches) for recorder in recorders] == [2]  # one recorder, of 40 images and of 30
    assert set(recorders[0].branches[0]) == {0, 1, 2}
    for name, config, summary in zip(NAMES, configs, summaries, strict=True):
        ours = tmp_path / "group" / name
        assert {path.name for path in ours.iterdir()} == FILES
        assert same_result(ours, alone / name)
        assert summary == json.loads((ours / "summary.json").read_text())
        assert summary["trained_together"] == 3
        assert summary["cuda_graph"]
        by_itself = json.loads((alone / name / "summary.json").read_text())
        assert by_itself.keys() == summary.keys() - {"trained_together"}
        # Their checkpoints are those of a training alone, but for times.
        checkpoints = [read_checkpoint(RunFolder(path).checkpoint_file, config) for path in (ours, alone / name)]
        for part in ("state_dict", "optimizer_states", "lr_schedulers", "epoch", "global_step"):
            assert str(checkpoints[0][part]) == str(checkpoints[1][part])
    assert threading.active_count() == threads
    assert signal.getsignal(signal.SIGINT) is handler


def interrupting(seed: int, epochs: int, *, by_signal: bool) -> Callable[[TrainingModule, int], float]:
    """Presses Ctrl-C in the middle of an epoch of the design with this seed."""
    whole = TrainingModule.temperature

    def temperature(module: TrainingModule, done: int) -> float:
        if module._about["settings"]["seed"] == seed and done == 3 * epochs + 1:
            if not by_signal:
                raise KeyboardInterrupt
            os.kill(os.getpid(), signal.SIGINT)
        return whole(module, done)

    return temperature


@pytest.mark.parametrize("by_signal", [True, False])
def test_an_interrupted_group_goes_on_from_its_last_whole_epoch(
    by_signal: bool,
    alone: Path,
    configs: list[Config],
    recorders: list[RecordedOperations],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(TrainingModule, "temperature", interrupting(2, 1, by_signal=by_signal))
        patch.setattr("voltphase.training.loop.REFRESH_SECONDS", 0.0)
        with pytest.raises(KeyboardInterrupt):
            grouped(configs, tmp_path / "group")
    for name in NAMES:
        assert len(RunFolder(tmp_path / "group" / name).read_metrics()) == 1
    # One goes on by itself, and says still that it has not been.
    assert train(configs[1], tmp_path / "group" / "two", resume=True)["trained_together"] == 3
    grouped(configs, tmp_path / "group", resume=True)
    for name in NAMES:
        assert same_result(tmp_path / "group" / name, alone / name)


def test_runs_that_were_interrupted_at_different_epochs_go_on_together(
    alone: Path,
    configs: list[Config],
    recorders: list[RecordedOperations],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for config, name, epochs in zip(configs, NAMES, (2, 1, 0), strict=True):
        with monkeypatch.context() as patch:
            patch.setattr(TrainingModule, "temperature", interrupting(config.seed, epochs, by_signal=False))
            with pytest.raises(KeyboardInterrupt):
                train(config, tmp_path / "group" / name)
        assert RunFolder(tmp_path / "group" / name).begun == (epochs > 0)
    recorders.clear()
    grouped(configs, tmp_path / "group", resume=True)
    # Those with fewer epochs left end before the others, which are recorded anew where there is time for it.
    assert len(recorders) == 3
    for name in NAMES:
        assert same_result(tmp_path / "group" / name, alone / name)


def test_what_is_finished_is_not_run_again(
    alone: Path, configs: list[Config], recorders: list[RecordedOperations], tmp_path: Path
) -> None:
    there = Path(shutil.copytree(alone, tmp_path / "group"))
    before = (there / "two" / "summary.json").read_bytes()
    for name in ("one", "three"):
        (there / name / "summary.json").unlink()
    summaries = grouped(configs, there, resume=True)
    assert (there / "two" / "summary.json").read_bytes() == before
    assert "trained_together" not in summaries[1]
    assert [summary["seed"] for summary in summaries] == [1, 2, 3]
    recorders.clear()
    assert grouped(configs, there, resume=True) == summaries
    assert recorders == []


@pytest.mark.parametrize("settings_of_it", [["task.scale=2.0"], []])
def test_one_that_diverges_leaves_the_others_alone(
    settings_of_it: list[str],
    alone: Path,
    configs: list[Config],
    recorders: list[RecordedOperations],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    configs[1] = config_of(*OF_EACH[1], *settings_of_it)
    at_start, spoilt_in = TrainingModule.on_train_epoch_start, 2 if settings_of_it else 0

    def spoilt(module: TrainingModule) -> None:
        at_start(module)
        if module._about["settings"]["seed"] == 2 and module.current_epoch == spoilt_in:
            module.model.layers[0].design.data[0, 3, 4] = float("nan")

    monkeypatch.setattr(TrainingModule, "on_train_epoch_start", spoilt)
    outcomes = grouped(configs, tmp_path / "group")
    assert isinstance(outcomes[1], TrainingError)
    assert ("diverged in epoch 3" if settings_of_it else "to calibrate the readout") in str(outcomes[1])
    assert not RunFolder(tmp_path / "group" / "two").finished
    # What it failed in was recorded, or not yet; the others are recorded anew.
    assert [recorder.recordings for recorder in recorders] == ([1, 1] if settings_of_it else [0, 2])
    for name in ("one", "three"):
        assert same_result(tmp_path / "group" / name, alone / name)


class _TimeIsUpError(Exception):
    pass


@pytest.mark.parametrize("error", [_TimeIsUpError, KeyboardInterrupt])
def test_whoever_watches_may_end_all_at_the_end_of_an_epoch(
    error: type[BaseException], configs: list[Config], recorders: list[RecordedOperations], tmp_path: Path
) -> None:
    seen: list[float] = []

    def watch(figures: dict[str, float]) -> None:
        seen.append(figures["epoch"])
        if figures["epoch"] == 2:
            raise error

    with pytest.raises(error):
        grouped(configs, tmp_path, watch=watch)
    assert seen == [1, 1, 1, 2, 2, 2]
    assert [len(RunFolder(tmp_path / name).read_metrics()) for name in NAMES] == [2, 2, 2]


def test_data_in_common_are_moved_once(
    configs: list[Config], recorders: list[RecordedOperations], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    share, images = TrainingModule.share_images, set()

    def noted(module: TrainingModule, moved: dict[int, torch.Tensor]) -> None:
        share(module, moved)
        images.add(module._batches._images.data_ptr())
        assert len(moved) == 4

    monkeypatch.setattr(TrainingModule, "share_images", noted)
    grouped(configs, tmp_path)
    assert len(images) == 1


def test_they_are_shown_in_one_table_and_a_line_an_epoch(
    configs: list[Config], recorders: list[RecordedOperations], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("voltphase.training.loop.REFRESH_SECONDS", 0.0)
    monkeypatch.setenv("TERM", "xterm")
    text = StringIO()
    grouped(configs[:2], tmp_path, console=Console(file=text, width=140, force_terminal=True, color_system=None))
    for line in ("one  epoch 1/5", "two  epoch 5/5"):
        assert line in text.getvalue()
    # The table is drawn some times a second, whatever epoch each has come to by then.
    for row in (r"one epoch \d/5", r"two epoch \d/5"):
        assert re.search(row, text.getvalue())


def test_an_error_of_nobodys_own_ends_all_and_is_raised(
    configs: list[Config], recorders: list[RecordedOperations], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise MemoryError("no memory is left on the GPU")

    monkeypatch.setattr("voltphase.training.steps.learner.loss_of", full)
    threads = threading.active_count()
    with pytest.raises(MemoryError, match="no memory is left"):
        grouped(configs, tmp_path)
    assert threading.active_count() == threads


def test_without_a_gpu_they_are_trained_one_after_another(tiny: Make, tmp_path: Path) -> None:
    configs = [tiny("training.epochs=1", *own) for own in OF_EACH]
    if torch.cuda.is_available():
        configs = [tiny("training.epochs=1", "training.accelerator=cpu", *own) for own in OF_EACH]
    text = StringIO()
    summaries = train_several(configs, [tmp_path / name for name in NAMES], console=Console(file=text, width=140))
    for config, name, summary in zip(configs, NAMES, summaries, strict=True):
        train(config, tmp_path / "alone" / name)
        assert same_result(tmp_path / name, tmp_path / "alone" / name)
        assert "trained_together" not in summary
        assert name in text.getvalue()


def test_one_after_another_too_one_that_fails_is_raised_when_the_others_are_there(tiny: Make, tmp_path: Path) -> None:
    on_cpu = ["training.epochs=1", "training.accelerator=cpu"]
    configs = [tiny(*on_cpu, "training.learning_rate=1e30", "task.scale=2.0"), tiny(*on_cpu, "seed=4")]
    with pytest.raises(TrainingError, match="diverged") as caught:
        train_several(configs, [tmp_path / "a", tmp_path / "b"])
    assert str(tmp_path / "a") in caught.value.__notes__[0]
    assert RunFolder(tmp_path / "b").finished


def test_what_cannot_be_trained_together_is_refused_before_anything_is_written(tiny: Make, tmp_path: Path) -> None:
    one, other = tiny(), tiny("training.batch_size=30")
    with pytest.raises(ConfigError, match=r"the same training\.batch_size, but got 40 and 30"):
        train_several([one, other], [tmp_path / "a", tmp_path / "b"])
    with pytest.raises(OutputError, match="a folder for each design"):
        train_several([one, one], [tmp_path / "a", tmp_path / "a" / ".." / "a"])
    with pytest.raises(ConfigError, match="2 configurations, 1 folders"):
        train_several([one, one], [tmp_path / "a"])
    with pytest.raises(ConfigError, match="as many images in an epoch, but got 150 and 120"):
        grouped([one, tiny("data.train_limit=120")], tmp_path / "group")
    assert list(tmp_path.iterdir()) == []


needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")


@needs_gpu
def test_on_a_gpu_each_leaves_what_it_leaves_alone(configs: list[Config], tmp_path: Path) -> None:
    summaries = train_several(configs, [tmp_path / "group" / name for name in NAMES])
    for config, name, summary in zip(configs, NAMES, summaries, strict=True):
        train(config, tmp_path / "alone" / name)
        assert same_result(tmp_path / "group" / name, tmp_path / "alone" / name)
        assert summary["trained_together"] == 3
        assert summary["cuda_graph"]
        model, _, summary_again = load_run(tmp_path / "group" / name)
        assert summary_again == summary
        assert evaluate(model, (torch.zeros(1, 8, 8), torch.zeros(1, dtype=torch.int64))).outputs.isfinite().all()
