"""Panels of unlike pixels and inactive borders."""

from __future__ import annotations

import json
import pickle
import struct
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from voltphase.core.errors import DeviceError, OutputError
from voltphase.devices import DevicePanel, DeviceStates


def response(seed: int, count: int = 4, unit: str = "V") -> DeviceStates:
    generator = np.random.default_rng(seed)
    columns = np.arange(count) / 2, generator.random(count) + 0.1, generator.random(count) * 6
    return DeviceStates(*columns, name=f"region {seed}", control_unit=unit)


MAP = np.array([[-1, -1, -1], [-1, 0, 1], [-1, 1, 1], [-1, 2, 0]])


def panel(regions: object = MAP, **more) -> DevicePanel:
    return DevicePanel((response(0), response(1), response(2)), np.asarray(regions), **more)


def values_of(made: DevicePanel) -> np.ndarray:
    """``K x rows x columns``."""
    return np.stack([made.states_at(np.full(made.shape, level)) for level in range(len(made))])


@given(
    regions=st.lists(st.lists(st.integers(-1, 2), min_size=3, max_size=3), min_size=1, max_size=5).filter(
        lambda rows: any(index >= 0 for row in rows for index in row)
    ),
    seed=st.integers(0, 99),
)
def test_each_pixel_has_the_states_of_its_table(regions, seed):
    made = panel(regions, inactive_value=0.25 - 0.5j)
    values = values_of(made)
    assert values.shape == (4, *made.shape)
    assert values.dtype == np.complex128
    levels = np.random.default_rng(seed).integers(0, 4, made.shape)
    light = made.states_at(levels)
    for row, column in np.ndindex(made.shape):
        index = regions[row][column]
        own = [0.25 - 0.5j] * 4 if index < 0 else response(index).values().tolist()
        assert values[:, row, column].tolist() == own
        assert light[row, column] == own[levels[row, column]]
        assert made.inactive[row, column] == (index < 0)


def test_what_a_panel_is():
    made = panel()
    assert (len(made), made.shape, made.name, made.inactive_value) == (4, (4, 3), "region 0", 0)
    assert made.control.tolist() == [0, 0.5, 1, 1.5]
    assert repr(made).startswith("DevicePanel('region 0', 4 x 3 pixels, 3 tables of 4 states, digest ")
    with pytest.raises(ValueError, match="read-only"):
        made.regions[0, 0] = 0


def test_the_digest_is_of_what_light_sees():
    made = panel()
    assert panel(name="other").digest == made.digest
    assert panel(MAP.astype(np.int8)).digest == made.digest
    others = [panel(MAP.reshape(3, 4)), panel(MAP.clip(0)), panel(inactive_value=1)]
    others.append(DevicePanel((response(1), response(0), response(2)), made.regions))
    assert len({made.digest, *(other.digest for other in others)}) == 5


def test_a_uniform_panel_within_a_border():
    states = response(7)
    made = DevicePanel.uniform(states, (4, 6), border=(1, 0, 2, 1), inactive_value=1)
    assert made.regions.tolist() == [[-1] * 6, *[[-1, -1, 0, 0, 0, -1]] * 3]
    assert not DevicePanel.uniform(states, (2, 2)).inactive.any()
    assert int((~DevicePanel.uniform(states, (5, 4), border=1).inactive).sum()) == 6
    for border in (2, -1, (1, 1, 2, 2), (1, 2)):
        with pytest.raises(DeviceError, match="that leaves some of 4 x 4 pixels active, but got"):
            DevicePanel.uniform(states, (4, 4), border=border)  # pyright: ignore[reportArgumentType]


def test_the_same_levels_are_picked_of_every_table():
    made = panel(inactive_value=0.5)
    picked = made.pick(3, by="even")
    assert picked.control.tolist() == [0, 1, 1.5]
    np.testing.assert_array_equal(values_of(picked), values_of(made)[[0, 2, 3]])
    spread = made.pick(2)
    apart = [
        sum(abs(v[i] - v[j]) ** 2 for v in map(DeviceStates.values, made.tables)) for i, j in combinations(range(4), 2)
    ]
    first, second = list(combinations(range(4), 2))[int(np.argmax(apart))]
    np.testing.assert_array_equal(values_of(spread), values_of(made)[[first, second]])
    with pytest.raises(DeviceError, match="as a whole number from 2 to 4, but got 5"):
        made.pick(5)


@pytest.mark.parametrize(
    ("regions", "message"),
    [
        ([[0, 3]], r"name tables from 0 to 2, or -1 for inactive, but row 0, column 1 has 3"),
        ([[0], [-2]], "but row 1, column 0 has -2"),
        ([[-1, -1]], "expected some active pixels in the map of region 0, but all are -1"),
        ([[0.0, 1.0]], r"to be rows x columns whole numbers, but got float64 of shape \(1, 2\)"),
        ([[True]], "whole numbers, but got bool"),
        ([0, 1], r"but got int64 of shape \(2,\)"),
        (np.zeros((0, 3), dtype=int), r"but got int64 of shape \(0, 3\)"),
    ],
)
def test_maps_that_cannot_be(regions, message):
    with pytest.raises(DeviceError, match=message):
        panel(regions)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (response(1, 5), r"to have 4 states as the first, but table 1 \(region 1\) has 5"),
        (response(1, unit="mV"), r"control values in V as the first, but table 1 \(region 1\) has them in mV"),
        (
            DeviceStates(np.array([0, 0.5, 2, 1.5]), np.ones(4), np.zeros(4), "x", "V"),
            r"the same control values, but at level 2 table 1 \(x\) has 2 and the first 1: measure all at the same",
        ),
    ],
)
def test_tables_that_do_not_belong_together(table, message):
    with pytest.raises(DeviceError, match=message):
        DevicePanel((response(0), table), np.zeros((2, 2), dtype=int))


def test_other_things_that_cannot_be():
    with pytest.raises(DeviceError, match="expected at least one table for a panel, but got none"):
        DevicePanel((), MAP)
    with pytest.raises(DeviceError, match=r"expected the value of the inactive pixels of region 0 .*, but got"):
        panel(inactive_value=complex(0, float("nan")))


@pytest.mark.parametrize(
    ("levels", "message"),
    [
        (np.zeros((3, 4), dtype=int), r"expected 4 x 3 whole numbers as levels of region 0, but got int64 of shape"),
        (np.zeros((4, 3)), "but got float64"),
        (np.full((4, 3), 4), "expected levels from 0 to 3 for region 0, but row 0, column 0 has 4"),
        (np.full((4, 3), -1), "but row 0, column 0 has -1"),
    ],
)
def test_levels_that_cannot_be(levels, message):
    with pytest.raises(DeviceError, match=message):
        panel().states_at(levels)


def test_a_panel_reads_back_as_it_was_written(tmp_path: Path):
    made = panel(inactive_value=0.1 - 0.2j, name="left panel")
    made.save(tmp_path / "left")
    files = sorted(file.name for file in (tmp_path / "left").iterdir())
    assert files == ["panel.json", "regions.npy", "table-0.csv", "table-1.csv", "table-2.csv"]
    read = DevicePanel.load(str(tmp_path / "left"))
    assert (read.digest, read.name, read.inactive_value) == (made.digest, "left panel", 0.1 - 0.2j)
    assert [table.name for table in read.tables] == ["region 0", "region 1", "region 2"]
    with pytest.raises(OutputError, match="exists already"):
        made.save(tmp_path / "left")


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    panel().save(tmp_path / "p")
    return tmp_path / "p"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"voltphase-panel": 2}, r'expected "voltphase-panel": 1 in \S+panel\.json, but got 2'),
        ({"tables": []}, r"panel\.json: expected tables as a list of names of CSV files beside it, but got \[\]"),
        ({"tables": ["../slm.csv"]}, r"names of CSV files beside it, but got \['\.\./slm\.csv'\]"),
        ({"tables": ["C:\\slm.csv"]}, "names of CSV files beside it"),
        ({"tables": [".."]}, "names of CSV files beside it"),
        ({"tables": "table-0.csv"}, "names of CSV files beside it, but got 'table-0.csv'"),
        ({"tables": ["table-9.csv"]}, r"expected a device table at \S+table-9\.csv, but there is no such file"),
        ({"tables": ["table-0.csv"]}, r"p: expected the map of region 0 to name tables from 0 to 0"),
        ({"inactive_value": [1]}, r"panel\.json: expected inactive_value as \[real part, imaginary part\], but got"),
        ({"inactive_value": [True, 0]}, "expected inactive_value as"),
        ({"inactive_value": [10**400, 0]}, "expected a finite inactive_value"),
        ({"inactive_value": [float("inf"), 0]}, "expected JSON in .*Infinity is no number"),
    ],
)
def test_what_is_wrong_with_a_folder_is_said(saved: Path, change, message):
    content = json.loads((saved / "panel.json").read_text()) | {"name": ""}
    (saved / "panel.json").write_text(json.dumps(content | change))
    with pytest.raises(DeviceError, match=message) as error:
        DevicePanel.load(saved)
    assert "\n" not in str(error.value)


def test_files_that_are_missing_or_broken(saved: Path, tmp_path: Path):
    with pytest.raises(DeviceError, match=r"cannot read \S+panel\.json: no such file"):
        DevicePanel.load(tmp_path / "none")
    table = (saved / "table-1.csv").read_text()
    (saved / "table-1.csv").write_text(table.replace("1,0.5,", "1,x,"))
    with pytest.raises(DeviceError, match=r"table-1\.csv:8: expected a number as control, but got 'x'"):
        DevicePanel.load(saved)
    for text, message in (
        ("{\n,", r"expected JSON in \S+panel\.json, but it is damaged: .* line 2"),
        ("[]", "but got None"),
    ):
        (saved / "panel.json").write_text(text)
        with pytest.raises(DeviceError, match=message):
            DevicePanel.load(saved)
    # Another encoding; more digits than Python turns into a number; nested too deep.
    for content in (b"\xff\xfe", b'{"voltphase-panel": ' + b"1" * 5000 + b"}", b"[" * 100_000):
        (saved / "panel.json").write_bytes(content)
        with pytest.raises(DeviceError, match=r"panel\.json"):
            DevicePanel.load(saved)


class Bomb:
    """Raises where it is unpickled."""

    def __reduce__(self):
        return (pytest.fail, ("a pickle was loaded",))


def endless(path: Path) -> None:
    header = b"{'descr': '<i4', 'fortran_order': False, 'shape': (1000000, 1000000), }\n"
    path.write_bytes(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda path: path.write_bytes(pickle.dumps(Bomb())),
        lambda path: np.save(path, np.array([Bomb()], dtype=object)),
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(path.read_bytes()[:-4]),
        lambda path: path.write_text("0,1\n1,0\n"),
        endless,
        lambda path: path.write_bytes(path.read_bytes().replace(b"'shape': (", b"'shape': ((")),
    ],
    ids=["pickle", "objects", "empty", "cut", "text", "endless", "header"],
)
def test_a_map_that_is_no_plain_array(saved: Path, spoil):
    spoil(saved / "regions.npy")
    with pytest.raises(DeviceError, match=r"\S+regions\.npy cannot be read as one: write it with numpy\.save"):
        DevicePanel.load(saved)


def test_a_map_that_is_missing_or_of_another_kind(saved: Path):
    np.save(saved / "regions.npy", MAP.astype(float))
    with pytest.raises(DeviceError, match=r"p: expected the map of region 0 to be rows x columns whole numbers, but"):
        DevicePanel.load(saved)
    with (saved / "regions.npy").open("wb") as file:
        np.savez(file, regions=MAP)
    with pytest.raises(DeviceError, match=r"regions\.npy cannot be read as one|whole numbers, but got"):
        DevicePanel.load(saved)
    (saved / "regions.npy").unlink()
    with pytest.raises(DeviceError, match=r"expected the map of the panel at \S+regions\.npy, but there is no such"):
        DevicePanel.load(saved)
