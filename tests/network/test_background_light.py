"""Even, incoherent light on the detector, counted with the beam's."""

from __future__ import annotations

import json
import math
import runpy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import voltphase as vp
from voltphase.config import load_config
from voltphase.core.errors import ConfigError, VoltphaseError
from voltphase.deployment.manifest import manifest_digest
from voltphase.tasks import Classification, Image, RegionReadout
from voltphase.tasks.background_light import with_background

EXAMPLES = Path(__file__).parents[2] / "examples"
BACKGROUND = 0.02
BOXES = ((1, 1, 4, 5), (9, 9, 4, 4), (1, 9, 3, 4), (9, 1, 4, 3))
IMAGES = torch.randint(0, 256, (5, 8, 10), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
TASKS: dict[str, vp.tasks.Task] = {
    **{
        f"{measure}{', pairs' if paired else ''}": Classification(BOXES, paired, measure, 2.0)
        for measure in ("sum", "mean", "amplitude", "fraction")
        for paired in (False, True)
    },
    "picture": Image(window=(2, 4, 8, 12), pixels=(4, 6)),
    "amplitude of a picture": Image(measure="amplitude"),
}


def network(task: vp.tasks.Task, background: float = BACKGROUND, **changed: Any) -> vp.DONN:
    options: dict[str, Any] = {"grid": vp.Grid((16, 20), 36e-6), "wavelength": 532e-9, "distances": 0.02}
    options |= {"devices": [vp.devices.tn_slm(4)] * 2, "image_shape": (8, 10), "gain": [2.0, 1.5]}
    options |= {"dtype": torch.complex128} | changed
    return vp.DONN(**options, task=task, background_light=background)


def expected_of(task: vp.tasks.Task, intensity: np.ndarray) -> np.ndarray:
    """What is read of a detector's intensity, by the definitions of the measures."""
    if isinstance(task, Image):
        row, column, height, width = task.window or (0, 0, *intensity.shape[1:])
        rows, columns = task.pixels or (height, width)
        window = intensity[:, row : row + height, column : column + width]
        blocks = window.reshape(-1, rows, height // rows, columns, width // columns).sum((2, 4))
        picture = blocks / intensity.sum((1, 2), keepdims=True)
        return np.sqrt(picture) if task.measure == "amplitude" else picture
    assert isinstance(task, Classification)
    light = np.sqrt(intensity) if task.measure == "amplitude" else intensity
    parts = [light[:, row : row + height, column : column + width] for row, column, height, width in BOXES]
    read = np.stack(
        [part.mean((1, 2)) if task.measure in ("mean", "amplitude") else part.sum((1, 2)) for part in parts], 1
    )
    if task.differential:
        return (read[:, 0::2] - read[:, 1::2]) / (read[:, 0::2] + read[:, 1::2])
    return read / light.sum((1, 2))[:, None] if task.measure == "fraction" else read


@pytest.mark.parametrize("backend", ["cpu", "reference"])
@pytest.mark.parametrize("kind", TASKS)
def test_every_measure_is_of_the_sum_of_both_intensities(kind: str, backend: str) -> None:
    model = network(TASKS[kind], backend=backend).eval()
    gain = math.prod(layer.gain for layer in model.layers)
    detector = np.abs(model.planes(IMAGES)["detector"].detach().numpy()) ** 2
    # Gain, which only emulation has, is all light's: logits follow from the readings of the bench by a factor.
    expected = expected_of(TASKS[kind], detector + BACKGROUND * gain**2)
    np.testing.assert_allclose(model.measure(IMAGES).detach().numpy(), expected, rtol=1e-9, atol=1e-12)
    dark = network(TASKS[kind], 0.0, backend=backend).eval()
    assert np.abs(dark.measure(IMAGES).detach().numpy() - expected).max() > 1e-3 * np.abs(expected).max()
    # The share is of the input's light alone.
    torch.testing.assert_close(model.read(IMAGES).light_share, dark.read(IMAGES).light_share)
    np.testing.assert_allclose(model.read(IMAGES).measured.detach().numpy(), expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("kind", TASKS)
def test_back_ends_and_hooks_have_the_same_gradients(kind: str) -> None:
    found = []
    for backend in ("cpu", "reference", "hooks"):
        model = network(TASKS[kind], backend=backend.replace("hooks", "auto"))
        if backend == "hooks":  # light goes from plane to plane then
            model.readout.register_forward_hook(lambda *_: None)
        outputs = model(IMAGES)
        outputs[:, 0].square().sum().backward()
        found.append([outputs.detach(), *(layer.design.grad for layer in model.layers)])
    for one in found:
        assert all(bool(values.isfinite().all()) for values in one)
        torch.testing.assert_close(one, found[0])


def test_light_of_all_phases_adds_up_to_it() -> None:
    field = torch.randn(3, 4, dtype=torch.complex128, generator=torch.Generator().manual_seed(0))
    phases = torch.arange(8) * math.tau / 8
    waves = math.sqrt(BACKGROUND) * torch.polar(torch.ones(8), phases).to(torch.complex128)[:, None, None]
    expected = (field + waves).abs().square().mean(0)
    torch.testing.assert_close(with_background(field, BACKGROUND).abs().square(), expected, rtol=1e-7, atol=0)
    assert with_background(field, 0.0) is field


def test_it_takes_contrast_away_by_the_share_of_the_light_that_it_is() -> None:
    task = Classification(BOXES, True, "mean", 1.0)
    bright, dim = (network(task, background).eval() for background in (0.0, BACKGROUND))
    readout = RegionReadout(vp.Regions(BOXES, (16, 20)), "mean", 1.0)
    gain = math.prod(layer.gain for layer in bright.layers)
    means = readout(bright.planes(IMAGES)["detector"]).detach() / gain**2
    pairs = means[:, 0::2] + means[:, 1::2]
    torch.testing.assert_close(dim(IMAGES), bright(IMAGES) * pairs / (pairs + 2 * BACKGROUND))


@pytest.mark.parametrize(
    ("background", "sentence"),
    [(-0.1, "background light as an intensity of at least zero"), (1e9, "at most 1000"), ("much", "background light")],
)
def test_what_is_no_background_light_is_refused(background: Any, sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        network(TASKS["sum"], background)
    with pytest.raises(ConfigError, match=r"optics\.background_light"):
        load_config("digits", [f"optics.background_light={background}"])


def test_a_field_has_none() -> None:
    with pytest.raises(ConfigError, match="no background light for a picture of the field"):
        network(Image(measure="field"))
    network(Image(measure="field"), 0.0)


FEW = ["optics.size=24", "optics.depth=1", "training.epochs=1", "data.train_limit=60", "data.test_limit=20"]


@pytest.mark.parametrize(
    "settings", [["task.differential=true"], ["task.differential=false", "task.measure=amplitude"]]
)
def test_from_a_configuration_it_is_trained_deployed_and_verified_from_the_files(
    settings: list[str], tmp_path: Path
) -> None:
    gain = ["codesign.gain=1.5", "optics.background_light=0.02"]
    run = vp.train(load_config("digits", [*FEW, *settings, *gain]), out=tmp_path / "run", progress=False)
    assert run.model.background_light == BACKGROUND
    bench = vp.deploy(run, tmp_path / "bench")
    assert vp.verify(bench).passed
    manifest = json.loads((bench / "manifest.json").read_text())
    assert manifest["readout"]["background_light"] == BACKGROUND
    note = " ".join((bench / "README.txt").read_text().split())
    assert "of an intensity of 0.02 a sample" in note
    assert manifest["readout"]["formula"] in note
    assert_numpy_agrees(bench)
    for changed in (0.03, -1.0, 0.0):  # the last one is none, of which the formula says nothing
        manifest["readout"]["background_light"] = changed
        manifest["manifest_sha256"] = manifest_digest(manifest)
        (bench / "manifest.json").write_text(json.dumps(manifest))
        if changed > 0:
            assert not vp.verify(bench).passed
        else:
            with pytest.raises(VoltphaseError, match="readout"):
                vp.verify(bench)


@pytest.mark.parametrize("kind", TASKS)
def test_every_readout_is_verified_from_its_files(kind: str, tmp_path: Path) -> None:
    bench = vp.deploy(network(TASKS[kind]).eval(), tmp_path / "bench")
    assert vp.verify(bench).passed
    assert_numpy_agrees(bench)


def assert_numpy_agrees(bench: Path) -> None:
    emulator = runpy.run_path(str(EXAMPLES / "emulate.py"))["Emulator"](bench)
    images, readings = (np.load(bench / f"sample-{name}.npy") for name in ("images", "readings"))
    np.testing.assert_allclose(emulator.readings(images), readings, rtol=1e-4, atol=1e-5 * readings.max())


def test_without_it_nothing_is_written_of_it(tmp_path: Path) -> None:
    bench = vp.deploy(network(TASKS["sum"], 0.0).eval(), tmp_path / "bench")
    assert "background" not in (bench / "manifest.json").read_text() + (bench / "README.txt").read_text()
