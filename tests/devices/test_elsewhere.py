"""Tables as spreadsheets and other programs save them: what is unambiguous is read, the rest refused with the cure."""

from __future__ import annotations

import csv
import io
import math
import re
import shlex
import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from voltphase.cli import app
from voltphase.core.errors import DeviceError, VoltphaseWarning
from voltphase.devices import DeviceStates, load_table

CONTROL, AMPLITUDE, PHASE = [0.5, 80.0, 160.0, 255.0], [1.0, 0.75, 0.875, 0.5], [0.0, -1.5, 3.25, 5.0]
STATES = DeviceStates(
    np.array(CONTROL), np.array(AMPLITUDE), np.array(PHASE), 'PLUTO, left; [nir] 5"', "µm, 7", "bench 3, 007, 1/2; a"
)
PLAIN = "control,amplitude,phase\n" + "".join(
    f"{c},{a},{p}\n" for c, a, p in zip(CONTROL, AMPLITUDE, PHASE, strict=True)
)
NUMBERED = "levels numbered in the order of the rows"


def written(folder: Path, text: str | bytes, name: str = "slm.csv") -> Path:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def resaved(text: str, separator: str, decimal: str = ".", quoting: int = csv.QUOTE_MINIMAL, width: int = 0) -> str:
    """What a spreadsheet makes of a table: each line padded to the widest, numbers in its own spelling."""
    rows = list(csv.reader(io.StringIO(text)))
    width = max(width, *map(len, rows))
    out = io.StringIO()
    writer = csv.writer(out, delimiter=separator, quoting=quoting)  # pyright: ignore[reportArgumentType]
    for row in rows:
        cells = [cell if cell.startswith("#") else cell.replace(".", decimal) for cell in row]
        writer.writerow(cells + [""] * (width - len(cells)))
    writer.writerows([[""] * width] * 3)
    return out.getvalue()


def same(found: DeviceStates, expected: DeviceStates = STATES) -> None:
    assert found.digest == expected.digest
    assert (found.name, found.control_unit, found.source) == (expected.name, expected.control_unit, expected.source)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "cp1252"])
@pytest.mark.parametrize("quoting", [csv.QUOTE_MINIMAL, csv.QUOTE_ALL])
@pytest.mark.parametrize("decimal", [".", ","])
@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.filterwarnings("ignore:.*is not UTF-8")
def test_saved_again_by_a_spreadsheet(tmp_path: Path, separator, decimal, quoting, encoding):
    STATES.save(tmp_path / "slm.csv")
    text = (tmp_path / "slm.csv").read_text("utf-8")
    same(load_table(written(tmp_path, resaved(text, separator, decimal, quoting, 7).encode(encoding))))


@given(
    words=st.lists(st.text(st.characters(codec="utf-8", exclude_categories=["C"])), min_size=3, max_size=3),
    separator=st.sampled_from(",;\t"),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_words_are_lost(tmp_path: Path, words, separator, quoting):
    states = DeviceStates(STATES.control, STATES.amplitude, STATES.phase, *words)
    states.save(tmp_path / "slm.csv")
    same(load_table(tmp_path / "slm.csv"), states)
    text = (tmp_path / "slm.csv").read_text("utf-8")
    same(load_table(written(tmp_path, resaved(text, separator, quoting=quoting))), states)


@pytest.mark.parametrize(
    "line",
    [
        "# name: PLUTO, left,,,",
        '"# name: PLUTO, left"',
        '"# name: PLUTO, left",,,',
        '  "# Name : PLUTO, left"',
        "#name:PLUTO, left,",
        '"""# name: PLUTO, left"""',
    ],
)
def test_comments_padded_or_quoted(tmp_path: Path, line):
    states = load_table(written(tmp_path, f"{line}\n# control_unit: V,,\n# control-unit: mV,,,\n{PLAIN}"))
    assert (states.name, states.control_unit) == ("PLUTO, left", "mV")


def test_a_comma_of_ours_that_became_a_semicolon_is_a_comma_again(tmp_path: Path):
    head = "# voltphase-device: 1;;\n# name: PLUTO; left;;\n"
    assert load_table(written(tmp_path, head + PLAIN.replace(",", ";"))).name == "PLUTO, left"


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace("\n", "\r\n"),
        lambda text: text.replace("\n", "\r"),
        lambda text: text.replace(",", " "),
        lambda text: text.replace(",", ",\t"),
        lambda text: text.replace("control,amplitude,phase", "Control , AMPLITUDE, Phase"),
        lambda text: text.replace(",", ";").replace(".", ","),
        lambda text: text.replace("\n", ",,,\n") + ",,,,\n" * 5,
        lambda text: "".join(f",{line},\n" for line in text.splitlines()),
        lambda text: "".join(f'"{line}"\n' for line in text.splitlines()),
        lambda text: "".join(f'"{line}";;\n' for line in text.splitlines()),
        lambda text: "sep=;\n" + text.replace(",", ";"),
        lambda text: "# " + text,
        lambda text: text.replace("control,amplitude,phase", "# control amplitude phase").replace(",", " "),
        lambda text: text.replace("-1.5", "\N{MINUS SIGN}1.5"),
        lambda text: text.replace("phase", '"phase\n(rad)"'),
        lambda text: text.replace("control", "control (grey level)").replace("phase", "phase / rad"),
        lambda text: text.replace("control", "Grey Level").replace("amplitude", "field_amplitude (a.u.)"),
        lambda text: text.replace("phase\n", "phase,remark\n", 1).replace("3.25\n", "3.25,a;b; c d\n"),
    ],
)
def test_the_same_table_otherwise_written(tmp_path: Path, change):
    states = load_table(written(tmp_path, change(PLAIN)))
    assert states.digest == STATES.digest
    assert (states.name, states.control_unit, states.source) == ("slm", "grey level", f"slm.csv; {NUMBERED}")


@pytest.mark.parametrize(
    ("heading", "factor", "unit"),
    [
        ("phase (rad)", 1, ""),
        ("Phase [rad]", 1, ""),
        ("phase, radians", 1, ""),
        ("phase_rad", 1, ""),
        ("phase (mrad)", 1e-3, "milliradians"),
        ("phase [deg]", math.pi / 180, "degrees"),
        ("Phase (°)", math.pi / 180, "degrees"),
        ("phase in degrees", math.pi / 180, "degrees"),
        ("phase_deg", math.pi / 180, "degrees"),
        ("phase/pi", math.pi, "units of pi"),
        ("phase / π", math.pi, "units of pi"),
        ("phase (π rad)", math.pi, "units of pi"),
        ("phase (units of π)", math.pi, "units of pi"),
        ("phase shift [x pi]", math.pi, "units of pi"),
        ("phase (turns)", 2 * math.pi, "turns"),
        ("phase/(2π)", 2 * math.pi, "turns"),
        ("phase (waves)", 2 * math.pi, "turns"),
    ],
)
def test_the_unit_of_a_heading(tmp_path: Path, heading, factor, unit):
    states = load_table(written(tmp_path, PLAIN.replace("phase", f'"{heading}"')))
    np.testing.assert_allclose(states.phase, factor * np.array(PHASE), rtol=1e-15)
    assert states.source == "; ".join(["slm.csv", *([f"phase converted from {unit}"] if unit else []), NUMBERED])


def test_the_unit_of_a_comment(tmp_path: Path):
    states = load_table(written(tmp_path, "# phase unit: deg,,\n" + PLAIN.replace("3.25", "270")))
    assert states.phase[2] == pytest.approx(1.5 * math.pi)
    assert "phase converted from degrees" in states.source


@pytest.mark.parametrize("heading", ["intensity", "Power", "optical power", "Intensity (a.u.)", "intensity (%)"])
def test_intensities_of_at_most_one_are_read_by_their_root(tmp_path: Path, heading):
    whole = 100 if "%" in heading else 1
    text = f"control,{heading},phase\n0,{whole},0\n1,{0.25 * whole},1\n"
    states = load_table(written(tmp_path, text))
    assert states.amplitude.tolist() == [1, 0.5]
    assert f"amplitude is the square root of the column {heading}" in states.source
    both = load_table(written(tmp_path, "amplitude,control,intensity,phase\n0.9,0,1,0\n0.8,1,1,3\n"))
    assert both.amplitude.tolist() == [0.9, 0.8]


def test_repeats_without_levels(tmp_path: Path):
    states = load_table(written(tmp_path, "control,amplitude,phase,repeat\n7,1,0,0\n3,1,2,0\n7,3,0,1\n3,1,2,1\n"))
    assert (states.control.tolist(), states.amplitude.tolist()) == ([7, 3], [2, 1])
    assert NUMBERED in states.source
    assert states.spread is not None
    assert states.spread.tolist() == [math.sqrt(2), 0]


def test_a_pair_is_read_as_spreadsheets_save_it(tmp_path: Path):
    rows = [(0, 400, 1.0, 0.0), (50, 100, 0.25, 90.0), (100, 225, 0.5625, 200.5)]
    written(tmp_path, "".join(f"{c},{r},{p}\n" for c, r, _, p in rows), "a-phase.csv")
    written(tmp_path, "".join(f"{c},{r},{v}\n" for c, r, v, _ in rows), "a-intensity.csv")
    with pytest.raises(DeviceError, match="looks like degrees"):
        load_table(tmp_path / "a")
    head = "# phase_unit: deg;;;\n# name: TN; 2;;;\n"
    text = head + "".join(f"{c};;{r};{p};\r\n" for c, r, _, p in rows).replace(".", ",")
    written(tmp_path, text.encode("utf-16"), "a-phase.csv")
    written(tmp_path, "".join(f"{c}\t{r}\t{v}\n" for c, r, v, _ in rows).replace(".", ","), "a-intensity.csv")
    states = load_table(tmp_path / "a")
    assert states.amplitude.tolist() == [1, 0.5, 0.75]
    np.testing.assert_allclose(states.phase, np.radians([0, 90, 200.5]), rtol=1e-15)
    assert "taken as intensity" in states.source
    assert states.source.endswith("phase converted from degrees")


# Each with what calibrate is asked for, as the error says; None where no command can know what is right.
DOUBTFUL = [
    (PLAIN.replace("3.25", "180"), ["--phase-unit", "deg"]),
    (PLAIN.replace("amplitude", "power (mW)"), ["--reference", "brightest"]),
    (PLAIN.replace("amplitude", "intensity").replace("0.75", "75"), ["--reference", "brightest"]),
    (PLAIN.replace("control", "level"), ["--columns", "control=level"]),
    ("level,control,amplitude,phase\n0,0,1,0\n3,3,1,1\n6,6,1,3\n", []),
    ("level,control,amplitude,phase\n1,0,1,0\n2,3,1,1\n3,6,1,3\n", []),
    ("control,amplitude,phase\n0,1,0\n1,1,3\n0,1,0.1\n1,1,3.1\n", []),
    ("SLM of bench 3\n\n" + PLAIN, []),
    ("# phase_unit: rad\n" + PLAIN.replace("phase", "phase (deg)"), ["--phase-unit", "deg"]),
    ("# control_unit: V\n" + PLAIN.replace("control", "control (mV)"), ["--unit", "mV"]),
    (PLAIN.replace("phase\n", "phase (deg),phase (rad)\n").replace(".0\n", ".0,1\n"), None),
    ("control;amplitude;phase\n0;1;0\n1,000;1;1\n2,000;1;3\n", ["--decimal", ","]),
    (PLAIN.replace("amplitude", "transmittance"), None),
    (PLAIN.replace("amplitude", "amplitude²"), None),
    (PLAIN.replace("amplitude", "power (dBm)"), None),
    (PLAIN.replace("phase", "phase (nm)"), None),
    (PLAIN.replace("phase", "phase error"), None),
    (PLAIN.replace("control", "voltage std"), None),
    ("V,T,phi\n0,1,0\n1,1,1\n", None),
    (PLAIN.split("\n", 1)[1], None),
]


@pytest.mark.parametrize(("text", "options"), DOUBTFUL)
def test_what_is_in_doubt_is_refused_and_the_cure_works_as_it_is_typed(tmp_path: Path, text, options, monkeypatch):
    monkeypatch.chdir(tmp_path)
    file = written(tmp_path, text, "my slm, 'old'.csv")
    with pytest.raises(DeviceError, match="voltphase device calibrate") as error:
        load_table(file.name)
    words = shlex.split(re.split(r"run (?=voltphase)", str(error.value), maxsplit=1)[1])
    command = words[1 : words.index("--out") + 1]
    out = "my slm, 'old'-clean.csv"
    assert command[:3] == ["device", "calibrate", file.name]
    assert words[words.index("--out") + 1].startswith(out)
    assert options is None or command[3:-1] == options
    if options is not None:
        result = CliRunner().invoke(app, [*command, out])
        assert result.exit_code == 0, result.output
        assert len(load_table(out)) >= 2


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (PLAIN.replace(",", ";").replace("0.75", "0,75"), "expected one decimal mark in all numbers"),
        (PLAIN.replace("160.0,", "#N/A,"), "expected a number, but got '#N/A'|got '#N/A'"),
        (PLAIN.replace("160.0,0.875", "#DIV/0!,0.875"), r"slm\.csv:4: expected a number, but got '#DIV/0!'"),
        (PLAIN.replace("0.875", "1.234,5"), r"slm\.csv:4: expected 3 values"),
        (PLAIN.replace("0.875", "87%"), r"slm\.csv:4: expected a number as amplitude, but got '87%'"),
        (PLAIN.replace("amplitude", "intensity").replace("0.875", "-0.1"), "an intensity of at least zero"),
        (
            PLAIN.replace("amplitude,phase", "intensity,phase,spread").replace(".0\n", ".0,1\n"),
            "expected a spread of amplitudes",
        ),
        (b"\x1f\x8b\x08\x00\x00\x00", "is binary"),
        (b"\x80\x81\x8d level", "is binary"),
        (b"PK\x03\x04 level", "is a spreadsheet"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "is a spreadsheet"),
        (PLAIN.replace("0.875", "9" * 5000), "expected a finite number as amplitude"),
        ("a" * 200_000 + "\n" + PLAIN, r"slm\.csv:1: expected values separated by|expected a header"),
    ],
)
def test_what_cannot_be_read(tmp_path: Path, text, message):
    with pytest.raises(DeviceError, match=message) as error:
        load_table(written(tmp_path, text))
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 1000 + 2 * len(str(tmp_path))


def test_words_in_an_encoding_that_is_guessed_are_pointed_out(tmp_path: Path):
    with pytest.warns(VoltphaseWarning, match="read as Windows-1252; if they are garbled, run voltphase device cal"):
        assert load_table(written(tmp_path, ("# name: 设备\n" + PLAIN).encode("gbk"))).digest == STATES.digest
    with pytest.warns(VoltphaseWarning):
        assert load_table(written(tmp_path, ("# name: Gerät\n" + PLAIN).encode("cp1252"))).name == "Gerät"


def test_signs_of_units_in_an_encoding_that_is_guessed_are_no_matter_of_doubt(tmp_path: Path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert load_table(written(tmp_path, ("# control_unit: µm\n" + PLAIN).encode("cp1252"))).control_unit == "µm"


def test_sizes_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    big = tmp_path / "big.csv"
    with big.open("wb") as file:
        file.truncate(65 << 20)
    with pytest.raises(DeviceError, match=r"at most 64 MiB, but \S+big\.csv has 65 MiB"):
        load_table(big)
    with pytest.raises(DeviceError, match="no regular file"):
        load_table("/dev/zero")
    monkeypatch.setattr("voltphase.devices.tables.text_table._MOST_ROWS", 3)
    with pytest.raises(DeviceError, match="expected at most 3 rows"):
        load_table(written(tmp_path, PLAIN))


@given(data=st.data())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@pytest.mark.filterwarnings("ignore:.*is not UTF-8")
def test_whatever_a_file_holds_it_is_read_or_refused_in_a_sentence(tmp_path: Path, data):
    STATES.save(tmp_path / "slm.csv")
    content = bytearray((tmp_path / "slm.csv").read_bytes())
    for _ in range(data.draw(st.integers(0, 4))):
        at = data.draw(st.integers(0, len(content)))
        scrap = st.one_of(
            st.binary(max_size=8), st.sampled_from([b'"', b";", b",,", b"#", b"\n", b"\t", b"\xff\xfe", b"1"])
        )
        content[at : at + data.draw(st.integers(0, 20))] = data.draw(scrap)
    path = written(tmp_path, bytes(content))
    result = CliRunner().invoke(app, ["device", "check", str(path)])
    assert result.exit_code in (0, 2)
    assert isinstance(result.exception, SystemExit | None)
    if result.exit_code == 2:
        said = [line for line in result.stderr.splitlines() if not line.startswith("warning: ")]
        assert len(said) == 1
        assert said[0].startswith("error: ")
    else:
        states = load_table(path)
        states.save(tmp_path / "again.csv")
        same(load_table(tmp_path / "again.csv"), states)


@pytest.mark.parametrize("spread", ["spread", "spread (%)"])
def test_a_spread_is_in_per_cent_where_the_amplitude_or_it_says_so(tmp_path: Path, spread: str):
    path = tmp_path / "slm.csv"
    path.write_text(f"level,control,amplitude (%),phase,{spread}\n0,0,100,0,2\n1,1,90,2,2\n", encoding="utf-8")
    states = load_table(path)
    assert states.amplitude.tolist() == [1.0, 0.9]
    assert states.spread is not None
    assert states.spread.tolist() == [0.02, 0.02]
