"""Folders of light that is more than one coherent wave: verified, and computed with numpy alone."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import voltphase as vp
from voltphase.core.errors import DeploymentError
from voltphase.deployment import deploy, verify
from voltphase.deployment.emulator import Emulator
from voltphase.deployment.folder import manifest_digest
from voltphase.devices import DevicePanel, DeviceSpectrum
from voltphase.devices.spectrum import spectrum_of_model
from voltphase.network.networks import Networks
from voltphase.optics import Coherence, Spectrum
from voltphase.tasks import Classification, Image

# Both compute in double precision.
DOUBLE = 1e-9
LIGHT = (532e-9, 633e-9)
RELIEF = spectrum_of_model("printed", 6, LIGHT)
APART = Classification("grid", classes=4, differential="wavelength", scale=2.0)
SUMS = Classification("grid", classes=4, differential=False, measure="sum", scale=1.0)
REGIONS = np.where(np.arange(256).reshape(16, 16) % 7 == 0, -1, 0)


def panels() -> DeviceSpectrum:
    assert isinstance(RELIEF, DeviceSpectrum)
    return DeviceSpectrum(tuple(DevicePanel(one.tables, REGIONS, 0.3) for one in RELIEF.devices))


def network(**changes: object) -> vp.DONN:
    options: dict[str, object] = {
        "grid": vp.Grid(16, 36e-6),
        "wavelength": LIGHT,
        "distances": 0.02,
        "devices": [RELIEF, RELIEF],
        "image_shape": (8, 8),
        "dtype": torch.complex128,
        "task": SUMS,
    }
    return vp.DONN(**(options | changes)).eval()  # pyright: ignore[reportArgumentType]


LIGHTS: list[dict[str, object]] = [
    {"wavelength": Spectrum(LIGHT, weights=(3, 1)), "gain": 2.0},
    {"task": APART, "devices": [panels()] * 2, "background_light": 0.1},
    {"task": replace(APART, measure="amplitude"), "method": "auto"},
    {"wavelength": 532e-9, "devices": [vp.devices.printed(6)], "coherence": Coherence(3, 60e-6, seed=5)},
    {"wavelength": 532e-9, "devices": [vp.devices.printed(6)], "coherence": Coherence(3, 6e-6)},
    {"wavelength": Spectrum(LIGHT, bandwidth=20e-9, lines=3), "coherence": Coherence(2, 60e-6), "task": APART},
    {"task": Image(window=(4, 4, 8, 8), measure="amplitude")},
    {"devices": [RELIEF] * 4, "networks": Networks(2, "classes"), "coherence": Coherence(2, 60e-6)},
    {"wavelength": 532e-9, "devices": [vp.devices.printed(6)], "coherence": Coherence(2, 6e-5), "task": Image()},
    {"skips": [vp.Skip(0, 2, 0.3), vp.Skip(1, 3, 0.5, distance=0.05)], "task": APART, "method": "auto"},
    {"devices": [RELIEF] * 4, "networks": Networks(2, "classes"), "skips": [vp.Skip(0, 3, 0.3)]},
]


@pytest.mark.filterwarnings("ignore:Light with a coherence")
@pytest.mark.parametrize("changes", LIGHTS)
def test_a_folder_verifies_and_numpy_computes_it(
    numpy_emulator: Any, tmp_path: Path, changes: dict[str, object]
) -> None:
    model = network(**changes)
    folder = deploy(model, tmp_path / "bench")
    assert verify(folder).passed
    images = np.load(folder / "sample-images.npy")[:3]
    expected = model(torch.from_numpy(images)).detach().numpy()
    emulated = Emulator.from_folder(folder)(torch.from_numpy(images))
    np.testing.assert_allclose(emulated, expected, atol=DOUBLE * np.abs(expected).max())
    numpy = numpy_emulator.Emulator(folder)
    np.testing.assert_allclose(numpy.logits(images), expected, atol=DOUBLE * np.abs(expected).max())
    readings = np.load(folder / "sample-readings.npy")[:3]
    np.testing.assert_allclose(numpy.readings(images), readings, atol=DOUBLE * readings.max())
    about = json.loads((folder / "manifest.json").read_text())
    assert about["format_version"] == 4
    assert "of intensities that are added" in " ".join((folder / "README.txt").read_text().split())


def test_one_coherent_wave_is_written_as_it_always_was(tmp_path: Path) -> None:
    folder = deploy(network(wavelength=532e-9, devices=[vp.devices.printed(6)]), tmp_path / "bench")
    about = json.loads((folder / "manifest.json").read_text())
    assert about["format_version"] == 3
    assert "light" not in about
    assert about["readout"]["differential"] is False
    assert "532 nm, coherent (" in (folder / "README.txt").read_text()


@pytest.mark.parametrize(
    ("place", "value", "said"),
    [
        (("light", "lines", 0, "weight"), 0.9, "add up to 1"),
        (("light", "lines", 1, "states_of"), 0, "two wavelengths"),
        (("light", "channels"), "sum", "formulas of this light"),
        (("light", "formula"), "", "formulas of this light"),
        (("light", "lines", 1, "methods"), [], "methods for 3 distances of each line"),
        (
            ("light", "lines", 1, "past"),
            [{"name": "fresnel", "parameters": {}}],
            "methods for 3 distances of each line",
        ),
        (("wavelength_m",), 540e-9, "wavelength_m in the middle of the lines"),
        (("readout", "task", "settings", "scale"), "x", "readout.task.settings.scale to be"),
        (("format_version",), 3, "conventions"),
        (("readout", "differential"), True, "expected"),
    ],
)
def test_a_manifest_that_contradicts_itself_is_refused(
    tmp_path: Path, place: tuple[str | int, ...], value: object, said: str
) -> None:
    folder = deploy(network(task=APART), tmp_path / "bench")
    path = folder / "manifest.json"
    about = json.loads(path.read_text())
    part: Any = about
    for key in place[:-1]:
        part = part[key]
    part[place[-1]] = value
    path.write_text(json.dumps({**about, "manifest_sha256": manifest_digest(about)}))
    with pytest.raises(DeploymentError, match=said):
        Emulator.from_folder(folder)
