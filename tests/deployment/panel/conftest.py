"""A small panel of one's own, and designs for it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from voltphase import DONN, Grid
from voltphase.devices import DeviceStates
from voltphase.tasks import Classification

PANEL = """\
name: small
make: Own
model: Small
rows: 60
columns: 90
pitch: 8e-6
fill_factor: 0.9
correction: {added: file, modulo: 256}
"""


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The profile of a panel of 60 x 90 pixels of 8 µm, with corrections of grey levels."""
    path = tmp_path_factory.mktemp("panel") / "small.yaml"
    path.write_text(PANEL)
    return path


def grey_device(levels: int = 8, seed: int = 0) -> DeviceStates:
    """A device of uneven states, driven by uneven grey levels."""
    generator = np.random.default_rng(seed)
    control = np.sort(generator.choice(256, levels, replace=False)).astype(float)
    return DeviceStates(control, generator.uniform(0.4, 1, levels), generator.uniform(0, 6.2, levels), "an SLM")


def a_design(
    shape: tuple[int, int] = (10, 12), pitch: Any = 24e-6, device: Any = None, layers: int = 2, **settings: Any
) -> DONN:
    """A network of layers with random levels."""
    return DONN(
        grid=Grid(shape, pitch=pitch),
        wavelength=532e-9,
        distances=settings.pop("distances", 0.004),
        devices=[device or grey_device()] * layers,
        task=Classification(((1, 1, 3, 3), (6, 1, 3, 3), (1, 6, 3, 3), (6, 6, 3, 3)), True, "mean", 5.0),
        image_shape=(5, 6),
        seed=3,
        **settings,
    ).eval()


@pytest.fixture(scope="session")
def design() -> Callable[..., DONN]:
    """Makes a network of two layers of 10 x 12 pixels of 24 µm."""
    return a_design


@pytest.fixture(scope="session")
def device() -> Callable[..., DeviceStates]:
    """Makes a device of uneven states, driven by uneven grey levels."""
    return grey_device
