"""The bench sheet: what it says, the pictures beside it, and what it refuses."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

from voltphase import DONN, Grid, Networks, Skip
from voltphase.cli import app
from voltphase.core.errors import DeploymentError, OutputError
from voltphase.data import ImageDataset
from voltphase.deployment import deploy
from voltphase.deployment.targets import Layer, Stl, Target
from voltphase.devices import DevicePanel, DeviceStates, model, tn_slm
from voltphase.devices.spectrum import spectrum_of_model
from voltphase.optics import Lens
from voltphase.reporting import write_bench_sheet
from voltphase.reporting.bench_sheet.content import Sheet
from voltphase.reporting.bench_sheet.drawing import sheet_figure
from voltphase.reporting.bench_sheet.pattern import figure, pattern_of
from voltphase.tasks import Classification
from voltphase.tasks.image import Image as PictureTask

FORMATS = Path(__file__).parent.parent / "deployment"
BOXES = ((2, 3, 4, 4), (2, 14, 4, 5), (12, 8, 5, 4))


def bench(folder: Path, target: str | Target = "slm-image", devices: list[DeviceStates] | None = None) -> Path:
    devices = devices or [tn_slm().pick(4), tn_slm().pick(7)]
    network = DONN(
        grid=Grid((20, 24), pitch=(36e-6, 30e-6)),
        wavelength=532e-9,
        distances=[0.02, 0.03, 0.025],
        devices=devices,
        task=Classification(BOXES, False, "fraction", 5.0),
        image_shape=(7, 6),
        seed=3,
    ).eval()
    images = torch.randint(0, 256, (30, 7, 6), generator=torch.Generator().manual_seed(5), dtype=torch.uint8)
    data = ImageDataset(images, torch.arange(30) // 4 % 3, "noise", ("left", "right", "low $x_1$"))
    return deploy(network, folder, dataset=data, target=target)


@pytest.fixture(scope="module")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return bench(tmp_path_factory.mktemp("bench") / "maps")


@pytest.fixture(scope="module")
def made(deployed: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the command makes of it."""
    folder = tmp_path_factory.mktemp("sheets") / "sheet"
    result = CliRunner().invoke(app, ["bench-sheet", str(deployed), "--out", str(folder)])
    assert result.output == f"bench sheet: {folder / 'bench-sheet.pdf'}, and .html\n"
    return folder


def words(folder: Path) -> list[str]:
    sheet = Sheet.of(folder)
    patterns = [[f"test-{layer.number}"] for layer in sheet.layers] if sheet.target.loaded else []
    drawn = sheet_figure(sheet, patterns, [f"input-{number}.png" for number in range(1, len(sheet.inputs) + 1)])
    assert tuple(drawn.get_size_inches()) == (8.27, 11.69)
    titles = [text for axes in drawn.axes for text in (axes.get_title(), *(text.get_text() for text in axes.texts))]
    return [text.get_text() for text in drawn.texts] + titles


def test_what_stands_between_planes_and_beside_them_is_on_the_page(tmp_path: Path):
    light = (532e-9, 633e-9)
    boxes = ((2, 2, 4, 4), (2, 10, 4, 4))
    network = DONN(
        grid=Grid(16, 36e-6),
        wavelength=light,
        distances=[(0.01, Lens(0.1), 0.01), 0.02, 0.02],
        devices=[spectrum_of_model("printed", 4, light)] * 4,
        task=Classification(boxes, differential="wavelength", scale=2.0),
        networks=Networks(2, "classes"),
        skips=[Skip(0, 2, 0.3)],
        image_shape=(7, 6),
    ).eval()
    told = words(deploy(network, tmp_path / "bench"))
    assert {"lens", "layers 1, 3", "layers 2, 4", "10 mm", "40 mm"} <= set(told)
    page = " ".join(told)
    assert "At 10 mm, lens: focal length 100 mm." in page
    assert "A beam splitter behind the source of each network reflects 0.3 of the power" in page
    assert "Network 2: layers 3, 4, with 0.5 of the light" in page
    # A region is read at each wavelength, and every line of text is on the page.
    assert {"0, 532 nm", "0, 633 nm", "1, 532 nm", "1, 633 nm"} <= set(told)
    assert max(map(len, told)) < 135


def test_it_is_one_page_and_a_page_for_a_browser_and_lies_beside_the_folder(deployed: Path, made: Path):
    names = {path.name for path in made.iterdir()}
    inputs, patterns = {f"input-{number}.png" for number in (1, 2, 3)}, {"test-layer-1.png", "test-layer-2.png"}
    assert names == {"bench-sheet.html", "bench-sheet.pdf"} | inputs | patterns
    pdf, html = (made / "bench-sheet.pdf").read_bytes(), (made / "bench-sheet.html").read_text()
    assert pdf.startswith(b"%PDF-")
    assert len(re.findall(rb"/Type /Page\b", pdf)) == 1
    assert set(re.findall('<a href="([^"]+)"', html)) - names == set()
    assert html.count("<svg") == 1
    before = {path.name: path.read_bytes() for path in deployed.iterdir()}
    again = write_bench_sheet(deployed)
    assert again == deployed.with_name("maps-sheet")
    assert all((again / name).read_bytes() == (made / name).read_bytes() for name in names)
    assert {path.name: path.read_bytes() for path in deployed.iterdir()} == before


def test_it_says_files_distances_regions_in_mm_and_readings(deployed: Path):
    told = words(deployed)
    assert {"layer-1.png", "layer-2.png", "detector", "20", "30", "25", "50 mm", "75 mm"} <= set(told)
    assert "Wavelength 532 nm, coherent." in told
    assert any(line.startswith("Polarisation: ") for line in told)
    row = told.index("-0.270, -0.150")  # across of the first region, columns 3 to 6 of 24 of 30 um
    assert told[row - 5 : row] == ["0", "left", "2-5", "3-6", "-0.288, -0.144"]
    sheet = Sheet.of(deployed)
    assert sheet.labels == ["left", "right", "low $x_1$"]
    readings = np.load(deployed / "sample-readings.npy")[[0, 4, 8]].astype(float)
    assert told[row + 1 : row + 4] == [f"{reading[0] / reading.max():.3f}" for reading in readings]
    assert "20 x 24, 36 x 30 um" in told
    assert told.count("TOP") == told.count("LEFT") == 7


def test_inputs_are_pictures_of_the_light_on_the_source(deployed: Path, made: Path):
    image = torch.from_numpy(np.load(deployed / "sample-images.npy")[:1]).float()[None]
    wanted = torch.nn.functional.interpolate(image, size=(20, 24), mode="bilinear", align_corners=False)[0, 0]
    shown = np.asarray(Image.open(made / "input-1.png"))
    assert shown.dtype == np.uint8
    np.testing.assert_allclose(shown, wanted.numpy(), atol=0.51)
    assert Sheet.of(deployed).carried == "the largest amplitude (not intensity), black is dark"


def test_the_pattern_is_in_the_target_s_own_files_and_looks_the_same_in_no_other_way(deployed: Path, made: Path):
    sheet = Sheet.of(deployed)
    written = [record.written for record in sheet.manifest.layers]
    contents = {name: (made / f"test-{name}").read_bytes() for one in written for name in one.files}
    for layer, levels in zip(sheet.layers, sheet.target.read(sheet.layers, written, contents), strict=True):
        values = layer.device.tables[0].values()
        assert np.array_equal(levels, pattern_of(layer))
        assert set(np.unique(levels)) == {0, np.abs(values - values[0]).argmax()}
    square = figure((31, 31), 2)
    turned = [np.rot90(flip, turns) for flip in (square, square.T) for turns in range(4)]
    assert sum(np.array_equal(one, square) for one in turned) == 1
    assert square[15].all()
    assert square[:, 15].all()
    assert figure((8, 9), 1)[3:5].all()  # the middle of an even number of rows is between two


def test_inactive_pixels_take_no_part_in_the_pattern():
    regions = np.zeros((15, 11), dtype=np.int64)
    regions[7, :4] = -1
    panel = DevicePanel((tn_slm().pick(4),), regions)
    levels = pattern_of(Layer(1, Grid((15, 11), 36e-6), panel, 532e-9))
    assert not levels[7, :4].any()
    assert levels[7, 4:].all()


def test_what_is_fabricated_has_figures_instead_of_a_pattern(tmp_path: Path):
    device = model("printed", 4, wavelength=532e-9)
    folder = bench(tmp_path / "plates", Stl(), [device, device])
    told = words(folder)
    assert any("roughness of neighbours" in line for line in told)
    assert not any("test pattern" in line for line in told)
    names = {path.name for path in write_bench_sheet(folder).iterdir()}
    assert not any(name.startswith("test-") for name in names)


@pytest.mark.parametrize(("name", "inputs"), [("format-1", False), ("format-2/panel", True)])
def test_folders_of_earlier_versions_have_one(name: str, inputs: bool, tmp_path: Path):
    sheet = write_bench_sheet(FORMATS / name, tmp_path / "sheet")
    assert (sheet / "test-layer-2.png").is_file()
    assert (sheet / "input-1.png").is_file() == inputs


def test_a_task_of_pictures_has_one(tmp_path: Path):
    network = DONN(
        grid=Grid(16, 36e-6), wavelength=532e-9, distances=0.02, devices=[tn_slm().pick(4)], task=PictureTask()
    )
    deploy(network.eval(), tmp_path / "bench")
    assert any(line.startswith("A picture of ") for line in words(tmp_path / "bench"))


def test_long_and_odd_names_stay_on_the_page(tmp_path: Path):
    states = tn_slm().pick(4)
    name = "an SLM $of \\frac a name <b>" + "x" * 200
    odd = DeviceStates(states.control, states.amplitude, states.phase, name)
    folder = bench(tmp_path / "<i>$a_b", devices=[odd, odd])
    html = (write_bench_sheet(folder) / "bench-sheet.html").read_text()
    assert "<title>Bench sheet: &lt;i&gt;$a_b</title>" in html
    assert max(map(len, words(folder))) < 160


def test_what_is_wrong_is_said_and_nothing_is_left(deployed: Path, tmp_path: Path):
    with pytest.raises(DeploymentError, match="expected a deployed folder"):
        write_bench_sheet(tmp_path, tmp_path / "sheet")
    (tmp_path / "there").mkdir()
    with pytest.raises(OutputError, match="exists already"):
        write_bench_sheet(deployed, tmp_path / "there")
    shutil.copytree(deployed, tmp_path / "maps")
    (tmp_path / "maps" / "layer-1.png").write_bytes(b"no picture")
    with pytest.raises(DeploymentError, match=r"a PNG in layer-1\.png, but it is no picture"):
        write_bench_sheet(tmp_path / "maps")
    assert {path.name for path in tmp_path.iterdir()} == {"there", "maps"}
