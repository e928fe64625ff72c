"""Texas Instruments' phase light modulator, from training to the electrodes and back."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from ti_plm import PLM

from voltphase import deploy, train, verify
from voltphase.config import load_config
from voltphase.deployment import Panel

SETTINGS = [
    *("optics.panel=ti-plm-p67", "optics.panel_pixels=2", "optics.size=40", "optics.depth=2"),
    *("device.model=ti-plm", "device.levels=null", "device.parameters.design_wavelength=633e-9"),
    *("training.epochs=2", "training.batch_size=50", "data.train_limit=500", "data.test_limit=100"),
]


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A design trained for a modulator that is made for red light, in its files."""
    folder = tmp_path_factory.mktemp("plm")
    train(load_config("digits", SETTINGS), out=folder / "run", progress=False)
    deploy(folder / "run", folder / "bench", target=Panel("ti-plm-p67"))
    return folder / "bench"


def test_what_is_trained_is_verified_from_the_electrodes(bench: Path) -> None:
    result = verify(bench)
    assert result.passed
    assert result.predictions_equal == result.images == 100
    assert result.accuracy > 0.5  # of ten classes


def test_the_electrodes_are_those_of_the_makers_library(bench: Path) -> None:
    library = PLM.from_db("p67")
    for number in (1, 2):
        levels = np.load(bench / f"layer-{number}-levels.npy")
        assert levels.shape == (40, 40)
        frame = np.zeros((800, 1280), dtype=int)
        top, left = (800 - 80) // 2, (1280 - 80) // 2  # in the middle
        frame[top : top + 80, left : left + 80] = levels.repeat(2, 0).repeat(2, 1)
        picture = np.asarray(Image.open(bench / f"layer-{number}.bmp"))
        np.testing.assert_array_equal(picture, library.electrode_map(frame) * 255)


def test_all_of_the_uneven_heights_are_used(bench: Path) -> None:
    assert len(np.unique([np.load(bench / f"layer-{number}-levels.npy") for number in (1, 2)])) == 16
