"""A design in a panel's own files, and what is read back of them."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from voltphase import DONN, Grid
from voltphase.core.errors import DeploymentError, VoltphaseError
from voltphase.deployment import Emulator, Panel, deploy, verify
from voltphase.deployment.manifest import Manifest
from voltphase.deployment.targets import Layer, Written
from voltphase.devices import Device, DevicePanel, DeviceStates
from voltphase.panels import load_profile, profiles

FLIPS = st.sampled_from(["none", "rows", "columns", "both"])
TURNS = st.sampled_from([0, 90, 180, 270])
RATIOS = st.floats(1.01, 4.2).filter(lambda ratio: abs(ratio % 1 - 0.5) < 0.49)
SHAPE = (60, 90)  # of the small panel


def table(control: Any, amplitude: Any, phase: Any, name: str, unit: str = "grey level") -> DeviceStates:
    columns = [np.array(column, dtype=float) for column in (control, amplitude, phase)]
    return DeviceStates(columns[0], columns[1], columns[2], name, unit)


def layers_of(device: Device, grids: Sequence[Grid]) -> list[Layer]:
    return [Layer(number, grid, device, 532e-9) for number, grid in enumerate(grids, start=1)]


def there_and_back(
    panel: Panel, folder: Path, layers: Sequence[Layer], levels: Sequence[NDArray[np.integer]]
) -> list[Written]:
    """Write levels, read them by the target as a manifest names it, and hold them to be the same."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    written = panel.write(folder, layers, levels)
    contents = {name: (folder / name).read_bytes() for one in written for name in one.files}
    assert contents.keys() == {path.name for path in folder.iterdir()}
    again = Panel(**vars_of(panel.in_folder()))
    for level, found in zip(levels, again.read(layers, written, contents), strict=True):
        assert np.array_equal(level, found)
    return written


def vars_of(panel: Panel) -> dict[str, Any]:
    return {name: getattr(panel, name) for name in panel.__dataclass_fields__}


def random_levels(device: Device, layers: Sequence[Layer], seed: int) -> list[NDArray[np.integer]]:
    generator = np.random.default_rng(seed)
    return [generator.integers(0, len(device), layer.grid.shape) for layer in layers]


@pytest.fixture(scope="module")
def corrections(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """A maker's bitmap and a wavefront in radians in two kinds of file."""
    folder, generator = tmp_path_factory.mktemp("corrections"), np.random.default_rng(1)
    Image.fromarray(generator.integers(0, 256, SHAPE, dtype=np.uint8)).save(folder / "flat.bmp")
    phase = np.add.outer(np.linspace(0, 9, 60), np.linspace(-4, 3, 90))
    np.save(folder / "wavefront.npy", phase)
    np.savetxt(folder / "wavefront.csv", phase, delimiter=",")
    return {path.name: str(path) for path in folder.iterdir()}


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), seed=st.integers(0, 99))
def test_levels_come_back_from_a_panel_s_files_exactly(
    data: st.DataObject,
    seed: int,
    small: Path,
    tmp_path: Path,
    device: Callable[..., DeviceStates],
    corrections: dict[str, str],
):
    count, ratio = data.draw(st.integers(1, 3)), data.draw(st.integers(1, 3))
    sizes = [data.draw(st.tuples(st.integers(1, 10), st.integers(1, 9))) for _ in range(count)]
    a_device: Device = device(data.draw(st.integers(2, 20)), seed)
    panel = Panel(
        str(small),
        flip=cast("Any", [data.draw(FLIPS) for _ in sizes]),
        turn=cast("Any", [data.draw(TURNS) for _ in sizes]),
        offset=(data.draw(st.integers(-9, 9)), 0),
        border=data.draw(st.none() | st.integers(0, 255)),
        correction=data.draw(st.none() | st.sampled_from(sorted(corrections.values()))),
        layers_per_panel=data.draw(st.integers(1, count)),
    )
    layers = layers_of(a_device, [Grid(size, pitch=8e-6 * ratio) for size in sizes])
    there_and_back(panel, tmp_path / "bench", layers, random_levels(a_device, layers, seed))


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 99), RATIOS, TURNS, FLIPS, st.sampled_from(["nearest", "area"]))
def test_resampled_levels_come_back_exactly_too(
    small: Path, tmp_path: Path, device: Any, seed: int, ratio: float, turn: Any, flip: Any, way: Any
):
    panel, layers = (
        Panel(str(small), resample=way, turn=turn, flip=flip),
        layers_of(device(9), [Grid((9, 13), 8e-6 * ratio)]),
    )
    levels = random_levels(layers[0].device, layers, seed)
    if way == "area" and ratio <= 2:
        with pytest.raises(DeploymentError, match="expected a pitch above 16 µm"):
            panel.write(tmp_path, layers, levels)
    else:
        (written,) = there_and_back(panel, tmp_path / "bench", layers, levels)
        assert 0 <= written.details["resampled"]["rms"] <= written.details["resampled"]["max"]


def test_an_area_is_shown_by_the_state_nearest_to_its_mean(small: Path, tmp_path: Path):
    device = table([0, 10, 20, 30], [1, 1, 1, 1], [0, 0.2, 0.4, 3], "four")
    layers = layers_of(device, [Grid((1, 2), pitch=(24e-6, 20e-6))])
    panel = Panel(str(small), resample="area")
    panel.write(tmp_path, layers, [np.array([[0, 2]])])
    (frame,) = panel.panel.read((tmp_path / "layer-1.bmp").read_bytes(), "layer-1.bmp")
    # Five pixels for two of the design: half of the middle one is the one, half the other.
    assert frame[28:31, 42:47].tolist() == [[0, 0, 10, 20, 20]] * 3


@pytest.mark.parametrize("name", sorted(profiles()))
def test_every_panel_that_comes_along_shows_a_design_and_gives_it_back(name: str, tmp_path: Path):
    profile = load_profile(name)
    if name.startswith("ti-plm"):
        pytest.importorskip("ti_plm")
    control = np.unique(np.linspace(0, 2**profile.bits - 1, 9).round())
    device = table(control, np.linspace(1, 0.5, len(control)), np.linspace(0, 5, len(control)), "any")
    layers = layers_of(device, [Grid((7, 10), pitch=3 * profile.pitch)])
    panel = Panel(name, turn=90, flip="columns", offset=(5, -8))
    (written,) = there_and_back(panel, tmp_path / "bench", layers, random_levels(device, layers, 0))
    assert panel.format(written) == profile.file_words
    assert f"{profile.rows} rows x {profile.columns} columns" in panel.instructions(layers[0], written)[0]


def test_frames_of_a_sequence_are_bit_planes_of_one_file(tmp_path: Path):
    mirrors = table([0, 1], [0, 1], [0, 0], "mirrors", "mirror state")
    layers = layers_of(mirrors, [Grid(5, pitch=load_profile("ti-dlp6500").pitch)] * 3)
    levels = random_levels(mirrors, layers, 0)
    written = there_and_back(Panel("ti-dlp6500", sequence=True), tmp_path / "bench", layers, levels)
    assert [one.files for one in written] == [["layer-1-to-3.bmp"]] * 3
    assert [one.details["frame"] for one in written] == [1, 2, 3]


def test_a_correction_of_a_maker_is_added_modulo_and_taken_off_again(
    small: Path, tmp_path: Path, device: Callable[..., DeviceStates], corrections: dict[str, str]
):
    layers = layers_of(device(), [Grid(5, pitch=8e-6)])
    levels = random_levels(layers[0].device, layers, 0)
    plain, corrected = (
        np.asarray(Image.open(there_and_back_in(panel, tmp_path / name, layers, levels))).astype(int)
        for name, panel in (("a", Panel(str(small))), ("b", Panel(str(small), correction=corrections["flat.bmp"])))
    )
    flat = np.asarray(Image.open(corrections["flat.bmp"])).astype(int)
    assert np.array_equal(corrected, (plain + flat) % 256)


def there_and_back_in(panel: Panel, folder: Path, layers: Sequence[Layer], levels: Any) -> Path:
    there_and_back(panel, folder, layers, levels)
    return folder / "layer-1.bmp"


def test_a_wavefront_goes_through_the_states_and_its_error_is_told(
    small: Path, tmp_path: Path, corrections: dict[str, str]
):
    phase = np.load(corrections["wavefront.npy"])
    even = table(np.arange(256), np.ones(256), np.arange(256) * (2 * np.pi / 256), "even")
    layers = layers_of(even, [Grid(5, pitch=24e-6)])
    levels = random_levels(even, layers, 0)
    (written,) = there_and_back(
        Panel(str(small), correction=corrections["wavefront.npy"]), tmp_path / "bench", layers, levels
    )
    plain, sent = (
        np.asarray(Image.open(tmp_path / "bench" / f"layer-1{name}.bmp")).astype(int) for name in ("-uncorrected", "")
    )
    # Of even steps, the nearest state is the nearest multiple of a step.
    assert np.array_equal(sent, (plain + np.round(phase * 256 / (2 * np.pi)).astype(int)) % 256)
    assert written.details["corrected"]["max"] <= 2 * np.sin(np.pi / 512) + 1e-9
    assert 0.4 < written.details["corrected"]["rms"] / written.details["corrected"]["max"] < 0.8
    text = " ".join(Panel(str(small), correction=corrections["wavefront.npy"]).instructions(layers[0], written))
    assert "the nearest state of the device taken, which is off by" in text
    assert "layer-1-uncorrected.bmp is the same without it" in text


def test_a_sum_is_scaled_to_the_grey_level_that_is_2_pi_at_the_wavelength(small: Path, tmp_path: Path):
    own = tmp_path / "own.yaml"
    scales = "full_scale: [[500e-9, 200], [600e-9, 240]]"
    own.write_text(small.read_text().replace("modulo: 256", f"modulo: 256, {scales}"))
    Image.fromarray(np.full(SHAPE, 200, dtype=np.uint8)).save(tmp_path / "CAL.bmp")
    device = table([0, 100], [1, 1], [0, 3], "two")
    (layer,) = layers_of(device, [Grid(4, pitch=8e-6)])
    panel = Panel(str(own), correction=str(tmp_path / "CAL.bmp"))
    there_and_back(panel, tmp_path / "bench", [layer], [np.eye(4, dtype=int)])
    frame = np.asarray(Image.open(tmp_path / "bench" / "layer-1.bmp"))
    at_532 = 200 + 40 * 32 / 100
    assert np.unique(frame).tolist() == sorted(round(value * at_532 / 255) for value in (200, (200 + 100) % 256))
    assert "distinct" not in panel.summary(layer, panel.write(tmp_path, [layer], [np.eye(4, dtype=int)])[0])
    even = table(np.arange(256), np.ones(256), np.arange(256) * 2 * np.pi / 256, "even")
    (full,) = layers_of(even, [Grid(4, pitch=8e-6)])
    (written,) = panel.write(tmp_path, [full], [np.arange(16).reshape(4, 4)])
    # Grey levels 0 to 213 (at_532 is 212.8) are 214, and two neighbours that share one are a level apart.
    assert written.details["folded"] == {"distinct": 214, "levels": 256, "max": pytest.approx(2 * np.sin(np.pi / 256))}
    for text in (panel.summary(full, written), " ".join(panel.instructions(full, written))):
        assert "214 of 256 levels remain distinct, and states sent as one grey level differ by" in text
    with pytest.raises(DeploymentError, match=r"expected a wavelength from 500 nm to 600 nm, .* but got 700 nm"):
        panel.write(tmp_path, [Layer(1, layer.grid, device, 700e-9)], [np.eye(4, dtype=int)])


def test_each_table_of_a_device_of_several_kinds_of_pixel_is_its_own(
    small: Path, tmp_path: Path, device: Any, corrections: dict[str, str]
):
    one, other = device(6), device(6)
    other = table(one.control, one.amplitude[::-1].copy(), one.phase + 1, "other")
    regions = np.indices((6, 5)).sum(0) % 3 - 1
    layers = layers_of(DevicePanel((one, other), regions), [Grid((6, 5), pitch=24e-6)])
    levels = [np.where(regions < 0, 0, level) for level in random_levels(one, layers, 0)]
    panel = Panel(str(small), correction=corrections["wavefront.npy"], turn=270)
    written = there_and_back(panel, tmp_path / "bench", layers, levels)
    contents = {path.name: path.read_bytes() for path in (tmp_path / "bench").iterdir()}
    (shown,) = panel.shown(layers, written, contents)
    wanted = np.kron(layers[0].device.states_at(levels[0]), np.ones((3, 3))) * 0.9 + 0.1
    inactive = np.kron(regions < 0, np.ones((3, 3))).astype(bool)
    np.testing.assert_allclose(shown.states[inactive], 0.1)
    assert (
        np.abs(shown.states - wanted).max() <= 0.9 * written[0].details["corrected"]["max"] * one.amplitude.max() + 1e-9
    )


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"border": 256}, r"a grey level of the border as a whole number from 0 to 255, but got 256"),
        ({"correction": "nowhere.bmp"}, r"cannot read nowhere\.bmp"),
        ({"correction": 3}, r"expected the path of a correction, or one for each panel, but got 3"),
        ({"correction": ["flat.bmp"] * 3}, r"one correction for all panels or one for each of the 2, but got 3"),
        ({"correction": "small.bmp"}, r"expected 60 rows x 90 columns in small\.bmp, but got 10 x 10"),
        ({"correction": "colour.bmp"}, r"expected a picture grey of 8 bits in colour\.bmp, but it is colour"),
        ({"correction": "text.bmp"}, r"expected a BMP in text\.bmp, but it is no picture"),
        ({"correction": "flat.png"}, r"expected a BMP in flat\.png, but it is a PNG"),
        ({"correction": "small.npy"}, r"60 x 90 phases in radians, .*, but got float64 of shape \(2, 2\)"),
        ({"correction": "whole.npy"}, r"phases in radians, .*but got int64 of shape \(60, 90\)"),
        ({"correction": "nan.npy"}, r"phases in radians, .*but got nan at row 3, column 4"),
        ({"correction": "degrees.npy"}, r"phases in radians, .* but -359\.5 looks like degrees: .* numpy\.radians"),
        ({"correction": "words.csv"}, r"phases in radians, .* in words\.csv, but it cannot be read as such"),
        ({"correction": "object.npy"}, r"phases in radians, .* in object\.npy, but it cannot be read as such"),
        ({"profile": "holoeye-pluto"}, r"neither a panel nor a YAML file \(did you mean holoeye-pluto"),
        ({"profile": 3}, r"expected the name of a panel or the path of a YAML file, but got 3"),
        ({"profile": "holoeye-pluto-2", "correction": "flat.bmp"}, r"HOLOEYE's software adds it"),
    ],
)  # fmt: skip
def test_what_does_not_fit_the_panel_is_one_sentence_and_nothing_is_written(
    settings: dict[str, Any],
    words: str,
    small: Path,
    design: Callable[..., DONN],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.chdir(tmp_path)
    Image.new("L", (10, 10)).save("small.bmp")
    Image.new("L", (90, 60)).save("flat.bmp")
    Image.new("L", (90, 60)).save("flat.png")
    Image.new("RGB", (90, 60)).save("colour.bmp")
    Path("text.bmp").write_text("no picture")
    np.save("small.npy", np.zeros((2, 2)))
    np.save("whole.npy", np.zeros(SHAPE, dtype=np.int64))
    np.save("nan.npy", np.where(np.arange(5400).reshape(SHAPE) == 3 * 90 + 4, np.nan, 0.0))
    np.save("degrees.npy", np.linspace(0, -359.5, 5400).reshape(SHAPE))
    np.save("object.npy", np.array([{}]), allow_pickle=True)
    Path("words.csv").write_text("a,b\n")
    before = set(tmp_path.iterdir())
    with pytest.raises(VoltphaseError, match=words) as caught:
        deploy(design(), "bench", target=Panel(**{"profile": str(small), **settings}))
    assert "\n" not in str(caught.value)
    assert set(tmp_path.iterdir()) == before


@pytest.mark.parametrize(
    ("control", "unit", "words"),
    [
        ([0.5, 1.5], "V", r"control values in grey levels for small, but those of a device, layer 1, are in V"),
        ([0, 1.5], "grey level", r"whole control values from 0 to 255 for small, but a device, layer 1, has 1\.5"),
        ([0, 256], "grey level", r"whole control values from 0 to 255 .* has 256: measure the device on this panel"),
    ],
)  # fmt: skip
def test_a_device_whose_control_values_are_no_grey_levels_is_refused(
    control: Any, unit: str, words: str, small: Path, tmp_path: Path
):
    layers = layers_of(table(control, [1, 1], [0, 3], "a device", unit), [Grid(4, pitch=8e-6)])
    with pytest.raises(DeploymentError, match=words):
        Panel(str(small)).write(tmp_path, layers, [np.zeros((4, 4), int)])


def flip_a_bit(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-2000] ^= 1
    path.write_bytes(content)


def saved_as(path: Path, change: Callable[[Image.Image], Image.Image], kind: str = "BMP") -> None:
    change(Image.open(path)).save(path, kind)


DAMAGE: dict[str, tuple[Callable[[Path], object], str]] = {
    "a bit": (flip_a_bit, r"expected grey level \d+ in layer-1\.bmp at row \d+, column \d+, .*, but got \d+"),
    "resized": (partial(saved_as, change=lambda image: image.resize((45, 30))), r"60 rows x 90 columns in layer-1"),
    "RGB": (partial(saved_as, change=lambda image: image.convert("RGB")), "but it is colour of 24"),
    "a JPEG": (partial(saved_as, change=lambda image: image, kind="JPEG"), r"layer-1\.bmp, but it is a JPEG"),
    "turned": (partial(saved_as, change=lambda image: image.rotate(180)), r"expected grey levels? .* in layer-1\.bmp"),
    "another layer": (
        lambda path: shutil.copy(path.with_name("layer-2.bmp"), path),
        r"layer-1\.bmp as it was deployed, but it holds what layer-2\.bmp was deployed with: they were mixed up",
    ),
    "nothing": (lambda path: path.write_bytes(b""), r"expected a BMP in layer-1\.bmp, but it is no picture"),
    "the correction": (
        lambda path: flip_a_bit(path.with_name("correction.bmp")),
        r"layer-1\.bmp at row \d+, column \d+, .*, but got \d+",
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def bench(small: Path, design: Callable[..., DONN], tmp_path_factory: Any, corrections: dict[str, str]) -> Path:
    panel = Panel(str(small), correction=corrections["flat.bmp"], flip="rows", turn=270)
    return deploy(design(), tmp_path_factory.mktemp("panel") / "bench", target=panel)


@pytest.mark.parametrize(("damage", "words"), DAMAGE.values(), ids=DAMAGE)
def test_what_happened_to_a_file_is_named(damage: Callable[[Path], object], words: str, bench: Path, tmp_path: Path):
    folder = shutil.copytree(bench, tmp_path / "bench")
    damage(folder / "layer-1.bmp")
    with pytest.raises(DeploymentError, match=words) as caught:
        Emulator.from_folder(folder)
    assert "\n" not in str(caught.value)


def test_a_file_with_the_same_picture_in_other_bytes_is_still_another(bench: Path, tmp_path: Path):
    folder = shutil.copytree(bench, tmp_path / "bench")
    content = bytearray((folder / "layer-1.bmp").read_bytes())
    content[38] ^= 1  # the resolution in dots per metre
    (folder / "layer-1.bmp").write_bytes(content)
    with pytest.raises(DeploymentError, match=r"layer-1\.bmp as it was deployed, but its SHA-256 differs"):
        Emulator.from_folder(folder)


def test_the_folder_needs_nothing_of_the_machine_it_was_made_on(bench: Path, small: Path, design: Any):
    target = Manifest.read(bench).target
    assert (target.settings["profile"]["name"], target.settings["correction"]) == ("small", "correction.bmp")
    assert str(small.parent) not in (bench / "manifest.json").read_text()
    assert verify(bench).passed
    model = design()
    for found, level in zip(Emulator.from_folder(bench).modulations(), model.levels(), strict=True):
        device = model.layers[0].device_states
        np.testing.assert_allclose(found.numpy(), device.values()[level.numpy()], rtol=1e-6)


def test_the_note_says_all_that_is_always_said(bench: Path, device: Callable[..., DeviceStates]):
    note = " ".join((bench / "README.txt").read_text().split())
    for words in (
        "For Own Small, 60 rows x 90 columns of pixels of 8 µm, grey levels 0 to 255",
        "the map lies on rows 12-47 and columns 30-59, counted from 0. Its centre, row 29.5 and column 44.5",
        "Row 0 of the file is its top row, column 0 its left column",
        "the map was mirrored top to bottom and then turned by 270 degrees counter-clockwise",
        "Around it all pixels have the grey level",
        "The correction correction.bmp is in the file, added to grey levels modulo 256",
        "Sign: the phase of a state is what the pixel adds",
        f"used at 532 nm; its SHA-256 is {device().digest}",
    ):
        assert words in note
    assert note.count("Sign:") == 1
    assert note.count("correction.bmp BMP goes with the map of layer 1") == note.count("goes with the map") == 1


def test_a_panel_is_taken_as_its_profile_too(small: Path) -> None:
    profile = load_profile(small)
    assert Panel(cast("Any", profile)).panel == profile == Panel(str(small)).panel
