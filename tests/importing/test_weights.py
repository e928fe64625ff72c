"""Weights of LightRidge and TorchOptics, read without executing anything, and what their own programs read with them.

``python scripts/foreign_weights.py`` made the files and the readings by LightRidge 0.2.2 and TorchOptics 1.0.2.
"""

from __future__ import annotations

import pickle
import zipfile
from collections import OrderedDict
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch
import yaml

import voltphase as vp
from voltphase.core.errors import ConfigError, DataError
from voltphase.importing.weights import read_weights
from voltphase.importing.weights.tensors import read_tensors
from voltphase.importing.weights.torch_zip import read_torch

HERE = Path(__file__).parent
GEOMETRY = {"wavelength": 532e-9, "pitch": 36e-6, "distances": 0.004}
# Means of amplitudes, as LightRidge's detector reads them.
MEANS = {"regions": [[0, 0, 4, 4], [1, 7, 4, 4], [7, 4, 4, 4]], "differential": False, "scale": 1.0}
# What is left of light that went round LightRidge's plane, of 12 samples with a padding of 10.
WRAPPED = 5e-3


def design(tmp_path: Path, weights: str, **sections: Any) -> Path:
    """Write the folder of a design of weights, judged by the images that their own program has read."""
    known = np.load(HERE / f"{weights}-readings.npz")
    np.savez(tmp_path / "images.npz", images=known["images"], targets=known["readings"].argmax(1))
    data = {"name": "arrays", "train": "images.npz", "test": "images.npz", "dir": "."}
    task = {"name": "classification", **MEANS, "measure": "amplitude"}
    content = {"optics": GEOMETRY, "task": task, "data": data, "maps": {"weights": f"{weights}.pth"}, **sections}
    (tmp_path / f"{weights}.pth").write_bytes((HERE / f"{weights}.pth").read_bytes())
    (tmp_path / "design.yaml").write_text(yaml.safe_dump(content))
    return tmp_path


def read_by(run: vp.workflow.TrainedRun, weights: str) -> tuple[np.ndarray, np.ndarray]:
    """Return what an imported system reads of the images, and what their own program read."""
    known = np.load(HERE / f"{weights}-readings.npz")
    return run.model(torch.from_numpy(known["images"]).float()).detach().numpy(), known["readings"]


def fine(levels: int = 4096) -> dict[str, Any]:
    return {"model": "lcos", "parameters": {"grey_levels": levels}}


pytestmark = pytest.mark.filterwarnings("ignore:images.npz has no image:voltphase.data.DataWarning")


def test_phases_of_lightridge_read_what_lightridge_reads(tmp_path: Path) -> None:
    folder = design(tmp_path, "lightridge-phases", device=fine(), codesign={"gain": 1.5})
    run = vp.import_design(folder, tmp_path / "run")
    ours, theirs = read_by(run, "lightridge-phases")
    np.testing.assert_allclose(ours, theirs, rtol=WRAPPED)
    assert run.summary["test_accuracy"] == 1
    assert run.config.optics.method == "fresnel"
    assert run.summary["imported"]["layers"][1]["most"] < 2 * np.pi / 4096
    assert vp.verify(vp.deploy(run, tmp_path / "bench")).passed


def test_levels_of_lightridge_are_put_exactly(tmp_path: Path) -> None:
    states = (np.arange(4.0), np.array([1, 0.8, 0.9, 0.6]), np.array([0, 1.1, 2.3, 3.9]))
    vp.DeviceStates(*states, "four").save(tmp_path / "four.csv")
    run = vp.import_design(design(tmp_path, "lightridge-levels", device={"file": "four.csv"}), tmp_path / "run")
    ours, theirs = read_by(run, "lightridge-levels")
    np.testing.assert_allclose(ours, theirs, rtol=WRAPPED)
    assert run.summary["imported"]["layers"] == [None, None]
    scores = read_tensors(HERE / "lightridge-levels.pth")["diffractive_layers.1.voltage"]
    assert torch.equal(run.model.levels()[1], torch.from_numpy(scores.argmax(-1)))
    with pytest.raises(ConfigError, match=r"a device of 4 states.*tn-slm has 256"):
        vp.import_design(tmp_path, tmp_path / "other", ["device.model=tn-slm", "device.file=null"])


@pytest.mark.filterwarnings("ignore::voltphase.optics.sampling.SamplingWarning")
def test_a_system_of_torchoptics_reads_what_torchoptics_reads(tmp_path: Path) -> None:
    # Pitch and distances are those of its planes.
    optics = {"wavelength": 532e-9, "method": "rayleigh-sommerfeld"}
    task = {"name": "classification", **MEANS, "measure": "fraction"}
    folder = design(tmp_path, "torchoptics", optics=optics, device=fine(), task=task)
    run = vp.import_design(folder, tmp_path / "run")
    ours, theirs = read_by(run, "torchoptics")
    np.testing.assert_allclose(ours, theirs, rtol=2 * np.pi / 4096)  # the step of the phases
    assert run.config.optics.distances == pytest.approx([0.1, 0.2, 0.1])
    assert run.config.optics.pitch == 36e-6


@pytest.mark.parametrize(
    ("weights", "change", "message"),
    [
        ("lightridge-phases", {"distances": 0.005}, "kernels h in the weights are of other light"),
        ("lightridge-phases", {"wavelength": 633e-9}, "kernels h in the weights are of other light"),
        ("lightridge-phases", {"distances": [0.004] * 4}, "expected 3 maps, .* but got 2"),
        ("torchoptics", {"distances": [0.1, 0.1, 0.1]}, "0.2 m behind layer 1, but got 0.1"),
        ("torchoptics", {"pitch": 35e-6}, "optics.pitch to be 3.6e-05"),
    ],
)
def test_a_geometry_that_contradicts_the_weights_is_refused(weights, change, message, tmp_path: Path) -> None:
    folder = design(tmp_path, weights, optics={**GEOMETRY, **change})
    with pytest.raises(ConfigError, match=message):
        vp.import_design(folder, tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("approximation", "method"),
    [
        ("Fresnel", "fresnel"),
        ("Fresnel2", "fresnel-impulse"),
        ("Fresnel3", "fresnel-pixels"),
        ("Sommerfeld", "rayleigh-sommerfeld"),
    ],
)
def test_the_kernels_in_weights_of_lightridge_say_its_approximation(approximation, method, tmp_path: Path) -> None:
    kernel = torch.from_numpy(np.load(HERE / "lightridge-kernels.npz")[approximation])
    torch.save({"layers.0.h": kernel, "layers.0.phase": torch.zeros(10, 10)}, tmp_path / "a.pth")
    travel = read_weights(tmp_path / "a.pth").travel
    optics = {"wavelength": 532e-9, "pitch": 36e-6, "depth": 1}
    assert travel(vp.config.OpticsConfig(**optics, distances=0.1)).method == method
    if approximation != "Fresnel3":
        with pytest.raises(ConfigError, match="of other light"):
            travel(vp.config.OpticsConfig(**optics, distances=0.11))


@pytest.mark.parametrize("name", ["lightridge-phases", "lightridge-levels", "torchoptics"])
def test_tensors_are_those_that_torch_reads(name: str, tmp_path: Path) -> None:
    wanted = torch.load(HERE / f"{name}.pth", weights_only=True)
    found = read_tensors(HERE / f"{name}.pth")
    assert found.keys() == wanted.keys()
    assert all(np.array_equal(found[key], one.numpy()) for key, one in wanted.items())
    # As the page on importing says: safetensors knows no complex numbers of double precision.
    small = {key: one.to(torch.complex64) if one.is_complex() else one.clone() for key, one in wanted.items()}
    safetensors.torch.save_file(small, tmp_path / "weights.safetensors")
    one, other = read_weights(tmp_path / "weights.safetensors"), read_weights(HERE / f"{name}.pth")
    assert (one.names, one.kind) == (other.names, other.kind)
    assert all(np.array_equal(*both) for both in zip(one.maps, other.maps, strict=True))


def test_views_parameters_and_checkpoints_are_read_as_torch_reads_them(tmp_path: Path) -> None:
    whole = torch.arange(24.0).view(4, 6)
    tensors = {
        "turned": whole.T,
        "part": whole[1:3, ::2],
        "parameter": torch.nn.Parameter(whole),
        "none": torch.empty(0, 3),
        "one": torch.tensor(7),
        "truth": torch.tensor([True, False]),
        "complex": torch.tensor([1 + 2j]),
        "half": whole.half(),
    }
    torch.save({"epoch": 3, "loss": [0.5, None], "state_dict": OrderedDict(tensors)}, tmp_path / "last.pt")
    for key, found in read_tensors(tmp_path / "last.pt").items():
        np.testing.assert_array_equal(found, tensors[key].detach().numpy())
    assert read_torch(tmp_path / "last.pt")["loss"] == [0.5, None]


class Armed:
    """What runs a command when it is unpickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (Path("fired"),))


def archive(path: Path, program: bytes, **storages: bytes) -> Path:
    """Write an archive as torch.save does, with a program of one's own."""
    with zipfile.ZipFile(path, "w") as file:
        for name, content in {"data.pkl": program, "byteorder": b"little", "version": b"3"}.items():
            file.writestr(f"x/{name}", content)
        for name, content in storages.items():
            file.writestr(f"x/data/{name[1:]}", content)
    return path


def view(offset: str, size: str, stride: str, key: str = "0", count: str = "4") -> bytes:
    """Return a program that asks for a dictionary with one tensor, in the text protocol's own opcodes."""
    storage = f"ctorch._utils\n_rebuild_tensor_v2\n((X\x07\0\0\0storagectorch\nFloatStorage\nX\x01\0\0\0{key}"
    numbers = [f"K{chr(int(number))}" for number in (count, offset, size, stride)]
    text = f"{storage}X\x03\0\0\0cpu{numbers[0]}tQ{numbers[1]}{numbers[2]}\x85{numbers[3]}\x85\x89}}tR"
    return b"\x80\x02}X\x01\0\0\0a" + text.encode("latin-1") + b"s."


def test_nothing_in_a_file_is_executed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for protocol in range(6):
        path = archive(tmp_path / f"{protocol}.pth", pickle.dumps({"a": Armed()}, protocol))
        with pytest.raises(DataError, match="tensors and nothing else"):
            read_torch(path)
    torch.save(torch.nn.Linear(2, 2), tmp_path / "model.pth")
    with pytest.raises(DataError, match=r"holds .*: save the tensors alone, by torch.save\(model.state_dict"):
        read_torch(tmp_path / "model.pth")
    assert not (tmp_path / "fired").exists()


def test_a_tensor_within_its_storage_is_read(tmp_path: Path) -> None:
    content = np.arange(4, dtype="<f4").tobytes()
    found = read_torch(archive(tmp_path / "a.pth", view("1", "3", "1"), _0=content))
    assert found["a"].tolist() == [1, 2, 3]


@pytest.mark.parametrize(
    ("program", "message"),
    [
        (view("2", "3", "1"), "beyond its storage"),
        (view("0", "100", "0"), "beyond its storage"),
        (view("0", "1", "1", key="9"), "damaged"),
        (view("0", "1", "1", count="1"), "not as torch.save writes it"),
        (b"\x80\x02}q", "damaged|cut off"),
        (b"\x80\x02}", "damaged|cut off"),
        (b"\x80\x02R.", "damaged"),
        (b"\x80\x02K\x01.", "the tensors of one model"),
        (b"no program", "damaged"),
        (b"", "damaged"),
    ],
)
def test_a_damaged_program_is_a_sentence(program: bytes, message: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=message):
        read_tensors(archive(tmp_path / "a.pth", program, _0=np.arange(4, dtype="<f4").tobytes()))


def test_damage_of_any_byte_is_a_sentence_or_harmless(tmp_path: Path) -> None:
    whole, generator = (HERE / "torchoptics.pth").read_bytes(), np.random.default_rng(0)
    with zipfile.ZipFile(HERE / "torchoptics.pth") as file:
        program = file.read("torchoptics/data.pkl")
    path = tmp_path / "a.pth"
    for _ in range(50):
        # In the archive anywhere, and in the program, which would be refused by its checksum otherwise.
        for content, write in ((whole, Path.write_bytes), (program, archive)):
            damaged = np.frombuffer(content, np.uint8).copy()
            damaged[generator.integers(0, len(damaged), 2)] = generator.integers(0, 256, 2)
            write(path, damaged[: generator.integers(len(damaged) // 2, 3 * len(damaged))].tobytes())
            with suppress(DataError):
                read_weights(path)


def test_other_files_are_refused_by_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "old.pth").write_bytes(b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.")  # as before PyTorch 1.6
    np.savez(tmp_path / "arrays.npz", a=np.zeros(3))
    (tmp_path / "arrays.npz").rename(tmp_path / "arrays.pth")
    with zipfile.ZipFile(tmp_path / "packed.pth", "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("x/data.pkl", b"\x80\x02}.")
    torch.save({"a": torch.zeros(2)}, tmp_path / "other.pth")
    (tmp_path / "cut.safetensors").write_bytes(b"\x10")
    for name, message in {
        "old.pth": "ZIP archive as torch.save writes it",
        "arrays.pth": r"holds no data\.pkl",
        "packed.pth": "not as torch.save writes it",
        "other.pth": "weights of LightRidge or TorchOptics",
        "cut.safetensors": "cannot be read",
        "nothing.pth": "no such file",
        "design.h5": "no such file",
    }.items():
        with pytest.raises(DataError, match=message):
            read_weights(tmp_path / name)


PLANE = {"z": torch.tensor(0.1), "spacing": torch.tensor([1e-5, 1e-5]), "offset": torch.zeros(2)}


def elements(*each: dict[str, Any]) -> dict[str, torch.Tensor]:
    """Return the weights of elements of TorchOptics, each on a plane 1 cm behind the one before."""
    tensors = {}
    for index, own in enumerate(each, start=1):
        plane = {**PLANE, "z": torch.tensor(index / 100), **own}
        tensors |= {f"{index}.{key}": value for key, value in plane.items()}
    return tensors


@pytest.mark.parametrize(
    ("tensors", "message"),
    [
        (elements({"phase": torch.zeros(4, 4)}, {"focal_length": torch.tensor(1.0)}), "2 is another element"),
        (elements({"phase": torch.zeros(3, 3, 4, 4)}), "polarised light"),
        (elements({}), "planes that only look"),
        (elements({"phase": torch.zeros(4, 4), "offset": torch.ones(2)}), "1 has an offset"),
        (elements({"phase": torch.zeros(4, 4), "spacing": torch.tensor([1e-5, 2e-5])}), "one spacing"),
        (elements({"phase": torch.zeros(4, 4)}, {"thickness": torch.zeros(4, 4)}), "thicknesses in all"),
        ({f"{name}.{key}": torch.zeros(4, 4) for name in ("a", "b") for key in ("h", "phase")}, "one list of layers"),
        ({"l.0.h": torch.zeros(4, 4), "l.0.phase": torch.zeros(4, 5)}, "square map in l.0"),
        (
            {"l.0.h": torch.zeros(4, 4), "l.0.phase": torch.zeros(4, 4)}
            | {"l.1.h": torch.zeros(4, 4), "l.1.voltage": torch.zeros(4, 4, 2)},
            "layers of one kind",
        ),
    ],
)
def test_what_is_no_layer_here_is_named(tensors: dict[str, torch.Tensor], message: str, tmp_path: Path) -> None:
    torch.save(tensors, tmp_path / "a.pth")
    with pytest.raises(DataError, match=message):
        read_weights(tmp_path / "a.pth")


def test_layers_are_chosen_by_their_names_and_mixed_ones_become_factors(tmp_path: Path) -> None:
    phase, amplitude = torch.rand(4, 4), torch.rand(4, 4)
    torch.save(elements({"phase": phase}, {"amplitude": amplitude}, {"theta": torch.tensor(1.0)}), tmp_path / "a.pth")
    mixed = read_weights(tmp_path / "a.pth", ["1", "2"])
    assert mixed.kind == "complex"
    np.testing.assert_allclose(mixed.maps[0], np.exp(1j * phase.numpy()))
    np.testing.assert_array_equal(mixed.maps[1], amplitude.numpy())
    alone = read_weights(tmp_path / "a.pth", ["1"])
    assert (alone.kind, alone.names, alone.program) == ("phase", ["1"], "TorchOptics")
    for name in ("a.pth", HERE / "lightridge-phases.pth"):
        with pytest.raises(DataError, match=r"maps\.layers modules of the weights"):
            read_weights(tmp_path / name, ["first"])
