"""One level, one draw, and its states at every wavelength."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

import voltphase as vp
from voltphase.codesign import CodesignLayer, GumbelSoftmax, Proximity, Relaxation
from voltphase.codesign.relaxations import RELAXATIONS
from voltphase.codesign.state_table import StateTable
from voltphase.core.errors import ConfigError, DeviceError
from voltphase.devices import DevicePanel, DeviceSpectrum, DeviceStates
from voltphase.devices.spectrum import at_wavelengths, spectrum_of_model

LIGHT = (532e-9, 633e-9)


def two_tables(levels: int = 6) -> DeviceSpectrum:
    rng = np.random.default_rng(0)
    tables = [
        DeviceStates(
            np.arange(float(levels)), rng.uniform(0.5, 1, levels), rng.uniform(0, 6, levels), "mine", wavelength=at
        )
        for at in LIGHT
    ]
    return DeviceSpectrum(tuple(tables))


def table_of(device: DeviceSpectrum) -> StateTable:
    first, *others = (one.tables[0] for one in device.devices)
    return StateTable.of(first, torch.complex128, others)


def slopes(relaxation: Relaxation, design: Tensor, table: StateTable, weights: Tensor) -> tuple[Tensor, Tensor]:
    given = design.clone().requires_grad_()
    found = relaxation.modulation(given, table, 0.7, torch.Generator().manual_seed(3))
    (weights.conj() * found).real.sum().backward()
    assert given.grad is not None
    return found.detach(), given.grad


SCORED = [
    RELAXATIONS[name](**options)
    for name, options in [
        ("softmax", {}),
        ("softmax", {"hard": True, "mix": "polar"}),
        ("gumbel-softmax", {}),
        ("gumbel-softmax", {"mix": "polar"}),
        ("gumbel-softmax", {"hard": False}),
        ("reinmax", {}),
        ("ptq", {}),
        ("qat", {}),
    ]
]


@pytest.mark.parametrize("relaxation", SCORED, ids=str)
def test_one_draw_gives_the_states_at_each_wavelength_and_their_gradients_add(relaxation: Relaxation) -> None:
    table = table_of(two_tables())
    generator = torch.Generator().manual_seed(1)
    design = relaxation.initial(table, (4, 5), generator)
    weights = torch.randn((2, 4, 5), generator=generator, dtype=torch.complex128)
    found, gradient = slopes(relaxation, design, table, weights)
    first, by_first = slopes(relaxation, design, table.each[0], weights[0])
    second, by_second = slopes(relaxation, design, table.each[1], weights[1])
    torch.testing.assert_close(found, torch.stack((first, second)))
    torch.testing.assert_close(gradient, by_first + by_second)


@pytest.mark.parametrize("hard", [False, True])
@pytest.mark.parametrize("temperature", [1.0, 0.05])
def test_nearness_is_that_to_the_states_at_all_wavelengths(hard: bool, temperature: float) -> None:
    table, generator = table_of(two_tables()), torch.Generator().manual_seed(1)
    relaxation = Proximity(hard=hard)
    design = relaxation.initial(table, (4, 5), generator).requires_grad_()
    weights = torch.randn((2, 4, 5), generator=generator, dtype=torch.complex128)
    found = relaxation.modulation(design, table, temperature, generator)
    (by_us,) = torch.autograd.grad((weights.conj() * found).real.sum(), design)

    states = torch.stack([one.values for one in table.each])
    points = torch.view_as_complex(design.unflatten(0, (2, 2)).movedim(1, -1).contiguous())
    variance = (states - states.mean(1, keepdim=True)).abs().square().mean() / states.shape[1]
    scores = -(points[:, None] - states[..., None, None]).abs().square().mean(0) / (2 * variance)
    mix = torch.einsum("wk,kij->wij", states, torch.softmax(scores / temperature, 0).to(states.dtype))
    (expected,) = torch.autograd.grad((weights.conj() * mix).real.sum(), design)
    torch.testing.assert_close(by_us, expected, atol=1e-9, rtol=1e-9)
    levels = scores.argmax(0)
    torch.testing.assert_close(found, states[:, levels] if hard else mix)
    assert torch.equal(relaxation.chosen_levels(design, table), levels)
    assert torch.equal(relaxation.chosen_levels(relaxation.design_for(levels, table), table), levels)


def test_a_layer_of_two_wavelengths_has_the_states_of_its_levels_at_each() -> None:
    device = two_tables()
    regions = np.array([[0, 0, -1], [0, 0, 0]])
    panels = DeviceSpectrum(
        tuple(DevicePanel((table.tables[0],), regions, 0.5 * (1 + n)) for n, table in enumerate(device.devices))
    )
    for one in (device, panels):
        layer = CodesignLayer((2, 3), one, dtype=torch.complex128).eval()
        layer.set_levels(torch.tensor([[0, 1, 0], [3, 4, 5]]))
        expected = np.stack([part.states_at(layer.levels().numpy()) for part in one.devices])
        np.testing.assert_allclose(layer.modulation().detach(), expected)
        assert layer.train().modulation().shape == (2, 2, 3)
    np.testing.assert_allclose(layer.eval().modulation()[:, 0, 2].detach(), [0.5, 1.0])


class Alone(GumbelSoftmax):
    def modulation(
        self, design: Tensor, table: StateTable, temperature: float | Tensor, generator: torch.Generator
    ) -> Tensor:
        return table.values[design.argmax(0)]


def test_a_relaxation_that_knows_one_wavelength_is_told_so() -> None:
    layer = CodesignLayer((2, 3), two_tables(), relaxation=Alone())
    with pytest.raises(ConfigError, match="at each of 2 wavelengths"):
        layer.modulation()


def test_levels_are_picked_by_all_wavelengths_and_saved_with_them(tmp_path: Path) -> None:
    control, amplitude = np.arange(4.0), np.ones(4)
    # Levels 0 and 2 are alike at the first wavelength, and opposite at the second.
    phases = np.array([[0, 1, 2 * np.pi, 2], [0, 1, np.pi, 1.5]])
    device = DeviceSpectrum(
        tuple(
            DeviceStates(control, amplitude, phase, "two", wavelength=at)
            for phase, at in zip(phases, LIGHT, strict=True)
        )
    )
    picked = device.pick(3)
    assert 0 in picked.control
    assert 2 in picked.control
    assert all((one.control == picked.control).all() for one in picked.devices)
    device.save(tmp_path / "device")
    again = vp.devices.load(tmp_path / "device")
    assert isinstance(again, DeviceSpectrum)
    assert again.digest == device.digest
    assert again.wavelengths == LIGHT


def test_a_model_is_one_thing_at_all_wavelengths() -> None:
    relief = spectrum_of_model("printed", 4, LIGHT)
    assert isinstance(relief, DeviceSpectrum)
    heights = [one.control.max() for one in relief.devices]
    assert heights[0] == heights[1]
    np.testing.assert_allclose(
        relief.at(633e-9).tables[0].phase * 633, relief.at(532e-9).tables[0].phase * 532, rtol=1e-12
    )
    mirrors = spectrum_of_model("ti-plm", None, LIGHT)
    assert isinstance(mirrors, DeviceSpectrum)
    np.testing.assert_allclose(mirrors.at(633e-9).tables[0].phase[-1], 2 * np.pi * 15 / 16 * 532 / 633)
    assert len(spectrum_of_model("dmd", None, LIGHT)) == 2


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: at_wavelengths(vp.devices.lcos(8), LIGHT), "at each wavelength of the light"),
        (lambda: at_wavelengths(two_tables(), [532e-9, 700e-9]), "at 700 nm"),
        (lambda: at_wavelengths(two_tables(), [650e-9]), "at 650 nm"),
        (lambda: DeviceSpectrum((vp.devices.lcos(8), vp.devices.lcos(8))), "names none"),
        (lambda: DeviceSpectrum((vp.devices.tn_slm(8), vp.devices.tn_slm(8))), "two at 532 nm"),
        (lambda: spectrum_of_model("printed", 4, LIGHT, {"wavelength": 5e-7}), "no wavelength among"),
        (lambda: DeviceSpectrum((two_tables(6).devices[0], two_tables(5).devices[1])), "same control values"),
    ],
)
def test_what_is_no_device_at_all_wavelengths_gets_a_sentence(make: Callable[[], object], said: str) -> None:
    with pytest.raises(DeviceError, match=said):
        make()
