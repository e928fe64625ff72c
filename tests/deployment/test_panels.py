"""Panels and planes of different sizes, from the model to the emulator by the files alone."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from voltphase.core.errors import DeploymentError
from voltphase.data import ImageDataset
from voltphase.deployment import Emulator, deploy, verify
from voltphase.deployment.layers import read_layers
from voltphase.deployment.manifest import Manifest, manifest_digest
from voltphase.devices import DevicePanel, DeviceStates
from voltphase.network.donn import DONN
from voltphase.optics.grid import Grid
from voltphase.tasks import Classification

GRIDS = [Grid(14, 40e-6), Grid((18, 16), 36e-6), Grid((20, 22), (30e-6, 36e-6)), Grid((24, 20), 30e-6)]
MAP = np.random.default_rng(0).integers(-1, 2, GRIDS[1].shape)


@pytest.fixture
def model(make_device: Callable[..., DeviceStates]) -> DONN:
    """A panel of two tables, then a device within a border, on planes that are all different."""
    panel = DevicePanel((make_device(6, seed=1), make_device(6, seed=2)), MAP, 0.5j, "two kinds of pixel")
    bordered = DevicePanel.uniform(make_device(300, "V"), GRIDS[2].shape, border=(1, 2, 0, 3))
    return DONN(
        grid=GRIDS,
        wavelength=532e-9,
        distances=[0.02, 0.03, 0.025],
        devices=[panel, bordered],
        task=Classification(((2, 2, 6, 6), (2, 11, 6, 6), (14, 6, 6, 6)), False, "mean", 3.0),
        image_shape=(7, 6),
        gain=2.0,
        seed=5,
    ).eval()


@pytest.fixture
def bench(model: DONN, dataset: ImageDataset, tmp_path: Path) -> Path:
    return deploy(model, tmp_path / "bench", dataset=dataset)


def test_the_files_alone_give_what_the_model_gives(model: DONN, bench: Path, dataset: ImageDataset):
    assert verify(bench, dataset).passed
    emulator = Emulator.from_folder(bench)
    for layer, states in zip(model.layers, emulator.modulations(), strict=True):
        torch.testing.assert_close(states, layer.modulation().detach() / 2)
    manifest = Manifest.read(bench)
    assert manifest.grids == GRIDS
    devices = [layer.device for layer in read_layers(bench, manifest)]
    assert [device.digest for device in devices] == [layer.device_states.digest for layer in model.layers]


def test_inactive_pixels_hold_level_0(model: DONN, bench: Path):
    for number, layer in enumerate(model.layers, start=1):
        assert isinstance(layer.device_states, DevicePanel)
        inactive = layer.device_states.inactive
        image = np.asarray(Image.open(bench / f"layer-{number}.png"))
        assert set(image[inactive]) == {Manifest.read(bench).layers[number - 1].target.details["codes"][0]}
        np.testing.assert_array_equal(np.load(bench / f"layer-{number}-regions.npy"), layer.device_states.regions)
        assert not np.load(bench / f"layer-{number}-levels.npy")[inactive].any()


def test_the_note_names_the_maps(bench: Path):
    note = " ".join((bench / "README.txt").read_text().split())
    assert "A panel: layer-1-regions.npy says which of its tables in manifest.json each pixel follows." in note
    assert "18 rows x 16 columns, pitch 36 um" in note


def write_manifest(folder: Path, content: dict[str, Any]) -> None:
    """Write a manifest with a checksum that fits it."""
    content["manifest_sha256"] = manifest_digest(content)
    (folder / "manifest.json").write_text(json.dumps(content))


def swap(folder: Path) -> None:
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["layers"][0]["device"]["tables"].reverse()
    write_manifest(folder, manifest)


def brighten(folder: Path) -> None:
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["layers"][0]["device"]["inactive_value"] = [1, 0]
    write_manifest(folder, manifest)


def recode(folder: Path) -> None:
    manifest = json.loads((folder / "manifest.json").read_text())
    codes = manifest["layers"][0]["target"]["details"]["codes"]
    codes[1] = codes[0]
    write_manifest(folder, manifest)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda folder: (folder / "layer-1-regions.npy").unlink(), "layer-1-regions.npy, but it is missing"),
        (
            lambda folder: np.save(folder / "layer-1-regions.npy", (MAP * 0).astype("<i4")),
            "layer-1-regions.npy as it was deployed",
        ),
        (
            lambda folder: np.save(folder / "layer-1-regions.npy", MAP[1:]),
            r"expected whole numbers of shape \(18, 16\) in .*layer-1-regions.npy.*, but got .* of shape \(17, 16\)",
        ),
        (swap, r"layers\[0\]\.device: expected two kinds of pixel to have the digest"),
        (brighten, r"layers\[0\]\.device: expected two kinds of pixel to have the digest"),
        (recode, r"layers\[0\]\.target: expected one picture, and a different code from 0 to 255 for each"),
    ],
)
def test_a_panel_that_was_changed_is_refused(bench: Path, change: Callable[[Path], object], message: str):
    change(bench)
    with pytest.raises(DeploymentError) as caught:
        Emulator.from_folder(bench)
    assert re.search(message, str(caught.value)), caught.value


def test_wrong_json_is_a_deployment_error(bench: Path):
    good = json.loads((bench / "manifest.json").read_text())
    for key, value in [
        ("tables", []),
        ("tables", [1]),
        ("inactive_value", [1]),
        ("inactive_value", "dark"),
        ("digest", 3),
        ("name", None),
    ]:
        bad = json.loads(json.dumps(good))
        bad["layers"][0]["device"][key] = value
        write_manifest(bench, bad)
        with pytest.raises(DeploymentError):
            Emulator.from_folder(bench)
