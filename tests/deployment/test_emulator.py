from __future__ import annotations

import copy
import hashlib
import io
import json
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from voltphase.core.errors import DeploymentError
from voltphase.deployment import Emulator, deploy
from voltphase.deployment.manifest import manifest_digest

# The model and the emulator add the same numbers in another order.
ROUNDING = {torch.complex64: 2e-6, torch.complex128: 1e-13}


@pytest.mark.parametrize("measure", ["sum", "mean", "amplitude", "fraction"])
@pytest.mark.parametrize("gain", [1.0, [0.5, 3.0, 1.8]])
@pytest.mark.parametrize("dtype", [torch.complex64, torch.complex128])
def test_files_alone_give_the_logits_of_the_model(tmp_path, make, dataset, measure, gain, dtype):
    model = make(measure=measure, gain=gain, dtype=dtype)
    emulator = Emulator.from_folder(deploy(model, tmp_path / "bench"))
    with torch.no_grad():
        expected = model(dataset.images)
    logits = emulator(dataset.images)
    assert logits.dtype == expected.dtype
    assert (logits - expected).abs().max() <= ROUNDING[dtype] * expected.abs().max()
    assert torch.equal(logits.argmax(1), expected.argmax(1))


def test_a_calibrated_scale_is_deployed_as_it_was_learned(tmp_path, make, dataset):
    model = make(scale="calibrated").train()
    model(dataset.images[:4])
    with torch.no_grad():
        model.readout.log_scale += 0.3
    expected = model.eval()(dataset.images).detach()
    emulator = Emulator.from_folder(deploy(model, tmp_path / "bench"))
    torch.testing.assert_close(emulator(dataset.images), expected, rtol=1e-5, atol=0)
    assert emulator.readout.scale == pytest.approx(model.readout.scale)
    assert model.readout.scale != 1


def test_a_readout_that_was_never_calibrated_is_deployed_with_scale_one(tmp_path, make, dataset):
    model = make(scale="calibrated")
    emulator = Emulator.from_folder(deploy(model, tmp_path / "bench"))
    torch.testing.assert_close(emulator(dataset.images), model(dataset.images).detach(), rtol=1e-5, atol=0)


def test_angular_spectrum_too(tmp_path, make, dataset):
    model = make(method="angular-spectrum")
    emulator = Emulator.from_folder(deploy(model, tmp_path / "bench"))
    torch.testing.assert_close(emulator(dataset.images), model(dataset.images).detach(), rtol=1e-5, atol=0)


def test_light_meets_states_of_the_device_without_gain(tmp_path, make):
    model = make(gain=[2.0, 3.0, 0.5])
    emulator = Emulator.from_folder(deploy(model, tmp_path / "bench"))
    for modulation, layer, levels in zip(emulator.modulations(), model.layers, model.levels(), strict=True):
        expected = torch.tensor(layer.device_states.values(), dtype=torch.complex64)[levels]
        assert torch.equal(modulation, expected)


def test_real_images_and_bytes_give_the_same(deployed, dataset):
    emulator = Emulator.from_folder(deployed)
    torch.testing.assert_close(emulator(dataset.images / 255), emulator(dataset.images))


def test_a_batch_is_its_images_one_by_one(deployed, dataset):
    emulator = Emulator.from_folder(deployed)
    one_by_one = torch.cat([emulator(image[None]) for image in dataset.images[:4]])
    torch.testing.assert_close(emulator(dataset.images[:4]), one_by_one)


def test_the_folder_can_be_moved(deployed, dataset, tmp_path):
    before = Emulator.from_folder(deployed)(dataset.images)
    shutil.move(deployed, tmp_path / "elsewhere")
    assert torch.equal(Emulator.from_folder(tmp_path / "elsewhere")(dataset.images), before)


def remove(name: str) -> Callable[[Path], object]:
    return lambda folder: (folder / name).unlink()


def overwrite(name: str, content: bytes, *, seal: bool = False) -> Callable[[Path], object]:
    def mutate(folder: Path) -> None:
        (folder / name).write_bytes(content)
        if seal:
            rehash(folder, 1, "image")

    return mutate


def write_manifest(folder: Path, content: dict[str, Any]) -> None:
    """Write a manifest with a checksum that fits it."""
    content["manifest_sha256"] = manifest_digest(content)
    (folder / "manifest.json").write_text(json.dumps(content))


def rehash(folder: Path, layer: int, kind: str) -> None:
    manifest = json.loads((folder / "manifest.json").read_text())
    layer_record = manifest["layers"][layer - 1]
    record = layer_record["levels"] if kind == "levels" else layer_record["target"]["files"][0]
    record["sha256"] = hashlib.sha256((folder / record["file"]).read_bytes()).hexdigest()
    write_manifest(folder, manifest)


def change_image(change: Callable[[np.ndarray], np.ndarray], layer: int = 1) -> Callable[[Path], object]:
    def mutate(folder: Path) -> None:
        path = folder / f"layer-{layer}.png"
        changed = change(np.array(Image.open(path)))
        Image.fromarray(changed).save(path)
        rehash(folder, layer, "image")

    return mutate


def change_levels(change: Callable[[np.ndarray], np.ndarray]) -> Callable[[Path], object]:
    def mutate(folder: Path) -> None:
        path = folder / "layer-1-levels.npy"
        np.save(path, change(np.load(path)))
        rehash(folder, 1, "levels")

    return mutate


def change_manifest(change: Callable[[dict[str, Any]], object]) -> Callable[[Path], object]:
    def mutate(folder: Path) -> None:
        manifest = json.loads((folder / "manifest.json").read_text())
        change(manifest)
        write_manifest(folder, manifest)

    return mutate


def swap(values: np.ndarray) -> np.ndarray:
    """Another map of the same values."""
    assert not np.array_equal(values, values[::-1])
    return values[::-1]


def one_off(values: np.ndarray) -> np.ndarray:
    values[3, 5] += 1
    return values


def change_both(folder: Path) -> None:
    for name in ("layer-1.png", "layer-2.png"):
        Image.fromarray(np.flip(np.array(Image.open(folder / name)), 0)).save(folder / name)
    for name in ("layer-1-levels.npy", "layer-2-levels.npy"):
        np.save(folder / name, np.flip(np.load(folder / name), 0))


def pickled(folder: Path) -> None:
    np.save(folder / "layer-1-levels.npy", np.array([{}], dtype=object), allow_pickle=True)


def promising(count: int) -> Callable[[Path], object]:
    """Levels whose header promises more of them than there are."""
    stream = io.BytesIO()
    np.lib.format.write_array_header_1_0(stream, {"descr": "|u1", "fortran_order": False, "shape": (count,)})
    return overwrite("layer-1-levels.npy", stream.getvalue())


def archive() -> bytes:
    stream = io.BytesIO()
    np.savez(stream, np.zeros(3))
    return stream.getvalue()


CONTRADICTIONS = {
    "no manifest": (remove("manifest.json"), r"manifest\.json cannot be read \(no such file or directory\)"),
    "no image": (remove("layer-2.png"), r"expected the file .*layer-2\.png, but it is missing"),
    "no levels": (remove("layer-3-levels.npy"), r"expected the file .*layer-3-levels\.npy, but it is missing"),
    "not an image": (
        overwrite("layer-1.png", b"GIF89a", seal=True),
        r"expected a PNG in layer-1\.png, but it is",
    ),
    "empty image": (overwrite("layer-1.png", b""), r"expected a PNG in layer-1\.png, but it is no picture"),
    "not an array": (overwrite("layer-1-levels.npy", b"1 2 3"), r"read .*layer-1-levels\.npy, but it is damaged"),
    "an archive": (overwrite("layer-1-levels.npy", archive()), r"read .*layer-1-levels\.npy, but it is damaged"),
    "endless array": (promising(10**15), r"read .*layer-1-levels\.npy, but it is damaged"),
    "unheard-of array": (promising(10**30), r"read .*layer-1-levels\.npy, but it is damaged"),
    "endless images": (
        change_manifest(lambda m: m["input"].update(image_shape=[65536, 28])),
        r"manifest\.json: expected input\.image_shape\[0\] to be at most 4096, but got 65536",
    ),
    "pickled": (pickled, r"read .*layer-1-levels\.npy, but it is damaged"),
    "cropped": (change_image(lambda a: a[1:]), r"expected 20 rows x 24 columns in .*layer-1\.png, but got 19 x 24"),
    "turned": (change_image(lambda a: a.T), r"expected 20 rows x 24 columns in .*layer-1\.png, but got 24 x 20"),
    "in colour": (
        change_image(lambda a: np.stack([a] * 3, -1)),
        r"a picture grey of 8 bits in layer-1\.png, but it is colour of 24 bits",
    ),
    "16 bits for 8": (
        change_image(lambda a: a.astype(np.uint16)),
        r"expected a picture grey of 8 bits in layer-1\.png, but it is grey of 16 bits",
    ),
    "8 bits for 16": (
        change_image(lambda a: (a // 2).astype(np.uint8), layer=3),
        r"expected a picture grey of 16 bits in layer-3\.png, but it is grey of 8 bits",
    ),
    "a grey between": (
        change_image(one_off),
        r"grey values of the device's levels in layer-1\.png, but got \d+ at row 3, column 5",
    ),
    "other image": (change_image(swap), r"the same levels in .*layer-1\.png and layer-1-levels\.npy, but at row \d+"),
    "other levels": (change_levels(swap), r"the same levels in .*layer-1\.png and layer-1-levels\.npy"),
    "signed levels": (change_levels(lambda a: a.astype(np.int64)), r"unsigned integers .*, but got int64 of shape"),
    "flat levels": (change_levels(np.ravel), r"shape \(20, 24\) in .*levels\.npy.*, but got uint8 of shape \(480,\)"),
    "changed hash": (change_both, r"expected .*layer-1-levels\.npy as it was deployed, but its SHA-256 differs"),
    "malformed": (overwrite("manifest.json", b'{"format": '), r"expected JSON in .*manifest\.json, but it is damaged"),
    "not text": (overwrite("manifest.json", b"\xff\xfe\x00"), r"cannot read .*manifest\.json: it is not UTF-8 text"),
    "not an object": (overwrite("manifest.json", b"[]"), r"expected a JSON object in .*manifest\.json"),
    "not a number": (
        overwrite("manifest.json", b'{"wavelength_m": NaN}'),
        r"expected JSON in .*manifest\.json, but it is damaged: NaN is no number of JSON",
    ),
    "other program": (
        change_manifest(lambda m: m.update(format="lightridge")),
        r"manifest\.json: expected the format 'voltphase-deployment', but got 'lightridge'",
    ),
    "newer version": (
        change_manifest(lambda m: m.update(format_version=99, voltphase_version="7.0")),
        r"manifest\.json: expected format version 1 to 4, but got 99: .* voltphase that wrote it \(7\.0\)",
    ),
    "edited table": (
        change_manifest(lambda m: m["layers"][1]["device"]["tables"][0]["phase"].__setitem__(2, 0.25)),
        r"manifest\.json, layers\[1\]\.device: expected panel 3 V to have the digest",
    ),
    "path": (
        change_manifest(lambda m: m["layers"][0]["target"]["files"][0].update(file="../bench/layer-1.png")),
        r"manifest\.json, layers\[0\]\.target\.files\[0\]\.file: expected to name a file of the same folder",
    ),
    "region outside": (
        change_manifest(lambda m: m["readout"]["regions"][0].__setitem__(0, 400)),
        r"manifest\.json, readout: expected detector region 0 inside the 20 x 24 detector",
    ),
    "impossible pitch": (
        change_manifest(lambda m: m["layers"][0]["grid"].update(pitch_m=[0, 1e-6])),
        r"manifest\.json: expected layers\[0\]\.grid\.pitch_m\[0\] to be at least 1e-10, but got 0",
    ),
    "coarse pitch": (
        change_manifest(lambda m: m["layers"][1]["grid"].update(pitch_m=[72e-6, 30e-6])),
        r"manifest\.json: the sampling of plane 3 of 5 is wrong here: expected a pitch of 36 µm or less in y",
    ),
    "unknown method": (
        change_manifest(lambda m: m["propagation"]["methods"][1].update(name="teleport")),
        r"manifest\.json, propagation\.methods\[1\]: .*teleport",
    ),
    "one distance too few": (
        change_manifest(lambda m: [m["propagation"][key].pop() for key in ("distances_m", "methods")]),
        r"manifest\.json: expected 4 distances for 3 layers, but got 3",
    ),
    "one method too few": (
        change_manifest(lambda m: m["propagation"]["methods"].pop()),
        r"manifest\.json, propagation: expected methods for 4 distances, but got 3",
    ),
    "gain and factor": (
        change_manifest(lambda m: m["readout"].update(digital_factor=2.0)),
        r"manifest\.json: expected readout\.digital_factor to follow",
    ),
}


@pytest.mark.parametrize(("mutate", "message"), CONTRADICTIONS.values(), ids=CONTRADICTIONS)
def test_a_contradiction_is_one_sentence_that_names_the_file(deployed, mutate, message):
    mutate(deployed)
    with pytest.raises(DeploymentError, match=message) as caught:
        Emulator.from_folder(deployed)
    assert "\n" not in str(caught.value)


def test_no_folder(tmp_path):
    with pytest.raises(
        DeploymentError, match=r"nowhere.manifest\.json cannot be read .*: make one with `voltphase dep"
    ):
        Emulator.from_folder(tmp_path / "nowhere")


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    items = value.items() if isinstance(value, dict) else enumerate(value[:1]) if isinstance(value, list) else ()
    for key, child in items:
        yield (*path, key)
        yield from places(child, (*path, key))


def test_every_key_is_needed(deployed):
    whole = json.loads((deployed / "manifest.json").read_text())
    for place in places(whole):
        manifest = copy.deepcopy(whole)
        parent = manifest
        for key in place[:-1]:
            parent = parent[key]
        # The texts and figures of these are compared as a whole; a setting that is not there has its default.
        if (
            isinstance(parent, dict)
            and not {"conventions", "formulas", "manifest_sha256"} & set(place)
            and ("settings" not in place[:-1])
        ):
            del parent[place[-1]]
            write_manifest(deployed, manifest)
            with pytest.raises(DeploymentError, match=rf"manifest\.json.*{re.escape(place[-1])}.*is missing"):
                Emulator.from_folder(deployed)
