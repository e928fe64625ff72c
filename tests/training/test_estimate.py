"""What is said of a system before it is trained."""

from __future__ import annotations

import warnings
from pathlib import Path

import pytest
import torch
from torch import Tensor

from voltphase.config import load_config
from voltphase.core.errors import TrainingError
from voltphase.network.donn import DONN
from voltphase.tasks import RegionReadout
from voltphase.training import build_devices, train
from voltphase.training.advice.estimate import SystemWarning, check_training, shares
from voltphase.training.build import build_model


@pytest.fixture
def images() -> Tensor:
    return torch.randint(1, 256, (5, 8, 8), dtype=torch.uint8)


def build(*overrides: str, preset: str = "digits") -> DONN:
    config = load_config(preset, ["data.name=digits", *overrides])
    return build_model(config, build_devices(config), (8, 8))


@pytest.mark.parametrize("preset", ["digits", "mnist-small", "fashion-small"])
@pytest.mark.parametrize("depth", [1, 5])
def test_nothing_is_said_of_the_presets(preset: str, depth: int, images: Tensor) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_training(build(f"optics.depth={depth}", preset=preset), images, 100)


def test_the_light_that_arrives_is_what_the_fields_say(images: Tensor) -> None:
    model = build("optics.depth=2", "codesign.gain=3", "optics.size=32", "optics.distances=0.05")
    state = {key: value.clone() for key, value in model.state_dict().items()}
    *planes, detector, regions = shares(model, images)
    # Gain is of the emulation alone, light is lost from plane to plane, and regions do not cover the detector.
    assert 1 > planes[0] > planes[1] > detector > regions > 0
    field = model.source(images)
    power = field.abs().square().sum()
    for propagate, layer in zip(model.propagators, model.layers, strict=False):
        field = propagate(field) * layer.states_at(layer.levels())
    arrived = model.propagators[-1](field).abs().square()
    boxes = torch.zeros_like(arrived[0], dtype=torch.bool)
    assert isinstance(model.readout, RegionReadout)
    for row, column, height, width in model.readout.regions.boxes:
        boxes[row : row + height, column : column + width] = True
    assert detector == pytest.approx(float(arrived.sum() / power), rel=1e-4)
    assert regions == pytest.approx(float(arrived[:, boxes].sum() / power), rel=1e-4)
    # Looking changes nothing of what is trained.
    assert model.training
    torch.testing.assert_close(dict(model.state_dict()), state, rtol=0, atol=0, equal_nan=True)


def test_planes_of_other_pitches_are_compared_by_area(images: Tensor) -> None:
    # The detector has half the pitch and as many samples again: it gets the same light, in four times as many samples.
    sizes, pitches = "[32,32,64]", "[36e-6,36e-6,18e-6]"
    coarse = shares(build("optics.depth=1", "optics.size=32"), images)
    fine = shares(build("optics.depth=1", f"optics.size={sizes}", f"optics.pitch={pitches}"), images)
    assert fine[1] == pytest.approx(coarse[1], rel=0.05)


def test_a_pitch_that_sends_light_anywhere_but_to_the_next_plane_is_said_with_figures(images: Tensor) -> None:
    model = build("optics.pitch=5e-7")
    with pytest.warns(
        SystemWarning, match=r"e-2\d % of the light .*500 nm send it 0\.121 m wide, .* is 32 µm: use a co"
    ):
        check_training(model, images, 100)


def test_layers_that_let_no_light_through_are_said(images: Tensor, tmp_path: Path) -> None:
    (tmp_path / "dark.csv").write_text("level,control,amplitude,phase\n0,0,0.05,0\n1,1,0.05,3.1\n")
    model = build(f"device.file={tmp_path / 'dark.csv'}", "device.levels=null")
    with pytest.warns(SystemWarning, match="lost in the layers or beside the regions: check the amplitudes"):
        check_training(model, images, 100)


def test_light_that_does_not_spread_is_said_with_figures(images: Tensor) -> None:
    with pytest.warns(
        SystemWarning, match=r"spreads by 44\.\d µm to either side on its whole way, .* are 2\.3 mm wide"
    ):
        check_training(build("optics.distances=0.001"), images, 100)


def test_light_that_is_not_finite_is_an_error_before_training(images: Tensor) -> None:
    model = build("optics.size=32", "optics.distances=0.05")
    model.layers[0].pixels.values.fill_(float("nan"))
    with pytest.raises(TrainingError, match="expected finite light on the detector"):
        check_training(model, images, 100)


def test_images_that_are_all_black_say_nothing_of_the_system(images: Tensor) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_training(build("optics.size=32", "optics.distances=0.05"), torch.zeros_like(images), 100)


def test_training_says_it_before_it_begins(tmp_path: Path) -> None:
    few = ["data.train_limit=20", "data.test_limit=20", "training.epochs=1", "optics.size=16"]
    with pytest.warns(SystemWarning, match="of the light reaches"):
        train(load_config("digits", [*few, "optics.pitch=2e-6"]), tmp_path / "run")
