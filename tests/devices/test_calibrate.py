"""voltphase device calibrate: readings from elsewhere into a table of states, and what it says of them."""

from __future__ import annotations

import io
import math
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from voltphase.cli import app
from voltphase.core.errors import DeviceError
from voltphase.devices import DeviceStates, load_table
from voltphase.devices.calibration import intensities as calibration
from voltphase.devices.tables.spreadsheets import read_sheet

CONTROL = [0, 64, 128, 192, 255]
READ, REFERENCE, DARK = [4.1, 2.6, 1.1, 3.1, 0.05], [4.1, 4.1, 4.1, 5.1, 5.1], 0.1
DEGREES = [10.0, 95.0, 178.0, -95.0, -20.0]
AMPLITUDE = np.sqrt(np.maximum(np.array(READ) - DARK, 0) / (np.array(REFERENCE) - DARK))

Convert = Callable[..., DeviceStates]


def call(*words: str | Path) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, ["device", "calibrate", *map(str, words)])
    return result.exit_code, result.stdout, result.stderr


@pytest.fixture
def convert(tmp_path: Path) -> Convert:
    """Converts a file of some content with some options; gives the table that comes of it and what was said."""

    def run(content: str | bytes, *options: str, name: str = "bench.txt") -> DeviceStates:
        file = tmp_path / name
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
        code, out, err = call(file, "--out", tmp_path / "out.csv", *options, "--overwrite")
        assert (code, err) == (0, "")
        states = load_table(tmp_path / "out.csv")
        said = [line.strip() for line in out.splitlines()]
        assert all(note in said for note in states.source.split(": ", 1)[-1].split(" | ")[1:])
        return states

    return run


@pytest.fixture
def refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """Tries what must fail with one sentence and nothing written; gives the sentence."""
    monkeypatch.chdir(tmp_path)

    def refuse(*words: str | Path) -> str:
        before = {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()}
        code, out, err = call(*words)
        assert code == 2, out
        assert (out, err.count("\n")) == ("", 1)
        assert err.startswith("error: ")
        assert {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()} == before
        return err

    return refuse


def bench(separator: str = "\t", decimal: str = ".", head: str = "Bench 7\nDate{0}2026\n") -> str:
    columns = (CONTROL, READ, REFERENCE, DEGREES)
    rows = [[str(value).replace(".", decimal) for value in row] for row in zip(*columns, strict=True)]
    lines = [separator.join(row) for row in (["grey", "PD (V)", "ref", "phi [deg]", "remark"], *rows)]
    return head.format(separator) + "\n".join(lines) + "\n"


CHOICE = ("--columns", "control=grey,intensity=PD,reference=3,phase=phi", "--dark", "0.1")


@pytest.mark.parametrize(("separator", "decimal"), [("\t", "."), (";", ","), (",", "."), ("|", ",")])
def test_a_photodiode_s_readings_with_a_reference(tmp_path: Path, convert: Convert, separator, decimal):
    states = convert(bench(separator, decimal), *CHOICE, "--unit", "grey level", "--name", "PLUTO, [nir]")
    assert states.control.tolist() == CONTROL
    np.testing.assert_allclose(states.amplitude, AMPLITUDE, rtol=1e-14)
    np.testing.assert_allclose(states.phase, np.radians(DEGREES), rtol=1e-14)
    assert (states.name, states.control_unit) == ("PLUTO, [nir]", "grey level")
    assert states.source == (
        "bench.txt; phase converted from degrees; amplitude is the square root of intensity relative to a reference "
        "for each level, both less 0.1 dark; 1 of 5 readings below that taken as dark; levels numbered in the order "
        "of the rows"
    )


def test_the_aids_are_those_of_the_library(convert: Convert):
    plain = convert(bench(), *CHOICE)
    done = convert(bench(), *CHOICE, "--smooth", "3", "--smooth-order", "1", "--unwrap-dark", "0.1", "--normalise", "2")
    expected = calibration.normalise(calibration.unwrap(calibration.smooth(plain, 3, 1), dark=0.1), level=2)
    assert (done.digest, done.source) == (expected.digest, expected.source)
    done = convert(bench(), *CHOICE, "--smooth", "5", "--unwrap", "--normalise", "brightest")
    expected = calibration.unwrap(calibration.smooth(plain))
    assert done.digest == calibration.normalise(expected, level=int(expected.amplitude.argmax())).digest
    assert done.amplitude.max() == 1


def test_each_thing_done_is_a_line(tmp_path: Path):
    (tmp_path / "bench.txt").write_text(bench())
    code, out, _ = call(
        tmp_path / "bench.txt", "--out", tmp_path / "slm.csv", *CHOICE, "--smooth", "3", "--unwrap", "--normalise", "0"
    )
    assert code == 0
    lines = out.splitlines()
    assert [line.split()[0] for line in lines[1:-1] if line.startswith("  ")] == [
        *("text", "columns", "columns:", "columns", "left", "phase", "amplitude", "levels", "smoothed", "phase"),
        "normalised",
    ]
    assert "  columns separated by tab" in lines
    assert "  columns: control = grey, intensity = PD (V), reference = ref, phase = phi [deg]" in lines
    assert "  columns left out: remark" in lines
    assert f"wrote {tmp_path / 'slm.csv'}: 5 states" in out
    # The check's notes of the result, for a table that has some.
    (tmp_path / "flat.txt").write_text("control,amplitude,phase\n0,1,0\n1,1,0.5\n")
    assert "note: The phase stroke is 0.50 rad" in call(tmp_path / "flat.txt", "--out", tmp_path / "flat.csv")[1]


def test_rows_of_one_control_value_are_repeats(convert: Convert):
    states = convert(
        "control,intensity,phase\n9,4,0\n5,1,1\n9,4,90\n5,1,1\n", "--phase-unit", "deg", "--reference", "4"
    )
    assert states.control.tolist() == [9, 5]
    np.testing.assert_allclose(states.amplitude, [math.sqrt(0.5), 0.5], rtol=1e-15)
    np.testing.assert_allclose(states.phase, np.radians([45, 1]), rtol=1e-14)
    assert states.spread is not None
    np.testing.assert_allclose(states.spread, [1, 0], atol=1e-15)
    assert "mean of 2 repeats of each level, taken on the complex plane" in states.source


def test_a_clean_table_stays_what_it_is(tmp_path: Path, convert: Convert):
    table = DeviceStates(np.array([3.0, 1, 2]), np.ones(3), np.arange(3.0), "x; y", "V", "a; b", np.array([0.1, 0, 1]))
    table.save(tmp_path / "clean.csv")
    states = convert((tmp_path / "clean.csv").read_text())
    assert (states.digest, states.name, states.control_unit, states.source) == (table.digest, "x; y", "V", "a; b")
    assert states.spread is not None
    assert states.spread.tolist() == [0.1, 0, 1]


@pytest.mark.parametrize(
    ("unit", "factor"), [("rad", 1), ("mrad", 1e-3), ("deg", math.pi / 180), ("pi", math.pi), ("turns", 2 * math.pi)]
)
def test_units_of_phase(convert: Convert, unit, factor):
    states = convert("0,1,0\n1,1,70.5\n", "--columns", "control=1,amplitude=2,phase=3", "--phase-unit", unit)
    assert states.phase[1] == pytest.approx(70.5 * factor, rel=1e-15)


@pytest.mark.parametrize(
    ("content", "options", "amplitude"),
    [
        ("control,amplitude,phase\n0,4,0\n1,1,1\n", ("--intensity", "--reference", "4"), [1, 0.5]),
        ("control,amplitude,phase\n0,1,0\n1,0.25,1\n", ("--intensity",), [1, 0.5]),
        ("control,power (mW),phase\n0,4,0\n1,1,1\n", ("--reference", "brightest"), [1, 0.5]),
        ("control,T,phase\n0,4,0\n1,1,1\n", ("--columns", "power=T", "--reference", "16"), [0.5, 0.25]),
        ('control,"I, mean",phase\n0,4,0\n1,1,1\n', ("--columns", '"intensity=I, mean"', "--reference", "4"), [1, 0.5]),
        ("control,intensity,phase\n0,5,0\n1,2,1\n", ("--dark", "1", "--reference", "brightest"), [1, 0.5]),
    ],
)
def test_powers_become_amplitudes(convert: Convert, content, options, amplitude):
    assert convert(content, *options).amplitude.tolist() == amplitude


def test_how_the_file_is_written_may_be_said(convert: Convert):
    table = "control;amplitude;phase\n0;1;0\n1.000;1;1\n2.000;1;3,5\n"
    states = convert(table, "--decimal", ",")
    assert (states.control.tolist(), states.phase.tolist()) == ([0, 1000, 2000], [0, 1, 3.5])
    assert convert("control;amplitude;phase\n0;1;0\n1,000;1;1\n", "--decimal", ".").control[1] == 1000
    assert convert("control;amplitude;phase\n0;1;0\n1,000;1;1\n", "--decimal", ",").control[1] == 1
    assert convert(("# name: 设备\n" + table).encode("gbk"), "--decimal", ",", "--encoding", "gbk").name == "设备"
    for mark, word in ((":", ":"), (" ", "space"), ("\t", "\\t"), (";", "semicolon")):
        text = "control amplitude phase\n0 1 0\n1 1 1.5\n".replace(" ", mark)
        assert convert(text, "--separator", word).phase.tolist() == [0, 1.5]


def test_a_pair_is_converted(tmp_path: Path):
    (tmp_path / "a-phase.csv").write_text("0,7,0\n1,8,90\n2,9,180\n")
    (tmp_path / "a-intensity.csv").write_text("0,100,1\n1,50,0.5\n2,25,0.25\n")
    code, out, _ = call(tmp_path / "a", "--phase-unit", "deg", "--name", "pair", "--out", tmp_path / "b.csv")
    assert code == 0
    assert "values of a-intensity.csv taken as intensity" in out
    states = load_table(tmp_path / "b.csv")
    np.testing.assert_allclose(states.phase, [0, math.pi / 2, math.pi])
    assert (states.name, states.amplitude.tolist()) == ("pair", [1, 0.5**0.5, 0.5])
    assert call(tmp_path / "a", "--intensity", "--out", tmp_path / "c.csv")[0] == 2


def workbook(**sheets: list[list[object]]) -> bytes:
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.Workbook()
    book.remove(book.active)
    for name, rows in sheets.items():
        sheet = book.create_sheet(name)
        for row in rows:
            sheet.append(row)
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


SHEET: list[list[object]] = [
    ["# name: PLUTO", " left"],
    [],
    ["Control (V)", "Amplitude", "phase/pi", None],
    [0, 1, 0.1],
    [1.5, 0.123456789012345, "0.5"],
    [None, "", None],
]


def test_a_spreadsheet_s_sheet(convert: Convert):
    states = convert(workbook(empty=[], mine=SHEET), name="slm.xlsx")
    assert (states.name, states.control_unit) == ("PLUTO, left", "V")
    assert states.amplitude.tolist() == [1, 0.123456789012345]
    np.testing.assert_allclose(states.phase, [0.1 * math.pi, 0.5 * math.pi], rtol=1e-15)
    both = workbook(first=[[1, 2], [3, 4]], mine=SHEET)
    for sheet in ("mine", "2"):
        assert convert(both, "--sheet", sheet, name="slm.xlsx").digest == states.digest


def test_spreadsheets_that_cannot_be_read(tmp_path: Path, refused, monkeypatch: pytest.MonkeyPatch):
    def zipped(**files: bytes) -> bytes:
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in files.items():
                archive.writestr(name.replace("__", "/"), content)
        return out.getvalue()

    good = workbook(first=[[1, 2]], mine=SHEET)
    monkeypatch.setattr("voltphase.devices.tables.spreadsheets._LARGEST", 2 << 20)
    for content, options, said in (
        (good, (), "there are 'first', 'mine': name one with --sheet"),
        (good, ("--sheet", "yours"), "name one of first, mine, or 1 to 2"),
        (good, ("--sheet", "3"), "name one of first, mine, or 1 to 2"),
        (good, ("--sheet", "1", "--encoding", "utf-8"), "expected no encoding"),
        (good, ("--sheet", "1", "--separator", ";"), "expected no separator"),
        (workbook(empty=[]), (), "there is nothing in it"),
        (good[: len(good) // 2], (), "is a damaged archive"),
        (zipped(xl__workbook=b"<"), (), "cannot be read as one"),
        (zipped(readme=b"text"), (), "is an archive of other files"),
        (zipped(**{"content.xml": b"<a/>"}), (), "in the format of OpenDocument: save it as .xlsx or as CSV"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", (), "the old format .xls: save it as .xlsx"),
        (zipped(**{"xl/big.xml": bytes(3 << 20)}), (), "at most 2 MiB, but slm.xlsx expands to 3 MiB"),
        (workbook(mine=[*SHEET[:4], [1.5, "=1/0", 2]]), (), "expected a number as amplitude, but got '"),
    ):
        (tmp_path / "slm.xlsx").write_bytes(content)
        assert said in refused("slm.xlsx", "--out", "slm.csv", *options)
    with pytest.raises(DeviceError, match="expected at most 3 rows"):
        read_sheet(tmp_path / "slm.xlsx", good, "mine", 3)
    (tmp_path / "slm.xlsx").write_bytes(good)
    monkeypatch.setitem(sys.modules, "openpyxl", None)
    assert "pip install 'voltphase[spreadsheet]'" in refused("slm.xlsx", "--out", "slm.csv")


PLAIN = "control,amplitude,phase\n0,1,0\n1,0.5,1\n"


@pytest.mark.parametrize(
    ("content", "options", "said"),
    [
        (PLAIN, ("--columns", "control"), "expected --columns control=NAME"),
        (PLAIN, ("--columns", "volts=1"), "expected columns as level, control, amplitude"),
        (PLAIN, ("--columns", "control=1,control=2"), "control comes twice"),
        (PLAIN, ("--columns", "amplitude=2,intensity=2"), "but got both"),
        (PLAIN, ("--columns", "control=volt"), "give a number from 1 to 3 or a name, of control, amplitude, phase"),
        (PLAIN, ("--columns", "control=controll"), "did you mean 'control'?"),
        (PLAIN, ("--columns", "control=4"), "give a number from 1 to 3"),
        (PLAIN, ("--columns", "control=0"), "give a number from 1 to 3"),
        (PLAIN, ("--phase-unit", "gon"), "use one of rad, mrad, deg, pi, turns"),
        (PLAIN, ("--reference", "1"), "expected intensities for a reference"),
        (PLAIN, ("--dark", "0.1"), "expected intensities for a reference"),
        (PLAIN, ("--intensity", "--dark", "0.1"), "--intensity --dark 0.1 --reference brightest"),
        (PLAIN, ("--intensity", "--reference", "much"), "expected a number or the word brightest as --reference"),
        (PLAIN, ("--intensity", "--reference", "nan"), "reference"),
        (PLAIN, ("--intensity", "--reference", "0"), "above the dark one"),
        (PLAIN, ("--smooth", "4"), "expected window"),
        (PLAIN, ("--smooth-order", "1"), "expected --smooth WINDOW"),
        (PLAIN, ("--normalise", "2"), "from 0 to 1, but got 2"),
        (PLAIN, ("--normalise", "0.5"), "expected a level or the word brightest"),
        (PLAIN, ("--normalise", "inf"), "expected a level or the word brightest"),
        (PLAIN, ("--unwrap-dark", "2"), "expected some states"),
        (PLAIN, ("--encoding", "klingon"), "expected the name of a text encoding"),
        (PLAIN, ("--encoding", "rot13"), "expected the name of a text encoding"),
        (PLAIN + "\u00b5", ("--encoding", "ascii"), "to be text in ascii"),
        (PLAIN, ("--separator", "ab"), "expected a separator of one character"),
        (PLAIN, ("--separator", "1"), "expected a separator of one character"),
        (PLAIN, ("--decimal", ";"), "expected a decimal mark"),
        (PLAIN, ("--decimal", ","), "expected numbers with a decimal ','"),
        (PLAIN, ("--sheet", "1"), "expected a spreadsheet"),
        ("0,1,0\n1,1,1\n", (), "expected a header naming the columns"),
        ("control,amplitude,phase\n0,1,0\n0,1,1\n", (), "expected at least two states"),
        ("control,amplitude,phase,spread\n0,1,0,1\n0,1,1,1\n1,1,1,1\n", (), "leave out the spread"),
        ("control,power (dBm),phase\n0,1,0\n1,1,1\n", ("--columns", "intensity=2"), "10**(x / 10)"),
    ],
)
def test_what_does_not_fit(tmp_path: Path, refused, content, options, said):
    (tmp_path / "bench.txt").write_text(content, encoding="utf-8")
    assert said in refused("bench.txt", "--out", "slm.csv", *options)


def test_nothing_is_overwritten_unasked(tmp_path: Path, refused):
    (tmp_path / "slm.csv").write_text(PLAIN)
    (tmp_path / "folder.csv").mkdir()
    assert "exists already: choose another name, or add --overwrite" in refused("slm.csv", "--out", "slm.csv")
    assert "folder.csv" in refused("slm.csv", "--out", "folder.csv", "--overwrite")
    assert "name it slm.csv" in refused("slm.csv", "--out", "slm.txt")
    assert "cannot write" in refused("slm.csv", "--out", "nowhere/new.csv")
    assert "there is no such file" in refused("none.csv", "--out", "new.csv")
    assert "cannot use the path" in refused("slm.csv", "--out", "x" * 300 + ".csv")
    code, *_ = call(tmp_path / "slm.csv", "--out", tmp_path / "slm.csv", "--overwrite", "--name", "same")
    assert (code, load_table(tmp_path / "slm.csv").name) == (0, "same")
