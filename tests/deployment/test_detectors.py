"""Several detectors, from files alone: the emulator, the numpy example, the note, the bench sheet, what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import voltphase as vp
from voltphase.core.errors import DeploymentError
from voltphase.deployment import Emulator, deploy, verify
from voltphase.deployment.manifest import Manifest, manifest_digest
from voltphase.devices.spectrum import spectrum_of_model
from voltphase.optics import Lens, Stop
from voltphase.reporting.bench_sheet.content import Sheet
from voltphase.reporting.bench_sheet.drawing import sheet_figure
from voltphase.tasks import Classification, Image

IMAGES = torch.rand(3, 9, 9, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
DEVICE = vp.devices.tn_slm().pick(8)
LIGHT = (532e-9, 633e-9)
DIFFERENCE = vp.Detectors((0.015, 0.03), "difference", (0.25, 0.75))


def deployed(out: Path, detectors: vp.Detectors | None = DIFFERENCE, **changes: object) -> tuple[vp.DONN, Path]:
    options: dict[str, object] = {
        "grid": [vp.Grid(size, 36e-6) for size in (24, 20, 32, 28)],
        "wavelength": 532e-9,
        "distances": [0.01, 0.02] if detectors else [0.01, 0.02, 0.015],
        "devices": [DEVICE] * 2,
        "dtype": torch.complex128,
        "image_shape": (9, 9),
        "detectors": detectors,
        "task": Classification("grid", classes=4, scale=2.0),
    }
    model = vp.DONN(**(options | changes)).eval()  # pyright: ignore[reportArgumentType]
    return model, deploy(model, out)


CASES: list[dict[str, object]] = [
    {"background_light": 0.01, "gain": 1.5},
    {
        "detectors": vp.Detectors((0.02, (0.01, Lens(0.1), 0.01, Stop(5e-4), 0.0), 0.03), "classes"),
        "skips": [vp.Skip(0, 2, 0.3)],
        "task": Classification("grid", classes=4, differential=False, scale=2.0),
    },
    {"detectors": vp.Detectors((0.02, 0.03)), "task": Image(window=(4, 4, 8, 8))},
    {"detectors": vp.Detectors((0.02, 0.03), "classes"), "networks": vp.Networks(2), "devices": [DEVICE] * 4},
    {
        "detectors": vp.Detectors((0.02, 0.03), "classes", (0.4, 0.6)),
        "wavelength": LIGHT,
        "devices": [spectrum_of_model("printed", 6, LIGHT)] * 2,
        "task": Classification("grid", classes=4, differential="wavelength", scale=2.0),
        "skips": [vp.Skip(0, 2, 0.3)],
        "method": "auto",
    },
]


@pytest.mark.parametrize("changes", CASES)
def test_the_files_alone_give_the_answers(numpy_emulator: Any, changes: dict[str, object], tmp_path: Path) -> None:
    model, folder = deployed(tmp_path / "bench", **changes)  # pyright: ignore[reportArgumentType]
    assert verify(folder).passed
    expected = model(IMAGES)
    torch.testing.assert_close(Emulator.from_folder(folder)(IMAGES), expected)
    emulator = numpy_emulator.Emulator(folder)
    picture = isinstance(model.task, Image)
    found = emulator.readings(IMAGES.numpy()) if picture else emulator.logits(IMAGES.numpy())
    np.testing.assert_allclose(found, expected.detach().numpy(), rtol=1e-7, atol=1e-9)
    assert json.loads((folder / "manifest.json").read_text())["format_version"] == 4


def words(folder: Path) -> str:
    return " ".join((folder / "README.txt").read_text(encoding="utf-8").split())


def test_the_note_says_where_each_camera_stands(tmp_path: Path) -> None:
    way = (0.01, Lens(0.1), 0.02)
    _, folder = deployed(tmp_path / "bench", vp.Detectors((0.015, way), "difference", (0.25, 0.75)))
    note = words(folder)
    assert "2 devices and 2 detectors, along one axis" in note
    assert "detector 1 45 mm 28 rows x 28 columns" in note
    assert "lens 40 mm lens: focal length 100 mm, on the way to detector 2 32 rows" in note
    assert "detector 2 60 mm 28 rows x 28 columns" in note
    assert "10 mm, 20 mm; from the last layer to detector 1: 15 mm; from the last layer to detector 2: 10 mm, 2" in note
    assert (
        "send 0.25 of the power to detector 1, 15 mm behind the last layer, 0.75 of the power to detector 2, 3" in note
    )
    assert "Detectors: Behind the last layer, of number L" in note
    rows = [line.split() for line in (folder / "README.txt").read_text().splitlines()]
    regions = {row[0]: row for row in rows if len(row) == 10 and row[0].isdigit()}
    assert [regions[str(index)][1] for index in range(8)] == ["1", "2"] * 4
    manifest = Manifest.read(folder)
    row, column, *_ = manifest.readout.regions[1]
    assert regions["1"][4].split("-")[0] == str(row)
    assert regions["1"][5].split("-")[0] == str(column - 28)


def test_the_bench_sheet_shows_each_detector(tmp_path: Path) -> None:
    _, folder = deployed(tmp_path / "bench")
    sheet = Sheet.of(folder)
    figure = sheet_figure(sheet, [], [f"input {number}" for number in range(len(sheet.inputs))])
    titles = [axes.get_title() for axes in figure.axes]
    assert {"detector 1", "detector 2"} <= {*titles}
    told = {text.get_text() for axes in figure.axes for text in axes.texts}
    assert {"45 mm", "60 mm"} <= told


def test_a_folder_of_one_detector_is_of_the_version_before(tmp_path: Path) -> None:
    content = json.loads((deployed(tmp_path / "bench", None)[1] / "manifest.json").read_text(encoding="utf-8"))
    assert content["format_version"] == 3
    assert "detectors" not in content
    assert "detectors" not in content["conventions"]


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("detectors", [{"share": 0.25, "area": 0}, {"share": 0.7, "area": 1}], "shares of detectors that add up to 1"),
        ("detectors", [{"share": 0.25, "area": 0}, {"share": 0.75, "area": 2}], "some part has none"),
        ("detectors", [{"share": 0.25, "area": 0}, {"share": 0.5, "area": 1}, {"share": 0.25, "area": 0}], "distances"),
        ("detectors", [{"share": 1.0, "area": 0}], "at least 2"),
        ("format_version", 3, "conventions"),
    ],
)
def test_a_manifest_that_contradicts_itself_is_refused(key: str, value: object, said: str, tmp_path: Path) -> None:
    _, folder = deployed(tmp_path / "bench")
    content = json.loads((folder / "manifest.json").read_text(encoding="utf-8")) | {key: value}
    content["manifest_sha256"] = manifest_digest(content)
    (folder / "manifest.json").write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(DeploymentError, match=said):
        Manifest.read(folder)
