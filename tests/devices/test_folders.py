"""Several devices in one folder, from Python and from the command line."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from voltphase.cli import app
from voltphase.core.errors import DeviceError
from voltphase.devices import lcos, load_folder, read_folder, tn_slm

LONG = "a-device-with-[red]-a-name-not-to-be-cut-however-narrow-the-terminal-may-be-that-it-is-listed-in"


def filled(folder: Path) -> Path:
    tn_slm(8).save(folder / "slm-8.csv")
    tn_slm(4).save(folder / "slm-4.csv")
    lcos(4).save(folder / "one-phase.csv")
    (folder / "pair-phase.csv").write_text("0,7,0\n1,8,1.5\n2,9,3\n")
    (folder / "pair-intensity.csv").write_text("0,100,1\n1,50,0.5\n2,25,0.25\n")
    lcos(2).save(folder / f"{LONG}.csv")
    (folder / "notes.txt").write_text("about the bench")
    (folder / ".hidden.csv").write_text("no table")
    (folder / "old").mkdir()
    (folder / "old" / "bad.csv").write_text("no table")
    return folder


def test_every_device_is_found_by_the_name_of_its_files(tmp_path: Path):
    devices = load_folder(str(filled(tmp_path)))
    assert list(devices) == [LONG, "one-phase", "pair", "slm-4", "slm-8"]
    assert [len(states) for states in devices.values()] == [2, 4, 3, 4, 8]
    # The name within the table may be shared.
    assert devices["slm-4"].name == devices["slm-8"].name == "tn-slm"
    assert devices["pair"].amplitude.tolist() == [1, 0.5**0.5, 0.5]
    assert devices["slm-8"].digest == tn_slm(8).digest


def test_folders_that_cannot_be_read(tmp_path: Path):
    with pytest.raises(DeviceError, match=r"expected a folder of device tables, but \S+none is not there"):
        load_folder(tmp_path / "none")
    with pytest.raises(DeviceError, match=r"expected device tables in the folder \S+, but there is no file NAME\.csv"):
        load_folder(tmp_path)
    filled(tmp_path)
    with pytest.raises(DeviceError, match=r"but \S+notes\.txt is a file"):
        load_folder(tmp_path / "notes.txt")
    tn_slm(4).save(tmp_path / "pair.csv")
    with pytest.raises(DeviceError, match=r"pair-intensity\.csv|pair-phase\.csv") as error:
        load_folder(tmp_path)
    assert "expected one device of the name pair" in str(error.value)
    (tmp_path / "pair.csv").write_text("level,control,amplitude,phase\n0,0,1,0\n1,1,x,0\n")
    (tmp_path / "pair-phase.csv").unlink()
    with pytest.raises(DeviceError, match=r"2 of 6 are not \(pair, pair-intensity\); the first: \S+pair\.csv:3"):
        load_folder(tmp_path)
    assert "expected pair-phase.csv beside" in str(read_folder(tmp_path)[1]["pair-intensity"])
    (tmp_path / "pair-intensity.csv").unlink()
    with pytest.raises(DeviceError, match=r"pair\.csv:3: expected a number as amplitude, but got 'x'"):
        load_folder(tmp_path)


def run(*words: str | Path) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, ["device", *map(str, words)], terminal_width=100)
    return result.exit_code, result.stdout, result.stderr


def test_the_devices_of_a_folder_are_listed(tmp_path: Path):
    code, out, _ = run("list", filled(tmp_path))
    assert code == 0
    lines = {line.split()[0]: line.split() for line in out.splitlines() if line.split()}
    assert lines["pair"] == ["pair", "3", "0.500", "to", "1.000", "0.955", "-", "0", "to", "2", "grey", "level"]
    assert {"slm-8", LONG} <= set(lines)
    assert "note: pair: The phase stroke is 3.00 rad" in out


def bad_ones(folder: Path) -> dict[str, str]:
    """Writes tables that cannot be used; by their names, what is said of each."""
    (folder / "letters.csv").write_text("level,control,amplitude,phase\n0,0,1,0\n1,1,x,0\n")
    (folder / "empty.csv").write_text("")
    (folder / "binary.csv").write_bytes(bytes(range(256)))
    (folder / "half-phase.csv").write_text("0,7,0\n1,8,1.5\n")
    (folder / "binary-phase.csv").write_bytes(bytes(range(256)))
    (folder / "gone.csv").symlink_to(folder / "nowhere.csv")
    (folder / "gone-phase.csv").symlink_to(folder / "nowhere.csv")
    (folder / "twice.csv").write_text("level,control,amplitude,phase\n0,0,1,0\n1,1,1,3\n")
    (folder / "twice-phase.csv").write_text("0,7,0\n1,8,1.5\n2,9,3\n")
    (folder / "twice-amplitude.csv").write_text("0,100,1\n1,50,0.5\n2,25,0.25\n")
    (folder / "[red] sheet.CSV").write_bytes(b"PK\x03\x04")
    return {
        "letters": "letters.csv:3: expected a number as amplitude, but got 'x'",
        "empty": "there is nothing in it",
        "binary": "is binary",
        "half-phase": "expected half-intensity.csv or half-amplitude.csv beside",
        "binary-phase": "is binary",
        "gone": "no such file",
        "gone-phase": "no such file",
        "twice": "expected one device of the name twice",
        "[red] sheet": "is a spreadsheet",
    }


def test_bad_files_do_not_spoil_a_folder(tmp_path: Path):
    bad = bad_ones(filled(tmp_path))
    devices, errors = read_folder(tmp_path)
    assert list(devices) == [LONG, "one-phase", "pair", "slm-4", "slm-8"]
    assert errors.keys() == bad.keys()
    code, out, err = run("list", tmp_path)
    assert (code, err) == (0, "")
    assert {"pair", "slm-8", LONG} <= {line.split()[0] for line in out.splitlines()}
    for name, said in bad.items():
        assert said in str(errors[name])
        assert [line for line in out.splitlines() if line.startswith(f"{name}  cannot be used: ") and said in line]


def test_a_folder_of_bad_files_alone_is_an_error(tmp_path: Path):
    bad = bad_ones(tmp_path)
    code, out, err = run("list", tmp_path)
    assert code == 2
    assert len(out.splitlines()) == len(bad)
    assert err.startswith("error: expected a device table in the folder")
    assert err.count("\n") == 1


def test_a_folder_without_devices_is_an_error(tmp_path: Path):
    code, _, err = run("list", tmp_path)
    assert code == 2
    assert err.startswith("error: expected device tables in the folder")


def test_spreads_are_shown(tmp_path: Path):
    (tmp_path / "slm.csv").write_text("level,control,amplitude,phase,repeat\n0,0,0.9,0,0\n0,0,1.1,0,1\n1,9,1,4,0\n")
    code, out, _ = run("show", tmp_path / "slm.csv")
    assert code == 0
    rows = [line.split() for line in out.splitlines()]
    assert ["0", "0", "1.0000", "0.0000", "0.000", "0.1414"] in rows
    assert ["1", "9", "1.0000", "4.0000", "1.273"] in rows
    assert "0.1414" in run("list", tmp_path)[1]
