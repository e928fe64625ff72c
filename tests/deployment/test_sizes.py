"""What a file promises is held to bounds before anything is allocated for it."""

from __future__ import annotations

import json
import os
import shutil
import struct
import time
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from voltphase.core.errors import DeploymentError
from voltphase.deployment import Emulator, deploy, verify
from voltphase.deployment.manifest import manifest_digest
from voltphase.optics import AngularSpectrum
from voltphase.panels.formats.pictures import read_picture

FORMAT_1 = Path(__file__).parent / "format-1"
# Seconds. Each refusal takes milliseconds; what was promised would take minutes, and memory that is not there.
AT_ONCE = 5.0


def edit(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    content = json.loads((folder / "manifest.json").read_text())
    change(content)
    if content["format_version"] > 1:
        content["manifest_sha256"] = manifest_digest(content)
    (folder / "manifest.json").write_text(json.dumps(content))


def refused(folder: Path) -> str:
    """What a folder is refused with, at once and in one sentence."""
    started = time.process_time()
    with pytest.raises(DeploymentError) as caught:
        verify(folder)
    assert time.process_time() - started < AT_ONCE
    assert "\n" not in str(caught.value)
    return str(caught.value)


def plane(content: dict[str, Any], which: str) -> list[dict[str, Any]]:
    layers = [layer["grid"] for layer in content["layers"]]
    ends = {"source": [content["input"]["grid"]], "detector": [content["readout"]["grid"]], "layers": layers}
    return [*layers, *ends["source"], *ends["detector"]] if which == "all" else ends[which]


@pytest.mark.parametrize("which", ["source", "layers", "detector", "all"])
@pytest.mark.parametrize(
    "shape", [[20_000, 20_000], [65_536, 65_536], [65_536, 1000], [1, 65_537], [10**30, 10**30], [0, 5], [-3, 5]]
)
@pytest.mark.parametrize("first", [False, True])
def test_a_grid_beyond_bounds(deployed: Path, tmp_path: Path, which: str, shape: list[int], first: bool):
    folder = deployed
    if first:
        folder = tmp_path / "first"
        shutil.copytree(FORMAT_1, folder)

    def enlarge(content: dict[str, Any]) -> None:
        for grid in plane(content, which):
            grid["shape"] = shape

    edit(folder, enlarge)
    sentence = refused(folder)
    assert "manifest.json" in sentence
    assert "grid.shape" in sentence


@pytest.mark.parametrize("first", [False, True])
def test_a_system_that_the_machine_has_no_memory_for(
    deployed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, first: bool
):
    folder = deployed
    if first:
        folder = tmp_path / "first"
        shutil.copytree(FORMAT_1, folder)
    edit(folder, lambda content: content["readout"]["grid"].update(shape=[4096, 4096]))
    monkeypatch.setattr("voltphase.core.limits.available_memory", lambda: 10**9)
    assert "this machine has 1 GB free" in refused(folder)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda c: c.update(layers=c["layers"][:1] * 1001), "expected layers to be a list of at most 1000"),
        (
            lambda c: c["readout"].update(regions=[[0, 0, 1, 1]] * 10_000, classes=[]),
            "expected readout.regions to be a list of at most 4096",
        ),
        (
            lambda c: c["samples"].update(count=10**12),
            "expected samples.count to be at most 1000, but got 1000000000000",
        ),
        (
            lambda c: c["reference"].update(images=10**12),
            "expected reference.images to be at most 1e+09, but got 1000000000000",
        ),
        (
            lambda c: c["input"].update(image_shape=[4097, 1]),
            "expected input.image_shape[0] to be at most 4096, but got 4097",
        ),
        (lambda c: c.update(wavelength_m=1e300), "expected wavelength_m to be at most 0.01, but got 1e+300"),
        (lambda c: c["propagation"].update(distances_m=[1e300] * 4), "distances_m[0] to be at most 1000"),
        (lambda c: c["propagation"].update(distances_m=[-0.02] * 4), "distances_m[0] to be at least 0"),
        (
            lambda c: c["layers"][0]["grid"].update(offset_m=[1e300, 0]),
            "expected layers[0].grid.offset_m[0] to be at most 1000",
        ),
        (lambda c: c["layers"][0].update(digital_gain=1e300), "expected layers[0].digital_gain to be at most 1e+30"),
        (lambda c: c["readout"].update(scale=1e300), "expected readout.scale to be at most 1e+30"),
        (
            lambda c: c["readout"]["task"]["settings"].update(regions="papers"),
            "readout.task.settings.regions to be another kind of value, but got 'papers'",
        ),
    ],
)
def test_a_number_beyond_bounds(deployed: Path, change: Callable[[dict[str, Any]], object], words: str):
    edit(deployed, change)
    assert words in refused(deployed)


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ({"name": "angular-spectrum", "parameters": {"oversampling": 1e9}}, "oversampling to be at most 1"),
        ({"name": "angular-spectrum", "parameters": {"oversampling": 0.5}}, "oversampling of at least 1"),
        ({"name": "angular-spectrum", "parameters": {}}, "expected parameters oversampling, but got []"),
        (
            {"name": "angular-spectrum", "parameters": {"oversampling": "2"}},
            "parameters.oversampling to be a number, but got '2'",
        ),
        (
            {"name": "fresnel-pixels", "parameters": {"fill_factor": None}},
            "expected a number as parameters.fill_factor",
        ),
        (
            {"name": "fresnel-pixels", "parameters": {"fill_factor": True}},
            "parameters.fill_factor to be a number, but got True",
        ),
        ({"name": "fresnel-pixels", "parameters": {"fill_factor": 1.5}}, "fill factor above 0, up to 1"),
        ({"name": "fresnel", "parameters": {"name": 1.0}}, "expected parameters of a method without any"),
        ({"name": "__class__", "parameters": {}}, "expected name out of"),
        ({"name": "os.system", "parameters": {}}, "expected name out of"),
        ({"name": "auto", "parameters": {}}, "expected name out of"),
    ],
)
def test_a_method_is_a_name_with_parameters_within_bounds(deployed: Path, entry: dict[str, Any], words: str):
    edit(deployed, lambda content: content["propagation"]["methods"].__setitem__(0, entry))
    assert words in refused(deployed)


def test_a_method_of_ones_own_is_refused_when_it_is_deployed(make: Any, tmp_path: Path):
    class Mine(AngularSpectrum):
        pass

    with pytest.raises(DeploymentError, match="a method of your own cannot be rebuilt from a file"):
        deploy(make(method=Mine()), tmp_path / "bench")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("side", [12_000, 100_000, 2**31 - 1])
def test_a_picture_that_promises_gigabytes(deployed: Path, side: int):
    header = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    chunks = b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in ((b"IHDR", header), (b"IDAT", zlib.compress(b"\0" * 10_000)), (b"IEND", b""))
    )
    (deployed / "layer-1.png").write_bytes(b"\x89PNG\r\n\x1a\n" + chunks)
    assert "layer-1.png" in refused(deployed)


def test_a_picture_of_twelve_megapixels_needs_no_leave(tmp_path: Path):
    path = tmp_path / "layer.png"
    Image.fromarray(np.zeros((4096, 3000), np.uint8)).save(path)
    assert read_picture(path.read_bytes(), path.name, (4096, 3000), 8, "png").shape == (4096, 3000)


@pytest.mark.parametrize("name", ["layer-1-levels.npy", "sample-images.npy", "expected-logits.npy"])
def test_an_array_that_fills_the_disk_with_nothing(deployed: Path, name: str):
    with (deployed / name).open("wb") as file:
        header = {"descr": "|u1", "fortran_order": False, "shape": (2**20, 2**20)}
        np.lib.format.write_array_header_1_0(file, header)
        file.truncate(2**40 + file.tell())
    assert name in refused(deployed)


@pytest.mark.parametrize("name", ["layer-1.png", "layer-1-levels.npy", "README.txt"])
def test_a_file_that_is_far_too_large(deployed: Path, name: str):
    os.truncate(deployed / name, 2**40)
    assert name in refused(deployed)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
@pytest.mark.parametrize("name", ["manifest.json", "layer-1.png", "layer-1-levels.npy", "README.txt"])
def test_a_pipe_is_not_waited_for(deployed: Path, name: str):
    (deployed / name).unlink()
    os.mkfifo(deployed / name)
    assert name in refused(deployed)


@pytest.mark.parametrize("path", ["x" * 5000, "a\0b", "\ud800" * 300])
def test_a_path_that_cannot_be(path: str):
    for read in (verify, Emulator.from_folder):
        with pytest.raises(DeploymentError, match=r"cannot use the path|cannot be read"):
            read(path)
