"""What every test can ask for."""

from __future__ import annotations

import functools
import io
import os
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest

# Read when PyTorch is loaded, and as the command line has it, which tests run in processes forked from this one.
os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")

import sklearn.datasets
import torch
import typer.testing
from PIL import Image

# Read when Triton is imported, as by what is imported next: without a GPU its interpreter runs the kernels that tests
# ask for by name.
if not torch.cuda.is_available():
    os.environ.setdefault("TRITON_INTERPRET", "1")

from voltphase.codesign import RELAXATIONS, GumbelSoftmax, Relaxation, Softmax, Unconstrained
from voltphase.core.files import write_json
from voltphase.reporting import style
from voltphase.sweeps.results import ResultFolder, public_settings
from voltphase.sweeps.runs import Run
from voltphase.training import provenance

Keep = Callable[..., dict[str, Any]]

#: Every relaxation as it comes, and others of their settings for which other code runs.
RELAXED: list[Relaxation] = [
    *(RELAXATIONS[name]() for name in RELAXATIONS),
    *(GumbelSoftmax(hard=False), GumbelSoftmax(mix="polar"), GumbelSoftmax(hard=False, mix="polar")),
    *(Softmax(hard=True), Softmax(hard=True, mix="polar")),
]

# No deadline: on a busy machine a slow example says nothing. Where a verdict is given, the examples are fixed, so that
# a change is not judged by luck; elsewhere every run looks in new places.
hypothesis.settings.register_profile("developer", deadline=None)
hypothesis.settings.register_profile("verdict", deadline=None, derandomize=True)
hypothesis.settings.load_profile("verdict" if os.environ.get("CI") else "developer")


def pytest_configure() -> None:
    # Two workers with as many threads each as there are cores fight over them and lose; and a process that is forked
    # from one whose products ran in several threads waits for threads that it does not have.
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The folder with the real data sets and measured devices, as VOLTPHASE_DATA names it."""
    named = os.environ.get("VOLTPHASE_DATA")
    if not named:
        pytest.skip("needs real data: set VOLTPHASE_DATA to the folder that holds it")
    folder = Path(named)
    if not folder.is_dir():
        pytest.skip(f"needs real data: VOLTPHASE_DATA names {folder}, which is not there")
    return folder


@pytest.fixture(autouse=True)
def seeded() -> Iterator[None]:
    """Give each test the same random numbers, in whatever order and on whichever worker it runs."""
    state = torch.get_rng_state()
    torch.manual_seed(0)
    yield
    torch.set_rng_state(state)


@pytest.fixture(autouse=True, scope="session")
def found_once() -> Iterator[None]:
    """What takes longer than a small training: to read scikit-learn's digits, to ask git, to set up all commands."""
    with pytest.MonkeyPatch.context() as patch:
        for module, name in (
            (sklearn.datasets, "load_digits"),
            (provenance, "commit"),
            (typer.testing, "_get_command"),
        ):
            patch.setattr(module, name, functools.cache(getattr(module, name)))
        yield


@pytest.fixture(params=RELAXED, ids=str)
def any_relaxation(request: pytest.FixtureRequest) -> Relaxation:
    """Each relaxation in turn, for tests that hold for all of them."""
    return request.param


@pytest.fixture(params=[one for one in RELAXED if not isinstance(one, Unconstrained)], ids=str)
def relaxation_of_states(request: pytest.FixtureRequest) -> Relaxation:
    """Each relaxation of the states of a device in turn: all but the ceiling, which has no levels."""
    return request.param


@pytest.fixture
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Put a dot in place of every figure: drawing a report takes seconds, and tests of figures draw them."""
    dot = io.BytesIO()
    Image.new("RGB", (1, 1)).save(dot, "PNG")
    blank = {"png": dot.getvalue(), "svg": b'<svg xmlns="http://www.w3.org/2000/svg"/>', "pdf": b"%PDF-1.4\n"}
    monkeypatch.setattr(style, "_save", lambda figure, kind, **_: blank[kind])


@pytest.fixture
def keep() -> Keep:
    """Writes a result for a run that was never trained, with the accuracy it is told."""

    def write(folder: ResultFolder, run: Run, accuracy: float, **more: Any) -> dict[str, Any]:
        path = folder.file(run)
        path.parent.mkdir(parents=True, exist_ok=True)
        content = made_up(accuracy, int(run.settings.get("training.epochs", 3))) | {
            "config": public_settings(run.config),
            **more,
        }
        write_json(path, content)
        return content

    return write


def made_up(accuracy: float, epochs: int) -> dict[str, Any]:
    """What a run leaves, but for its configuration."""
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
            "seed": 0,
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


# A shell starts what it runs in the background with Ctrl-C ignored, which processes started by tests would inherit.
if threading.current_thread() is threading.main_thread():
    signal.signal(signal.SIGINT, signal.default_int_handler)
