from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from voltphase.codesign import CodesignLayer, GumbelSoftmax, StateTable
from voltphase.core.errors import ConfigError
from voltphase.devices import DeviceStates
from voltphase.devices.models import lcos


def states(k: int, seed: int = 0) -> DeviceStates:
    random = np.random.default_rng(seed)
    return DeviceStates(np.arange(k, dtype=float), random.uniform(0.2, 1, k), random.uniform(-4, 4, k), "random")


@settings(max_examples=30, deadline=None)
@given(k=st.integers(2, 40), seed=st.integers(0, 2**32 - 1), training=st.booleans())
def test_every_pixel_is_exactly_one_state_of_the_device(k: int, seed: int, training: bool) -> None:
    device = states(k, seed)
    layer = CodesignLayer((5, 7), device, relaxation=GumbelSoftmax(), seed=seed, dtype=torch.complex128).train(training)
    distance = np.abs(layer.modulation().detach().numpy()[..., None] - device.values()).min(-1)
    assert distance.max() < 1e-15


def test_one_draw_gives_amplitude_and_phase() -> None:
    # Amplitude and phase are told apart so that a mixed pair could be seen.
    device = DeviceStates(np.arange(4.0), np.array([0.1, 0.2, 0.3, 0.4]), np.array([0.0, 1.0, 2.0, 3.0]), "ramp")
    modulation = CodesignLayer((50, 50), device, relaxation=GumbelSoftmax()).modulation().detach()
    torch.testing.assert_close(modulation.abs() * 10 - 1, modulation.angle(), rtol=0, atol=1e-5)


def test_evaluation_is_deterministic_and_uses_the_highest_score() -> None:
    device = states(8)
    layer = CodesignLayer((6, 6), device, relaxation=GumbelSoftmax()).eval()
    first, second = layer.modulation(), layer.modulation()
    assert torch.equal(first, second)
    expected = torch.tensor(device.values()[layer.design.detach().numpy().argmax(0)], dtype=torch.complex64)
    assert torch.equal(first, expected)


def test_draws_follow_the_softmax_of_the_scores() -> None:
    layer = CodesignLayer((200, 200), states(4), relaxation=GumbelSoftmax())
    wanted = torch.tensor([0.1, 0.2, 0.3, 0.4])
    layer.design.data.copy_(wanted.log()[:, None, None].expand(4, 200, 200))
    drawn = (layer.modulation().detach()[..., None] - layer.table.values).abs().argmin(-1)
    share = torch.bincount(drawn.flatten(), minlength=4) / drawn.numel()
    # 40,000 draws: four standard errors of the largest share are 0.0098.
    torch.testing.assert_close(share, wanted, rtol=0, atol=0.01)


def test_same_seed_same_draws_and_a_resumed_layer_goes_on_where_it_was() -> None:
    one, two, other = (CodesignLayer((6, 6), states(8), relaxation=GumbelSoftmax(), seed=seed) for seed in (3, 3, 4))
    drawn = [one.modulation().detach() for _ in range(3)]
    assert torch.equal(drawn[0], two.modulation().detach())
    assert not torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], other.modulation().detach())
    other.load_state_dict(one.state_dict())
    other.seed = one.seed
    assert torch.equal(other.modulation().detach(), one.modulation().detach())


@pytest.mark.parametrize("mix", ["complex", "polar"])
def test_the_soft_forward_mixes_states_and_its_gradient_is_exact(mix) -> None:
    relaxation, device = GumbelSoftmax(hard=False, mix=mix), states(4)
    table = StateTable.of(device, torch.complex128)

    def modulation(scores: torch.Tensor) -> torch.Tensor:
        return relaxation.modulation(scores, table, 0.8, torch.Generator().manual_seed(2))

    scores = torch.randn(4, 2, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(modulation, (scores,))
    cold = relaxation.modulation(scores, table, 1e-6, torch.Generator().manual_seed(2))
    assert (cold.detach()[..., None] - torch.tensor(device.values())).abs().min(-1).values.max() < 1e-12


def test_gain_multiplies_the_modulation_in_both_modes() -> None:
    plain, loud = CodesignLayer((4, 4), states(3)), CodesignLayer((4, 4), states(3), gain=1.8)
    torch.testing.assert_close(loud.modulation(), 1.8 * plain.modulation())
    torch.testing.assert_close(loud.eval().modulation(), 1.8 * plain.eval().modulation())
    with pytest.raises(ConfigError, match="expected a gain above zero, but got 0"):
        CodesignLayer((4, 4), states(3), gain=0)


def test_an_unknown_mix_is_refused() -> None:
    with pytest.raises(ConfigError, match="expected a mix out of complex, polar, but got 'cartesian'"):
        GumbelSoftmax(mix="cartesian")  # pyright: ignore[reportArgumentType]


def test_the_amplitudes_gradient_is_scaled_against_the_phases() -> None:
    # In the polar mix amplitude and phase have gradients of their own: those of a phase-only and of an
    # amplitude-only device of the same draw add up.
    scale, k = 0.25, 5
    random = np.random.default_rng(1)
    amplitude, phase = random.uniform(0.2, 1, k), random.uniform(-4, 4, k)
    device = DeviceStates(np.arange(k, dtype=float), amplitude, phase, "both")
    probe = torch.randn(3, 4, dtype=torch.complex128, generator=torch.Generator().manual_seed(5))

    def gradient(amplitude_grad_scale: float, relaxation: GumbelSoftmax) -> tuple[torch.Tensor, torch.Tensor]:
        layer = CodesignLayer(
            (3, 4), device, relaxation=relaxation, amplitude_grad_scale=amplitude_grad_scale, dtype=torch.complex128
        )
        modulation = layer.modulation()
        (modulation * probe).sum().real.backward()
        assert layer.design.grad is not None
        return layer.design.grad, modulation.detach()

    for relaxation in (GumbelSoftmax(mix="polar"), GumbelSoftmax(mix="complex")):
        (plain, m), (scaled, same) = gradient(1.0, relaxation), gradient(scale, relaxation)
        assert torch.equal(m, same)
        # The part of the gradient that went away is exactly that of moving along each state's own direction.
        layer = CodesignLayer((3, 4), device, relaxation=relaxation, dtype=torch.complex128)
        modulation = layer.modulation()
        direction = m / m.abs()
        along = ((direction.conj() * probe.conj()).real * direction).conj()
        (modulation * along).sum().real.backward()
        assert layer.design.grad is not None
        torch.testing.assert_close(plain - scaled, (1 - scale) * layer.design.grad, rtol=1e-10, atol=1e-13)
    with pytest.raises(ConfigError, match="expected an amplitude_grad_scale above zero, but got 0"):
        CodesignLayer((3, 4), device, amplitude_grad_scale=0)


@settings(max_examples=20, deadline=None)
@given(k=st.integers(2, 40), seed=st.integers(0, 2**32 - 1))
def test_levels_that_are_set_are_the_levels_in_use(k: int, seed: int) -> None:
    device, wanted = states(k, seed), torch.from_numpy(np.random.default_rng(seed).integers(0, k, (5, 7)))
    layer = CodesignLayer((5, 7), device, dtype=torch.complex128).eval()
    layer.set_levels(wanted)
    assert torch.equal(layer.levels(), wanted)
    assert torch.equal(layer.modulation().detach(), torch.tensor(device.values())[wanted])


def test_levels_that_do_not_fit_are_refused() -> None:
    layer = CodesignLayer((2, 3), states(4))
    with pytest.raises(ConfigError, match=r"expected 2 x 3 whole numbers as levels, but got torch\.float32"):
        layer.set_levels(torch.zeros(2, 3))
    with pytest.raises(ConfigError, match="expected levels from 0 to 3, but got 0 to 4"):
        layer.set_levels(torch.tensor([[0, 1, 2], [3, 4, 0]]))


@pytest.mark.parametrize("name", ["gain", "amplitude_grad_scale"])
@pytest.mark.parametrize("value", [0, -1, float("nan"), 1e300, "x", None, True])
def test_a_factor_set_later_is_held_to_its_bounds(name: str, value: object):
    layer = CodesignLayer((2, 2), lcos(4))
    with pytest.raises(ConfigError, match=name):
        setattr(layer, name, value)
    setattr(layer, name, 2.0)
    assert getattr(layer, name) == 2.0
