from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import sklearn.datasets

from voltphase.experiments.cells import Cell
from voltphase.experiments.results import ResultFolder, public_settings
from voltphase.files import write_json

Keep = Callable[..., dict[str, Any]]


@pytest.fixture(autouse=True, scope="session")
def digits_read_once() -> Iterator[None]:
    """Reading scikit-learn's digits takes longer than training on a few of them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sklearn.datasets, "load_digits", functools.cache(sklearn.datasets.load_digits))
        yield


@pytest.fixture
def keep() -> Keep:
    """Writes a result for a cell that was never run, with the accuracy it is told."""

    def write(folder: ResultFolder, cell: Cell, accuracy: float, **more: Any) -> dict[str, Any]:
        path = folder.file(cell)
        path.parent.mkdir(parents=True, exist_ok=True)
        content = made_up(accuracy, int(cell.settings.get("training.epochs", 3))) | {
            "config": public_settings(cell.config),
            **more,
        }
        write_json(path, content)
        return content

    return write


def made_up(accuracy: float, epochs: int) -> dict[str, Any]:
    """What a cell leaves, but for its configuration."""
    rows = [
        {
            "epoch": epoch,
            "train_loss": 0.2 - 0.1 * epoch / epochs,
            "test_accuracy": accuracy * epoch / epochs,
            "images_per_second": 1000.0 * accuracy,
        }
        for epoch in range(1, epochs + 1)
    ]
    return {
        "summary": {
            "test_accuracy": accuracy,
            "train_accuracy": min(1.0, accuracy + 0.01),
            "epochs": epochs,
            "seconds": 60.0,
            "train_images": 60000,
            "hardware": {"processor": "a processor", "threads": 1},
            "versions": {"torch": "2.6"},
            "commit": "0123456789abcdef",
            "devices": [],
        },
        "devices": ["measured tn-slm"],
        "accuracy_when_cut": {"0": accuracy, "0.01": accuracy - 0.1, "0.03": accuracy - 0.2, "0.05": accuracy - 0.3},
        "deployed": {"accuracy": accuracy},
        "measured": {"peak_bytes": 500_000_000, "bytes_before": 100_000_000},
        "finishing_seconds": 5.0,
        "epochs": rows,
    }
