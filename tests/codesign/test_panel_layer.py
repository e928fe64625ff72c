"""A layer whose pixels do not all have the same states, and some of which cannot be set."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from voltphase.codesign import (
    CodesignLayer,
    PostTraining,
    Relaxation,
    StateTable,
)
from voltphase.core.errors import ConfigError
from voltphase.devices import DevicePanel, DeviceStates

SHAPE, LEVELS, BORDER = (6, 7), 5, 0.25 - 0.5j


def states(seed: int) -> DeviceStates:
    random = np.random.default_rng(seed)
    columns = np.arange(float(LEVELS)), random.uniform(0.2, 1, LEVELS), random.uniform(-3, 3, LEVELS)
    return DeviceStates(*columns, name=f"region {seed}")


def panel(tables: int = 3) -> DevicePanel:
    # Table 1 is followed by no pixel: a map may be of a part of what was measured.
    regions = np.random.default_rng(1).choice([-1, 0, 2] if tables == 3 else [-1, 0], SHAPE)
    return DevicePanel(tuple(states(seed) for seed in range(tables)), regions, BORDER)


def layer(device: DeviceStates | DevicePanel, relaxation: Relaxation | None = None, **options) -> CodesignLayer:
    made = CodesignLayer(SHAPE, device, relaxation=relaxation, seed=4, dtype=torch.complex128, **options)
    made.temperature = 0.7
    return made


def test_a_panel_of_one_table_is_that_table(relaxation_of_states: Relaxation) -> None:
    plain, uniform = (layer(d, relaxation_of_states) for d in (states(0), DevicePanel.uniform(states(0), SHAPE)))
    assert torch.equal(plain.design, uniform.design)
    assert torch.equal(plain.modulation(), uniform.modulation())
    assert torch.equal(plain.levels(), uniform.levels())
    # Not by another way that happens to agree: it costs what the table costs.
    assert uniform.device_states.regions is None


def gradient(modulation: Tensor, design: Tensor, probe: Tensor) -> Tensor:
    (found,) = torch.autograd.grad((modulation * probe).sum().real, design)
    return found


def test_each_region_is_what_the_relaxation_makes_of_its_table(relaxation_of_states: Relaxation) -> None:
    device = panel()
    made = layer(device, relaxation_of_states)
    drawn, probe = made.modulation(), torch.randn(SHAPE, dtype=torch.complex128)
    found = gradient(drawn, made.design, probe)
    levels = made.levels()
    inactive = torch.tensor(device.inactive)
    assert (drawn[inactive] == BORDER).all()
    assert not found[:, inactive].any()
    assert not levels[inactive].any()
    generator = torch.Generator().manual_seed(made._stream(1))
    for index in (0, 2):
        where, table = torch.tensor(device.regions == index), StateTable.of(device.tables[index], torch.complex128)
        design = made.design.detach()[:, where][:, :, None].clone().requires_grad_()
        expected = relaxation_of_states.modulation(design, table, 0.7, generator)
        torch.testing.assert_close(drawn[where], expected[:, 0])
        torch.testing.assert_close(found[:, where], gradient(expected, design, probe[where][:, None])[:, :, 0])
        assert torch.equal(levels[where], relaxation_of_states.chosen_levels(design.detach(), table)[:, 0])


def test_evaluation_has_the_states_of_the_levels_and_the_fixed_value(relaxation_of_states: Relaxation) -> None:
    device = panel()
    made = layer(device, relaxation_of_states).eval()
    assert torch.equal(made.modulation(), torch.tensor(device.states_at(made.levels().numpy())))
    wanted = torch.from_numpy(np.random.default_rng(3).integers(0, LEVELS, SHAPE))
    made.set_levels(wanted)
    assert torch.equal(made.levels(), torch.where(torch.tensor(device.inactive), 0, wanted))
    assert torch.equal(made.modulation(), torch.tensor(device.states_at(wanted.numpy())))


def test_levels_that_no_design_stands_for_are_those_of_each_region() -> None:
    device, relaxation = panel(), PostTraining("complex", order=1)
    attainable = layer(device, relaxation).attainable()
    for index in (0, 2):
        alone = layer(device.tables[index], relaxation).attainable()
        assert not alone.all()
        where = torch.tensor(device.regions == index)
        assert torch.equal(attainable[:, where], alone[:, where])


def test_gain_is_of_the_whole_plane_and_the_amplitudes_gradient_of_its_pixels() -> None:
    device = panel(1)
    for mode in (True, False):
        quiet, loud = (layer(device, gain=gain).train(mode).modulation() for gain in (1.0, 3.0))
        torch.testing.assert_close(loud, 3 * quiet)
    scaled = layer(device, amplitude_grad_scale=0.5)
    found = gradient(scaled.modulation(), scaled.design, torch.ones(SHAPE, dtype=torch.complex128))
    assert not found[:, torch.tensor(device.inactive)].any()
    assert found.any()


def test_a_panel_of_another_shape_is_refused() -> None:
    with pytest.raises(ConfigError) as caught:
        CodesignLayer((8, 8), panel())
    assert str(caught.value) == (
        "expected a panel of 8 x 8 pixels as its plane has, but region 0 has 6 x 7: change the size of the plane, or "
        "use another panel"
    )
