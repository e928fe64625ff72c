"""Networks with lenses, apertures and relays between their planes, from their deployed folders alone."""

from __future__ import annotations

import json
import runpy
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError

import voltphase as vp
from voltphase.core.errors import DeploymentError
from voltphase.deployment.folder import write_array
from voltphase.deployment.formulas import CONVENTIONS
from voltphase.deployment.manifest import manifest_digest
from voltphase.deployment.parts.elements import ElementRecord, read_spans
from voltphase.deployment.records import ArrayRecord, GridRecord
from voltphase.devices.spectrum import spectrum_of_model
from voltphase.optics import Aperture, Element, Lens, Relay, Stop, ThinLens
from voltphase.optics.paths import Placed

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


LIGHT = (532e-9, 633e-9)
SEVERAL = {
    "modules": SYSTEMS["modules"],
    "flat lens": SYSTEMS["flat lens"],
    "relay": [0.02, (Relay(0.05, 8e-4), 0.02)],
    "transmission": SYSTEMS["transmission"],
}


def lit(distances: Any, wavelength: float | Sequence[float] = LIGHT, **changes: Any) -> vp.DONN:
    devices = [vp.devices.model("ti-plm")] if isinstance(wavelength, float) else [spectrum_of_model("ti-plm", 4, LIGHT)]
    options = {"grid": GRID, "devices": devices, "image_shape": (6, 6), "dtype": torch.complex128} | changes
    return vp.DONN(wavelength=wavelength, distances=distances, **options)


@pytest.mark.filterwarnings("ignore::voltphase.optics.sampling.SamplingWarning")  # planes are small
@pytest.mark.parametrize("name", SEVERAL)
def test_elements_are_made_for_each_wavelength(name: str, tmp_path: Path) -> None:
    model = lit(SEVERAL[name], coherence=vp.optics.Coherence(2, 1e-4) if name == "relay" else None)
    model.train()(torch.rand(4, 6, 6))
    bench = vp.deploy(model.eval(), tmp_path / "bench")
    assert vp.verify(bench).passed
    images = torch.rand(3, 6, 6, generator=torch.Generator().manual_seed(1))
    np.testing.assert_allclose(EMULATOR(bench).logits(images.numpy()), model(images).detach(), rtol=1e-6)
    content = json.loads((bench / "manifest.json").read_text())
    relay = "A relay, 200 mm long, comes in addition: its first lens stands a focal length behind the position given"
    assert (relay in " ".join((bench / "README.txt").read_text().split())) == (name == "relay")
    assert len(content["propagation"]["elements"]) == sum(isinstance(step, Placed) for s in model.spans for step in s)


@pytest.mark.filterwarnings("ignore::voltphase.optics.sampling.SamplingWarning")  # planes are small
@pytest.mark.parametrize("lens", [Lens(0.1), ThinLens(GRID, wavelength=LIGHT[0], focal_length=0.1)])
def test_a_lens_of_glass_is_the_same_at_all_wavelengths_and_a_flat_one_is_not(lens: Any) -> None:
    image = torch.rand(1, 6, 6)
    found = lit([(0.01, lens, 0.02), 0.02]).planes(image, beam=1)["layer 1 in"]
    alone = [
        lit([(0.01, one, 0.02), 0.02], LIGHT[1]).planes(image)["layer 1 in"]
        for one in (Lens(0.1), Lens(0.1, design_wavelength=LIGHT[0]))
    ]
    torch.testing.assert_close(found, alone[0])
    assert (found - alone[1]).abs().max() > 1e-3


class Prism(Lens):
    """A lens that is another at each wavelength, and that no folder has a formula of."""


def test_elements_without_a_formula_are_written_for_one_wavelength(tmp_path: Path) -> None:
    model = lit([(0.01, Prism(0.1), 0.01), 0.02]).eval()
    with pytest.raises(DeploymentError, match=r"relays and fixed arrays .* but got 'Prism', which is another at each"):
        vp.deploy(model, tmp_path / "bench")


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
            "light or elements in format version 4",
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


def test_arrays_of_an_element_have_no_settings() -> None:
    array = ArrayRecord(file="element-1-phase.npy", sha256="0" * 64, dtype=None)
    about: dict[str, Any] = {"behind": 0, "grid": GridRecord.of(vp.Grid(8, 36e-6)), "amplitude": array, "phase": array}
    assert ElementRecord(kind="transmission", settings={}, **about).length == 0
    with pytest.raises(ValidationError, match="expected no settings of transmission"):
        ElementRecord(kind="transmission", settings={"file": "other.npy"}, **about)


def test_arrays_of_an_element_that_are_none_are_named(tmp_path: Path) -> None:
    grid = GridRecord.of(vp.Grid(4, 36e-6))
    arrays = {part: write_array(tmp_path / f"{part}.npy", np.full((4, 4), np.nan)) for part in ("amplitude", "phase")}
    element = ElementRecord(behind=0, grid=grid, kind="transmission", settings={}, **arrays)
    with pytest.raises(DeploymentError, match=r"amplitude.npy and phase.npy: expected a finite transmission"):
        read_spans(tmp_path, 1, [0.01, 0.01], [element])
