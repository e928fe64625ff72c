"""Light that carries images otherwise than as the amplitude of a plane wave: fields, networks, deployed folders."""

from __future__ import annotations

import json
import math
import runpy
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import voltphase as vp
from voltphase.config import load_config
from voltphase.core.errors import VoltphaseError
from voltphase.deployment.manifest import manifest_digest
from voltphase.optics import ImageSource, Mask, SourceLight

GRID = vp.Grid((16, 20), 36e-6)
WAIST = 250e-6
MASK = Mask(np.random.default_rng(1).uniform(0, 1, GRID.shape) * np.exp(1j * np.arange(20)))
LIGHTS = [
    SourceLight("phase"),
    SourceLight("phase", 2.0, WAIST),
    SourceLight("both", 5.0, background=0.1),
    SourceLight(waist=WAIST),
    SourceLight(background=0.2),
    SourceLight(waist=WAIST, background=0.2),
    SourceLight(waist=WAIST, centre=(90e-6, -40e-6)),
    SourceLight(mask=MASK),
    SourceLight("both", 2.0, WAIST, 0.1, (-40e-6, 0.0), MASK),
]
IMAGES = torch.randint(0, 256, (5, 8, 10), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
IMAGES[2] = 0


def expected_field(light: SourceLight, values: np.ndarray, y: np.ndarray, x: np.ndarray) -> np.ndarray:
    """The field of interpolated values, as its definition says."""
    amplitude = light.background + (1 - light.background) * values
    phase = (light.phase_range or math.pi) * values
    field = {"amplitude": amplitude, "phase": np.exp(1j * phase), "both": amplitude * np.exp(1j * phase)}[
        light.encoding
    ]
    if light.waist is not None:
        field = field * np.exp(-((y[:, None] - light.centre[0]) ** 2 + (x - light.centre[1]) ** 2) / light.waist**2)
    return field if light.mask is None else field * light.mask.values


@pytest.mark.parametrize("offset", [0.0, 90e-6])
@pytest.mark.parametrize("light", LIGHTS, ids=str)
def test_the_field_is_that_of_the_definition(light: SourceLight, offset: float) -> None:
    grid = vp.Grid((16, 20), 36e-6, (offset, 0.0))
    source = ImageSource(grid, (8, 10), light=light, dtype=torch.complex128)
    values = ImageSource(grid, (8, 10), dtype=torch.complex128)(IMAGES).real.numpy()
    expected = expected_field(light, values, *(at.numpy() for at in grid.coordinates()))
    np.testing.assert_allclose(source(IMAGES).numpy(), expected, rtol=1e-12, atol=1e-13)
    if light.linear:
        kernel = source.kernel()
        made = kernel.rows.matrix @ (IMAGES.double() / 255).to(torch.complex128) @ kernel.columns.matrix.mT
        np.testing.assert_allclose(made.numpy(), expected, rtol=1e-12, atol=1e-13)


def network(light: SourceLight, backend: str) -> vp.DONN:
    return vp.DONN(
        grid=GRID,
        wavelength=532e-9,
        distances=0.02,
        devices=[vp.devices.tn_slm().pick(4)] * 2,
        task=vp.tasks.Classification(regions=[(1, 1, 4, 4), (9, 9, 4, 4)], differential=False, scale=2.0),
        image_shape=(8, 10),
        source=light,
        dtype=torch.complex128,
        backend=backend,
        relaxation=vp.Proximity(),
    )


@pytest.mark.parametrize("light", LIGHTS, ids=str)
def test_back_ends_carry_it_alike_with_gradients_of_the_design(light: SourceLight) -> None:
    found = []
    for backend in ("cpu", "reference"):
        model = network(light, backend)
        logits = model(IMAGES)
        logits[:, 0].sum().backward()
        found.append([logits.detach(), *(layer.design.grad for layer in model.layers)])
        # The way of the planes, step by step, which no back end takes.
        field = model.eval().planes(IMAGES)["detector"]
        torch.testing.assert_close(
            model(IMAGES), model.readout.outputs(model.readout.read(model.readout.window(field)))
        )
    for one, other in zip(*found, strict=True):
        assert bool(one.isfinite().all())
        torch.testing.assert_close(one, other)


def test_a_black_image_has_light_where_its_phase_or_background_carries_it() -> None:
    for light in LIGHTS:
        assert bool(ImageSource(GRID, (8, 10), light=light)(IMAGES[2:3]).any()) != light.dark


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"phase_range": 1.0}, "no phase range for the encoding amplitude"),
        ({"encoding": "phase", "background": 0.1}, "no background for the encoding phase"),
        ({"background": 1.0}, "background"),
        ({"background": -0.1}, "background"),
        ({"encoding": "hue"}, "amplitude, phase"),
        ({"waist": 0.0}, "waist"),
        ({"waist": 250.0}, "waist"),
        ({"centre": [1e-4, 0.0]}, "no centre for a plane wave"),
        ({"waist": 1e-3, "centre": [1e-4, 0.0, 0.0]}, "centre"),
        ({"waist": 1e-3, "centre": [0.0, 1e6]}, "centre in metres"),
    ],
)
def test_what_would_be_of_no_use_is_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(VoltphaseError, match=message):
        SourceLight(**arguments)
    with pytest.raises(VoltphaseError, match=message):
        load_config("digits", [f"optics.source.{key}={value}" for key, value in arguments.items()])


@pytest.mark.parametrize("light", LIGHTS, ids=str)
def test_from_a_configuration_it_is_trained_deployed_and_verified_from_the_files(
    light: SourceLight, tmp_path: Path
) -> None:
    few = ["optics.size=16", "optics.depth=1", "training.epochs=1", "data.train_limit=60", "data.test_limit=20"]
    source = {key: value for key, value in vars(light).items() if value is not None} | {"centre": [*light.centre]}
    if light.mask is not None:
        mask = light.mask.values[:, :16]
        light = replace(light, mask=Mask(mask))
        np.save(tmp_path / "mask.npy", mask)
        source["mask"] = tmp_path / "mask.npy"
    config = load_config("digits", [*few, *(f"optics.source.{key}={value}" for key, value in source.items())])
    run = vp.train(config, out=tmp_path / "run")
    assert run.model.source.light == light
    bench = vp.deploy(run, tmp_path / "bench")
    result = vp.verify(bench)
    assert result.passed
    assert result.images == 20
    recorded = json.loads((bench / "manifest.json").read_text())["input"]
    assert "U(y, x) = " in recorded["formula"]
    assert recorded["formula"] in " ".join((bench / "README.txt").read_text().split())
    # Everything once more, by numpy alone.
    emulator = runpy.run_path(str(Path(__file__).parents[2] / "examples" / "emulate.py"))["Emulator"](bench)
    images, readings = (np.load(bench / f"sample-{name}.npy") for name in ("images", "readings"))
    np.testing.assert_allclose(emulator.readings(images), readings, rtol=1e-4, atol=1e-5 * readings.max())


def test_a_manifest_whose_light_was_changed_is_refused(tmp_path: Path) -> None:
    bench = vp.deploy(network(LIGHTS[-1], "cpu").eval(), tmp_path / "bench")
    manifest = json.loads((bench / "manifest.json").read_text())
    turned = {key: manifest["input"]["mask"][other] for key, other in (("amplitude", "phase"), ("phase", "amplitude"))}
    changes: tuple[dict[str, Any], ...] = (
        {"encoding": "amplitude"},
        {"waist_m": -1.0},
        {"phase_range_rad": None},
        {"background": 0.0},
        {"centre_m": None},
        {"centre_m": [0.0]},
        {"mask": None},
        {"mask": turned},
    )
    for change in changes:
        changed = {**manifest, "input": {**manifest["input"], **change}}
        changed["manifest_sha256"] = manifest_digest(changed)
        (bench / "manifest.json").write_text(json.dumps(changed))
        with pytest.raises(VoltphaseError, match="input"):
            vp.verify(bench)


def test_the_plain_amplitude_is_written_as_ever(tmp_path: Path) -> None:
    bench = vp.deploy(network(SourceLight(), "cpu").eval(), tmp_path / "bench")
    recorded = json.loads((bench / "manifest.json").read_text())["input"]
    assert set(recorded) == {"image_shape", "encoding", "interpolation", "align_corners", "grid"}
