from __future__ import annotations

import csv
import errno
import json
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import Any

import lightning
import pytest
import torch
from rich.console import Console

from voltphase.config import Config, load_config, parse_config
from voltphase.core.errors import ConfigError, OutputError, TrainingError
from voltphase.network.donn import DONN
from voltphase.training import build_dataset, evaluate, load_run, train
from voltphase.training.loop import TrainingModule

Make = Callable[..., Config]
Trained = tuple[Path, Config, dict[str, Any]]

FILES = {"config.yaml", "metrics.csv", "summary.json", "model.safetensors", "checkpoints"}
_TIMES = ("seconds", "images_per_second")


def levels(run: Path) -> list[torch.Tensor]:
    return load_run(run)[0].levels()


def metrics(run: Path) -> list[dict[str, str]]:
    rows = list(csv.DictReader((run / "metrics.csv").read_text().splitlines()))
    return [{key: value for key, value in row.items() if key not in _TIMES} for row in rows]


def same_result(one: Path, other: Path) -> bool:
    first, second = load_run(one), load_run(other)
    state, other_state = first[0].state_dict(), second[0].state_dict()
    return (
        all(torch.equal(state[name], other_state[name]) for name in state)
        and metrics(one) == metrics(other)
        and first[2]["test_accuracy"] == second[2]["test_accuracy"]
        and first[2]["train_accuracy"] == second[2]["train_accuracy"]
    )


@pytest.fixture
def interrupt(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], pytest.MonkeyPatch]:
    """Presses Ctrl-C in the middle of the step with the given number."""

    def at(step: int) -> pytest.MonkeyPatch:
        whole = TrainingModule.temperature

        def broken(self: TrainingModule, done: int) -> float:
            if done == step:
                raise KeyboardInterrupt
            return whole(self, done)

        monkeypatch.setattr(TrainingModule, "temperature", broken)
        return monkeypatch

    return at


def test_a_run_folder_holds_what_it_promises(trained: Trained):
    out, config, summary = trained
    assert {file.name for file in out.iterdir()} == FILES
    assert load_config(out / "config.yaml") == config
    assert json.loads((out / "summary.json").read_text()) == summary
    assert (summary["seed"], summary["epochs"], summary["train_images"], summary["test_images"]) == (0, 3, 150, 60)
    assert summary["seconds"] > 0
    assert summary["versions"]["torch"] == torch.__version__
    ran = load_run(out)[0].explain()
    assert (summary["backend"], summary["precision"]) == (ran.backend, ran.precision)
    assert summary["engines"] == list(ran.engines)
    assert [device["levels"] for device in summary["devices"]] == [4, 4]
    assert [row["epoch"] for row in metrics(out)] == ["1", "2", "3"]
    assert [float(row["temperature"]) for row in metrics(out)][-1] == 0.1


def test_the_accuracies_are_of_the_deployed_states(trained: Trained):
    out, config, summary = trained
    model, _, stored = load_run(out)
    assert stored == summary
    assert not model.training
    for split in ("train", "test"):
        assert evaluate(model, build_dataset(config, split)).metrics["accuracy"] == summary[f"{split}_accuracy"]
    assert float(metrics(out)[-1]["test_accuracy"]) == pytest.approx(summary["test_accuracy"], rel=1e-5)


@pytest.mark.parametrize(("seconds", "batches"), [(0.0, 12), (1e9, 3)])
def test_lightning_sees_as_one_batch_what_fits_between_two_looks_at_the_terminal(
    seconds: float, batches: int, trained: Trained, tmp_path: Path, tiny: Make, monkeypatch: pytest.MonkeyPatch
):
    seen: list[int] = []
    monkeypatch.setattr("voltphase.training.loop.REFRESH_SECONDS", seconds)
    monkeypatch.setattr(
        "voltphase.training.progress.Recorder.on_train_batch_end",
        lambda recorder, trainer, module, *_: seen.append(module.steps_done),
    )
    train(tiny(), tmp_path / "run")
    assert len(seen) == batches
    assert seen[-1] == 12  # 150 images in batches of 40 are 4 steps, 3 epochs are 12
    assert same_result(trained[0], tmp_path / "run")


def test_what_was_trained_stays_where_it_is(
    trained: Trained, tmp_path: Path, tiny: Make, monkeypatch: pytest.MonkeyPatch
):
    moved: list[Any] = []

    def note(model: DONN, *where: Any) -> DONN:
        moved.append(where)
        return model

    monkeypatch.setattr(DONN, "_apply", note)
    assert train(tiny("training.accelerator=cpu"), tmp_path / "run")["cuda_graph"] is False
    assert len(moved) == 2  # to where it is trained, by us and by Lightning


def test_it_learns(tmp_path: Path, tiny: Make):
    summary = train(tiny("training.epochs=8", "data.train_limit=600", "optics.size=24"), tmp_path / "run")
    assert summary["test_accuracy"] > 0.4  # ten classes: 0.1 is chance
    losses = [float(row["train_loss"]) for row in metrics(tmp_path / "run")]
    assert losses[-1] < 0.8 * losses[0]


def test_one_seed_gives_one_set_of_maps(trained: Trained, tmp_path: Path, tiny: Make):
    torch.manual_seed(1234)
    train(tiny(), tmp_path / "again")
    assert same_result(trained[0], tmp_path / "again")
    train(tiny("seed=1"), tmp_path / "other")
    assert not torch.equal(levels(trained[0])[0], levels(tmp_path / "other")[0])


def test_layers_with_devices_of_their_own(tmp_path: Path, tiny: Make):
    content = tiny().model_dump() | {
        "device": None,
        "devices": [{"model": "ferroelectric", "levels": 2}, {"model": "lcos", "levels": 16, "pick": "spread"}],
    }
    train(parse_config(content), tmp_path / "run")
    model, loaded, summary = load_run(tmp_path / "run")
    assert loaded == parse_config(content)
    assert [(device["name"], device["levels"]) for device in summary["devices"]] == [("ferroelectric", 2), ("lcos", 16)]
    assert [int(levels.max()) < count for levels, count in zip(model.levels(), (2, 16), strict=True)] == [True, True]


def test_training_leaves_the_callers_random_numbers_and_threads_alone(tmp_path: Path, tiny: Make):
    before, threads = torch.get_rng_state(), torch.get_num_threads()
    train(tiny("training.epochs=1", "training.threads=1"), tmp_path / "run")
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.get_num_threads() == threads


@pytest.mark.parametrize("step", [2, 4, 6, 11])
def test_a_resumed_run_ends_like_an_uninterrupted_one(
    step: int, trained: Trained, tmp_path: Path, tiny: Make, interrupt: Callable[[int], pytest.MonkeyPatch]
):
    out = tmp_path / "run"
    patch = interrupt(step)
    with pytest.raises(KeyboardInterrupt):
        train(tiny(), out)
    patch.undo()
    assert not (out / "summary.json").exists()
    assert (out / "checkpoints" / "last.ckpt").exists() == (step >= 4)
    train(tiny(), out, resume=True)
    assert same_result(trained[0], out)


def test_a_run_interrupted_twice_ends_alike(
    trained: Trained, tmp_path: Path, tiny: Make, interrupt: Callable[[int], pytest.MonkeyPatch]
):
    out = tmp_path / "run"
    for step, resume in ((5, False), (9, True)):
        patch = interrupt(step)
        with pytest.raises(KeyboardInterrupt):
            train(tiny(), out, resume=resume)
        patch.undo()
    train(tiny(), out, resume=True)
    assert same_result(trained[0], out)


def test_who_watches_sees_each_epoch_once_it_is_kept_and_can_end_training_there(
    trained: Trained, tmp_path: Path, tiny: Make
):
    out, seen = tmp_path / "run", []

    def stop_after_two(row: dict[str, float]) -> None:
        seen.append((int(row["epoch"]), len(metrics(out))))
        if row["epoch"] == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(tiny(), out, watch=stop_after_two)
    assert seen == [(1, 1), (2, 2)]
    train(tiny(), out, resume=True, watch=stop_after_two)
    assert seen == [(1, 1), (2, 2), (3, 3)]
    assert same_result(trained[0], out)


def test_a_run_cut_off_after_its_last_epoch_is_completed(
    trained: Trained, tmp_path: Path, tiny: Make, monkeypatch: pytest.MonkeyPatch
):
    out = tmp_path / "run"
    with monkeypatch.context() as patch:
        patch.setattr("voltphase.training.evaluation.evaluate", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            train(tiny(), out)
    # Or even between its last checkpoint and the row of metrics.
    *kept, _ = (out / "metrics.csv").read_text().splitlines(keepends=True)
    (out / "metrics.csv").write_text("".join(kept))
    train(tiny(), out, resume=True)
    assert same_result(trained[0], out)


def test_a_run_that_diverges_is_never_finished_but_can_be_replaced(tmp_path: Path, tiny: Make):
    out = tmp_path / "run"
    for resume in (False, True):
        with pytest.raises(TrainingError, match=r"but training diverged in epoch 1, loss nan: lower"):
            train(tiny("training.learning_rate=1e38"), out, resume=resume)
        assert {file.name for file in out.rglob("*")} == {"config.yaml", "checkpoints"}
    assert train(tiny("training.epochs=1"), out, overwrite=True)["epochs"] == 1


def test_resuming_a_finished_run_changes_nothing(trained: Trained, tiny: Make):
    out, _, summary = trained
    before = {file: file.stat().st_mtime_ns for file in out.rglob("*")}
    assert train(tiny(), out, resume=True) == summary
    assert {file: file.stat().st_mtime_ns for file in out.rglob("*")} == before


def test_ctrl_c_works_again_after_an_interrupted_run(
    tmp_path: Path, tiny: Make, interrupt: Callable[[int], pytest.MonkeyPatch]
):
    import signal

    before = signal.getsignal(signal.SIGINT)
    interrupt(1)
    with pytest.raises(KeyboardInterrupt):
        train(tiny(), tmp_path / "run")
    assert signal.getsignal(signal.SIGINT) == before


def test_a_checkpoint_needs_no_pickle(trained: Trained):
    content = torch.load(trained[0] / "checkpoints" / "last.ckpt", weights_only=True)
    assert len(content["voltphase"]["history"]) == 3


def test_training_says_nothing_unless_asked(
    tmp_path: Path, tiny: Make, capfd: pytest.CaptureFixture[str], recwarn: pytest.WarningsRecorder
):
    train(tiny("training.epochs=1"), tmp_path / "run")
    assert capfd.readouterr() == ("", "")
    assert [str(warning.message) for warning in recwarn] == []


def test_away_from_a_terminal_progress_is_a_line_an_epoch(tmp_path: Path, tiny: Make):
    text = StringIO()
    train(tiny("training.epochs=2"), tmp_path / "run", console=Console(file=text, width=200))
    lines = text.getvalue().splitlines()
    assert len(lines) == 7
    assert "252 are not used" in lines[0]
    assert "back end" in lines[4]
    lines = lines[5:]
    assert lines[1].startswith("epoch 2/2  test 0.")
    assert "τ 0.10" in lines[1]


def test_on_a_terminal_there_is_a_bar(tmp_path: Path, tiny: Make, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("voltphase.training.loop.REFRESH_SECONDS", 0.0)
    monkeypatch.setenv("TERM", "xterm")  # whatever the tests run in: a dumb terminal gets no bar
    text = StringIO()
    console = Console(file=text, width=120, force_terminal=True, color_system=None)
    train(tiny("training.epochs=2"), tmp_path / "run", console=console)
    for word in ("epoch 1/2", "accuracy", "loss", "τ", "0:00"):
        assert word in text.getvalue()


def test_a_full_disk_is_one_sentence_and_leaves_no_half_file(
    tmp_path: Path, tiny: Make, monkeypatch: pytest.MonkeyPatch
):
    def full(self: lightning.Trainer, path: Path) -> None:
        Path(path).write_bytes(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(lightning.Trainer, "save_checkpoint", full)
    with pytest.raises(OutputError, match=r"last\.ckpt: no space left on device; choose a place"):
        train(tiny(), tmp_path / "run")
    assert list((tmp_path / "run" / "checkpoints").iterdir()) == []


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without a GPU")
def test_a_missing_gpu_is_found_before_anything_is_written(tmp_path: Path, tiny: Make):
    with pytest.raises(ConfigError, match=r"expected a CUDA GPU for training\.accelerator gpu, but PyTorch finds none"):
        train(tiny("training.accelerator=gpu"), tmp_path / "run")
    assert list(tmp_path.iterdir()) == []


def test_a_back_end_for_gpus_is_refused_on_a_cpu_before_anything_is_written(
    tmp_path: Path, tiny: Make, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.delenv("TRITON_INTERPRET", raising=False)
    with pytest.raises(ConfigError, match=r"CUDA GPU to train on for optics\.backend cuda, because"):
        train(tiny("optics.backend=cuda", "training.accelerator=cpu"), tmp_path / "run")
    assert list(tmp_path.iterdir()) == []


def test_tf32_on_a_cpu_is_refused_before_anything_is_written(tmp_path: Path, tiny: Make):
    with pytest.raises(ConfigError, match=r"CUDA GPU to train on for optics\.precision tf32, but got the CPU"):
        train(tiny("optics.precision=tf32", "training.accelerator=cpu"), tmp_path / "run")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("found", [False, True])
def test_what_is_trained_and_what_fits_are_told_of_the_gpu(
    found: bool, tmp_path: Path, tiny: Make, monkeypatch: pytest.MonkeyPatch
):
    asked: list[bool] = []

    def stop(model: DONN, *_: object, on_gpu: bool) -> None:
        asked.extend((model.executor.tf32, on_gpu))
        raise ConfigError("far enough")

    monkeypatch.setattr("torch.cuda.is_available", lambda: found)
    monkeypatch.setattr("voltphase.training.run.check_training", stop)
    with pytest.raises(ConfigError, match="far enough"):
        train(tiny("optics.precision=auto"), tmp_path / "run")
    assert asked == [found, found]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
def test_it_trains_on_a_gpu(tmp_path: Path, tiny: Make):
    summary = train(tiny("training.accelerator=gpu"), tmp_path / "run")
    assert "gpu" in summary["hardware"]
    assert summary["cuda_graph"]
    assert summary["host_seconds"] >= 0
    assert load_run(tmp_path / "run")[2] == summary
