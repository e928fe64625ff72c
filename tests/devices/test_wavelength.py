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
from voltphase.devices import (
    DevicePanel,
    DeviceSpectrum,
    DeviceStates,
    DeviceWarning,
    dmd,
    load,
    load_table,
    read_folder,
    tn_slm,
)
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


BOTH = """\
wavelength (nm),level,voltage (V),amplitude,phase
633,0,0,0.96,0
532,0,0,0.95,0
532,1,1.1,0.88,1.24
633,1,1.1,0.9,1.02
532,2,2.3,0.97,3.1
633,2,2.3,0.96,2.55
"""
SHORT = "# wavelength: 532 nm\nvoltage (V),amplitude,phase\n0,0.95,0\n1.1,0.88,1.24\n2.3,0.97,3.1\n"
LONG = "# wavelength: 633e-9\nvoltage (V),amplitude,phase\n0,0.96,0\n1.1,0.9,1.02\n2.3,0.96,2.55\n"


@pytest.fixture
def both(tmp_path: Path) -> tuple[Path, Path]:
    """A device at two wavelengths, as one table and as a folder of two."""
    (tmp_path / "slm.csv").write_text(BOTH)
    (tmp_path / "slm").mkdir()
    (tmp_path / "slm" / "green.csv").write_text(SHORT)
    (tmp_path / "slm" / "red.csv").write_text(LONG)
    return tmp_path / "slm.csv", tmp_path / "slm"


def test_one_table_of_several_wavelengths_is_what_a_folder_of_them_is(both: tuple[Path, Path]) -> None:
    table, folder = map(load, both)
    assert isinstance(table, DeviceSpectrum)
    assert table.wavelengths == (532e-9, 633e-9)
    assert table.digest == folder.digest
    # In metres, without levels, and with rows in other orders at each wavelength it is the same.
    file = both[0]
    file.write_text(
        "wavelength,voltage (V),amplitude,phase\n5.32e-7,0,.95,0\n5.32e-7,1.1,.88,1.24\n6.33e-7,2.3,.96,2.55\n"
    )
    with file.open("a") as stream:
        stream.write("6.33e-7,1.1,.9,1.02\n6.33e-7,0,.96,0\n5.32e-7,2.3,.97,3.1\n")
    assert load(file).digest == folder.digest
    # Of a single wavelength a column is as good as a comment.
    file.write_text("".join(line for line in BOTH.splitlines(keepends=True) if not line.startswith("633")))
    assert load_table(file).wavelength == 532e-9


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        (
            "633,2,2.3,0.96,2.55\n",
            "",
            r":6: expected each level at all wavelengths, but 2 is here at 532 nm and nowhere",
        ),
        ("633,2,2.3", "633,2,2.4", r":7: .* level 2 .* got 2.4 here at 633 nm and 2.3 on line 6 at 532 nm"),
        ("532,2,2.3,0.97,3.1\n633,2", "532,1,2.3,0.97,3.1\n633,1", r":6: expected each level once, but 1 is on line 4"),
        ("(nm)", "", r":2: expected a wavelength from 1 nm to 1 cm, but got 633 m as wavelength.*'wavelength \(nm\)'"),
        ("(nm)", "(Å)", r":1: expected wavelengths in nm, um, .* but got 'wavelength \(Å\)'"),
        ("wavelength (nm)", "# wavelength: 532 nm\nwavelength (nm)", r"there are both, 532 nm, 633 nm and 532 nm"),
    ],
)
def test_levels_that_differ_between_wavelengths_are_named_with_their_line(
    both: tuple[Path, Path], before: str, after: str, said: str
) -> None:
    assert before in BOTH
    both[0].write_text(BOTH.replace(before, after), encoding="utf-8")
    with pytest.raises(DeviceError, match=said):
        load(both[0])


def test_without_levels_control_values_have_to_be_the_same(both: tuple[Path, Path]) -> None:
    both[0].write_text("wavelength (nm),control,amplitude,phase\n532,0,1,0\n532,1,1,1\n633,0,1,0\n633,2,1,1\n")
    with pytest.raises(
        DeviceError, match=r":3: expected each control value .* but 1 is here at 532 nm and nowhere at 633 nm"
    ):
        load(both[0])


def test_every_wavelength_is_told_of(both: tuple[Path, Path]) -> None:
    for path in both:
        told = CliRunner().invoke(app, ["device", "check", str(path)])
        assert told.exit_code == 0
        head, *lines = told.output.splitlines()
        assert head.endswith("is fine: a device at 2 wavelengths, 532 nm and 633 nm")
        told_of = [line.rpartition(", ")[2] for line in lines if not line.startswith("note: ")]
        assert told_of == ["at 532 nm", "at 633 nm"]
        picture = path.parent / "states.svg"
        shown = CliRunner().invoke(app, ["device", "show", str(path), "--out", str(picture)])
        assert shown.exit_code == 0
        assert [line.rpartition(", ")[2] for line in shown.output.splitlines() if ", at " in line] == [
            "at 532 nm",
            "at 633 nm",
        ]
    names, _ = read_folder(both[0].parent)
    assert list(names) == ["slm at 532 nm", "slm at 633 nm"]
    with pytest.raises(DeviceError, match=r"at one wavelength, but .* has 532 nm, 633 nm"):
        load_table(both[0])
    converted = both[0].parent / "red.csv"
    words = ["device", "calibrate", str(both[0]), "--wavelength", "633e-9", "--out", str(converted)]
    assert CliRunner().invoke(app, words).exit_code == 0
    assert load_table(converted).digest == load_table(both[1] / "red.csv").digest
