"""Etched and printed targets: read back exactly, by us and by others, and with heights that make the phases."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import gdstk
import klayout.db as klayout
import numpy as np
import pytest
import stl.mesh
import trimesh
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from voltphase import DONN
from voltphase.core.errors import DeploymentError
from voltphase.data import ImageDataset
from voltphase.deployment import deploy, verify
from voltphase.deployment.layers import summaries
from voltphase.deployment.targets import Gds, Heights, Layer, Stl, Written
from voltphase.deployment.targets.fabrication.framing import edges
from voltphase.deployment.targets.fabrication.relief import Relief
from voltphase.deployment.targets.fabrication.stl import _lines
from voltphase.devices import DevicePanel, DeviceStates, dmd, model
from voltphase.optics.grid import Grid

WAVELENGTH = 633e-9
TARGETS = [
    *(Gds(layers=layers, drawn=drawn) for layers in ("levels", "terraces", "masks") for drawn in ("raised", "etched")),
    Stl(base=0.4e-3),
    Heights(),
]


def printed(levels: int) -> DeviceStates:
    return model("printed", levels, wavelength=WAVELENGTH)


def measured(levels: int, seed: int = 0) -> DeviceStates:
    """States in no order, with phases of several turns."""
    generator = np.random.default_rng(seed)
    phase = generator.permutation(np.arange(levels) / levels * 6.2) + 2 * np.pi * generator.integers(-2, 3, levels)
    return DeviceStates(
        np.arange(levels, dtype=np.float64), np.linspace(1, 0.8, levels), phase.astype(np.float64), "measured"
    )


def layer_of(device: DeviceStates | DevicePanel, shape: tuple[int, int] = (7, 9)) -> Layer:
    return Layer(1, Grid(shape, (36e-6, 30e-6)), device, WAVELENGTH)


def drawn_levels(layer: Layer, seed: int = 0) -> NDArray[np.int64]:
    return np.random.default_rng(seed).integers(0, len(layer.device), layer.grid.shape)


def written(target: Relief, layer: Layer, levels: NDArray[np.integer]) -> tuple[Written, dict[str, bytes]]:
    with TemporaryDirectory() as folder:
        (one,) = target.write(Path(folder), [layer], [levels])
        assert sorted(one.files) == sorted(path.name for path in Path(folder).iterdir())
        return one, {name: (Path(folder) / name).read_bytes() for name in one.files}


def wrong(setting: str, value: object) -> dict[str, Any]:
    return {setting: value}


def cell_of(library: gdstk.Library) -> gdstk.Cell:
    (cell,) = library.cells
    assert isinstance(cell, gdstk.Cell)
    return cell


def read(target: Relief, layer: Layer, one: Written, contents: Mapping[str, bytes]) -> NDArray[np.integer]:
    (levels,) = target.read([layer], [one], contents)
    return levels


@settings(max_examples=10, deadline=None)
@given(st.data())
@pytest.mark.parametrize("target", TARGETS, ids=repr)
def test_levels_come_back_exactly_whatever_the_size_and_the_device(target: Relief, data: st.DataObject):
    shape = data.draw(st.tuples(st.integers(1, 12), st.integers(1, 12)))
    count, seed = data.draw(st.integers(2, 17)), data.draw(st.integers(0, 99))
    layer = layer_of(printed(count), shape)
    levels = drawn_levels(layer, seed)
    one, contents = written(target, layer, levels)
    assert np.array_equal(read(target, layer, one, contents), levels)
    assert max(map(len, contents.values())) < target.largest_file([layer]) + (1 << 20)


@pytest.mark.parametrize("target", [Gds(index=1.46, layers="terraces"), Stl(index=1.46), Heights(reflection=True)])
def test_a_measured_table_is_fabricated_by_its_phases_alone(target: Relief):
    layer = layer_of(measured(8))
    levels = drawn_levels(layer)
    one, contents = written(target, layer, levels)
    assert np.array_equal(read(target, layer, one, contents), levels)
    assert "Amplitude is not fabricated: the states of measured have 0.8 to 1" in " ".join(
        target.instructions(layer, one)
    )
    assert target.summary(layer, one).endswith("amplitude is not fabricated")


@pytest.mark.parametrize("index", [1.46, 0.8])
def test_heights_in_transmission_delay_light_by_the_phases(index: float):
    layer = layer_of(measured(9))
    heights = Heights(index=index, surroundings=1.1).heights(layer)
    assert heights.min() == 0
    assert heights.max() < WAVELENGTH / abs(index - 1.1)
    phase = 2 * np.pi * (index - 1.1) * heights / WAVELENGTH
    relative = np.exp(1j * (phase - layer.device.tables[0].phase))
    np.testing.assert_allclose(relative, relative[0], atol=1e-9)


def test_heights_in_reflection_shorten_the_way_there_and_back():
    layer = layer_of(measured(9))
    heights = Heights(reflection=True, surroundings=1.33).heights(layer)
    phase = -4 * np.pi * 1.33 * heights / WAVELENGTH
    relative = np.exp(1j * (phase - layer.device.tables[0].phase))
    np.testing.assert_allclose(relative, relative[0], atol=1e-9)


def test_heights_of_a_printed_device_are_its_control_values_and_make_its_phases():
    layer = layer_of(printed(6))
    np.testing.assert_array_equal(Stl().heights(layer), layer.device.control)
    np.testing.assert_allclose(Stl().heights(layer), Stl(index=1.52).heights(layer), rtol=1e-12)
    assert "amplitude" not in Stl().summary(layer, written(Stl(), layer, drawn_levels(layer))[0])


def test_the_figures_of_a_relief():
    layer = layer_of(printed(3), (2, 3))
    levels = np.array([[0, 2, 2], [0, 0, 1]])
    one, _ = written(Heights(), layer, levels)
    step = layer.device.control[1] * 1e6
    # Steps between neighbours, of two, of one and of none: three down the columns, four along the rows.
    assert one.details["roughness_um"] == pytest.approx(step * np.sqrt((0 + 4 + 1 + 4 + 0 + 0 + 1) / 7))
    assert one.details["relief_um"] == pytest.approx(2 * step)
    assert one.details["lone_pixels"] == 1
    assert Heights().summary(layer, one) == (
        "3 heights up to 0.8115 um, none clipped; roughness of neighbours 0.485 um; smallest feature 36 um down, "
        "30 um across"
    )


@pytest.mark.parametrize("layers", ["levels", "terraces", "masks"])
def test_klayout_finds_the_areas_that_a_gds_should_have(layers: str, tmp_path: Path):
    target, layer = Gds(layers=layers), layer_of(printed(6))  # pyright: ignore[reportArgumentType]
    levels = drawn_levels(layer)
    target.write(tmp_path, [layer], [levels])
    layout = klayout.Layout()
    layout.read(str(tmp_path / "layer-1.gds"))
    assert layout.dbu == 1e-3
    pixel, letter = 36 * 30, 8 * 36 * 30
    areas = {
        "levels": {step: levels == step for step in range(1, 6)},
        "terraces": {step: levels >= step for step in range(1, 6)},
        "masks": {bit + 1: levels >> bit & 1 for bit in range(3)},
    }[layers]
    with_letter = {"levels": {5}, "terraces": {1, 2, 3, 4, 5}, "masks": {1, 3}}[layers]
    assert {layout.get_info(index).layer for index in layout.layer_indexes()} == areas.keys()
    for number, area in areas.items():
        region = klayout.Region(layout.top_cell().begin_shapes_rec(layout.layer(number, 0)))
        expected = area.sum() * pixel + (number in with_letter) * letter
        assert region.area() * layout.dbu**2 == pytest.approx(expected)  # of the rectangles, one by one
        assert region.merged().area() == region.area()  # and none lies on another


def test_row_0_is_at_the_top_of_a_gds_and_the_letter_at_its_left(tmp_path: Path):
    layer = layer_of(printed(2), (2, 3))
    Gds().write(tmp_path, [layer], [np.array([[0, 0, 1], [0, 0, 0]])])
    library = gdstk.read_gds(tmp_path / "layer-1.gds")
    assert (library.unit, library.precision) == (pytest.approx(1e-6), pytest.approx(1e-9))
    cell = cell_of(library)
    pixel = [polygon for polygon in cell.polygons if (polygon.bounding_box()[0][0]) == 15]
    assert [polygon.bounding_box() for polygon in pixel] == [((15.0, 0.0), (45.0, 36.0))]
    letter = [polygon.bounding_box() for polygon in cell.polygons if polygon not in pixel]
    (left, bottom), (right, top) = np.min(letter, (0, 1)), np.max(letter, (0, 1))
    # Of lines of a pixel: two from the left end of the frame, one from its top, three by five.
    assert (left, right, bottom, top) == (-45 - 5 * 30, -45 - 2 * 30, 36 + 36, 36 + 6 * 36)


@pytest.mark.parametrize("shape", [(1, 1), (4, 5), (9, 6)])
def test_trimesh_finds_a_closed_oriented_surface_of_the_volume_that_it_should_have(
    shape: tuple[int, int], tmp_path: Path
):
    layer = Layer(1, Grid(shape, 36e-6), model("printed", 5, wavelength=30e-6, parameters={"index": 1.7}), 30e-6)
    levels = drawn_levels(layer)
    levels[:2, :2] = np.array([[0, 4], [4, 0]])[: shape[0], : shape[1]]  # high pixels that touch at a corner alone
    Stl(base=0.1e-3).write(tmp_path, [layer], [levels])
    mesh = trimesh.load_mesh(tmp_path / "layer-1.stl")
    assert mesh.is_watertight
    assert mesh.is_winding_consistent
    rows, columns = (count + 14 for count in shape)
    np.testing.assert_allclose(
        mesh.bounds, np.array([[-columns, -rows, 0], [columns, rows, 0]]) * 0.018 + [[0] * 3, [0, 0, mesh.bounds[1, 2]]]
    )
    whole = np.full((rows, columns), 0.1)
    whole[7:-7, 7:-7] += layer.device.control[levels] * 1e3
    highest = whole[[1, 1, 1, 2, 3, 3, 4, 5], [2, 3, 4, 2, 2, 3, 2, 2]] = 0.1 + layer.device.control[-1] * 1e3
    # Walls lean by as much on both sides; over the corners of pixels lie two triangles.
    corner = whole[:-1, :-1] + whole[1:, 1:] - whole[1:, :-1] - whole[:-1, 1:]
    expected = 0.036**2 * (whole.sum() + 0.02**2 * corner.sum() / 12)
    assert mesh.volume == pytest.approx(expected, rel=1e-6)
    assert mesh.bounds[1, 2] == pytest.approx(highest, rel=1e-6)
    assert len(stl.mesh.Mesh.from_file(str(tmp_path / "layer-1.stl")).vectors) == len(mesh.faces)
    upper_left = np.abs(mesh.vertices[:, :2] - 0.018 * np.array([1 - shape[1], shape[0] - 1])).max(1) < 0.018
    upper_left &= mesh.vertices[:, 2] > 0  # and not on the bottom, whose middle is a corner, too
    np.testing.assert_allclose(mesh.vertices[upper_left, 2], [whole[7, 7]] * 4, rtol=1e-6)


def test_single_precision_keeps_walls_apart_on_the_longest_side():
    x = (_lines(edges((1, 65536))[1], 8e-6) * 1e3).astype(np.float32)
    assert len(x) == 2 * (65536 + 14)
    assert (np.diff(x) > 0).all()


def test_heights_are_plain_text_and_a_picture(tmp_path: Path):
    layer = layer_of(printed(3), (2, 3))
    levels = np.array([[0, 2, 2], [0, 0, 1]])
    one, contents = written(Heights(), layer, levels)
    table = np.loadtxt(io.BytesIO(contents[one.files[0]]), delimiter=",")
    np.testing.assert_allclose(table, layer.device.control[levels] * 1e6, rtol=1e-8)
    assert "a grey level is 0.001 um" in Heights().instructions(layer, one)[0]
    far = Layer(1, layer.grid, model("printed", 3, wavelength=750e-6, parameters={"index": 1.7}), 750e-6)
    assert written(Heights(), far, levels)[0].details["um_per_grey"] == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("target", "layer", "words"),
    [
        (
            Gds(),
            layer_of(measured(4)),
            r"heights of the levels of measured, but .* there is no index: give .*--set index",
        ),
        (
            Gds(index=1.5, layers="masks"),
            layer_of(measured(7)),
            r"evenly spaced depths, .* off by .* nm: take --set lay",
        ),
        (Gds(index=1.5), layer_of(measured(300)), r"at most 256 levels, .* but measured has 300"),
        (Gds(), Layer(1, Grid((2, 2), 5e-9), printed(2), WAVELENGTH), r"a pitch of at least 10 nm .* but got 5 nm"),
        (
            Gds(),
            Layer(1, Grid((2, 4000), 1e-3), printed(2), WAVELENGTH),
            r"a plate of at most 4 m, .* but got 1 mm over 4\.8 m",
        ),
        (Stl(index=1.5), layer_of(dmd()), r"levels 0 and 1 of dmd are 0 m and 0 m high: train with fewer"),
        (Stl(base=1.0), layer_of(printed(4)), r"heights that differ by at least 477 nm in STL, but levels 0 and 1"),
        (Heights(index=1.5), layer_of(dmd()), r"expected heights that differ by at least 1 nm in a picture with grey"),
        (
            Stl(),
            layer_of(DevicePanel((printed(3), printed(3)), np.indices((7, 9))[0] % 2)),
            r"device whose pixels are all alike, .* has 2 tables",
        ),
    ],
)
def test_what_cannot_be_made_is_refused_before_anything_is_written(
    target: Relief, layer: Layer, words: str, tmp_path: Path
):
    levels = np.zeros(layer.grid.shape, dtype=np.int64)
    with pytest.raises(DeploymentError, match=words):
        target.write(tmp_path, [layer], [levels])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Gds(index=1.0), "an index other than that of the surroundings, but both are 1"),
        (lambda: Gds(index=-1.5), "the index of the material above zero, but got -1.5"),
        (lambda: Gds(surroundings=0), "the index of the surroundings above zero"),
        (lambda: Stl(index=1.5, reflection=True), "no index in reflection, .* but got 1.5: leave it out"),
        (lambda: Stl(**wrong("reflection", "no")), "reflection as True or False, but got 'no'"),
        (lambda: Stl(base=0.0), "thickness of the base in metres above zero"),
        (lambda: Gds(**wrong("layers", "all")), "layers out of levels, terraces, masks"),
        (lambda: Gds(**wrong("drawn", "up")), "drawn out of raised, etched"),
    ],
)
def test_settings_that_make_no_sense_are_refused(make: Callable[[], Relief], words: str):
    with pytest.raises(DeploymentError, match=words):
        make()


@pytest.mark.parametrize("target", TARGETS, ids=repr)
def test_damaged_files_are_refused_in_a_sentence_or_mean_the_same(target: Relief):
    layer = layer_of(printed(4), (3, 4))
    levels = drawn_levels(layer)
    one, contents = written(target, layer, levels)
    generator = np.random.default_rng(1)
    refused = []
    for turn in range(120):
        name = one.files[turn % len(one.files)] if not isinstance(target, Gds) else one.files[0]
        damaged = bytearray(contents[name])
        for place in generator.integers(0, len(damaged), 1 + turn % 3):
            damaged[place] ^= 1 << int(generator.integers(0, 8))
        if turn % 10 == 0:
            del damaged[int(generator.integers(0, len(damaged))) :]
        try:
            found = read(target, layer, one, {**contents, name: bytes(damaged)})
        except DeploymentError as error:
            refused.append(str(error))
        else:
            assert np.array_equal(found, levels)
    assert len(refused) > 40
    assert all(any(name in one for name in contents) and "\n" not in one for one in refused)


def test_a_layer_of_heights_has_two_files():
    layer = layer_of(printed(4))
    one, contents = written(Heights(), layer, drawn_levels(layer))
    with pytest.raises(DeploymentError, match="a table and a picture of a layer, but got 1 files"):
        read(Heights(), layer, Written(one.files[:1], one.details), contents)


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (lambda cell: cell.add(gdstk.rectangle((75, -18), (105, 18), layer=1)), "GDS layer 1 holds other areas"),
        (lambda cell: cell.remove(*cell.polygons[-4:]), "GDS layer 3 holds other areas"),
        (lambda cell: cell.add(gdstk.rectangle((-15, -18), (15, 18), layer=9)), "there is a GDS layer 9"),
        (lambda cell: cell.add(gdstk.rectangle((0, 0), (30, 35), layer=1)), "where no pixel has one"),
        (lambda cell: cell.add(gdstk.rectangle((0, 0), (30, 36), datatype=1)), "its element .* is something else"),
        (lambda cell: cell.add(gdstk.regular_polygon((0, 0), 30, 3, layer=1)), "more, or less, than whole rectangles"),
        (lambda cell: [polygon.mirror((0, 1)) for polygon in cell.polygons], "element 0 is something else"),
        (lambda cell: cell.add(gdstk.Label("x", (0, 0))), "more, or less, than whole rectangles"),
    ],
)
def test_what_another_program_has_changed_in_a_gds_is_named(
    edit: Callable[[gdstk.Cell], object], words: str, tmp_path: Path
):
    layer = layer_of(printed(4), (3, 5))
    (one,) = Gds().write(tmp_path, [layer], [drawn_levels(layer)])
    path = tmp_path / one.files[0]
    library = gdstk.read_gds(path)
    library.write_gds(path)
    read(Gds(), layer, one, {path.name: path.read_bytes()})
    edit(cell_of(library))
    library.write_gds(path)
    with pytest.raises(DeploymentError, match=words):
        read(Gds(), layer, one, {path.name: path.read_bytes()})


@pytest.mark.parametrize("target", [Gds(), Stl(), Heights()])
def test_a_fabricated_system_is_verified_from_its_files(
    target: Relief, tmp_path: Path, make: Callable[..., DONN], dataset: ImageDataset
):
    device = model("printed", 4, wavelength=532e-9)
    folder = deploy(make(devices=[device] * 3), tmp_path / "bench", dataset=dataset, target=target)
    assert verify(folder, dataset).passed
    note = (folder / "README.txt").read_text()
    assert "Roughness: the height steps by" in note
    assert [line.partition(":")[0] for line in summaries(folder)] == [
        f"layer-{number}{'-heights.csv' if target == Heights() else f'.{type(target).__name__.lower()}'}"
        for number in (1, 2, 3)
    ]
    again = deploy(make(devices=[device] * 3), tmp_path / "again", dataset=dataset, target=target)
    assert (folder / "manifest.json").read_bytes() == (again / "manifest.json").read_bytes()
