"""Networks side by side, from files alone: the emulator, the numpy example, the note, and what is refused."""

from __future__ import annotations

import importlib.util
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
from voltphase.tasks import Classification, Image, Task

EMULATE = Path(__file__).parents[2] / "examples" / "emulate.py"
IMAGES = torch.rand(3, 9, 9, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def numpy_emulator(folder: Path) -> Any:
    spec = importlib.util.spec_from_file_location("emulate", EMULATE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.Emulator(folder)


def deployed(
    out: Path, combine: str | None = "classes", task: Task | None = None, **changes: object
) -> tuple[vp.DONN, Path]:
    options: dict[str, object] = {
        "grid": [vp.Grid(size, 36e-6) for size in ((24, 20, 32, 28) if combine else (24, 20, 20, 20, 28))],
        "wavelength": 532e-9,
        "distances": [0.01, 0.02, 0.015],
        "devices": [vp.devices.tn_slm().pick(8)] * 4,
        "dtype": torch.complex128,
        "image_shape": (9, 9),
        "networks": None if combine is None else vp.Networks(2, combine),  # pyright: ignore[reportArgumentType]
        "task": Classification("grid", classes=4, scale=2.0) if task is None else task,
    }
    model = vp.DONN(**(options | changes)).eval()  # pyright: ignore[reportArgumentType]
    return model, deploy(model, out)


@pytest.mark.parametrize(
    ("combine", "task", "changes"),
    [
        ("sum", None, {}),
        ("classes", Classification("grid", classes=4, differential=False, scale=2.0), {"gain": 1.5}),
        ("difference", None, {"background_light": 0.01}),
        ("sum", Image(window=(4, 4, 8, 8)), {}),
        ("classes", None, {"skips": [vp.Skip(0, 2, 0.3), vp.Skip(1, 3, 0.5, distance=0.04)]}),
        (None, None, {"skips": [vp.Skip(1, 4, 0.3)], "distances": 0.01, "devices": [vp.devices.tn_slm().pick(8)] * 3}),
    ],
)
def test_the_files_alone_give_the_answers(
    combine: str | None, task: Task | None, changes: dict[str, object], tmp_path: Path
) -> None:
    model, folder = deployed(tmp_path / "bench", combine, task, **changes)
    assert verify(folder).passed
    expected = model(IMAGES)
    torch.testing.assert_close(Emulator.from_folder(folder)(IMAGES), expected)
    emulator = numpy_emulator(folder)
    found = emulator.readings(IMAGES.numpy()) if isinstance(task, Image) else emulator.logits(IMAGES.numpy())
    np.testing.assert_allclose(found, expected.detach().numpy(), rtol=1e-7, atol=1e-9)


def test_the_note_says_whose_the_layers_are(tmp_path: Path) -> None:
    note = " ".join((deployed(tmp_path / "bench")[1] / "README.txt").read_text(encoding="utf-8").split())
    assert "2 networks stand side by side" in note
    assert "Network 2: layers 3, 4, with 0.5 of the light; it falls on columns 28-55 of the detector" in note
    assert "at x = +0.504 mm from the detector's middle" in note
    assert "layer 3 10 mm layer-3.png 20 rows x 20 columns" in note
    assert "Beams do not interfere." in note


def test_a_folder_of_one_beam_is_of_the_version_before(tmp_path: Path) -> None:
    _, folder = deployed(tmp_path / "bench", None, grid=vp.Grid(20, 36e-6), distances=0.01)
    content = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    assert content["format_version"] == 3
    assert "beams" not in content
    assert "beams" not in content["conventions"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"weight": 0.4}, "add up to 1"),
        ({"layers": [1, 2]}, "all 4 together"),
        ({"layers": [4, 3]}, "planes with the same samples"),
        ({"area": 3}, "some part has none"),
        ({"layers": [3]}, "pass 2 layers each"),
    ],
)
def test_beams_that_cannot_be_are_refused(change: dict[str, object], said: str, tmp_path: Path) -> None:
    _, folder = deployed(tmp_path / "bench")
    content = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    content["beams"][1] |= change
    content["manifest_sha256"] = manifest_digest(content)
    (folder / "manifest.json").write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(DeploymentError, match=said):
        Manifest.read(folder)


def test_the_note_says_where_the_splitters_stand(tmp_path: Path) -> None:
    _, folder = deployed(tmp_path / "bench", skips=[vp.Skip(0, 2, 0.3)])
    note = " ".join((folder / "README.txt").read_text(encoding="utf-8").split())
    assert "splitter behind the source of each network reflects 0.3 of the power past the layers between" in note
    assert "in front of layer 2, which reflects as much; 30 mm from plane to plane" in note
    assert "Skips: Planes on the way of a beam" in note


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"start": 2}, "light does not go in a loop"),
        ({"end": 4}, "plane 3 at most"),
        ({"share": 1.0}, "layers would get no light"),
        ({"formula": "V = U"}, "expected the formula of this method"),
    ],
)
def test_skips_that_cannot_be_are_refused(change: dict[str, object], said: str, tmp_path: Path) -> None:
    _, folder = deployed(tmp_path / "bench", skips=[vp.Skip(0, 2, 0.3)])
    content = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    content["skips"][0] |= change
    content["manifest_sha256"] = manifest_digest(content)
    (folder / "manifest.json").write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(DeploymentError, match=said):
        Manifest.read(folder)


def test_several_beams_are_of_their_own_version(tmp_path: Path) -> None:
    _, folder = deployed(tmp_path / "bench")
    content = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    conventions = {key: text for key, text in content["conventions"].items() if key not in ("beams", "skips")}
    content |= {"format_version": 3, "conventions": conventions}
    content["manifest_sha256"] = manifest_digest(content)
    (folder / "manifest.json").write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(DeploymentError, match="beams, skips, light or elements in format version 4"):
        Manifest.read(folder)
