"""The light on a panel's own pixels: against the emulator on finer and on wider grids."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from voltphase import DONN, Grid, Propagator
from voltphase.deployment import Emulator, Panel, deploy, on_own_pixels, verify
from voltphase.deployment.layers import read_layers, read_shown
from voltphase.deployment.parts.light import LightRecord
from voltphase.deployment.proof import own_pixels
from voltphase.deployment.proof.own_pixels import OwnPixels, measure
from voltphase.deployment.targets import Shown

IMAGES = torch.randint(0, 256, (5, 5, 6), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)


@pytest.fixture(scope="module")
def bench(small: Path, design: Callable[..., DONN], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return deploy(design(), tmp_path_factory.mktemp("own") / "bench", target=Panel(str(small), turn=90, flip="rows"))


@pytest.fixture(scope="module")
def emulator(bench: Path) -> Emulator:
    return Emulator.from_folder(bench)


def as_designed(emulator: Emulator, *, around: complex = 0j) -> list[Shown]:
    """The layers on the design's own grid."""
    return [
        Shown(layer.grid.grid, states.numpy().astype(complex), around)
        for layer, states in zip(emulator.manifest.layers, emulator.modulations(), strict=True)
    ]


def test_on_the_design_s_grid_it_is_the_emulator(emulator: Emulator):
    torch.testing.assert_close(OwnPixels(emulator, as_designed(emulator)).logits(IMAGES), emulator(IMAGES))


def test_a_panel_shows_tiles_with_a_zero_order_as_the_design_is_drawn(bench: Path, emulator: Emulator):
    shown = read_shown(bench, emulator.manifest)
    assert shown is not None
    device = read_layers(bench, emulator.manifest)[0].device.tables[0]
    around = device.values()[device.amplitude.argmin()]
    for one, states in zip(shown, emulator.modulations(), strict=True):
        assert one.grid == Grid((30, 36), pitch=8e-6)
        tiles = np.kron(states.numpy(), np.ones((3, 3)))
        np.testing.assert_allclose(one.states, 0.9 * tiles + 0.1, atol=1e-6)
        assert one.around == pytest.approx(0.9 * around + 0.1)


def test_light_around_the_pixels_is_that_of_a_wider_plane(emulator: Emulator):
    """Babinet: the same as planes so wide that no light is lost, filled with the border's state around the pixels."""
    around = 0.8 * np.exp(0.7j)
    system = OwnPixels(emulator, as_designed(emulator, around=around))
    assert set(system.gaps) == {(0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3)}
    narrow, wide = system.grids[0], Grid((200, 200), pitch=24e-6)
    manifest = emulator.manifest
    field = Propagator(narrow, wide, wavelength=532e-9, distance=0.004, method="fresnel")(system._source(IMAGES))
    for states in emulator.modulations():
        plane = torch.full(wide.shape, around, dtype=torch.complex64)
        plane[95:105, 94:106] = states
        target = narrow if states is emulator.modulations()[-1] else wide
        field = Propagator(wide, target, wavelength=532e-9, distance=0.004, method="fresnel")(plane * field)
    assert manifest.propagation.distances_m == [0.004] * 3
    torch.testing.assert_close(system._field(IMAGES), field, rtol=2e-3, atol=2e-3 * float(field.abs().max()))


def test_layers_that_do_nothing_are_no_layers(emulator: Emulator):
    """Where tiles and what is around them are in one state, light goes straight on, times that state."""
    state = 0.6 * np.exp(2j)
    shown = [Shown(Grid((30, 36), pitch=8e-6), np.full((30, 36), state), state) for _ in range(2)]
    system = OwnPixels(emulator, shown)
    straight = Propagator.of(system.gaps[0, 3], torch.complex64)(system._source(IMAGES))
    torch.testing.assert_close(system._field(IMAGES), straight * state**2)
    light = straight.abs().square().unflatten(-1, (12, 3)).unflatten(-3, (10, 3)).mean((-1, -3)) * 0.6**4
    torch.testing.assert_close(system._on_detector(IMAGES).abs().square(), light)


def test_verify_and_deploy_tell_what_becomes_of_the_answers(bench: Path):
    told = {check.what: check for check in verify(bench).checks}["own pixels"]
    assert told.passed
    assert "of 20 predictions equal; on 30 x 36 pixels (of 20 images of noise)" in told.figures
    assert on_own_pixels(bench) == (told,)


def test_answers_that_differ_are_no_pass_and_say_what_to_change(bench: Path, emulator: Emulator):
    same = measure(emulator, as_designed(emulator), IMAGES, None, "of noise")
    assert (same.verdict, same.differs) == ("passed", False)
    flat = [
        Shown(Grid((30, 36), pitch=8e-6), np.ones((30, 36), dtype=complex), 1) for _ in range(2)
    ]  # a panel that does nothing
    told = measure(emulator, flat, IMAGES, torch.arange(5) % 4, "of noise")
    assert (told.verdict, told.passed) == ("differs", True)
    # 2 * 12 * 24 um * 24 um / 532 nm
    assert (
        "train with 26 mm or more behind each layer (2 * width * pitch / wavelength) in place of 4 mm" in told.figures
    )
    result = verify(bench)
    result = replace(result, checks=(*result.checks[:-1], told))
    assert result.passed
    assert result.verdict.endswith("for own pixels, see above")


@pytest.mark.parametrize(
    ("has", "said"),
    [
        ({"light": LightRecord.model_construct(lines=[], channels="sum", coherence=None)}, "here light is"),
        ({"beams": [None, None]}, "here 2 networks stand side by side"),
        ({"detectors": [None, None]}, "here 2 detectors share the light"),
        ({"skips": [None]}, "here beam splitters lead light past layers"),
        ({"elements": [None]}, "here lenses or other elements stand between the planes"),
    ],
)
def test_what_it_does_not_follow_gets_its_sentence(emulator: Emulator, has: dict[str, Any], said: str):
    other, manifest = copy.copy(emulator), emulator.manifest
    if "elements" in has:
        has = {"propagation": manifest.propagation.model_copy(update=has)}
    other.manifest = manifest.model_copy(update=has)
    told = measure(other, as_designed(emulator), IMAGES, None, "of noise")
    assert told.passed is None
    assert "not measured on 10 x 12 pixels: one coherent wave through the layers of one network" in told.figures
    assert said in told.figures


def test_what_takes_too_long_or_too_much_is_left_out_with_a_sentence(
    emulator: Emulator, monkeypatch: pytest.MonkeyPatch
):
    shown = as_designed(emulator, around=1j)
    full, dark = (OwnPixels(emulator, as_designed(emulator, around=value)).nanoseconds for value in (1j, 0j))
    monkeypatch.setattr(own_pixels, "_NANOSECONDS", 5 * (full + dark) / 2)
    told = measure(emulator, shown, IMAGES, None, "of noise")
    assert told.passed
    assert "without the light around the layers" in told.figures
    monkeypatch.setattr(own_pixels, "_NANOSECONDS", dark)
    told = measure(emulator, shown, IMAGES, None, "of noise")
    assert told.passed is None
    assert "not measured on 10 x 12 pixels: one image is expected to take" in told.figures
    monkeypatch.setattr(own_pixels, "_NANOSECONDS", 1e12)
    monkeypatch.setattr(own_pixels, "available_memory", lambda: 1000)
    told = measure(emulator, shown, IMAGES, None, "of noise")
    assert told.passed is None
    assert "of memory" in told.figures
