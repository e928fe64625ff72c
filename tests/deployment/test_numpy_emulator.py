"""The emulator in examples/, which knows nothing but numpy and the files, against voltphase."""

from __future__ import annotations

import ast
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from voltphase import DONN, Grid
from voltphase.config import load_config
from voltphase.data import ImageDataset, load
from voltphase.deployment import deploy, verify
from voltphase.devices import DevicePanel
from voltphase.optics import AngularSpectrum, FocalPlane, FresnelPixels
from voltphase.tasks import Classification, Logic, Regression, Task
from voltphase.training import build_devices, build_model

FILE = Path(__file__).parents[2] / "examples" / "emulate.py"
# Both compute in double precision, Fresnel integrals in closed form or by quadrature.
DOUBLE = 1e-9
# Five layers in single precision, as parts of the largest reading; and of a logit, which the contrast of a pair that is
# a tenth as bright as the largest makes ten times that.
SINGLE, SINGLE_LOGITS = 5e-6, 2e-4

PAIRS = ((2, 3, 4, 4), (2, 14, 4, 5), (12, 8, 5, 4), (8, 8, 4, 4), (14, 1, 3, 3), (14, 18, 3, 3))


def test_it_needs_nothing_but_numpy():
    tree = ast.parse(FILE.read_text(encoding="utf-8"))
    names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    names |= {str(node.module) for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert {name.split(".")[0] for name in names} - set(sys.stdlib_module_names) == {"numpy"}


def test_the_digits_preset(numpy_emulator: Any, tmp_path: Path):
    config = load_config("digits")
    model = build_model(config, build_devices(config), (8, 8)).eval()
    test_set = load("digits", "test").take(60)
    folder = deploy(model, tmp_path / "bench", dataset=test_set)
    expected = np.load(folder / "expected-logits.npy")
    logits = numpy_emulator.Emulator(folder).logits(test_set.images.numpy())
    np.testing.assert_allclose(logits, expected, rtol=0, atol=SINGLE_LOGITS * np.abs(expected).max())
    np.testing.assert_array_equal(logits.argmax(1), expected.argmax(1))
    readings, images = (np.load(folder / f"sample-{name}.npy") for name in ("readings", "images"))
    found = numpy_emulator.Emulator(folder).readings(images)
    np.testing.assert_allclose(found, readings, rtol=0, atol=SINGLE * readings.max())
    # The test has teeth: with the other sign of the phase it is another system.
    wrong = numpy_emulator.Emulator(folder, phase_sign=-1).logits(test_set.images.numpy())
    assert np.abs(wrong - expected).max() > 0.1 * np.abs(expected).max()
    assert (wrong.argmax(1) == expected.argmax(1)).mean() < 0.7


def test_what_it_prints(numpy_emulator: Any, deployed: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any):
    monkeypatch.setattr(sys, "argv", ["emulate.py", str(deployed)])
    numpy_emulator.main()
    printed = capsys.readouterr().out
    assert "the first 20 test images of noise:" in printed
    assert "20 of 20 predictions equal" in printed


@pytest.mark.parametrize(
    ("task", "targets"),
    [
        (Regression(ranges=[(0, 10)]), torch.linspace(0, 10, 6)),
        (Regression(ranges=[(0, 10), (-5, 5)]), torch.linspace(0, 5, 12).reshape(6, 2)),
        (Logic(bits=1), torch.tensor([0.0, 1, 1, 0, 1, 0])),
        (Logic(bits=2), torch.tensor([[0.0, 1], [1, 1], [1, 0], [0, 0], [1, 0], [0, 1]])),
    ],
)
def test_what_it_prints_of_numbers_and_of_bits(
    numpy_emulator: Any,
    task: Task,
    targets: torch.Tensor,
    tmp_path: Path,
    make_device: Any,
    monkeypatch: Any,
    capsys: Any,
):
    model = DONN(
        grid=Grid(24, 36e-6), wavelength=532e-9, distances=0.03, devices=[make_device(8)], task=task, image_shape=(8, 8)
    ).eval()
    dataset = ImageDataset(torch.rand(6, 8, 8, generator=torch.Generator().manual_seed(0)), targets, "six")
    folder = deploy(model, tmp_path / "bench", dataset=dataset)
    monkeypatch.setattr(sys, "argv", ["emulate.py", str(folder)])
    numpy_emulator.main()
    first, readings, predictions, right = capsys.readouterr().out.splitlines()
    assert "six" in first
    assert float(readings.split()[5]) < SINGLE
    outputs, reached = model(dataset.images), task.metrics[0]
    expected = reached.of(outputs.detach(), targets)
    if isinstance(task, Logic):
        assert predictions.split()[:3] == ["6", "of", "6"]
        assert int(right.split()[0]) == round(expected * 6)
    else:
        assert float(predictions.split()[-1]) < 1e-3
        assert float(right.split()[2]) == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize("name", ["format-1", "format-2/tables", "format-2/panel"])
def test_folders_of_earlier_formats(numpy_emulator: Any, name: str):
    folder = Path(__file__).parent / name
    images = load("digits", "test").images[:10]
    expected = np.load(folder / "expected-logits.npy")[:10]
    logits = numpy_emulator.Emulator(folder).logits(images.numpy())
    np.testing.assert_allclose(logits, expected, rtol=0, atol=SINGLE_LOGITS * np.abs(expected).max())


@pytest.mark.parametrize("measure", ["sum", "mean", "amplitude", "fraction"])
@pytest.mark.parametrize("differential", [False, True])
def test_every_readout(numpy_emulator: Any, tmp_path: Path, make_device: Any, measure: Any, differential: bool):
    model = DONN(
        grid=Grid((20, 24), pitch=(36e-6, 30e-6)),
        wavelength=532e-9,
        distances=[0.02, 0.03],
        devices=[make_device(8)],
        task=Classification(PAIRS, differential, measure, 5.0),
        image_shape=(7, 6),
        gain=1.7,
        dtype=torch.complex128,
    ).eval()
    assert_same(numpy_emulator, deploy(model, tmp_path / "bench"), model)


@pytest.mark.parametrize("method", ["fresnel", "angular-spectrum"])
def test_panels_and_mixed_devices_on_different_planes(
    numpy_emulator: Any, tmp_path: Path, make_device: Any, method: str
):
    grids = [
        Grid((14, 15), 40e-6),
        Grid((18, 16), 36e-6),
        Grid((20, 22), (30e-6, 36e-6), (50e-6, -20e-6)),
        Grid((24, 20), 30e-6, (10e-6, 0.0)),
    ]
    regions = np.indices((18, 16)).sum(0) % 3 - 1
    panel = DevicePanel((make_device(6, seed=1), make_device(6, seed=2)), regions, 0.3 - 0.5j, "two kinds of pixel")
    model = DONN(
        grid=grids,
        wavelength=532e-9,
        distances=[0.02, 0.03, 0.025],
        devices=[panel, make_device(300, "V")],
        task=Classification(((2, 2, 6, 6), (2, 11, 6, 6), (14, 6, 6, 6)), False, "mean", 3.0),
        image_shape=(7, 9),
        method=method,
        dtype=torch.complex128,
    ).eval()
    folder = deploy(model, tmp_path / "bench")
    assert_same(numpy_emulator, folder, model)
    readings, images = (np.load(folder / f"sample-{name}.npy") for name in ("readings", "images"))
    wrong = numpy_emulator.Emulator(folder, phase_sign=-1).readings(images)
    assert np.abs(wrong - readings).max() > 1e3 * DOUBLE * readings.max()


METHODS: dict[str, tuple[Any, float, float]] = {
    "fresnel": ("fresnel", 36e-6, 0.02),
    "fresnel, touching": ("fresnel", 36e-6, 0.0),
    "fresnel-impulse": ("fresnel-impulse", 36e-6, 0.2),
    "fresnel-pixels": (FresnelPixels(0.87), 36e-6, 0.02),
    "fraunhofer": ("fraunhofer", 36e-6, 3.0),
    "focal-plane": (FocalPlane(0.02), 36e-6, 0.1),
    "angular-spectrum": ("angular-spectrum", 36e-6, 0.02),
    "angular-spectrum, at wide angles": ("angular-spectrum", 0.8e-6, 50e-6),
    "angular-spectrum, evanescent": ("angular-spectrum", 0.2e-6, 2e-6),
    "angular-spectrum, given": (AngularSpectrum(3.0), 36e-6, 0.02),
    "rayleigh-sommerfeld": ("rayleigh-sommerfeld", 36e-6, 0.2),
    "fresnel-wrapped": ("fresnel-wrapped", 36e-6, 0.02),
    "angular-spectrum-wrapped": ("angular-spectrum-wrapped", 36e-6, 0.02),
    "auto": ("auto", 36e-6, 0.02),
}


@pytest.mark.filterwarnings("ignore::voltphase.core.errors.VoltphaseWarning")
@pytest.mark.parametrize("case", METHODS)
def test_every_method(numpy_emulator: Any, tmp_path: Path, make_device: Any, case: str):
    method, pitch, distance = METHODS[case]
    model = DONN(
        grid=Grid((12, 14), pitch),
        wavelength=532e-9,
        distances=[distance, distance] if case != "fraunhofer" else [distance, 1.5 * distance],
        devices=[make_device(8)],
        task=Classification(((1, 1, 4, 4), (6, 2, 4, 5), (4, 8, 5, 4)), False, "fraction", 5.0),
        image_shape=(7, 6),
        method=method,
        dtype=torch.complex128,
    ).eval()
    assert_same(numpy_emulator, deploy(model, tmp_path / "bench"), model)


def assert_same(numpy_emulator: Any, folder: Path, model: DONN) -> None:
    assert verify(folder).passed
    emulator = numpy_emulator.Emulator(folder)
    images, readings = (np.load(folder / f"sample-{name}.npy") for name in ("images", "readings"))
    found = emulator.readings(images)
    np.testing.assert_allclose(found, readings, rtol=0, atol=DOUBLE * readings.max())
    logits = model(torch.from_numpy(images)).detach().numpy()
    np.testing.assert_allclose(emulator.logits_of(found), logits, rtol=0, atol=100 * DOUBLE * np.abs(logits).max())
    np.testing.assert_array_equal(emulator.logits_of(found).argmax(1), logits.argmax(1))
