"""What every test can ask for."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest
import torch

# No deadline: on a busy machine a slow example says nothing. Where a verdict is given, the examples are fixed, so that
# a change is not judged by luck; elsewhere every run looks in new places.
hypothesis.settings.register_profile("developer", deadline=None)
hypothesis.settings.register_profile("verdict", deadline=None, derandomize=True)
hypothesis.settings.load_profile("verdict" if os.environ.get("CI") else "developer")


def pytest_configure(config: pytest.Config) -> None:
    # Two workers with as many threads each as there are cores fight over them and lose.
    if hasattr(config, "workerinput"):
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


# A shell starts what it runs in the background with Ctrl-C ignored, which processes started by tests would inherit.
if threading.current_thread() is threading.main_thread():
    signal.signal(signal.SIGINT, signal.default_int_handler)
