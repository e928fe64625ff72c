"""Devices measured into two files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from voltphase.core.errors import DeviceError
from voltphase.devices import load_table, summary

CONTROL = [0, 50, 100, 150, 200, 255]
READING = [200, 90, 110, 250, 410, 500]
PHASE = [0.0, 0.4, 1.3, 2.9, 4.4, 5.2]
LAWS = {"amplitude": np.sqrt(np.array(READING) / 500), "intensity": np.array(READING) / 500}


def column(path: Path, value, reading=READING, control=CONTROL, head: str = "") -> Path:
    rows = zip(control, reading, value, strict=True)
    path.write_text(head + "".join(f"{c},{r},{float(v)!r}\n" for c, r, v in rows))
    return path


def pair(folder: Path, value, kind: str = "intensity", **more) -> Path:
    column(folder / "slm-phase.csv", PHASE)
    return column(folder / f"slm-{kind}.csv", value, **more)


@pytest.mark.parametrize("named", ["amplitude", "intensity"])
@pytest.mark.parametrize("law", ["amplitude", "intensity"])
def test_the_readings_tell_amplitude_from_intensity_whatever_the_name(tmp_path: Path, named, law):
    # Scaled by another reference than the largest reading, as measured tables are.
    pair(tmp_path, 0.98 * LAWS[law], named)
    states = load_table(tmp_path / "slm")
    expected = 0.98 * LAWS["amplitude"] if law == "amplitude" else np.sqrt(0.98 * LAWS["intensity"])
    np.testing.assert_allclose(states.amplitude, expected, rtol=1e-15)
    assert f"values of slm-{named}.csv taken as {law}, as they follow" in states.source
    assert (states.name, states.control_unit) == ("slm", "grey level")


def test_readings_rounded_to_whole_counts_still_tell(tmp_path: Path):
    amplitude = np.array([0.41, 0.5, 0.63, 0.77, 0.9, 1.0])
    for law, value in (("amplitude", amplitude), ("intensity", amplitude**2)):
        pair(tmp_path, value, reading=np.round(60 * amplitude**2).astype(int))
        assert f"taken as {law}" in load_table(tmp_path).source


def test_where_both_laws_are_near_the_nearer_is_taken(tmp_path: Path):
    # A phase-only device: its amplitude hardly changes, and its square hardly differs from it.
    reading = [980, 985, 990, 995, 1000, 970]
    for law, value in (("amplitude", np.sqrt(np.array(reading) / 1000)), ("intensity", np.array(reading) / 1000)):
        pair(tmp_path, value, reading=reading)
        assert f"taken as {law}, as they follow" in load_table(tmp_path).source


def test_where_readings_allow_either_the_name_decides(tmp_path: Path):
    pair(tmp_path, [1.0, 0.0] * 3, reading=[7, 0] * 3)
    assert "taken as intensity, as the name says, the readings allowing either" in load_table(tmp_path).source
    (tmp_path / "slm-intensity.csv").rename(tmp_path / "slm-amplitude.csv")
    assert "taken as amplitude, as the name says, the readings allowing either" in load_table(tmp_path).source


def test_values_that_follow_no_law_are_believed_only_as_amplitude(tmp_path: Path):
    strange = [0.1, 0.9, 0.2, 0.8, 0.3, 0.7]
    path = pair(tmp_path, strange, "amplitude")
    states = load_table(path)
    assert states.amplitude.tolist() == strange
    assert "as the name says, though they do not follow the readings" in states.source
    path.rename(tmp_path / "slm-intensity.csv")
    with pytest.raises(DeviceError, match=r"they follow neither: rename the file to slm-amplitude\.csv if they are"):
        load_table(tmp_path)


@pytest.mark.parametrize("address", ["", "slm", "slm-phase.csv", "slm-intensity.csv"])
def test_a_pair_is_addressed_by_folder_prefix_or_either_file(tmp_path: Path, address):
    pair(tmp_path, LAWS["intensity"])
    assert load_table(tmp_path / address).phase.tolist() == PHASE


def test_rows_are_joined_by_control_value(tmp_path: Path):
    expected = load_table(pair(tmp_path, LAWS["intensity"]))
    column(
        tmp_path / "slm-phase.csv", PHASE[::-1], control=CONTROL[::-1], head="# control_unit: mV\n# source: bench 3\n"
    )
    states = load_table(tmp_path)
    assert states.digest == expected.digest
    assert states.control_unit == "mV"
    around = [3, 0, 5, 1, 4, 2]
    value, reading, control = ([row[i] for i in around] for row in (LAWS["intensity"], READING, CONTROL))
    column(tmp_path / "slm-intensity.csv", value, reading, control)
    assert load_table(tmp_path).digest == expected.digest
    assert states.source.startswith("bench 3; slm-phase.csv and slm-intensity.csv; values of")


def test_control_values_without_a_partner_are_refused(tmp_path: Path):
    pair(tmp_path, LAWS["intensity"], control=[0, 50, 100, 151, 200, 255])
    message = r"slm-phase\.csv:4: expected the same control values as in slm-intensity\.csv, but 150 is not there"
    with pytest.raises(DeviceError, match=message):
        load_table(tmp_path)
    column(tmp_path / "slm-phase.csv", PHASE[:5], READING[:5], CONTROL[:5])
    column(tmp_path / "slm-intensity.csv", LAWS["intensity"])
    with pytest.raises(DeviceError, match=r"slm-intensity\.csv:6: expected .* but 255 is not there \(1 of 6 are not\)"):
        load_table(tmp_path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("0,1,1\n1,x,1\n", r"slm-intensity\.csv:2: expected a number as raw reading, but got 'x'"),
        ("0,1,1\n1,1,nan\n", r"slm-intensity\.csv:2: expected a finite number as intensity, but got 'nan'"),
        ("0,1,1\n1,1,-1\n", r"slm-intensity\.csv:2: expected an intensity of at least zero, but got -1"),
        ("0,1\n1,1\n", r"slm-intensity\.csv:1: expected 3 values \(control, raw reading, value\), but got 2"),
        ("0,1,1\n0,1,1\n", r"slm-intensity\.csv:2: expected each control value once, but 0 is on line 1 already"),
        ("0,1,1\n", r"expected at least two states in \S+slm-intensity\.csv, but got 1"),
        ("0,1,0\n1,1,0\n", r"expected some light, but every intensity in \S+slm-intensity\.csv is zero"),
    ],
)
def test_what_is_wrong_is_said_and_where(tmp_path: Path, text, message):
    column(tmp_path / "slm-phase.csv", [0, 1], [5, 6], [0, 1])
    (tmp_path / "slm-intensity.csv").write_text(text)
    with pytest.raises(DeviceError, match=message):
        load_table(tmp_path)


def test_phases_in_degrees_are_refused(tmp_path: Path):
    pair(tmp_path, LAWS["intensity"])
    column(tmp_path / "slm-phase.csv", np.degrees(PHASE))
    with pytest.raises(
        DeviceError, match=r"slm-phase\.csv:6: expected phases in radians, but 297\.938 looks like degrees"
    ):
        load_table(tmp_path)


def test_half_a_pair(tmp_path: Path):
    column(tmp_path / "slm-phase.csv", PHASE)
    for address in ("", "slm", "slm-phase.csv"):
        with pytest.raises(
            DeviceError, match=r"expected slm-intensity\.csv or slm-amplitude\.csv beside \S+slm-phase\.csv"
        ):
            load_table(tmp_path / address)
    (tmp_path / "slm-phase.csv").rename(tmp_path / "slm-amplitude.csv")
    with pytest.raises(DeviceError, match=r"expected slm-phase\.csv beside \S+slm-amplitude\.csv"):
        load_table(tmp_path / "slm")


def test_a_choice_is_left_to_whoever_asks(tmp_path: Path):
    pair(tmp_path, LAWS["intensity"])
    path = pair(tmp_path, LAWS["amplitude"], "amplitude")
    with pytest.raises(DeviceError, match="name the one to use, or remove the other"):
        load_table(tmp_path)
    assert "slm-amplitude.csv taken as amplitude" in load_table(path).source
    path.unlink()
    for kind in ("phase", "intensity"):
        (tmp_path / f"other-{kind}.csv").write_bytes((tmp_path / f"slm-{kind}.csv").read_bytes())
    with pytest.raises(DeviceError, match=r"there are 2: name one of \S+other, \S+slm"):
        load_table(tmp_path)


def test_the_measured_modulator(data_dir: Path):
    folder = data_dir / "devices"
    if not (folder / "tn-slm-phase.csv").is_file():
        pytest.skip(f"needs the measured modulator: {folder} has no tn-slm-phase.csv")
    states = load_table(folder / "tn-slm")
    assert len(states) == 86
    assert states.control.tolist() == list(range(0, 256, 3))
    # The file is called intensity and holds amplitude: taken at its name it would be 0.64 to 1.
    assert states.amplitude.min() == 0.406557814
    assert "values of tn-slm-intensity.csv taken as amplitude" in states.source
    described = summary(states)
    assert described.phase_stroke == pytest.approx(5.3257, abs=1e-4)
    assert not described.phase_monotonic
    assert not described.amplitude_monotonic
    assert states.pick(8, by="even").control.tolist() == [0, 36, 72, 108, 147, 183, 219, 255]
