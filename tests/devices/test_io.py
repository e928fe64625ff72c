"""One-file tables: what is read, and what is said about those that cannot be."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from voltphase.core.errors import DeviceError
from voltphase.devices import DevicePanel, find, load, load_folder, load_table

HEADER = "level,control,amplitude,phase"
GOOD = f"{HEADER}\n0,0.5,1.0,0.0\n1,1.5,0.8,1.25\n2,2.5,0.9,3.5\n"


def written(folder: Path, text: str | bytes, name: str = "slm.csv") -> Path:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_a_plain_table(tmp_path: Path):
    states = load_table(str(written(tmp_path, GOOD)))
    assert states.control.tolist() == [0.5, 1.5, 2.5]
    assert states.amplitude.tolist() == [1.0, 0.8, 0.9]
    assert states.phase.tolist() == [0.0, 1.25, 3.5]
    assert (states.name, states.control_unit, states.source) == ("slm", "grey level", "slm.csv")


def test_columns_rows_comments_and_line_ends_in_any_order(tmp_path: Path):
    text = (
        "\ufeff# voltphase-device: 1\r\n#control_unit: V\r\n\r\nphase , Level,remark,amplitude,CONTROL\r\n"
        "1.25,1.0,b,0.8,1.5\r\n# name: my: slm\r\n3.5, 2,,9e-1,2.5\r\n,,,,\r\n0,0,a,1,0.5\r\n# source: bench 3\r\n"
    )
    states = load_table(written(tmp_path, text))
    assert states.digest == load_table(written(tmp_path, GOOD)).digest
    assert (states.name, states.control_unit, states.source) == ("my: slm", "V", "bench 3")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"expected a table of states in \S+slm\.csv, but there is nothing in it: write a row for each level"),
        ("# name: x\n\n", "there is nothing in it but comments"),
        (HEADER, r"expected at least two states in \S+slm\.csv, but got 0"),
        (f"{HEADER}\n0,1,1,1\n", r"expected at least two states in \S+slm\.csv, but got 1"),
        ("0,0,1,0\n1,1,1,1\n", r"slm\.csv:1: expected a header naming the columns level,control,amplitude,phase"),
        ("# a\nlevel,control,phase\n", r"slm\.csv:2: expected the columns .*, but amplitude is missing among level"),
        ("level,intensity\n0,1\n", "but control and phase are missing"),
        ("level;control;amplitude;phase\n", "expected at least two states"),
        (f"{HEADER},phase\n0,0,1,0,0\n1,1,1,1,1", r"slm\.csv:1: expected each column once, but phase comes twice"),
        (GOOD.replace("0.8", "nan"), r"slm\.csv:3: expected a finite number as amplitude, but got 'nan'"),
        (GOOD.replace("3.5", "-inf"), r"slm\.csv:4: expected a finite number as phase, but got '-inf'"),
        (GOOD.replace("0.8", "-0.8"), r"slm\.csv:3: expected an amplitude of at least zero, but got -0\.8"),
        (GOOD.replace("1.25", "1.2s"), r"slm\.csv:3: expected a number as phase, but got '1\.2s'"),
        (GOOD.replace("1.25", ""), r"slm\.csv:3: expected a number as phase, but got ''"),
        (GOOD.replace("1.25", "1_2"), r"slm\.csv:3: expected a number as phase, but got '1_2'"),
        (
            GOOD.replace("1.25", "1,25"),
            r"slm\.csv:3: expected 4 values \(level, control, amplitude, phase\), but got 5",
        ),
        (GOOD.replace("2,2.5", "1,2.5"), r"slm\.csv:4: expected each level once, but 1 is on line 3 already"),
        (GOOD.replace("2,2.5", "3,2.5"), r"slm\.csv:4: expected the 3 levels to be 0 to 2, but level 2 is missing"),
        (GOOD.replace("0,0.5", "-1,0.5"), r"slm\.csv:2: expected a level of 0, 1, 2, \.\.\., but got -1"),
        (GOOD.replace("2,2.5", "1.5,2.5"), r"slm\.csv:4: expected a level of 0, 1, 2, \.\.\., but got 1\.5"),
        (
            GOOD.replace("2,2.5", "2,1.5"),
            r"slm\.csv:4: expected each control value once, but 1\.5 is on line 3 already",
        ),
        (f"{HEADER}\n0,0,0,0\n1,1,0,1\n", r"expected some light, but every amplitude in \S+slm\.csv is zero"),
        (GOOD.replace("3.5", "-270"), r"slm\.csv:4: expected phases in radians, but -270 looks like degrees"),
        ("# voltphase-device: 2\n" + GOOD, "expected version 1 of the device format, but .* says '2'"),
        (b"\x89PNG\r\n\x1a\n\x00\x00", "is binary or in another encoding: save it as CSV in UTF-8"),
        (b"level,control\x00", "is binary or in another encoding"),
    ],
)
def test_what_is_wrong_is_said_and_where(tmp_path: Path, text, message):
    with pytest.raises(DeviceError, match=message) as error:
        load_table(written(tmp_path, text))
    assert "\n" not in str(error.value)


def test_radians_beyond_fifty_are_read_when_the_file_vouches_for_them(tmp_path: Path):
    assert load_table(written(tmp_path, "# phase_unit: rad\n" + GOOD.replace("3.5", "350"))).phase[2] == 350


def test_a_missing_file_and_the_one_that_was_meant(tmp_path: Path):
    written(tmp_path, GOOD, "holoeye.csv")
    with pytest.raises(DeviceError, match=r"there is no such file: did you mean holoeye\.csv\?"):
        load_table(tmp_path / "holoye.csv")
    with pytest.raises(DeviceError, match=r"there is no such file: did you mean holoeye\.csv\?"):
        load_table(tmp_path / "holoeye")
    with pytest.raises(DeviceError, match="there is no such file: check the path"):
        load_table(tmp_path / "zzz.csv")
    with pytest.raises(DeviceError, match=r"there is no folder \S+nowhere: check the path"):
        load_table(tmp_path / "nowhere" / "slm.csv")


@pytest.mark.skipif(os.geteuid() == 0, reason="permissions do not bind root")
def test_a_file_that_may_not_be_read(tmp_path: Path):
    path = written(tmp_path, GOOD)
    path.chmod(0)
    with pytest.raises(DeviceError, match=r"cannot (?:read|use the path) \S+slm\.csv: permission denied"):
        load_table(path)
    path.chmod(0o600)
    tmp_path.chmod(0o600)
    for read in (load, load_table, find, load_folder, DevicePanel.is_at):
        with pytest.raises(DeviceError, match=r"cannot (?:read|use the path) \S+slm\.csv\S*: permission denied"):
            read(path)
    tmp_path.chmod(0o700)


@pytest.mark.parametrize(
    "read",
    [load, load_table, find, load_folder, DevicePanel.is_at, DevicePanel.load],
    ids=lambda read: read.__qualname__,
)
def test_paths_that_cannot_be(tmp_path: Path, read):
    with pytest.raises(DeviceError, match=r"^expected a path, but there is no home folder for ~nobody-has-this/slm"):
        read("~nobody-has-this/slm.csv")
    with pytest.raises(DeviceError, match=r"^cannot use the path .*: file name too long"):
        read(tmp_path / ("x" * 300))


def test_a_folder_without_a_pair(tmp_path: Path):
    with pytest.raises(DeviceError, match=r"but there is none: name a table of states"):
        load_table(tmp_path)
    written(tmp_path, GOOD)
    with pytest.raises(DeviceError, match=r"but there is none: name a file in it, one of slm\.csv"):
        load_table(tmp_path)


def test_a_one_file_table_may_be_called_what_half_of_a_pair_is_called(tmp_path: Path):
    assert len(load_table(written(tmp_path, GOOD, "slm-phase.csv"))) == 3


def test_a_file_that_is_no_table_is_said_to_be_none(tmp_path: Path):
    for text in ("preset: digits\noptics: {size: 64}\n", "<html>\n<body>\n", '{"a": "b",\n "c": "d"}\n'):
        (tmp_path / "wrong.csv").write_text(text)
        with pytest.raises(DeviceError, match=r"expected a device table, a row of numbers for each level, but .*wrong"):
            load(tmp_path / "wrong.csv")
