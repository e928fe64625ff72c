"""The wavelength that a device was measured or computed for: kept with it, and compared with that of the light."""

from __future__ import annotations

import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import voltphase as vp
from voltphase.cli import app
from voltphase.core.errors import DeviceError, VoltphaseWarning
from voltphase.devices import DevicePanel, DeviceStates, DeviceWarning, dmd, load, load_table, tn_slm
from voltphase.devices.summary import warn_of

TABLE = "control,amplitude,phase\n0,0.9,0\n1,0.8,2\n2,0.7,6\n"


def measured(path: Path, comment: str = "") -> Path:
    path.write_text(f"{comment}\n{TABLE}", encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("text", "wavelength"),
    [
        ("532e-9", 532e-9),
        ("532 nm", 532e-9),
        ("632,8nm", 632.8e-9),
        ("1.55 µm", 1.55e-6),
        ("1.55um", 1.55e-6),
        ("0.75 mm", 0.75e-3),
    ],
)
def test_a_table_says_its_wavelength_in_metres_or_with_a_unit(tmp_path: Path, text: str, wavelength: float) -> None:
    states = load_table(measured(tmp_path / "slm.csv", f"# Wavelength: {text}"))
    assert states.wavelength == wavelength
    assert states.digest == load_table(measured(tmp_path / "plain.csv")).digest
    states.save(tmp_path / "again.csv")
    assert load_table(tmp_path / "again.csv").wavelength == wavelength
    assert states.pick(2).wavelength == wavelength


@pytest.mark.parametrize("text", ["532", "HeNe", "0 nm", "nan", "1 km"])
def test_what_is_no_wavelength_is_left_out_with_a_warning(tmp_path: Path, text: str) -> None:
    with pytest.warns(VoltphaseWarning, match=f"'# wavelength: {text}', which is left out"):
        assert load_table(measured(tmp_path / "slm.csv", f"# wavelength: {text}")).wavelength is None


def test_two_files_say_it_too(tmp_path: Path) -> None:
    (tmp_path / "a-phase.csv").write_text("# wavelength: 633 nm\n0,1,0\n1,1,1\n")
    (tmp_path / "a-amplitude.csv").write_text("0,1,1\n1,0.25,0.5\n")
    assert load_table(tmp_path / "a").wavelength == 633e-9


def test_calibrate_notes_it(tmp_path: Path) -> None:
    words = ["device", "calibrate", measured(tmp_path / "slm.csv"), "--out", tmp_path / "out.csv", "--wavelength"]
    done = CliRunner().invoke(app, [*map(str, words), "532e-9"])
    assert done.exit_code == 0
    assert ", at 532 nm" in done.output
    assert load_table(tmp_path / "out.csv").wavelength == 532e-9
    refused = CliRunner().invoke(app, [*map(str, words), "532", "--overwrite"])
    assert refused.exit_code == 2
    assert "532 nm is 5.32e-07" in refused.stderr


def test_a_wavelength_is_one_that_light_has() -> None:
    with pytest.raises(DeviceError, match=r"532 nm is 5\.32e-07"):
        replace(dmd(), wavelength=532)


def test_a_panel_is_for_the_one_wavelength_of_its_tables(tmp_path: Path) -> None:
    tables = tuple(replace(tn_slm(4), wavelength=wavelength) for wavelength in (None, 532e-9, 532.1e-9))
    panel = DevicePanel(tables, np.array([[0, 1, 2]]))
    assert panel.wavelength == 532e-9
    panel.save(tmp_path / "panel")
    again = load(tmp_path / "panel").pick(2)
    assert again.wavelength == 532e-9
    assert again.regions is not None
    with pytest.raises(DeviceError, match=r"for one wavelength, but one is for 532 nm and table 1 .* for 633 nm"):
        DevicePanel((tn_slm(4), replace(tn_slm(4), wavelength=633e-9)), np.array([[0, 1]]))


def said(device: DeviceStates, wavelength: float) -> list[str]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return [text for text in warn_of(device, wavelength) if "wavelength" in text]


def test_states_for_another_wavelength_are_warned_of_with_the_phase_they_are_off() -> None:
    states = replace(tn_slm(64), wavelength=633e-9)
    stroke = np.ptp(states.phase)
    (text,) = said(states, 532e-9)
    assert "633 nm" in text
    assert "532 nm" in text
    assert f"up to {stroke * (633 / 532 - 1):.2g} rad off" in text
    # Nobody tunes a laser to the last digit, and mirrors have no phase.
    assert said(states, 633e-9 * (1 + 0.04 / stroke)) == []
    assert said(replace(states, wavelength=None), 532e-9) == []
    assert said(replace(dmd(), wavelength=633e-9), 532e-9) == []


def test_a_network_says_it() -> None:
    with pytest.warns(DeviceWarning, match="532 nm.* 633 nm"):
        vp.DONN(grid=vp.Grid(32, 36e-6), wavelength=633e-9, distances=0.05, devices=[tn_slm(4)])
