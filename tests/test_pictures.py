"""Beam shaper and hologram all the way, from a file and from Python: the examples, for less long."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

import voltphase as vp
from voltphase.cli import app
from voltphase.core.errors import DataError

EXAMPLES = Path(__file__).parents[1] / "examples"


@pytest.fixture(scope="module")
def example() -> dict[str, Any]:
    return runpy.run_path(str(EXAMPLES / "pictures.py"))


@pytest.fixture(scope="module")
def pictures(example: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pictures")
    example["write"](folder)
    return folder


def call(*words: str | Path) -> str:
    result = CliRunner().invoke(app, [str(word) for word in words], terminal_width=80)
    assert result.exit_code == 0, result.output
    return result.stdout


def test_a_beam_shaper_is_at_least_as_good_as_the_weighted_form_on_the_same_eight_states(
    example: dict[str, Any], tmp_path: Path
) -> None:
    pair = example["beam_shaper"]()
    config = vp.config.load_config(EXAMPLES / "beam-shaper.yaml", ["training.epochs=190"])  # fewer are enough
    assert config.device is not None
    assert config.device.levels == 8
    run = vp.train(config, out=tmp_path / "run", data=pair, progress=False)
    found = example["against_gerchberg_saxton"](run, pair)
    (efficiency, nonuniformity), (other_efficiency, other_nonuniformity) = found.values()
    assert efficiency >= other_efficiency
    assert nonuniformity <= other_nonuniformity
    assert vp.verify(vp.deploy(run, tmp_path / "bench"), run.test_set).passed


def test_one_image_is_trained_on_and_tested_with_and_said(pictures: Path, tmp_path: Path) -> None:
    words = "one image, which is trained on and tested with"
    whole = vp.data.Arrays("beam-shaper.npz", dir=str(pictures))
    assert [words in whole.load(split).notes[0] for split in ("train", "test")] == [True, True]
    one = torch.ones(1, 4, 4), torch.ones(1, 4, 4)
    train, test = vp.data.given_datasets(one, 0).values()
    assert len(train) == len(test) == 1
    assert words in train.notes[0]
    with pytest.raises(DataError, match="at least two images"):
        vp.data.given_datasets((torch.ones(1, 4, 4), [0]), 0)


def test_targets_that_fit_no_detector_end_with_a_sentence_before_training(pictures: Path, tmp_path: Path) -> None:
    np.savez(tmp_path / "odd.npz", images=np.ones((4, 8, 8), np.float32), targets=np.ones((4, 7, 7), np.float32))
    words = ["train", str(EXAMPLES / "beam-shaper.yaml"), "--data-dir", str(tmp_path), "--out", str(tmp_path / "run")]
    result = CliRunner().invoke(app, [*words, "--set", "data.train=odd.npz"])
    assert result.exit_code == 2
    assert "7 x 7 pixels in a window of 64 x 64" in result.output
    assert not (tmp_path / "run").exists()
