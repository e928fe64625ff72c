"""Images of one's own all the way, from a file and from Python: the examples, on fewer and for less long."""

from __future__ import annotations

import json
import runpy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

import voltphase as vp
from voltphase.cli import app

EXAMPLES = Path(__file__).parents[1] / "examples"


@pytest.fixture(scope="module")
def example() -> dict[str, Any]:
    return runpy.run_path(str(EXAMPLES / "own_data.py"))


@pytest.fixture(scope="module")
def shapes(example: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("shapes")
    example["write"](folder, 140, 70)
    return folder


def call(*words: str | Path) -> str:
    result = CliRunner().invoke(app, [str(word) for word in words], terminal_width=80)
    assert result.exit_code == 0, result.output
    return result.stdout


def test_both_files_describe_the_same_system() -> None:
    one, other = (vp.config.load_config(EXAMPLES / f"{name}.yaml") for name in ("own-arrays", "image-folder"))
    assert one.model_copy(update={"data": other.data}) == other


def test_what_is_held_out_is_said_and_kept(shapes: Path, tmp_path: Path) -> None:
    held = ("--set", "data.test=null", "--set", "training.epochs=1", "--set", f"data.train={shapes / 'train.npz'}")
    said = call("train", EXAMPLES / "own-arrays.yaml", "--out", tmp_path / "run", *held)
    note = (
        "28 of the 140 images in train.npz are held out to test with, drawn by data.split_seed 0: there is no data.test"
    )
    assert note in said
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert (summary["data_notes"], summary["train_images"], summary["test_images"]) == ([note], 112, 28)
    folder = vp.deploy(tmp_path / "run", tmp_path / "bench")
    settings = json.loads((folder / "manifest.json").read_text())["reference"]["data_settings"]
    assert settings["train"] == "train.npz"
    assert vp.verify(folder, data_dir=shapes).images == 28


@pytest.mark.parametrize("kind", [np.uint16, np.float32, np.float64])
def test_images_of_more_than_8_bits_deploy_and_verify(kind: type, shapes: Path, tmp_path: Path) -> None:
    train, test = (dict(np.load(shapes / f"{split}.npz")) for split in ("train", "test"))
    deep = np.uint16(257) if kind is np.uint16 else kind(1) / kind(255)
    data = {"train": (train["images"] * deep, train["targets"]), "test": (test["images"] * deep, test["targets"])}
    config = vp.config.load_config(EXAMPLES / "own-arrays.yaml", ["training.epochs=1"])
    run = vp.train(config, out=tmp_path / "run", data=data)
    bench = vp.deploy(run, tmp_path / "bench")
    assert np.load(bench / "sample-images.npy").dtype == (np.float64 if kind is np.float64 else np.float32)
    result = vp.verify(bench, data["test"])
    assert result.passed
    assert result.images == 70
    emulator = runpy.run_path(str(EXAMPLES / "emulate.py"))["Emulator"](bench)
    images, readings = (np.load(bench / f"sample-{name}.npy") for name in ("images", "readings"))
    np.testing.assert_allclose(emulator.readings(images), readings, rtol=1e-4, atol=1e-6 * readings.max())
    manifest = bench / "manifest.json"
    assert json.loads(manifest.read_text())["samples"]["images"]["dtype"][1] == "f"


def test_bad_data_end_with_a_sentence_before_training_begins(shapes: Path, tmp_path: Path) -> None:
    words = ("train", str(EXAMPLES / "own-arrays.yaml"), "--out", str(tmp_path / "run"))
    result = CliRunner().invoke(app, [*words, "--data-dir", str(tmp_path)])
    assert result.exit_code == 2
    assert "error: cannot read" in result.output
    result = CliRunner().invoke(
        app, [*words, "--data-dir", str(shapes), "--set", "task.regions=paper", "--set", "data.train=null"]
    )
    assert result.exit_code == 2
    assert "expected data.train to be" in result.output
    assert not (tmp_path / "run").exists()


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("drawn")
    runpy.run_path(str(EXAMPLES / "pairs.py"))["write"]("edges", folder, 100, 20)
    return folder


@pytest.mark.usefixtures("undrawn")
def test_the_example_of_edges_finds_them_better_than_the_images_show_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runpy.run_path(str(EXAMPLES / "pairs.py"))["main"]("edges", tmp_path, train=400, test=50, epochs=6)
    words = capsys.readouterr().out.splitlines()[-1].replace(",", "").split()
    found, itself = (float(word) for word in words if word.startswith("0."))
    assert found > itself


@pytest.mark.usefixtures("undrawn")
def test_the_example_of_cells_finds_them_better_than_the_images_show_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runpy.run_path(str(EXAMPLES / "pairs.py"))["main"]("cells", tmp_path, train=400, test=50, epochs=5)
    words = capsys.readouterr().out.splitlines()[-1].replace(",", "").split()
    by_light, itself, _ = (float(word) for word in words if word.startswith("0."))
    assert by_light > itself


@pytest.mark.usefixtures("undrawn")
def test_pairs_of_pictures_in_a_folder_train_to_what_the_same_arrays_do(drawn: Path, tmp_path: Path) -> None:
    quick = ["training.epochs=1", "training.augmentation.shift=0.1", "optics.size=32", "task.window=[0, 0, 32, 32]"]
    words = [word for setting in quick for word in ("--set", setting)]
    said = call("train", EXAMPLES / "edges.yaml", "--data-dir", drawn, "--out", tmp_path / "run", *words)
    assert "training.augmentation moves target pictures with their images" in said
    pairs = runpy.run_path(str(EXAMPLES / "pairs.py"))["pairs"]
    config = vp.config.load_config(EXAMPLES / "edges.yaml", quick)
    given = vp.train(
        config, out=tmp_path / "given", data={"train": pairs("edges", 100, 0), "test": pairs("edges", 20, 1)}
    )
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert summary["test_correlation"] == given.summary["test_correlation"]
    call("report", tmp_path / "run")
    call("deploy", tmp_path / "run", "--data-dir", drawn, "--out", tmp_path / "bench")
    assert call("verify", tmp_path / "bench", "--data-dir", drawn).endswith("passed\n")
