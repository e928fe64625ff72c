from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from voltphase.config import Config, load_config

TINY = [
    "optics.size=16",
    "optics.depth=2",
    "optics.distances=0.02",
    "device.levels=4",
    "data.train_limit=150",
    "data.test_limit=60",
    "training.batch_size=40",
    "training.epochs=3",
]


@pytest.fixture
def tiny() -> Callable[..., Config]:
    """Makes a configuration that trains in a second, with settings overridden."""

    def make(*overrides: str) -> Config:
        return load_config("digits", [*TINY, *overrides])

    return make


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Config, dict[str, Any]]:
    """A run folder left by training to the end, its configuration and summary; to be read, not written."""
    from voltphase.training import train

    out = tmp_path_factory.mktemp("trained") / "run"
    config = load_config("digits", TINY)
    return out, config, train(config, out)
