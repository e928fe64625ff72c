"""Networks with lenses, apertures and relays between their planes, from their deployed folders alone."""

from __future__ import annotations

import json
import runpy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import voltphase as vp
from voltphase.core.errors import DeploymentError
from voltphase.deployment.formulas import CONVENTIONS
from voltphase.deployment.manifest import manifest_digest
from voltphase.optics import Aperture, Element, Lens, Relay, Stop, ThinLens

GRID = vp.Grid((12, 14), (36e-6, 30e-6))
EMULATOR = runpy.run_path(str(Path(__file__).parents[2] / "examples" / "emulate.py"))["Emulator"]
SHADE = torch.linspace(0.2, 1, 14, dtype=torch.float64).expand(12, 14) * torch.exp(torch.tensor(0.3j))
SYSTEMS = {
    "lens": [(0.02, Lens(0.1, diameter=3e-4, centre=(2e-5, 0.0)), 0.01), 0.02],
    "flat lens": [0.02, (Lens(0.1, design_wavelength=633e-9), 0.02)],
    "relay": [(Relay((0.05, 0.04), 8e-4), Stop(opening=(3e-4, 2.2e-4), size=14, pitch=30e-6), 0.02), (Relay(0.05),)],
    "modules": [(0.01, ThinLens(GRID, wavelength=532e-9, focal_length=0.1), 0.01, Aperture(GRID, diameter=3e-4)), 0.02],
    "transmission": [0.02, (0.01, Element(SHADE, grid=GRID), 0.01)],
}


def deployed(distances: Any, folder: Path, networks: int = 1) -> tuple[vp.DONN, Path]:
    devices = [vp.devices.tn_slm().pick(4)] * networks
    side_by_side: dict[str, Any] = {"networks": vp.Networks(networks)} if networks > 1 else {}
    model = vp.DONN(
        grid=GRID, wavelength=532e-9, distances=distances, devices=devices, image_shape=(6, 6), **side_by_side
    )
    model.train()(torch.rand(4, 6, 6))
    return model.eval(), vp.deploy(model, folder)


@pytest.mark.filterwarnings("ignore::voltphase.optics.sampling.SamplingWarning")  # planes are small
@pytest.mark.parametrize(("name", "networks"), [*((name, 1) for name in SYSTEMS), ("lens", 2)])
def test_what_stands_in_between_is_computed_from_the_folder_alone(name: str, networks: int, tmp_path: Path) -> None:
    model, bench = deployed(SYSTEMS[name], tmp_path / "bench", networks)
    assert vp.verify(bench).passed
    images = torch.rand(3, 6, 6, generator=torch.Generator().manual_seed(1))
    np.testing.assert_allclose(EMULATOR(bench).logits(images.numpy()), model(images).detach(), rtol=1e-4, atol=1e-5)
    content = json.loads((bench / "manifest.json").read_text())
    assert content["format_version"] == 4
    # Each kind is told of where it stands, and by its formula.
    note = (bench / "README.txt").read_text()
    for element in content["propagation"]["elements"]:
        assert note.count(element["kind"]) >= 2
        assert element["kind"] in content["propagation"]["formulas"]


def test_a_folder_without_elements_is_as_it_was(tmp_path: Path) -> None:
    _, bench = deployed(0.02, tmp_path / "bench")
    content = json.loads((bench / "manifest.json").read_text())
    assert content["format_version"] == 3
    assert "elements" not in content["propagation"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda m: m.update(format_version=3, conventions=CONVENTIONS),
            "skips or elements in format version 4",
        ),
        (lambda m: m["propagation"]["elements"][0].update(behind=2), "expected elements behind planes that there are"),
        (lambda m: m["propagation"]["elements"][0].update(kind="prism"), "expected kind out of lens, aperture, relay"),
        (lambda m: m["propagation"]["elements"][0]["settings"].update(focal_length=0), "focal length other than zero"),
        (lambda m: m["propagation"]["elements"].pop(), "expected formulas as this version means them"),
    ],
)
def test_elements_that_make_no_sense_are_refused(change: Any, message: str, tmp_path: Path) -> None:
    _, bench = deployed([(0.01, Lens(0.1), 0.01), 0.02], tmp_path / "bench")
    content = json.loads((bench / "manifest.json").read_text())
    change(content)
    content["manifest_sha256"] = manifest_digest(content)
    (bench / "manifest.json").write_text(json.dumps(content))
    with pytest.raises(DeploymentError, match=message):
        vp.verify(bench)
