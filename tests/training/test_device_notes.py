"""What looks wrong in a device's table is said before training, once, and stays with the run."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from io import StringIO
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

import voltphase as vp
from voltphase.config import Config
from voltphase.core.errors import DeviceError
from voltphase.devices import DeviceStates, DeviceWarning, tn_slm
from voltphase.reporting.charts import favoured_levels, share
from voltphase.tasks import Classification
from voltphase.training import build_devices, train
from voltphase.training.advice.device_notes import note_devices, show_choice

Make = Callable[..., Config]


def scaled(path: Path, factor: float) -> Path:
    states = tn_slm(64)
    DeviceStates(states.control, factor * states.amplitude, states.phase, "bright").save(path)
    return path


def messages(caught: list[warnings.WarningMessage]) -> list[str]:
    return [str(one.message) for one in caught if issubclass(one.category, DeviceWarning)]


def test_a_table_of_something_else_is_one_warning_of_training_and_stays_in_the_summary(tmp_path: Path, tiny: Make):
    config = tiny(f"device.file={scaled(tmp_path / 'bright.csv', 101.0)}", "training.epochs=1")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        summary = train(config, tmp_path / "run")
    (message,) = messages(caught)
    assert {one.filename for one in caught if issubclass(one.category, DeviceWarning)} == {__file__}
    assert message.startswith("device bright: The largest amplitude is 101, above 1")
    assert [about["notes"] for about in summary["devices"]] == [[message]] * 2


def test_in_python_a_network_says_it_once_however_many_layers(tmp_path: Path):
    device = vp.devices.load(scaled(tmp_path / "bright.csv", 3.0)).pick(4)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        vp.DONN(
            grid=vp.Grid(32, 36e-6),
            wavelength=532e-9,
            distances=0.05,
            devices=[device] * 3,
            task=Classification(differential=False),
        )
    assert len(messages(caught)) == 1
    assert caught[0].filename == __file__


def test_what_is_left_unused_and_what_another_choice_would_be_is_said(tiny: Make):
    text = StringIO()
    show_choice(tiny("device.pick=even"), Console(file=text, width=200))
    first, even, spread, every = text.getvalue().splitlines()
    assert "4 of its 256 states; the other 252 are not used" in first
    assert even.startswith("  device.pick=even, as here: nearest two")
    assert spread.startswith("  device.pick=spread: nearest two")
    assert every.startswith("  device.levels=null, all 256: nearest two")


@pytest.mark.parametrize(
    "settings", [["device.levels=null"], ["device.model=printed"], ["device.model=dmd", "device.levels=2"]]
)
def test_where_every_state_is_used_nothing_is_said(tiny: Make, settings: list[str]):
    text = StringIO()
    with warnings.catch_warnings():
        warnings.simplefilter("error", DeviceWarning)
        note_devices(tiny(*settings))
        show_choice(tiny(*settings), Console(file=text, width=200))
    assert text.getvalue() == ""


def test_four_printed_levels_are_quarter_turns_of_the_material_named(tiny: Make):
    (states, _) = build_devices(tiny("device.model=printed", "device.parameters.index=1.6"))
    assert isinstance(states, DeviceStates)
    np.testing.assert_allclose(states.phase, [0, np.pi / 2, np.pi, 3 * np.pi / 2])
    assert states.control[1] == pytest.approx(532e-9 / 0.6 / 4)


def test_picked_states_that_nearly_coincide_and_a_model_of_another_wavelength_are_warned_of(tiny: Make):
    with pytest.warns(DeviceWarning, match="4 states picked by even: Levels 0 and 3 lie 0.025 apart"):
        note_devices(tiny("device.model=lcos", "device.pick=even"))
    with pytest.warns(DeviceWarning, match=r"1\.55 µm.* 532 nm.* up to \d.* rad off"):
        note_devices(tiny("device.model=phase-change", "device.parameters.wavelength=1550e-9"))


def test_of_a_device_at_several_wavelengths_it_is_said_at_which_a_note_holds(tiny: Make, tmp_path: Path):
    rows = ["wavelength (nm),level,control,amplitude,phase"]
    rows += [
        f"{at},{level},{level},1,{level * turn}" for at, turn in ((532, np.pi / 2), (633, 1.3)) for level in range(5)
    ]
    (tmp_path / "slm.csv").write_text("\n".join(rows))
    given = [f"device.file={tmp_path / 'slm.csv'}", "device.levels=3", "optics.wavelength=[532e-9, 633e-9]"]
    with pytest.warns(DeviceWarning, match="^device slm at 532 nm: 1 of 5 states repeat another state's") as caught:
        note_devices(tiny(*given))
    assert len(caught) == 1
    text = StringIO()
    show_choice(tiny(*given), Console(file=text, width=200))
    assert all(line.endswith(" rad at 532 nm") for line in text.getvalue().splitlines()[1:])


def test_a_parameter_of_a_model_that_does_not_fit_is_named_by_its_key(tiny: Make):
    with pytest.raises(DeviceError, match=r"^device\.parameters\.thickness: .*12"):
        build_devices(tiny("device.parameters.thickness=12"))


def test_a_level_that_noise_favoured_is_named_in_the_report_and_an_end_of_the_curve_is_not():
    device = tn_slm(256)
    levels = np.random.default_rng(0).integers(0, 256, (100, 100))
    levels[:30, :20], levels[50:60] = 170, 255
    (sentence,) = favoured_levels([levels], [device])
    assert sentence.startswith("Level 170 of tn-slm has 6.3% of all pixels, where an even share is 0.39%")
    assert favoured_levels([levels % 8], [tn_slm(8)]) == []


def test_more_light_than_was_sent_in_is_no_percentage():
    assert share(2.5) == "2.5 times the source's"
    assert share(1.0) == "100%"
