"""Panels, borders and planes of different sizes, from a configuration to a run that needs nothing beside it."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from voltphase.config import Config
from voltphase.core.errors import ConfigError, DataError, DeviceError
from voltphase.devices import Device, DevicePanel, tn_slm
from voltphase.training import build_devices, build_model, load_run, train
from voltphase.training.weights import read_model, save_model

Make = Callable[..., Config]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A panel of 16 x 16 pixels, 16 states each, its right half another than its left, its upper edge inactive."""
    left = tn_slm().pick(16)
    right = replace(left, phase=0.9 * left.phase, name="right half", source="drifted")
    regions = np.zeros((16, 16), int)
    regions[:, 8:], regions[0] = 1, -1
    DevicePanel((left, right), regions, 0.1j, "two halves").save(tmp_path / "panel")
    return tmp_path / "panel"


def same(one: Device, other: Device) -> bool:
    words = [[(t.name, t.source, t.control_unit) for t in d.tables] for d in (one, other) if isinstance(d, DevicePanel)]
    return one.digest == other.digest and one.name == other.name and words[0] == words[1]


def test_a_run_holds_its_panel(folder: Path, tmp_path: Path, tiny: Make):
    panel = DevicePanel.load(folder).pick(4)
    summary = train(tiny(f"device.file={folder}", "training.epochs=1"), tmp_path / "run")
    shutil.rmtree(folder)
    model = load_run(tmp_path / "run")[0]
    for layer, about in zip(model.layers, summary["devices"], strict=True):
        assert same(layer.device_states, panel)
        assert about == {"name": "two halves", "levels": 4, "digest": panel.digest}
        expected = torch.tensor(panel.states_at(layer.levels().numpy()), dtype=torch.complex64)
        assert torch.equal(layer.modulation().detach(), expected)


def test_a_finished_run_of_a_panel_without_regions_is_left_as_it_is(tmp_path: Path, tiny: Make):
    panel = DevicePanel.uniform(tn_slm().pick(4), (16, 16))
    panel.save(tmp_path / "panel")
    config = tiny(f"device.file={tmp_path / 'panel'}", "training.epochs=1")
    summary = train(config, tmp_path / "run")
    assert summary["devices"][0]["digest"] == panel.digest
    assert train(config, tmp_path / "run", resume=True) == summary


def test_a_panel_that_was_altered_is_refused(folder: Path, tmp_path: Path, tiny: Make):
    config = tiny(f"device.file={folder}")
    model = build_model(config, build_devices(config), (8, 8))
    save_model(model, tmp_path / "model.safetensors")
    assert read_model(tmp_path / "model.safetensors").devices[0].digest == model.layers[0].device_states.digest
    content = (tmp_path / "model.safetensors").read_bytes()
    assert content.count(b'"inactive_value\\": [0.0, 0.1]') == 2
    (tmp_path / "model.safetensors").write_bytes(content.replace(b'\\": [0.0, 0.1]', b'\\": [0.0, 0.2]', 1))
    with pytest.raises(DataError, match="expected two halves to have the digest"):
        read_model(tmp_path / "model.safetensors")


def test_a_border_is_dark_and_as_wide_as_it_says(tiny: Make):
    wide, uneven = (
        build_devices(tiny(f"device.border={border}", "optics.size=[16, 16, 20, 16]"))
        for border in ("2", "[1, 2, 3, 4]")
    )
    for size, one, other in zip((16, 20), wide, uneven, strict=True):
        assert isinstance(one, DevicePanel)
        assert isinstance(other, DevicePanel)
        active = np.zeros((size, size), bool)
        active[2:-2, 2:-2] = True
        np.testing.assert_array_equal(one.inactive, ~active)
        active[:], active[1:-2, 3:-4] = False, True
        np.testing.assert_array_equal(other.inactive, ~active)
        assert one.inactive_value == other.inactive_value == 0
    (plain, _) = build_devices(tiny())
    assert not isinstance(plain, DevicePanel)


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        (
            ["device.file={folder}", "device.border=1"],
            ConfigError,
            "expected no device.border for {folder}, a panel whose map says which pixels are inactive, but got 1",
        ),
        (
            ["device.file={folder}", "optics.size=[16, 16, 20, 16]"],
            ConfigError,
            "expected a panel of 20 x 20 pixels as its plane has, but two halves has 16 x 16: change the size of the "
            "plane, or use another panel",
        ),
        (
            ["device.border=8"],
            DeviceError,
            "expected a border (top, bottom, left, right) that leaves some of 16 x 16 pixels active, but got "
            "(8, 8, 8, 8): make it narrower",
        ),
    ],
)
def test_devices_that_do_not_fit_their_plane(
    settings: list[str], error: type[Exception], message: str, folder: Path, tmp_path: Path, tiny: Make
):
    with pytest.raises(error) as caught:
        train(tiny(*(setting.format(folder=folder) for setting in settings)), tmp_path / "run")
    assert str(caught.value) == message.format(folder=folder)
    assert not (tmp_path / "run").exists()
