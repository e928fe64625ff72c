from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from voltphase.core.errors import DeploymentError, OutputError
from voltphase.data import ImageDataset
from voltphase.deployment import deploy
from voltphase.deployment.manifest import Manifest, manifest_digest
from voltphase.deployment.targets.slm_image import image_codes
from voltphase.devices import DeviceStates


def test_a_pixel_is_the_grey_level_to_send(tmp_path, make):
    model = make()
    deploy(model, tmp_path / "bench")
    for number in (1, 3):
        states = model.layers[number - 1].device_states
        sent = np.asarray(Image.open(tmp_path / "bench" / f"layer-{number}.png"))
        np.testing.assert_array_equal(sent, states.control[model.levels()[number - 1].numpy()])


def test_a_pixel_of_a_voltage_device_stands_for_its_voltage(tmp_path, make):
    model = make()
    deploy(model, tmp_path / "bench")
    entry = json.loads((tmp_path / "bench" / "manifest.json").read_text())["layers"][1]
    (table,) = entry["device"]["tables"]
    volts = dict(zip(entry["target"]["details"]["codes"], table["control"], strict=True))
    sent = np.vectorize(volts.get)(np.asarray(Image.open(tmp_path / "bench" / "layer-2.png")))
    np.testing.assert_array_equal(sent, model.layers[1].device_states.control[model.levels()[1].numpy()])
    assert table["control_unit"] == "V"


def test_levels_are_kept_in_the_smallest_type(tmp_path, make):
    model = make()
    deploy(model, tmp_path / "bench")
    arrays = [np.load(tmp_path / "bench" / f"layer-{n}-levels.npy", allow_pickle=False) for n in (1, 2, 3)]
    assert [array.dtype for array in arrays] == [np.uint8, np.uint8, np.uint16]
    for array, levels in zip(arrays, model.levels(), strict=True):
        np.testing.assert_array_equal(array, levels.numpy())


@pytest.mark.parametrize(
    ("control", "unit", "codes", "bits"),
    [
        ([0, 3, 255], "grey level", (0, 3, 255), 8),
        ([255, 0, 7], "gray levels", (255, 0, 7), 8),
        ([0, 3, 256], "grey level", (0, 3, 256), 16),
        ([0, 0.5, 1], "grey level", (0, 127, 255), 8),
        ([-1, 0, 1], "grey level", (0, 127, 255), 8),
        ([0, 3, 5], "V", (0, 127, 255), 8),
    ],
)
def test_codes(control, unit, codes, bits):
    states = DeviceStates(np.array(control, float), np.ones(3), np.arange(3.0), name="panel", control_unit=unit)
    assert image_codes(states) == (codes, bits)


@pytest.mark.parametrize("count", [2, 255, 256, 257, 4000])
def test_codes_of_different_levels_differ(count):
    states = DeviceStates(np.linspace(0, 5, count), np.ones(count), np.zeros(count), name="panel", control_unit="V")
    codes, bits = image_codes(states)
    assert len(set(codes)) == count
    assert codes[0] == 0
    assert codes[-1] == 2**bits - 1
    assert bits == (8 if count <= 256 else 16)


def test_manifest_reads_back_to_what_was_written(deployed):
    content = json.loads((deployed / "manifest.json").read_text())
    assert Manifest.read(deployed).model_dump() == content
    assert content["manifest_sha256"] == manifest_digest(content)


def test_manifest_describes_the_system(deployed, dataset):
    manifest = json.loads((deployed / "manifest.json").read_text())
    assert manifest["format_version"] == 3
    assert manifest["wavelength_m"] == 532e-9
    assert manifest["propagation"]["distances_m"] == [0.02, 0.03, 0.025, 0.04]
    assert manifest["layers"][0]["grid"] == {"shape": [20, 24], "pitch_m": [36e-6, 30e-6], "offset_m": [0, 0]}
    assert manifest["readout"]["regions"][1] == [2, 14, 4, 5]
    assert manifest["readout"]["scale"] == pytest.approx(5)
    assert manifest["readout"]["classes"] == ["left", "right", "low"]
    assert manifest["reference"]["images"] == len(dataset)
    assert [len(layer["device"]["tables"][0]["control"]) for layer in manifest["layers"]] == [8, 3, 300]


def test_gain_is_a_digital_factor_of_the_readings(tmp_path, make):
    for measure, power in (("sum", 2), ("mean", 2), ("amplitude", 1), ("fraction", 0)):
        folder = deploy(make(measure=measure, gain=[2.0, 3.0, 0.5]), tmp_path / measure)
        readout = json.loads((folder / "manifest.json").read_text())["readout"]
        assert math.isclose(readout["digital_factor"], 3.0**power)


def test_the_same_model_gives_the_same_bytes(tmp_path, make, dataset):
    first, second = (deploy(make(), tmp_path / name, dataset=dataset) for name in ("a", "b"))
    names = sorted(path.name for path in first.iterdir())
    assert names == sorted(path.name for path in second.iterdir())
    for name in names:
        assert (first / name).read_bytes() == (second / name).read_bytes()


def test_deploying_evaluates_and_leaves_the_model_as_it_was(tmp_path, make, dataset):
    model = make().train()
    deploy(model, tmp_path / "bench", dataset=dataset)
    assert model.training
    expected = model.eval()(dataset.images)
    torch.testing.assert_close(torch.from_numpy(np.load(tmp_path / "bench" / "expected-logits.npy")), expected.detach())


def test_an_existing_folder_is_left_alone(tmp_path, make):
    (tmp_path / "bench").mkdir()
    with pytest.raises(OutputError, match="bench exists already: choose another or remove it"):
        deploy(make(), tmp_path / "bench")
    assert list((tmp_path / "bench").iterdir()) == []


def test_an_accuracy_the_model_does_not_reach_is_refused(tmp_path, make, dataset):
    with pytest.raises(DeploymentError, match=r"expected the model to reach a test accuracy of 0\.9900 on noise"):
        deploy(make(), tmp_path / "bench", dataset=dataset, expected=0.99)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("classes", [("left", "right", "low", "high"), ("left", "right")])
def test_a_data_set_of_other_classes_is_refused(tmp_path, make, dataset, classes):
    other = ImageDataset(dataset.images, dataset.labels.clamp_max(1), "noise", classes)
    with pytest.raises(DeploymentError) as caught:
        deploy(make(), tmp_path / "bench", dataset=other)
    assert str(caught.value) == (
        f"expected a data set of 3 classes, those the detector tells apart, but noise has {len(classes)}: deploy with "
        "data as the model was trained on"
    )
    assert list(tmp_path.iterdir()) == []


def test_nothing_half_written_is_left(tmp_path, make, monkeypatch):
    def fail(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", fail)
    with pytest.raises(OutputError, match="no space left on device"):
        deploy(make(), tmp_path / "bench")
    assert list(tmp_path.iterdir()) == []


def test_the_note_tells_what_goes_where(deployed):
    note = (deployed / "README.txt").read_text()
    assert max(map(len, note.splitlines())) <= 110
    for words in (
        "532 nm",
        "layer 2     50 mm         layer-2.png     20 rows x 24 columns, pitch 36 um down, 30 um across",
        "detector    115 mm",
        "Gaps, from the source on: 20 mm, 30 mm, 25 mm, 40 mm.",
        "layer-1.png: for panel 8 grey level, 8 levels, 8-bit grey PNG.",
        "The value of a pixel is the grey level to send: 0, 36, 73, 109, 146, 182, 219, 255.",
        "The value of a pixel is NOT what to send: it stands for a control value in V: 0=0.5, 127=2.625,",
        "1       right         2-5        14-18      -0.288, -0.144      +0.060, +0.210",
        "30 test images of",
    ):
        assert words in note
    assert "digital gain" not in note


def test_the_note_tells_the_digital_gain(tmp_path, make):
    note = (deploy(make(measure="sum", gain=2.0, scale=0.5), tmp_path / "bench") / "README.txt").read_text()
    assert "multiply readings by 32, in which 64 is the digital gain" in " ".join(note.split())
    assert "Deployed without a test set." in note
