"""Light and benches that cannot be, from a file, by --set and in Python: one sentence each, which names the key."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

import voltphase as vp
from voltphase.config import load_config
from voltphase.core.errors import VoltphaseError
from voltphase.devices.spectrum import spectrum_of_model
from voltphase.optics import Coherence, Element, Lens, Mask, MaskFile, Relay, SamplingWarning, Spectrum, Stop
from voltphase.optics.light.coherence import CoherenceWarning

GRID = vp.Grid(20, 36e-6)
SLM = vp.devices.tn_slm().pick(4)
RELIEF = spectrum_of_model("printed", 4, [532e-9, 633e-9])


def network(**changes: object) -> vp.DONN:
    options: dict[str, object] = {
        "grid": GRID,
        "wavelength": 532e-9,
        "distances": 0.02,
        "devices": [SLM],
        "image_shape": (8, 8),
    }
    return vp.DONN(**(options | changes))  # pyright: ignore[reportArgumentType]


def between(*parts: object) -> Callable[[], object]:
    return lambda: network(distances=[parts, 0.02])


# What is set, the same in Python, and what both say.
CASES: dict[str, tuple[str, Callable[[], object], str]] = {
    "a loop": (
        "optics.skips=[{start: 2, end: 1}]",
        lambda: vp.Skip(2, 1),
        "but got start 2 and end 1: light does not go in",
    ),
    "past nothing": ("optics.skips=[{start: 1, end: 2}]", lambda: vp.Skip(1, 2), "set end to 3 or more"),
    "past the detector": (
        "optics.skips=[{start: 1, end: 9}]",
        lambda: network(skips=[vp.Skip(1, 9)]),
        "to end at plane 2 at most, the detector behind .* layers, but got 9",
    ),
    "no wavelength": ("optics.wavelength=[]", lambda: network(wavelength=[]), "1 to 64 wavelengths, but got 0"),
    "equal wavelengths": (
        "optics.wavelength=[532e-9, 532e-9]",
        lambda: Spectrum((532e-9, 532e-9)),
        "differ by more than a part in a thousand, but got 5.32e-07 and 5.32e-07: leave one out",
    ),
    "nearly equal ones": (
        "optics.wavelength=[532.1e-9, 532e-9]",
        lambda: Spectrum((532.1e-9, 532e-9)),
        "but got 5.32e-07 and 5.321e-07: leave one out",
    ),
    "nanometres": ("optics.wavelength=532", lambda: network(wavelength=532), "but got 532: 532 nm is 5.32e-07"),
    "a unit in words": (
        "optics.wavelength=532 nm",
        lambda: network(wavelength="532 nm"),
        "but got '532 nm': (532 nm is 5.32e-07|green light has 532e-9)",
    ),
    "a coherence length in words": (
        "optics.coherence={modes: 4, length: 150um}",
        lambda: Coherence(4, "150um"),  # pyright: ignore[reportArgumentType]
        "but got '150um': (150um is 0.00015|a typical one is 100e-6)",
    ),
    "nanometres in a list": (
        "optics.wavelength=[532, 633]",
        lambda: network(wavelength=[532, 633]),
        "532 nm is 5.32e-07",
    ),
    "a bandwidth in nanometres": (
        "optics.spectrum.bandwidth=5",
        lambda: Spectrum((532e-9,), bandwidth=5),
        "at most a fifth of the wavelength, 106 nm, but got 5 m",
    ),
    "weights of others": (
        "optics.spectrum.weights=[1, 2]",
        lambda: Spectrum((532e-9,), (1, 2)),
        "1 weights, one for each wavelength, but got 2",
    ),
    "coherence in micrometres": (
        "optics.coherence={modes: 4, length: 150}",
        lambda: Coherence(4, 150),
        "a coherence length in metres, at most 1 m, but got 150: 150 µm is 0.00015",
    ),
    "two distances": (
        "optics.distances=[[0.02, 0.03, {name: lens, focal_length: 0.2}], 0.02]",
        between(0.02, 0.03, Lens(0.2)),
        "an element between two distances, but got 0.02 and 0.03: add them up",
    ),
    "backwards": (
        "optics.distances=[-0.02, 0.02]",
        lambda: network(distances=[-0.02, 0.02]),
        r"item 0 is -0\.02|distance 1 is -0\.02 m",
    ),
    "backwards behind a lens": (
        "optics.distances=[[0.02, {name: lens, focal_length: 0.2}, -0.02], 0.02]",
        between(0.02, Lens(0.2), -0.02),
        r"item 0\.2 is -0\.02|of at least 0, .* but got -0\.02",
    ),
    "no focus": (
        "optics.distances=[[0.02, {name: lens, focal_length: 0}, 0.02], 0.02]",
        lambda: Lens(0),
        "a focal length other than zero, but got 0",
    ),
    "two holes": (
        "optics.distances=[[0.02, {name: aperture, diameter: 1e-3, opening: [1e-3, 1e-3]}], 0.02]",
        lambda: Stop(1e-3, (1e-3, 1e-3)),
        "either a diameter or an opening for an aperture, but got both",
    ),
    "a relay of nothing": (
        "optics.distances=[[{name: relay, focal_length: 0}], 0.02]",
        lambda: Relay(0),
        "above (0|zero).*but got 0",
    ),
}
# What is told when the light is made for the planes.
FITTED: dict[str, tuple[str, Callable[[], object], str]] = {
    "too coarse": (
        "{name: lens, focal_length: 0.001}",
        between(0.02, Lens(0.001), 0.02),
        r"a focal length of 46\.3 mm or more for a lens .*, but got 1 mm",
    ),
    "beside the plane": (
        "{name: aperture, diameter: 1e-4, centre: [2e-3, 0]}",
        between(0.02, Stop(1e-4, centre=(2e-3, 0)), 0.02),
        "expected aperture to let some light through, but all of its plane of 720 µm x 720 µm is dark",
    ),
    "no such file": (
        "{name: mask, file: none.npy}",
        between(0.02, MaskFile("none.npy"), 0.02),
        "cannot read .*none.npy: no such file",
    ),
}
ONLY_PYTHON: dict[str, tuple[Callable[[], object], str]] = {
    "no table": (
        lambda: network(wavelength=[532e-9, 700e-9], devices=[RELIEF]),
        "states of printed at 700 nm, but it has them at 532 nm, 633 nm",
    ),
    "no wavelengths known": (
        lambda: network(wavelength=[532e-9, 700e-9]),
        "but it has them at 532 nm alone: give a table",
    ),
    "a lens alone": (lambda: network(distances=[Lens(0.2), 0.02]), r"in a tuple, such as \(0\.1, element, 0\.2\)"),
    "an array": (between(0.02, np.ones((20, 20)), 0.02), r"an array as Element\(array, grid=grid\)"),
    "a mask of the source": (between(0.02, Mask(np.ones((20, 20))), 0.02), "but got Mask"),
    "dark": (between(0.02, Element(torch.zeros(20, 20), grid=GRID), 0.02), "to let some light through"),
    "a place unknown": (between(0.02, Element(torch.ones(20, 20)), 0.02), r"Element\(\.\.\., grid=grid\)"),
    "an image too fine": (between(Relay((0.2, 0.1))), r"expected a pitch of 18 µm or less .* but got 36 µm"),
}


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("plain") / "plain.yaml"
    file.write_text("optics: {size: 20, depth: 1, distances: 0.02}\n")
    return file


def refused(call: Callable[[], object]) -> str:
    with pytest.raises(VoltphaseError) as raised:
        call()
    assert "\n" not in str(raised.value)
    return str(raised.value)


@pytest.mark.parametrize("name", CASES)
def test_the_same_is_said_of_a_file_of_a_setting_and_in_python(name: str, plain: Path) -> None:
    given, made, said = CASES[name]
    key, _, value = given.partition("=")
    _, section, *inner = key.split(".")
    settings = {
        "size": "20",
        "depth": "1",
        "distances": "0.02",
        section: f"{{{inner[0]}: {value}}}" if inner else value,
    }
    file = plain.with_name(f"{name}.yaml")
    file.write_text(f"optics: {{{', '.join(f'{key}: {value}' for key, value in settings.items())}}}\n")
    by_file, by_set = refused(lambda: load_config(file)), refused(lambda: load_config(plain, [given]))
    assert by_file.startswith(f"{file}: ")
    assert f"optics.{section}" in by_file
    assert by_file.removeprefix(f"{file}: ") == by_set.removeprefix("--set: ")
    for sentence in (by_file, refused(made)):
        assert re.search(said, sentence), sentence


@pytest.mark.filterwarnings("ignore::voltphase.core.units.UnitWarning")
@pytest.mark.parametrize("name", FITTED)
def test_what_does_not_fit_its_plane_is_said_before_anything_is_made(name: str, plain: Path) -> None:
    given, made, said = FITTED[name]
    config = load_config(plain, [f"optics.distances=[[0.02, {given}, 0.02], 0.02]"])
    with pytest.raises(VoltphaseError, match=f"^optics.distances: .*{said}"):
        config.optics.read_masks()
    with pytest.raises(VoltphaseError, match=said):
        made()


@pytest.mark.filterwarnings("ignore::voltphase.optics.sampling.SamplingWarning")
@pytest.mark.parametrize("name", ONLY_PYTHON)
def test_what_only_python_can_ask_for(name: str) -> None:
    made, said = ONLY_PYTHON[name]
    assert re.search(said, sentence := refused(made)), sentence


def test_an_image_on_another_pitch_is_warned_of() -> None:
    with pytest.warns(
        SamplingWarning, match=r"onto a pitch of 72 µm, where a plane has 36 µm: .* and lost where 1\.44 mm"
    ):
        network(distances=[(Relay((0.1, 0.2)),), 0.02])
    with warnings.catch_warnings():
        warnings.simplefilter("error", SamplingWarning)
        network(grid=[GRID, vp.Grid(20, 72e-6), vp.Grid(20, 72e-6)], distances=[(Relay((0.1, 0.2)),), 0.1])


def test_light_that_is_coherent_all_over_is_warned_of() -> None:
    with pytest.warns(CoherenceWarning, match=r"coherent all over the source, which is 1\.02 mm .* 150 µm is 0\.00015"):
        network(coherence=Coherence(2, 0.15))
