"""A small finished run to draw."""

from __future__ import annotations

from pathlib import Path

import pytest

from voltphase.config import Config
from voltphase.training import train

SETTINGS = {
    "data": {"name": "digits", "train_limit": 60, "test_limit": 40},
    "optics": {"size": 20, "pitch": 36e-6, "distances": 0.02, "depth": 2},
    "devices": [{"model": "tn-slm", "levels": 5}, {"model": "tn-slm", "levels": 20}],
    "codesign": {"gain": [2.0, 0.5]},
    "training": {"epochs": 2, "batch_size": 20, "accelerator": "cpu"},
}


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a network of two unlike layers, trained for a moment."""
    folder = tmp_path_factory.mktemp("runs") / "tiny"
    train(Config.model_validate(SETTINGS), folder)
    return folder
