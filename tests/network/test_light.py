"""Light of several wavelengths, of bands of them, and light that is partly coherent, in a network."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

import voltphase as vp
from voltphase.codesign import GumbelSoftmax
from voltphase.core.errors import ConfigError, DeviceError, GeometryError
from voltphase.devices.spectrum import spectrum_of_model
from voltphase.network import reading
from voltphase.network.gerchberg_saxton import gerchberg_saxton
from voltphase.optics import Coherence, Spectrum, ThinLens
from voltphase.optics.light import CoherenceWarning
from voltphase.tasks import Classification, Image

IMAGES = torch.rand(3, 28, 28, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
LIGHT = (532e-9, 633e-9)
RELIEF = spectrum_of_model("printed", 6, LIGHT)
FIRST = vp.devices.printed(6)
SUMS = Classification("grid", classes=4, differential=False, measure="sum", scale=1.0)
APART = replace(SUMS, differential="wavelength")


def network(**changes: object) -> vp.DONN:
    options: dict[str, object] = {
        "grid": vp.Grid(16, 36e-6),
        "wavelength": LIGHT,
        "distances": 0.02,
        "devices": [RELIEF] * 2,
        "dtype": torch.complex128,
        "task": SUMS,
    }
    return vp.DONN(**(options | changes)).eval()  # pyright: ignore[reportArgumentType]


def alone(wavelength: float, of: vp.DONN, **changes: object) -> Tensor:
    """Return what a network of one wavelength measures with the levels of another network."""
    model = network(wavelength=wavelength, **changes)
    for layer, other in zip(model.layers, of.layers, strict=True):
        layer.set_levels(other.levels())
    return model.measure(IMAGES)


def test_intensities_of_two_wavelengths_add_with_their_weights() -> None:
    model = network(wavelength=Spectrum(LIGHT, weights=(3, 1)))
    first, second = (alone(wavelength, model) for wavelength in LIGHT)
    torch.testing.assert_close(model.measure(IMAGES), 0.75 * first + 0.25 * second)
    assert len(model.beams.executors) == 2
    assert model.explain().summary.endswith("2 beams through 2 sets of kernels")
    assert "532 nm and 633 nm (0.75 : 0.25)" in repr(model)


def test_a_detector_that_tells_wavelengths_apart_reads_their_contrast() -> None:
    model = network(task=APART)
    first, second = (alone(wavelength, model) for wavelength in LIGHT)
    read = model.read(IMAGES)
    torch.testing.assert_close(read.measured, (first - second) / (first + second))
    torch.testing.assert_close(model.readout(model.detector_field(IMAGES)), read.outputs)
    assert bool((read.light_share > 0).all())
    assert bool((read.light_share < 1).all())
    lit = network(task=APART, background_light=0.5).measure(IMAGES)
    area = model.readout.counted().sum() / 4
    torch.testing.assert_close(lit, (first - second) / (first + second + 4 * 0.5 * area))


def test_one_wavelength_in_a_list_is_that_wavelength() -> None:
    listed, single = (network(wavelength=light) for light in ([532e-9], 532e-9))
    assert torch.equal(listed(IMAGES), single(IMAGES))
    assert listed.beams.single


@pytest.mark.filterwarnings("ignore:device printed")
def test_a_band_is_the_mean_of_its_lines_with_the_states_of_its_middle() -> None:
    band = network(wavelength=Spectrum((532e-9,), bandwidth=20e-9, lines=3), devices=[FIRST] * 2)
    expected = 0
    for line in band.spectrum.each:
        one = network(wavelength=line.wavelength, devices=[FIRST] * 2)
        expected = expected + line.weight * one.measure(IMAGES)
    torch.testing.assert_close(band.measure(IMAGES), expected)


@pytest.mark.filterwarnings("ignore:A lens")
def test_a_lens_of_glass_bends_all_wavelengths_alike() -> None:
    plane = vp.Grid(16, 36e-6)
    lens = ThinLens(plane, wavelength=532e-9, focal_length=0.1)
    model = network(distances=[(0.02, lens, 0.02), 0.02, 0.02])
    other = ThinLens(plane, wavelength=633e-9, focal_length=0.1)
    second = alone(633e-9, model, distances=[(0.02, other, 0.02), 0.02, 0.02])
    first = alone(532e-9, model, distances=[(0.02, lens, 0.02), 0.02, 0.02])
    torch.testing.assert_close(model.measure(IMAGES), (first + second) / 2)


def test_light_that_is_coherent_far_beyond_the_source_is_coherent_light() -> None:
    with pytest.warns(CoherenceWarning, match="coherent all over the source"):
        wide = network(wavelength=532e-9, coherence=Coherence(3, length=0.9))
    torch.testing.assert_close(wide.measure(IMAGES), network(wavelength=532e-9).measure(IMAGES), rtol=1e-4, atol=1e-6)
    assert len(wide.beams.beams) == 3
    assert len(wide.beams.executors) == 1


def test_modes_are_counted_as_intensities_and_the_light_is_all_there() -> None:
    model = network(wavelength=532e-9, coherence=Coherence(8, length=80e-6, seed=3))
    screens = torch.from_numpy(Coherence(8, length=80e-6, seed=3).screens(model.grids[0]))
    single = network(wavelength=532e-9)
    fields = single.source(IMAGES)
    first, *steps = single.propagators
    expected = torch.zeros(())
    for screen in screens:
        field = first(screen * fields)
        for step, layer in zip(steps, single.layers, strict=True):
            field = step(layer(field))
        expected = expected + field.abs().square() / 8
    torch.testing.assert_close(model.measure(IMAGES), single.readout(torch.complex(expected.sqrt(), 0 * expected)))
    total = sum(model.planes(IMAGES, n)["source"].abs().square().sum() / 8 for n in range(8))
    torch.testing.assert_close(total, fields.abs().square().sum())
    again = network(wavelength=532e-9, coherence=Coherence(8, length=80e-6, seed=3))
    assert torch.equal(again(IMAGES), model(IMAGES))


def test_screens_have_the_degree_of_coherence_of_the_model() -> None:
    grid, modes, length = vp.Grid((9, 7), 36e-6), 4000, 60e-6
    screens = Coherence(modes, length).screens(grid).reshape(modes, -1)
    y, x = (np.asarray(at) for at in grid.coordinates())
    at = np.stack([each.ravel() for each in np.meshgrid(y, x, indexing="ij")])
    apart = ((at[:, :, None] - at[:, None]) ** 2).sum(0)
    found = screens.conj().T @ screens / modes
    assert np.abs(found - np.exp(-apart / (2 * length**2))).max() < 5 / np.sqrt(modes)


def test_incoherent_light_says_that_no_network_of_it_beats_a_linear_model() -> None:
    with pytest.warns(CoherenceWarning, match="linear in the intensity of the image"):
        network(wavelength=532e-9, coherence=Coherence(4, length=5e-6))


@pytest.mark.parametrize("task", [SUMS, APART, Image(window=(4, 4, 8, 8), measure="amplitude")])
def test_light_goes_through_hooks_with_one_draw_for_all_beams(task: vp.tasks.Task) -> None:
    changes: dict[str, object] = {"task": task, "relaxation": GumbelSoftmax(), "coherence": Coherence(2, 60e-6)}
    plain, hooked = network(**changes).train(), network(**changes).train()
    hooked.layers[0].register_forward_hook(lambda *given: None)
    torch.testing.assert_close(hooked(IMAGES), plain(IMAGES))


@pytest.mark.parametrize(
    ("changes", "error", "said"),
    [
        ({"wavelength": 532e-9, "task": APART}, ConfigError, "light of 2 wavelengths"),
        ({"devices": [vp.devices.lcos(8)]}, DeviceError, "at each wavelength of the light"),
        ({"wavelength": [532e-9, 700e-9]}, DeviceError, "at 700 nm"),
        ({"wavelength": [532e-9, 532e-9]}, ConfigError, "that differ"),
        ({"wavelength": []}, ConfigError, "1 to 64 wavelengths, but got 0"),
        ({"task": Image(measure="field")}, ConfigError, "field"),
        ({"coherence": 3}, ConfigError, "a coherence"),
    ],
)
def test_what_is_no_light_gets_a_sentence(changes: dict[str, object], error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=said):
        network(**changes)


def test_bounds_of_light_are_sentences() -> None:
    with pytest.raises(ConfigError, match="2 weights"):
        Spectrum(LIGHT, weights=(1,))
    with pytest.raises(GeometryError, match="a fifth"):
        Spectrum((532e-9,), bandwidth=200e-9)
    with pytest.raises(ConfigError, match="modes"):
        Coherence(1, 1e-5)


def test_a_hologram_by_iterations_needs_a_phase() -> None:
    model = network(devices=[RELIEF], task=Image(window=(4, 4, 8, 8)))
    with pytest.raises(ConfigError, match="coherent light of one wavelength"):
        gerchberg_saxton(model, IMAGES[:1], torch.ones(1, 8, 8))


def test_what_takes_light_across_is_made_once_for_all_modes(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[object] = []
    across = reading.across
    monkeypatch.setattr(reading, "across", lambda paths, dtype: made.append(paths) or across(paths, dtype))
    model = network(coherence=Coherence(5, 1e-4))
    light = model.detector_field(IMAGES)
    assert len(made) == 3  # of each wavelength, and none past the layers
    regions = model.readout.read(model.readout.window(light))
    torch.testing.assert_close(regions, model.measure(IMAGES))
