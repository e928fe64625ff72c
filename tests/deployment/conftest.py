"""Small systems to deploy."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from voltphase.data import ImageDataset
from voltphase.deployment import deploy
from voltphase.devices import DeviceStates
from voltphase.network.donn import DONN
from voltphase.optics.grid import Grid
from voltphase.tasks import Classification, Measure, Regions

EMULATE = Path(__file__).parents[2] / "examples" / "emulate.py"
SHAPE = (20, 24)
REGIONS = Regions(((2, 3, 4, 4), (2, 14, 4, 5), (12, 8, 5, 4)), SHAPE)


def device(levels: int, unit: str = "grey level", *, seed: int = 0) -> DeviceStates:
    """A device with uneven states, driven by grey levels or by anything else."""
    generator = np.random.default_rng(seed)
    control = np.linspace(0, 255, levels).round() if levels <= 256 else np.arange(float(levels))
    return DeviceStates(
        control=control if unit == "grey level" else np.linspace(0.5, 4.75, levels),
        amplitude=generator.uniform(0.3, 1, levels),
        phase=generator.uniform(0, 6, levels),
        name=f"panel {levels} {unit}",
        control_unit=unit,
        source="drawn at random",
    )


def small_model(
    *,
    measure: Measure = "fraction",
    gain: float | list[float] = 1.0,
    scale: float | str = 5.0,
    devices: list[DeviceStates] | None = None,
    dtype: torch.dtype = torch.complex64,
    method: str = "fresnel",
) -> DONN:
    """Layers of different devices on a grid that is not square, in evaluation mode."""
    return DONN(
        grid=Grid(SHAPE, pitch=(36e-6, 30e-6)),
        wavelength=532e-9,
        distances=[0.02, 0.03, 0.025, 0.04],
        devices=devices or [device(8), device(3, "V", seed=1), device(300, seed=2)],
        task=Classification(REGIONS.boxes, REGIONS.paired, measure, scale),  # pyright: ignore[reportArgumentType]
        image_shape=(7, 6),
        method=method,
        gain=gain,
        seed=3,
        dtype=dtype,
    ).eval()


@pytest.fixture
def dataset() -> ImageDataset:
    """Thirty images of noise in three classes."""
    generator = torch.Generator().manual_seed(5)
    images = torch.randint(0, 256, (30, 7, 6), generator=generator, dtype=torch.uint8)
    return ImageDataset(images, torch.arange(30) % 3, "noise", ("left", "right", "low"))


@pytest.fixture
def deployed(tmp_path: Path, dataset: ImageDataset) -> Path:
    """The folder of a small system with a test set."""
    return deploy(small_model(), tmp_path / "bench", dataset=dataset)


@pytest.fixture
def make() -> Callable[..., DONN]:
    """Builds a small model."""
    return small_model


@pytest.fixture
def make_device() -> Callable[..., DeviceStates]:
    """Builds a device."""
    return device


@pytest.fixture(scope="module")
def numpy_emulator() -> Any:
    """The example, imported as a file: it belongs to no package."""
    spec = importlib.util.spec_from_file_location("emulate", EMULATE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
