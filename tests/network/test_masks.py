"""A mask, a filter or a measured illumination in front of the source: its light in closed form, its files, its runs."""

from __future__ import annotations

import json
import math
import runpy
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

import voltphase as vp
from voltphase.cli import app
from voltphase.config import load_config
from voltphase.config.masks import read_mask
from voltphase.core.errors import ConfigError, DataError, DeploymentError, GeometryError
from voltphase.core.units import UnitWarning
from voltphase.optics import ImageSource, Mask, SourceLight, thin_lens
from voltphase.optics.elements import Element
from voltphase.optics.paths import paths_between

EXAMPLES = Path(__file__).parents[2] / "examples"
WAVELENGTH = 532e-9
SLM = vp.devices.tn_slm(8)
WHITE = torch.full((1, 8, 8), 255, dtype=torch.uint8)
HALF = np.repeat([[1.0, 0.0]], 16, axis=0).repeat(8, axis=1)
PLATE = np.exp(1j * np.arange(256).reshape(16, 16))
QUICK = ["optics.size=16", "optics.depth=1", "training.epochs=2", "data.train_limit=60", "data.test_limit=20"]


def light_behind(light: SourceLight, source: vp.Grid, plane: vp.Grid, distance: float) -> np.ndarray:
    """The field of a white image on the first layer of a network."""
    model = vp.DONN(
        grid=[source, plane, plane],
        wavelength=WAVELENGTH,
        distances=[distance, 0.01],
        devices=[SLM],
        task=vp.tasks.Image(),
        image_shape=(8, 8),
        source=light,
        dtype=torch.complex128,
    )
    return model.planes(WHITE)["layer 1 in"][0].detach().numpy()


def test_a_lens_as_mask_focuses_a_beam_to_the_gaussian_spot_where_it_is_centred() -> None:
    waist, focus, centre = 0.35e-3, 0.5, (80e-6, -120e-6)
    source, plane = vp.Grid(64, 36e-6), vp.Grid((40, 44), 20e-6)
    # A lens around the beam's own centre: the spot is there, and real but for the carrier and the wave's curvature.
    lens = thin_lens(source, wavelength=WAVELENGTH, focal_length=focus, centre=centre)
    field = light_behind(SourceLight(waist=waist, centre=centre, mask=Mask(lens)), source, plane, focus)
    spot = WAVELENGTH * focus / (math.pi * waist)
    y, x = (at.numpy() - middle for at, middle in zip(plane.coordinates(), centre, strict=True))
    expected = waist / spot * np.exp(-(y[:, None] ** 2 + x**2) / spot**2)
    # The nearest edge is 2.95 waists from the beam's centre, where it has exp(-2.95 ** 2) = 1.7e-4 of its amplitude.
    np.testing.assert_allclose(np.abs(field), expected, atol=1e-3 * expected.max())
    # Without the lens it is no spot at all.
    bare = light_behind(SourceLight(waist=waist, centre=centre), source, plane, focus)
    assert np.abs(bare).max() < 0.8 * expected.max()


@pytest.mark.parametrize("waist", [None, 0.3e-3])
def test_half_the_plane_dark_leaves_a_quarter_of_the_light_at_the_edge_of_the_shadow(waist: float | None) -> None:
    source, plane = vp.Grid(16, 36e-6), vp.Grid(15, 36e-6)  # a sample of the second lies right behind the edge
    knife = Mask(HALF)
    behind = light_behind(SourceLight(waist=waist, mask=knife), source, plane, 0.05)
    free = light_behind(SourceLight(waist=waist), source, plane, 0.05)
    intensity, whole = (np.abs(field) ** 2 for field in (behind, free))
    np.testing.assert_allclose(intensity[:, 7], whole[:, 7] / 4, rtol=1e-10)
    # Babinet: the light of both halves together is that without a mask.
    other = light_behind(SourceLight(waist=waist, mask=Mask(1 - HALF)), source, plane, 0.05)
    np.testing.assert_allclose(behind + other, free, atol=1e-12)


def test_a_mask_of_ones_is_no_mask() -> None:
    grid, images = vp.Grid(16, 36e-6), torch.randint(0, 256, (4, 8, 8), dtype=torch.uint8)
    logits = []
    for light in (SourceLight(), SourceLight(mask=Mask(np.ones(grid.shape)))):
        task = vp.tasks.Classification(((1, 1, 5, 5), (9, 9, 5, 5)), scale=1.0)
        optics: Any = {"grid": grid, "wavelength": WAVELENGTH, "distances": 0.02, "dtype": torch.complex128}
        model = vp.DONN(**optics, devices=[SLM] * 2, task=task, image_shape=(8, 8), source=light)
        logits.append(model(images))
    torch.testing.assert_close(*logits, rtol=1e-10, atol=1e-12)


def test_equal_values_are_equal_masks_whatever_they_are_made_of() -> None:
    levels = np.array([[0, 255], [51, 102]], np.uint8)
    mask = Mask(levels)
    assert mask == Mask(levels / 255) == Mask(levels.astype(np.uint16) * 257) == Mask(torch.tensor(levels / 255 + 0j))
    assert mask != Mask(levels.T)
    assert {SourceLight(mask=mask), SourceLight(mask=Mask(levels))} == {SourceLight(mask=mask)}
    assert repr(mask) == f"Mask(2 x 2, digest {mask.digest[:12]})"
    with pytest.raises(ValueError, match="read-only"):
        mask.values[0, 0] = 1


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        (np.ones((2, 2, 2)), "a mask of rows x columns, but got 2 x 2 x 2"),
        (np.array(1.0), "but got a single number"),
        (np.array([[1.0, math.nan]]), "finite values"),
        (np.array([[0.5, 3.0]]), "amplitudes up to 1, as it can only take light away, but got 3"),
        (np.zeros((2, 2)), "lets some light through"),
        ([["a", "b"]], "a mask as a tensor or an array of numbers"),
        ("mask.npy", "a mask as a tensor or an array of numbers"),
    ],
)
def test_what_is_no_mask_is_refused(values: Any, sentence: str) -> None:
    with pytest.raises(GeometryError, match=sentence):
        Mask(values)


def test_light_that_does_not_fit_the_source_is_refused() -> None:
    grid = vp.Grid(16, 36e-6)
    with pytest.raises(GeometryError, match="a mask of 16 x 16 samples, those of the source, but got one of 2 x 3"):
        ImageSource(grid, (8, 8), light=SourceLight(mask=Mask(np.ones((2, 3)))))
    with pytest.raises(ConfigError, match=r"a mask, but got .*voltphase\.optics\.Mask"):
        SourceLight(mask=np.ones((16, 16)))  # pyright: ignore[reportArgumentType]
    with pytest.raises(GeometryError, match="a finite centre in metres, but got 'middle'"):
        SourceLight(waist=1e-3, centre="middle")  # pyright: ignore[reportArgumentType]
    with pytest.raises(GeometryError, match=r"a Gaussian beam that meets the source of 576 µm x 576 µm"):
        ImageSource(grid, (8, 8), light=SourceLight(waist=1e-4, centre=(0.0, 1e-2)))
    with pytest.warns(
        UnitWarning, match=r"a waist of 0\.4 m is unusual: lengths are in metres, and 0\.4 mm is 0\.0004"
    ):
        ImageSource(grid, (8, 8), light=SourceLight(waist=0.4))


def write(path: Path, levels: np.ndarray) -> Path:
    """Write amplitudes as what the name says."""
    if path.suffix == ".npy":
        np.save(path, levels)
    elif path.suffix == ".csv":
        np.savetxt(path, levels, delimiter=",", fmt="%.17g")
    else:
        kind = np.uint8 if path.stem == "bytes" else np.uint16
        Image.fromarray((levels * np.iinfo(kind).max).round().astype(kind)).save(path)
    return path


@pytest.mark.parametrize("name", ["mask.npy", "mask.csv", "mask.png", "bytes.png", "mask.TIF", "bytes.bmp"])
def test_files_hold_amplitudes(name: str, tmp_path: Path) -> None:
    amplitudes = np.arange(6).reshape(2, 3) / 5
    np.testing.assert_allclose(read_mask(str(write(tmp_path / name, amplitudes))).values, amplitudes, atol=1e-12)


def test_an_array_holds_phases_too(tmp_path: Path) -> None:
    mask = np.exp(1j * np.arange(6).reshape(2, 3)).astype(np.complex64)
    np.testing.assert_array_equal(read_mask(str(write(tmp_path / "mask.npy", mask))).values, mask)


def test_files_that_hold_no_mask_are_refused_by_their_names(tmp_path: Path) -> None:
    colours = np.zeros((4, 4, 3), np.uint8)
    colours[..., 0] = 255
    Image.fromarray(colours).save(tmp_path / "colours.png")
    (tmp_path / "words.csv").write_text("1,2\na,b\n")
    (tmp_path / "ragged.csv").write_text("1,0\n1\n")
    (tmp_path / "broken.npy").write_bytes(b"\x93NUMPY")
    (tmp_path / "broken.png").write_bytes(b"no picture")
    (tmp_path / "folder.npy").mkdir()
    np.save(tmp_path / "bright.npy", np.full((2, 2), 7.0))
    np.save(tmp_path / "objects.npy", np.array([[None]]), allow_pickle=True)
    (tmp_path / "mask.mat").touch()
    sentences = {
        "colours.png": "has colours: save it in grey",
        "words.csv": "rows of numbers with commas between",
        "ragged.csv": "rows of numbers with commas between",
        "broken.npy": "an array as numpy.save writes it",
        "broken.png": "is no picture",
        "folder.npy": "a folder and no regular file",
        "bright.npy": "amplitudes up to 1",
        "objects.npy": "an array as numpy.save writes it",
        "mask.mat": "NPY, CSV, PNG, TIF, TIFF, BMP, but got .mat",
        "missing.npy": "no such file",
    }
    for name, sentence in sentences.items():
        with pytest.raises(DataError) as raised:
            read_mask(str(tmp_path / name))
        said = str(raised.value)
        assert said.startswith("optics.source.mask: ")
        assert said.count(str(tmp_path / name)) == 1
        assert sentence in said
        assert "\n" not in said


@pytest.fixture
def settings(tmp_path: Path) -> Path:
    """A configuration beside the file of its mask, which it names from where it is."""
    folder = tmp_path / "bench 3"
    folder.mkdir()
    write(folder / "mask.png", HALF)
    np.save(folder / "plate.npy", PLATE)
    between = "distances: [[0.03, {name: mask, file: plate.npy}, 0.02], 0.06]"
    (folder / "run.yaml").write_text(f"preset: digits\noptics: {{depth: 1, source: {{mask: mask.png}}, {between}}}\n")
    return folder / "run.yaml"


def test_a_run_needs_no_file_of_its_mask_again(settings: Path, tmp_path: Path) -> None:
    run = vp.train(load_config(settings, QUICK), out=tmp_path / "run", progress=False)
    assert (run.summary["mask"], run.summary["masks"]) == (Mask(HALF).digest, [Mask(PLATE).digest])
    assert Path(run.config.optics.source.mask or "") == settings.with_name("mask.png")
    shutil.rmtree(settings.parent)
    again = vp.load_run(tmp_path / "run")
    assert again.model.source.light == SourceLight(mask=Mask(HALF))
    bench = vp.deploy(again, tmp_path / "deployed")
    assert vp.verify(bench).passed
    about = json.loads((bench / "manifest.json").read_text())["propagation"]["elements"]
    assert [one["kind"] for one in about] == ["transmission"]
    assert "transmission  30 mm" in (bench / "README.txt").read_text()
    images = np.load(bench / "sample-images.npy")[:3]
    expected = again.model(torch.from_numpy(images)).detach()
    numpy = runpy.run_path(str(EXAMPLES / "emulate.py"))["Emulator"](bench)
    np.testing.assert_allclose(numpy.logits(images), expected, rtol=1e-3, atol=1e-4 * float(expected.abs().max()))
    # What it does is what an element of the same numbers does.
    distances: Any = [(0.03, Element(torch.tensor(PLATE), grid=vp.Grid(16, 36e-6)), 0.02), 0.06]
    light = paths_between(again.model.way, distances, wavelength=532e-9, method="fresnel")
    own = paths_between(again.model.way, again.model.spans, wavelength=532e-9, method="fresnel")
    factors = [one[0][1].transmission for one in (light, own) if isinstance(one[0][1], Element)]
    assert torch.equal(*factors)


@pytest.mark.parametrize("before_a_detector", [False, True])
def test_a_saved_network_has_its_masks_beside_it(before_a_detector: bool, tmp_path: Path) -> None:
    np.save(tmp_path / "plate.npy", PLATE)
    optics: Any = {"grid": vp.Grid(16, 36e-6), "wavelength": WAVELENGTH, "devices": [SLM], "image_shape": (8, 8)}
    plate = vp.optics.MaskFile(str(tmp_path / "plate.npy"))
    way: Any = {"distances": [(0.03, plate, 0.02), 0.06]}
    if before_a_detector:
        way = {"distances": 0.05, "detectors": vp.Detectors((0.06, (0.03, plate, 0.02)), "classes")}
    model = vp.DONN(**optics, **way)
    digits = vp.data.load("digits", "test").take(20)
    model.train()(digits.images)
    vp.save(model.eval(), tmp_path / "run", train=digits, test=digits)
    (tmp_path / "plate.npy").unlink()
    again = vp.load_run(tmp_path / "run", digits)
    torch.testing.assert_close(again.model(digits.images), model(digits.images))
    assert np.array_equal(np.load(tmp_path / "run" / "mask-1.npy"), PLATE)


def test_a_run_is_gone_on_with_behind_the_same_mask_only(settings: Path, tmp_path: Path) -> None:
    config, out = load_config(settings, QUICK), tmp_path / "run"

    def stop(_: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        vp.train(config, out=out, progress=False, watch=stop)
    plate = settings.with_name("plate.npy")
    np.save(plate, PLATE.conj())
    with pytest.raises(ConfigError, match=r"the mask that .* was started with, but one in optics.distances is another"):
        vp.train(config, out=out, resume=True, progress=False)
    np.save(plate, PLATE)
    mask = settings.with_name("mask.png")
    write(mask, 1 - HALF)
    for changed in (config, load_config(settings, [*QUICK, "optics.source.mask=null"])):
        with pytest.raises(ConfigError, match=r"the mask that .* was started with"):
            vp.train(changed, out=out, resume=True, progress=False)
    write(mask, HALF)
    # Somewhere else on the disk it is the same one.
    moved = load_config(settings, [*QUICK, f"optics.source.mask={mask.rename(tmp_path / 'moved.png')}"])
    finished = vp.train(moved, out=out, resume=True, progress=False)
    assert finished.summary["epochs"] == 2
    assert vp.train(moved, out=out, resume=True, progress=False).summary == finished.summary
    write(tmp_path / "moved.png", 1 - HALF)
    with pytest.raises(ConfigError, match=r"the mask that .* was started with"):
        vp.train(moved, out=out, resume=True, progress=False)


def test_a_mask_of_another_size_is_refused_before_anything_is_made(settings: Path, tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["train", str(settings), "--out", str(tmp_path / "run")])
    assert result.exit_code == 2
    assert "expected a mask of 64 x 64 samples, those of the source, but got one of 16 x 16" in result.output
    words = ["train", str(settings), "--out", str(tmp_path / "run"), "--set", "optics.source.mask=null"]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 2
    said = (
        f"optics.distances: expected a mask of 64 x 64 numbers, one for each sample of its plane, but {settings.parent}"
    )
    assert f"{said}/plate.npy has 16 x 16: save it with as many, or give it a plane of its own" in result.output
    settings.with_name("plate.npy").unlink()
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 2
    assert "optics.distances: " in result.output
    assert "plate.npy" in result.output
    assert not (tmp_path / "run").exists()


def test_settings_and_network_of_different_runs_are_refused(settings: Path, tmp_path: Path) -> None:
    plain = vp.train(load_config("digits", QUICK), out=tmp_path / "plain", progress=False)
    lit = vp.train(load_config(settings, QUICK), out=tmp_path / "lit", progress=False)
    for one, other, sentence in ((plain, lit, "to hold no mask"), (lit, plain, "to hold a mask")):
        folder = tmp_path / sentence
        shutil.copytree(one.path, folder)
        shutil.copy(other.path / "model.safetensors", folder)
        with pytest.raises(DataError, match=sentence):
            vp.load_run(folder)


def test_a_folder_whose_mask_was_changed_is_refused(tmp_path: Path) -> None:
    light: Any = {"source": SourceLight(mask=Mask(HALF)), "image_shape": (8, 8)}
    model = vp.DONN(grid=vp.Grid(16, 36e-6), wavelength=WAVELENGTH, distances=0.02, devices=[SLM], **light).eval()
    bench = vp.deploy(model, tmp_path / "bench")
    note = " ".join((bench / "README.txt").read_text().split())
    assert "behind the mask of source-mask-amplitude.npy and source-mask-phase.npy" in note
    file = bench / "source-mask-amplitude.npy"
    np.save(file, 1 - HALF)
    with pytest.raises(DeploymentError, match="changed after deployment"):
        vp.verify(bench)
    file.unlink()
    with pytest.raises(DeploymentError, match="it is missing"):
        vp.verify(bench)


@pytest.mark.usefixtures("undrawn")
def test_the_example_trains_in_python_and_from_its_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    example, folder = runpy.run_path(str(EXAMPLES / "illumination.py")), tmp_path / "lit"
    example["main"](folder, images=200, epochs=2)
    assert capsys.readouterr().out.splitlines()[-1].endswith("; passed")
    saved = vp.load_run(folder / "run")
    assert saved.model.source.light.mask == example["filter_of_a_lens"]()
    # What was saved from Python describes itself, the file of its mask beside it.
    config = load_config(folder / "run" / "config.yaml")
    assert config.optics.source.build() == saved.model.source.light

    def call(*words: object) -> str:
        result = CliRunner().invoke(app, list(map(str, words)))
        assert result.exit_code == 0, result.output
        return result.output

    run, bench = tmp_path / "run", tmp_path / "bench"
    few = ("training.epochs=1", "data.train_limit=100", "data.test_limit=40", f"optics.source.mask={folder}/mask.npy")
    call("train", EXAMPLES / "illumination.yaml", "--out", run, *(word for one in few for word in ("--set", one)))
    assert vp.load_run(run).model.source.light == saved.model.source.light
    call("deploy", run, "--out", bench)
    assert "passed" in call("verify", bench)
    emulator = runpy.run_path(str(EXAMPLES / "emulate.py"))["Emulator"](bench)
    images, readings = (np.load(bench / f"sample-{name}.npy") for name in ("images", "readings"))
    np.testing.assert_allclose(emulator.readings(images), readings, rtol=1e-4, atol=1e-5 * readings.max())
