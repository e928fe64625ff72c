"""Images to validate with, kept from those to train on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from voltphase.cli import app
from voltphase.config import Config
from voltphase.core.errors import DataError
from voltphase.training import RunFolder, build_dataset, evaluate, load_run, refine_run, train
from voltphase.training.build import split_validation


def test_images_to_validate_with_are_watched_and_the_test_images_answered_at_the_end_alone(
    tiny: Callable[..., Config], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tiny("data.val_fraction=0.25", "training.epochs=2")
    asked: list[int] = []
    monkeypatch.setattr(
        "voltphase.training.evaluation.evaluate", lambda m, d, b: asked.append(len(d)) or evaluate(m, d, b)
    )
    summary = train(config, tmp_path / "run")
    train_set, val_set, test_set = (build_dataset(config, split) for split in ("train", "val", "test"))
    assert sorted(asked) == sorted(map(len, (train_set, val_set, test_set)))
    whole = build_dataset(tiny(), "train")
    assert len(train_set) + len(val_set) == len(whole)
    pixels = [image.numpy().tobytes() for part in (train_set, val_set) for image in part.images]
    assert sorted(pixels) == sorted(image.numpy().tobytes() for image in whole.images)
    rows = RunFolder(tmp_path / "run").read_metrics()
    assert {key for key in rows[0] if key.endswith("accuracy")} == {"train_accuracy", "val_accuracy"}
    assert summary["watched"] == "val"
    assert rows[-1]["val_accuracy"] == pytest.approx(summary["val_accuracy"], abs=1e-6)
    model, *_ = load_run(tmp_path / "run")
    for split, images in (("train", train_set), ("val", val_set), ("test", test_set)):
        assert summary[f"{split}_images"] == len(images)
        assert evaluate(model, images).metrics["accuracy"] == summary[f"{split}_accuracy"]
    assert (
        f"{len(val_set)} of the {len(whole)} images to train on are kept to validate with" in summary["data_notes"][0]
    )


def test_without_images_to_validate_with_the_test_images_are_watched(tiny: Callable[..., Config]) -> None:
    with pytest.raises(DataError, match=r"data.val_fraction is 0"):
        build_dataset(tiny(), "val")
    few = build_dataset(tiny(), "train").take(1)
    with pytest.raises(DataError, match=r"of 1 of digits data.val_fraction 0.5 keeps 0"):
        split_validation(tiny("data.val_fraction=0.5"), {"train": few})


@pytest.mark.usefixtures("undrawn")
def test_the_command_line_takes_them_and_all_that_follows_says_so(tmp_path: Path) -> None:
    run = tmp_path / "run"
    quick = ("optics.size=16", "optics.depth=1", "training.epochs=1", "data.train_limit=100", "data.test_limit=50")
    words = [
        "train",
        "digits",
        "--val-fraction",
        "0.2",
        "--out",
        str(run),
        *(w for one in quick for w in ("--set", one)),
    ]

    def call(*words: str) -> str:
        result = CliRunner().invoke(app, list(words))
        assert result.exit_code == 0, result.output
        return result.output

    said = call(*words)
    assert "to train on are kept to validate with, drawn by the seed 0" in said
    assert "val " in next(line for line in said.splitlines() if line.startswith("epoch 1/1"))
    assert ", validation accuracy 0." in said
    kept = load_run(run)[2]["val_images"]
    assert f"of {kept} images of digits" in call("evaluate", str(run), "--split", "val")
    page = Path(call("report", str(run)).removeprefix("report: ").strip()).read_text(encoding="utf-8")
    assert f"50 test images, answered at the end alone; {kept} to validate with, watched, never chosen by" in page
    call("deploy", str(run), "--out", str(tmp_path / "bench"))
    assert "val_fraction" not in (tmp_path / "bench" / "manifest.json").read_text()
    refined = refine_run(run, tmp_path / "refined", evaluations=5)
    model, config, _ = load_run(tmp_path / "refined")
    for split in ("train", "val", "test"):
        assert evaluate(model, build_dataset(config, split)).metrics["accuracy"] == refined[f"{split}_accuracy"]
    assert refined["refined"]["images"] == 100 - kept


def test_images_to_validate_with_by_themselves_are_watched(tiny: Callable[..., Config], tmp_path: Path) -> None:
    parts = {split: build_dataset(tiny(), split) for split in ("train", "test")}
    data = {**parts, "val": parts["train"].take(30), "train": parts["train"].select(slice(30, None))}
    summary = train(tiny(), tmp_path / "run", data=data)
    assert (summary["watched"], summary["val_images"], summary["train_images"]) == ("val", 30, len(data["train"]))
    refined = refine_run(tmp_path / "run", tmp_path / "refined", evaluations=5, data=data)
    assert refined["val_images"] == 30
    for split, part in data.items():
        np.savez(tmp_path / f"{split}.npz", images=part.images.numpy(), targets=part.labels.numpy())
    files = [f"data.{split}={tmp_path / f'{split}.npz'}" for split in data]
    config = tiny("data.name=arrays", "data.train_limit=null", "data.test_limit=null", *files)
    from_files = train(config, tmp_path / "files")
    for column in ("train_accuracy", "val_accuracy", "test_accuracy"):
        assert from_files[column] == summary[column]
    assert len(build_dataset(config, "val")) == 30
    with pytest.raises(DataError, match=r"data.val_fraction 0, since there are images to validate with by themselves"):
        train(tiny("data.val_fraction=0.5"), tmp_path / "both", data=data)
