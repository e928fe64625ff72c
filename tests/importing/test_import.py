"""Designs of known light, and designs that are no such: maps in files, as runs like any other."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

import voltphase as vp
from voltphase.cli import app
from voltphase.core.errors import ConfigError, DataError, OutputError, VoltphaseError
from voltphase.core.units import UnitWarning
from voltphase.importing import DesignWarning
from voltphase.importing.design import MapsConfig
from voltphase.importing.maps import oriented
from voltphase.importing.states import phase_factors
from voltphase.reporting import write_report

WAVELENGTH, PITCH, SIDE = 532e-9, 36e-6, 16
PHASES = np.random.default_rng(0).uniform(-4, 9, (SIDE, SIDE))
EVEN = {"model": "lcos", "parameters": {"grey_levels": 4}}


def light_of(run: vp.workflow.TrainedRun) -> torch.Tensor:
    """Return the light of an even picture on the detector."""
    return run.model.planes(torch.ones(1, *run.model.source.image_shape))["detector"][0].detach()


def first_order(levels: np.ndarray, write: Any, out: Path) -> float:
    """Return the intensity where the first order of a grating of four pixels of 16 µm is, 1 m behind it."""
    pitch = 16e-6
    # Every fourth sample of the detector is in an order.
    optics = {"wavelength": WAVELENGTH, "size": [SIDE, SIDE, 11], "method": "fresnel-pixels"}
    optics |= {"pitch": [pitch, pitch, WAVELENGTH / (4 * pitch) / 4], "distances": [0.01, 1.0]}
    run = vp.import_design(write(levels, said={"kind": "level"}, optics=optics, device=EVEN), out)
    return float(light_of(run)[5, 9 if levels.any() else 5].abs() ** 2)


@pytest.mark.filterwarnings("ignore::voltphase.optics.sampling.SamplingWarning")
def test_a_grating_of_four_levels_sends_sinc_squared_of_a_quarter_into_its_first_order(write, tmp_path: Path) -> None:
    blazed = first_order(np.tile(np.arange(SIDE) % 4, (SIDE, 1)), write, tmp_path / "blazed")
    flat = first_order(np.zeros((SIDE, SIDE), dtype=int), write, tmp_path / "flat")
    assert blazed / flat == pytest.approx(np.sinc(1 / 4) ** 2, rel=1e-4)  # in single precision, 1 m for infinity


def lens(side: int, focal_length: float) -> np.ndarray:
    """Return the phases of a thin lens in radians."""
    along = (np.arange(side) - (side - 1) / 2) * PITCH
    return -math.pi / (WAVELENGTH * focal_length) * np.add.outer(along**2, along**2) % (2 * math.pi)


def test_a_lens_makes_its_focus(write, tmp_path: Path) -> None:
    side, focal_length = 64, 0.3
    phases = lens(side, focal_length)
    optics = {"wavelength": WAVELENGTH, "pitch": PITCH, "distances": [1e-3, focal_length]}
    run = vp.import_design(write(phases, said={"kind": "phase"}, optics=optics), tmp_path / "run")
    found = light_of(run).abs().square().numpy()
    along = (np.arange(side) - (side - 1) / 2) * PITCH
    airy = np.sinc(along * side * PITCH / (WAVELENGTH * focal_length)) ** 2
    # 256 phases and the edges of the light on the lens, which has come 1 mm.
    np.testing.assert_allclose(found / found.max(), np.outer(airy, airy) / airy.max() ** 2, atol=2e-3)
    assert run.model.levels()[0].unique().numel() > 200
    assert run.summary["test_correlation"] > 0.9999


def test_a_design_is_evaluated_drawn_refined_deployed_and_verified(write, tmp_path: Path) -> None:
    folder = write(PHASES, PHASES.T, said={"kind": "phase"}, device=EVEN)
    out = tmp_path / "run"
    said = CliRunner().invoke(app, ["import", str(folder), "--out", str(out)])
    assert said.exit_code == 0, said.output
    assert "2 phase maps of 16 x 16 in layer-1.npy, layer-2.npy" in said.output
    assert "layer 2 (layer-2.npy): states are off by at most 0.76, root mean square 0.46" in said.output
    assert f"voltphase report {out}" in said.output
    run = vp.load_run(out)
    wanted = np.rint(PHASES / (math.pi / 2)).astype(int) % 4
    assert np.array_equal(run.model.levels()[0].numpy(), wanted)
    assert np.array_equal(run.model.levels()[1].numpy(), wanted.T)
    assert 0.2 < run.summary["test_correlation"] < 1
    evaluated = CliRunner().invoke(app, ["evaluate", str(out)])
    assert "test correlation" in evaluated.output
    page = write_report(out).read_text(encoding="utf-8")
    assert "none here, an imported design" in page
    assert "states are off by at most" in page
    refined = vp.training.refine_run(out, tmp_path / "refined", evaluations=9)
    assert refined["refined"]["loss_after"] < refined["refined"]["loss_before"]
    # It has what it is judged by with it, wherever it goes.
    (tmp_path / "refined").rename(tmp_path / "elsewhere")
    shown = CliRunner().invoke(app, ["evaluate", str(tmp_path / "elsewhere")])
    assert f"test correlation {refined['test_correlation']:.4g}" in shown.output
    assert vp.verify(vp.deploy(tmp_path / "elsewhere", tmp_path / "bench")).passed


def test_images_of_a_task_judge_a_design(write, tmp_path: Path) -> None:
    sections = {"task": {"name": "classification"}, "data": {"name": "digits", "train_limit": 50, "test_limit": 40}}
    folder = write(np.arange(256).reshape(16, 16), said={"kind": "control"}, device={"model": "tn-slm"}, **sections)
    run = vp.import_design(folder, tmp_path / "run")
    assert run.summary["imported"]["layers"] == [None]
    assert run.summary["train_images"] == 50
    assert run.model.readout.calibrated
    assert torch.equal(run.model.levels()[0], torch.arange(256).view(16, 16))
    assert vp.verify(vp.deploy(run, tmp_path / "bench")).accuracy == run.summary["test_accuracy"]


def test_light_is_that_of_the_map_whatever_it_says_it_in(write, tmp_path: Path) -> None:
    levels = np.random.default_rng(1).integers(0, 8, (SIDE, SIDE))
    turns, height = levels / 8, levels / 8 * WAVELENGTH / 0.5
    eight = {"model": "lcos", "parameters": {"grey_levels": 8}}
    clear = {"model": "printed", "levels": 8, "parameters": {"index": 1.5}}
    Image.fromarray((levels * 32).astype(np.uint8)).save(tmp_path / "grey.png")
    as_picture = np.asarray(Image.open(tmp_path / "grey.png"))
    each: list[tuple[np.ndarray, dict[str, Any], dict[str, Any]]] = [
        (levels, {"kind": "level"}, eight),
        (levels.astype(float), {"kind": "control"}, eight),
        (as_picture, {"kind": "phase", "two_pi": 256}, eight),
        (360 * turns - 720, {"kind": "phase", "two_pi": 360}, eight),
        (-2 * math.pi * turns, {"kind": "phase", "conjugate": True}, eight),
        (np.exp(2j * math.pi * turns).astype(np.complex64), {"kind": "complex"}, eight),
        (height, {"kind": "height"}, clear),
        (np.rint(height * 1e9).astype(np.uint16), {"kind": "height", "height_unit": 1e-9}, clear),
        (np.rot90(levels, -1), {"kind": "level", "turns": 1}, eight),
        (levels[:, ::-1], {"kind": "level", "flip": "horizontal"}, eight),
    ]
    for index, (numbers, said, device) in enumerate(each):
        run = vp.import_design(write(numbers, said=said, device=device), tmp_path / f"run-{index}")
        assert np.array_equal(run.model.levels()[0].numpy(), levels), said


def test_maps_in_pictures_and_tables_are_what_is_stored_in_them(write, tmp_path: Path) -> None:
    deep = np.random.default_rng(2).integers(0, 1 << 16, (SIDE, SIDE), dtype=np.uint16)
    deep[deep % 256 == 128] += 1  # as near to one phase as to the next
    folder = write(PHASES, PHASES, PHASES)
    Image.fromarray(deep).save(folder / "one.png")
    Image.fromarray(deep).save(folder / "two.TIF")
    np.savetxt(folder / "three.csv", deep, delimiter=",")
    write(said={"files": ["one.png", "two.TIF", "three.csv"], "kind": "phase", "two_pi": 65536})
    run = vp.import_design(folder, tmp_path / "run")
    for levels in run.model.levels():
        assert np.array_equal(levels.numpy(), np.rint(deep / 256).astype(int) % 256)


def test_some_states_of_a_device_come_as_near_as_they_can(write, tmp_path: Path) -> None:
    device = vp.devices.tn_slm()
    device.save(tmp_path / "slm.csv")
    grey = np.random.default_rng(3).integers(0, 256, (SIDE, SIDE), dtype=np.uint8)
    folder = write(grey, said={"kind": "control"}, device={"file": str(tmp_path / "slm.csv"), "levels": 6})
    run = vp.import_design(folder, tmp_path / "run")
    picked = device.pick(6).values()
    nearest = np.abs(device.values()[grey][..., None] - picked).argmin(-1)
    assert np.array_equal(run.model.levels()[0].numpy(), nearest)
    off = np.abs(device.values()[grey] - picked[nearest])
    (layer,) = run.summary["imported"]["layers"]
    assert (layer["most"], layer["rms"]) == pytest.approx((off.max(), np.sqrt((off**2).mean())), rel=1e-5)
    # A design of the same states for a device with all of them is another line in its file.
    whole = vp.import_design(folder, tmp_path / "whole", ["device.levels=null"])
    assert np.array_equal(whole.model.levels()[0].numpy(), grey)


def test_layers_may_be_of_several_devices_and_sizes(write, tmp_path: Path) -> None:
    small = np.random.default_rng(4).uniform(0, 6, (12, 12))
    devices = [EVEN, {"model": "tn-slm", "levels": 5}]
    run = vp.import_design(write(PHASES, small, said={"kind": "phase"}, devices=devices), tmp_path / "run")
    assert [len(layer.device_states) for layer in run.model.layers] == [4, 5]
    assert [grid.rows for grid in run.model.grids] == [SIDE, SIDE, 12, 12]
    nearest = np.abs(np.exp(1j * small)[..., None] - vp.devices.tn_slm().pick(5).values()).argmin(-1)
    assert np.array_equal(run.model.levels()[1].numpy(), nearest)


def test_a_map_meets_light_turned_first_and_mirrored_then() -> None:
    stored = np.arange(6).reshape(2, 3)
    assert oriented(stored, 1, "none").tolist() == [[2, 5], [1, 4], [0, 3]]
    assert oriented(stored, 1, "vertical").tolist() == [[0, 3], [1, 4], [2, 5]]
    assert np.array_equal(oriented(stored, 2, "both"), stored)


@pytest.mark.parametrize(
    ("said", "sections", "error", "message"),
    [
        ({"kind": "phase", "fils": ["a"]}, {}, ConfigError, "unknown key maps.fils: did you mean maps.files"),
        ({}, {}, ConfigError, "maps.kind to be level, control, phase, height or complex, but it is missing"),
        ({"kind": "fase"}, {}, ConfigError, "but got 'fase': did you mean phase"),
        ({"kind": "phase", "files": []}, {}, ConfigError, "either maps.files.* but got neither"),
        ({"kind": "phase", "weights": "a.pth"}, {}, ConfigError, "either maps.files.* but got both"),
        ({"kind": "level", "two_pi": 256}, {"device": EVEN}, ConfigError, "no maps.two_pi for maps.kind level"),
        ({"kind": "level", "conjugate": True}, {"device": EVEN}, ConfigError, "no maps.conjugate for maps.kind level"),
        ({"files": None, "kind": "phase", "weights": "a.pth"}, {}, ConfigError, "no maps.kind beside maps.weights"),
        ({"kind": "phase", "layers": ["a"]}, {}, ConfigError, "no maps.layers beside maps.files"),
        ({"kind": "phase", "turns": 4}, {}, ConfigError, "maps.turns to be a whole number from 0 to 3"),
        ({"kind": "phase", "files": ["b.npy"]}, {}, DataError, r"the map .*b\.npy, but there is no such file"),
        ({"kind": "phase", "files": ["design.yaml"]}, {}, DataError, "expected a file NPY, CSV, PNG, .* but got .yaml"),
        ({"kind": "phase"}, {"optics": {"wavelength": 532e-9}}, ConfigError, "expected optics.pitch, optics.distances"),
        ({"kind": "phase"}, {"optics": {"wavelenth": 1}}, ConfigError, "unknown key optics.wavelenth"),
        (
            {"kind": "phase"},
            {"optics": {"wavelength": 532, "pitch": 36e-6, "distances": 1}},
            ConfigError,
            "532 nm is 5.32e-07",
        ),
        ({"kind": "phase"}, {"data": {"name": "digits"}}, ConfigError, "a task beside the data"),
        ({"kind": "phase"}, {"task": {"name": "classification"}}, ConfigError, "data to answer for the task"),
        ({"kind": "height"}, {}, ConfigError, "model: printed"),
        ({"kind": "level"}, {"device": {"model": "lcos"}}, DataError, "levels from 0 to 255, those of lcos"),
        ({"kind": "control"}, {"device": {"model": "lcos"}}, DataError, "values of lcos .grey level, 0 to 255."),
        ({"kind": "level"}, {}, ConfigError, "a device for maps.kind level, .* but got none: add device:"),
        ({"kind": "control"}, {}, ConfigError, "a device for maps.kind control, .* say maps.kind: phase"),
    ],
)
def test_what_a_design_says_wrong_is_a_sentence(said, sections, error, message, write, tmp_path: Path) -> None:
    folder = write(PHASES, said=said, **sections)
    with pytest.raises(error, match=message):
        vp.import_design(folder, tmp_path / "run")
    assert not (tmp_path / "run").exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["design"]


@pytest.mark.parametrize(
    ("numbers", "said", "message"),
    [
        (np.zeros((SIDE, SIDE, 3)), {"kind": "phase"}, "got 16 x 16 x 3 of float64"),
        (np.full((SIDE, SIDE), np.nan), {"kind": "phase"}, "at row 0, column 0 is nan"),
        (np.array([["a"] * SIDE] * SIDE), {"kind": "phase"}, "rows x columns of numbers"),
        (np.array([[None] * SIDE] * SIDE), {"kind": "phase"}, "an array as numpy.save writes it"),
        (np.eye(SIDE, dtype=np.uint8) * 255, {"kind": "phase"}, "whole numbers, up to 255: say in maps.two_pi"),
        (PHASES * 40, {"kind": "phase"}, "radians in layer-1.npy, but .* looks like degrees: say maps.two_pi: 360"),
        (np.ones((SIDE, SIDE)) * 1j, {"kind": "phase"}, "real phases .*: say maps.kind complex"),
        (np.eye(SIDE, dtype=np.uint8), {"kind": "height"}, "say in maps.height_unit"),
        (-np.eye(SIDE), {"kind": "height"}, "heights of at least 0"),
        (np.eye(SIDE) * 0.5, {"kind": "height"}, "height in layer-1.npy in metres, .* but got 0.5: 0.5 µm is 5e-07"),
        (np.eye(SIDE) * 0.5, {"kind": "level"}, "at row 0, column 0 is 0.5"),
        (np.eye(12), {"kind": "level"}, "maps of 16 x 16, as optics.size says, but layer-1.npy has 12 x 12"),
    ],
)
def test_what_is_no_map_of_its_kind_is_a_sentence(numbers, said, message, write, tmp_path: Path) -> None:
    device = {"model": "printed", "parameters": {"index": 1.5}} if said["kind"] == "height" else EVEN
    optics = {"wavelength": WAVELENGTH, "pitch": PITCH, "distances": 0.02, "size": SIDE}
    folder = tmp_path / "design"
    folder.mkdir()
    np.save(folder / "layer-1.npy", numbers, allow_pickle=True)
    write(said={"files": ["layer-1.npy"], **said}, device=device, optics=optics)
    with pytest.raises(VoltphaseError, match=message):
        vp.import_design(folder, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_pictures_and_tables_that_are_no_maps_are_sentences(write, tmp_path: Path) -> None:
    folder = write(PHASES, said={"kind": "level"}, device=EVEN)
    colours = np.random.default_rng(0).integers(0, 255, (SIDE, SIDE, 3), dtype=np.uint8)
    Image.fromarray(colours).save(folder / "colours.png")
    Image.fromarray(colours[..., 0]).save(folder / "lossy.jpg")
    (folder / "text.png").write_text("no picture")
    (folder / "header.csv").write_text("x,y\n1,2\n")
    for name, message in {
        "colours.png": "has colours: save it in grey",
        "lossy.jpg": r"but got \.jpg",
        "text.png": "is no picture",
        "header.csv": "rows of numbers with commas",
    }.items():
        write(said={"files": [name], "kind": "level"}, device=EVEN)
        with pytest.raises(DataError, match=message):
            vp.import_design(folder, tmp_path / "run")


def test_phases_of_trained_weights_have_no_bounds() -> None:
    phases, weights = np.array([[0.5, 60.0]]), MapsConfig(weights="trained.pth")
    np.testing.assert_array_equal(phase_factors(phases, weights, "layer"), np.exp(1j * phases))


def test_folders_that_are_no_designs_are_sentences(write, tmp_path: Path) -> None:
    folder = write(PHASES, said={"kind": "phase"})
    for path, message in ((tmp_path, r"holds no design\.yaml"), (tmp_path / "none", "is no folder")):
        with pytest.raises(DataError, match=message):
            vp.import_design(path, tmp_path / "run")
    with pytest.raises(OutputError, match="exists already"):
        vp.import_design(folder, folder)
    result = CliRunner().invoke(app, ["import", str(folder), "--out", str(tmp_path / "run"), "--set", "maps.kind=rad"])
    assert result.exit_code == 2
    assert result.output.startswith("error: --set: expected maps.kind to be level")


@pytest.mark.filterwarnings("ignore:device .* phase stroke:voltphase.devices.DeviceWarning")
def test_a_device_that_cannot_show_a_design_and_phases_in_turns_are_warned_of(write, tmp_path: Path) -> None:
    half = {"model": "lcos", "parameters": {"stroke": 1.0}}
    with pytest.warns(DesignWarning, match="layer 1 is off by .*lcos cannot show this design"):
        vp.import_design(write(PHASES, said={"kind": "phase"}, device=half), tmp_path / "short")
    turns = np.random.default_rng(0).uniform(0, 1, (SIDE, SIDE))
    turns[0, 0] = 0.99
    with pytest.warns(UnitWarning, match=r"if these are turns, say maps\.two_pi: 1"):
        vp.import_design(write(turns, said={"kind": "phase"}), tmp_path / "turns")


@pytest.mark.filterwarnings("ignore:device .* phase stroke:voltphase.devices.DeviceWarning")
def test_levels_of_one_state_are_told_apart_by_nobody(write, tmp_path: Path) -> None:
    columns = (np.array([0.0, 1, 2]), np.array([1, 0.5, 1]), np.array([0.0, 2, 0]))
    vp.DeviceStates(*columns, "saturated").save(tmp_path / "slm.csv")
    folder = write(np.full((SIDE, SIDE), 2), said={"kind": "level"}, device={"file": str(tmp_path / "slm.csv")})
    run = vp.import_design(folder, tmp_path / "run")
    assert "states of its levels, 256 pixels in another level of the same state" in run.summary["imported"]["notes"][1]
    assert not run.model.levels()[0].any()


def test_inactive_pixels_of_a_panel_stay_as_they_are(write, tmp_path: Path) -> None:
    panel = {**EVEN, "border": 2}
    run = vp.import_design(write(PHASES, said={"kind": "phase"}, device=panel), tmp_path / "run")
    inside = np.rint(PHASES / (math.pi / 2)).astype(int) % 4
    inside[[0, 1, -2, -1]] = 0
    inside[:, [0, 1, -2, -1]] = 0
    assert np.array_equal(run.model.levels()[0].numpy(), inside)
    assert run.summary["imported"]["layers"][0]["most"] < 0.77


def test_planes_have_the_rows_and_columns_of_their_maps(write, tmp_path: Path) -> None:
    levels = np.random.default_rng(5).integers(0, 4, (11, SIDE))
    run = vp.import_design(write(levels, levels[:10].T, said={"kind": "level"}, device=EVEN), tmp_path / "run")
    assert [grid.shape for grid in run.model.grids] == [(11, SIDE), (11, SIDE), (SIDE, 10), (SIDE, 10)]
    for found, given in zip(run.model.levels(), (levels, levels[:10].T), strict=True):
        assert np.array_equal(found.numpy(), given)
    assert run.summary["test_correlation"] > 0.9999
    assert "2 level maps of 11 x 16 and 16 x 10 in" in run.summary["imported"]["notes"][0]
    assert vp.verify(vp.deploy(run, tmp_path / "bench")).passed
    with pytest.raises(ConfigError, match=r"maps of 16 x 16, as optics\.size says, but layer-1\.npy has 11 x 16"):
        vp.import_design(tmp_path / "design", tmp_path / "other", [f"optics.size={SIDE}"])


def test_beside_a_map_files_let_light_through_that_is_computed_as_none(write, tmp_path: Path) -> None:
    run = vp.import_design(write(PHASES, said={"kind": "phase"}, device={**EVEN, "border": 1}), tmp_path / "run")
    notes = " ".join(run.summary["imported"]["notes"])
    assert "beside the map files have level 0 of lcos, whose amplitude is 1 and not 0: put a stop" in notes


def test_the_pictures_of_a_deployed_folder_are_a_design(write, tmp_path: Path) -> None:
    folder = write(PHASES, PHASES.T, said={"kind": "phase"}, device={"model": "tn-slm"})
    run = vp.import_design(folder, tmp_path / "run")
    bench = vp.deploy(run, tmp_path / "bench")
    for number in (1, 2):
        (folder / f"layer-{number}.png").write_bytes((bench / f"layer-{number}.png").read_bytes())
    said = {"files": ["layer-1.png", "layer-2.png"], "kind": "control"}
    again = vp.import_design(write(said=said, device={"model": "tn-slm"}), tmp_path / "again")
    assert all(map(torch.equal, again.model.levels(), run.model.levels()))


def test_the_heights_of_a_deployed_relief_are_a_design(write, tmp_path: Path) -> None:
    clear = {"model": "printed", "levels": 8, "parameters": {"index": 1.5}}
    folder = write(PHASES, said={"kind": "phase"}, device=clear)
    run = vp.import_design(folder, tmp_path / "run")
    bench = vp.deploy(run, tmp_path / "bench", target="heights")
    (folder / "heights.csv").write_bytes((bench / "layer-1-heights.csv").read_bytes())
    write(said={"files": ["heights.csv"], "kind": "height", "height_unit": 1e-6}, device=clear)
    again = vp.import_design(folder, tmp_path / "again")
    assert torch.equal(again.model.levels()[0], run.model.levels()[0])
    assert again.summary["imported"]["layers"][0]["most"] < 1e-6


@pytest.mark.parametrize("measure", ["amplitude", "field"])
def test_what_is_compared_without_data_is_a_picture_of_any_measure(measure: str, write, tmp_path: Path) -> None:
    task = {"name": "image", "measure": measure, "window": [4, 4, 8, 8]}
    run = vp.import_design(write(PHASES, said={"kind": "phase"}, task=task), tmp_path / "run")
    known = np.load(run.path / "reference.npz")
    assert known["targets"].shape == (1, 8, 8)
    assert np.iscomplexobj(known["targets"]) == (measure == "field")
    assert run.summary["test_correlation"] > 0.999
