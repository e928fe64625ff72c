"""``optics.panel``: a network that a panel can show."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from voltphase.config import load_config, parse_config
from voltphase.config.panels import check_panel
from voltphase.core.errors import ConfigError
from voltphase.devices import DeviceStates, lcos, model
from voltphase.panels import load_profile
from voltphase.sweeps.runs import identity
from voltphase.training import train


def optics(**settings: Any) -> dict[str, Any]:
    return {"optics": {"panel": "santec-slm-200", **settings}}


def mine(*control: float) -> DeviceStates:
    return DeviceStates(np.array(control), np.ones(2), np.arange(2.0), "mine")


def test_a_panel_settles_the_pitch() -> None:
    assert parse_config(optics()).optics.pitch == 8e-6
    assert parse_config(optics(panel_pixels=3)).optics.pitch == 2.4e-05
    assert parse_config(optics(panel_pixels=3, pitch=2.4e-05)).optics.pitch == 2.4e-05
    assert parse_config({}).optics.pitch == 36e-6


def test_what_is_written_is_read() -> None:
    config = parse_config(optics(panel_pixels=3))
    assert parse_config(config.model_dump()) == config
    assert load_config("digits", ["optics.panel=santec-slm-200"]).optics.pitch == 8e-6


def test_a_profile_of_ones_own_lies_beside_the_configuration(tmp_path: Path) -> None:
    (tmp_path / "ours.yaml").write_text("like: holoeye-pluto-2\nname: ours\npitch: 9e-6\n")
    (tmp_path / "run.yaml").write_text("preset: digits\noptics: {panel: ours.yaml, panel_pixels: 2}\n")
    config = load_config(tmp_path / "run.yaml")
    assert (config.optics.panel, config.optics.pitch) == (str(tmp_path / "ours.yaml"), 1.8e-5)
    (tmp_path / "ours.yaml").unlink()
    assert parse_config(config.model_dump()) == config  # of a finished run, which needs nothing but its folder
    with pytest.raises(ConfigError, match=r"^optics\.panel: cannot read .*ours\.yaml: no such file"):
        check_panel(config.optics, [])


def test_a_run_is_the_same_whatever_settled_its_pitch() -> None:
    panel, pitch = parse_config(optics(panel_pixels=2)), parse_config({"optics": {"pitch": 16e-6}})
    assert identity(panel, []) == identity(pitch, []) != identity(parse_config({}), [])


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"panel": "santec-slm200"}, r"optics\.panel: santec-slm200 is neither .* \(did you mean santec-slm-200\?\)"),
        (
            {"panel": None, "panel_pixels": 2},
            r"expected optics\.panel beside optics\.panel_pixels 2, but there is none",
        ),
        ({"panel_pixels": 0}, r"expected optics\.panel_pixels to be a whole number from 1 to 8192, but got 0"),
        ({"panel_pixels": "two"}, r"expected optics\.panel_pixels to be a whole number"),
        ({"panel": 3}, r"expected optics\.panel to be a text, or null, but got 3"),
    ],
)
def test_what_is_no_panel_is_a_sentence(settings: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        parse_config(optics(**settings))


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        (
            {"pitch": 36e-6},
            "optics.pitch 8e-06 of the layers, 1 pixel of santec-slm-200 of 8 µm, but got 3.6e-05: leave",
        ),
        ({"pitch": [8e-6, 8e-6, 9e-6, 8e-6], "depth": 2}, "but got 9e-06"),
        ({"size": 1201}, r"at most \[1200, 1920\] or that turned, .* 1200 x 1920 of them, but got \[1201, 1201\]"),
        ({"size": [100, 1921]}, r"at most \[1200, 1920\] or that turned, .* but got \[100, 1921\]"),
        (
            {"size": 401, "panel_pixels": 3},
            r"at most \[400, 640\] or that turned, with 3 pixels of santec-slm-200 .* but got \[401, 401\]",
        ),
    ],
)
def test_layers_that_the_panel_cannot_show_are_refused(settings: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        check_panel(parse_config(optics(**settings)).optics, [lcos()])


def test_source_and_detector_are_no_panels() -> None:
    planes = {"pitch": [36e-6, 8e-6, 8e-6, 5e-6], "size": [64, 1200, 900, 2000], "depth": 2}
    check_panel(parse_config(optics(**planes)).optics, [lcos(), lcos(1024)])
    check_panel(parse_config({}).optics, [model("printed")])


@pytest.mark.parametrize(
    ("panel", "device", "sentence"),
    [
        (
            "santec-slm-200",
            model("printed", 4),
            "grey levels for santec-slm-200, but those of printed are in m: measure",
        ),
        ("holoeye-luna", lcos(1024), "whole control values from 0 to 255 for holoeye-luna, but lcos has 256"),
        ("holoeye-luna", mine(0, 1.5), "but mine has 1.5"),
        ("holoeye-luna", mine(-1, 1), "but mine has -1"),
    ],
)
def test_a_device_whose_control_values_are_no_grey_levels_is_refused(
    panel: str, device: DeviceStates, sentence: str
) -> None:
    with pytest.raises(ConfigError, match=sentence):
        check_panel(parse_config(optics(panel=panel)).optics, [device])


@pytest.mark.parametrize(
    ("panel", "device"),
    [("ti-dlp6500", model("dmd")), ("ti-plm-p47", model("ti-plm")), ("santec-slm-200", lcos(1024))],
)
def test_devices_of_grey_levels_are_shown(panel: str, device: DeviceStates) -> None:
    load_profile(panel).require_control(device.control, device.control_unit, device.name)


def test_training_begins_only_if_the_panel_can_show_what_is_trained(tmp_path: Path) -> None:
    config = parse_config(optics(size=1300))
    with pytest.raises(ConfigError, match=r"at most \[1200, 1920\]"):
        train(config, tmp_path / "run")
    assert not (tmp_path / "run").exists()
