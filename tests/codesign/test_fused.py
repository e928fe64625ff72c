from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from voltphase.codesign import GumbelSoftmax, ReinMax, Relaxation, Softmax, StateTable
from voltphase.codesign.relaxations.sample_states import Mix, _uniform, argmax_levels, gumbel_noise, sample_states
from voltphase.core.errors import ConfigError
from voltphase.devices import DeviceStates

# Two ways through the same float64 arithmetic.
ROUNDING = 1e-13


def generator(seed: int = 3) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def by_autograd(
    scores: torch.Tensor, table: StateTable, temperature: float, gumbel: torch.Tensor, mix: Mix
) -> torch.Tensor:
    soft = torch.softmax((torch.log_softmax(scores, 0) + gumbel) / temperature, 0)
    hard = torch.nn.functional.one_hot(soft.argmax(0), len(scores)).movedim(-1, 0).to(soft)
    weights = hard + soft - soft.detach()
    if mix == "complex":
        return torch.einsum("k,kyx->yx", table.values, weights.to(table.values.dtype))
    amplitudes, phases = (torch.einsum("k,kyx->yx", column, weights) for column in (table.amplitude, table.phase))
    return torch.polar(amplitudes, phases)


def device(levels: int, dtype: torch.dtype = torch.complex128) -> StateTable:
    amplitude = np.random.default_rng(1).uniform(size=levels)
    return StateTable.of(
        DeviceStates(np.arange(float(levels)), amplitude, np.linspace(-1, 5.3, levels), "random"), dtype
    )


def states(amplitude: list[float], phase: list[float]) -> StateTable:
    return StateTable.of(DeviceStates(np.arange(float(len(phase))), np.array(amplitude), np.array(phase), "given"))


@pytest.mark.parametrize("shape", [(2, 3, 4), (8, 5, 7), (1000, 17, 31)])
@pytest.mark.parametrize("temperature", [0.3, 1.0, 50.0])
@pytest.mark.parametrize("mix", ["complex", "polar"])
def test_value_and_gradient_are_those_of_plain_autograd(shape: tuple[int, ...], temperature: float, mix: Mix) -> None:
    scores = torch.randn(shape, generator=generator(), dtype=torch.float64, requires_grad=True)
    table = device(shape[0])
    weight = torch.randn(shape[1:], generator=generator(), dtype=torch.complex128)

    drawn = sample_states(scores, table, temperature, generator(), mix)
    expected = by_autograd(scores, table, temperature, gumbel_noise(shape, generator(), dtype=torch.float64), mix)
    assert torch.allclose(drawn, expected, atol=ROUNDING)

    gradient, wanted = (
        torch.autograd.grad((m.abs().square() * weight.abs() + (m * weight).real).sum(), scores)[0]
        for m in (drawn, expected)
    )
    assert torch.allclose(gradient, wanted, rtol=1e-11, atol=ROUNDING)
    assert gradient.abs().max() > 1e-6


@pytest.mark.parametrize(
    "relaxation",
    [kind(mix=mix) for kind in (GumbelSoftmax, ReinMax) for mix in ("complex", "polar")] + [Softmax(hard=True)],
    ids=repr,
)
def test_a_draw_is_always_a_state_of_the_device_however_large_its_phase(relaxation: Relaxation) -> None:
    # A float32 of this size is off by up to 4e-3 rad.
    device = DeviceStates(np.arange(8.0), np.linspace(0.1, 1, 8), 1e5 + np.linspace(0, 6, 8), "turned")
    drawn = relaxation.modulation(torch.randn(8, 40, 40), StateTable.of(device), 1.0, generator())
    states = torch.tensor(device.values(), dtype=torch.complex64)
    assert (drawn[..., None] == states).any(-1).all()


def test_levels_are_drawn_with_their_softmax_probability() -> None:
    probabilities = torch.tensor([0.5, 0.3, 0.15, 0.05])
    pixels = 40_000
    scores = probabilities.log()[:, None, None].expand(4, 200, 200)
    drawn = sample_states(scores, states([1, 1, 1, 1], [0, 1, 2, 3]), 1.0, generator())
    counts = torch.bincount(drawn.angle().round().long().flatten(), minlength=4)
    # Five standard deviations of a binomial count.
    assert torch.all((counts / pixels - probabilities).abs() < 5 * (probabilities / pixels).sqrt())


def test_noise_is_gumbel() -> None:
    values = gumbel_noise((4, 200, 200), generator())
    assert torch.isfinite(values).all()
    count = values.numel()
    assert abs(values.mean().item() - 0.57722) < 5 * math.pi / math.sqrt(6 * count)
    assert abs(values.var().item() - math.pi**2 / 6) < 0.05


def test_equal_scores_choose_the_first_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "voltphase.codesign.relaxations.sample_states._log_exponential", lambda out, generator: out.zero_()
    )
    scores = torch.tensor([0.0, 2.0, 2.0, 1.0])[:, None, None].expand(4, 1, 2)
    drawn = sample_states(scores, states([1, 2, 3, 4], [0, 0, 0, 0]), 1.0, generator())
    assert torch.equal(drawn, torch.full((1, 2), 2 + 0j))


def test_the_same_generator_state_gives_the_same_draw_and_advances() -> None:
    arguments = (torch.zeros(8, 20, 20), device(8, torch.complex64), 1.0)
    source = generator()
    first, second = sample_states(*arguments, source), sample_states(*arguments, source)
    assert torch.equal(first, sample_states(*arguments, generator()))
    assert not torch.equal(first, second)


def test_the_gradient_keeps_the_layout_of_the_scores() -> None:
    scores = torch.zeros(20, 20, 8).movedim(-1, 0).requires_grad_()
    sample_states(scores, device(8, torch.complex64), 1.0, generator()).abs().sum().backward()
    assert scores.grad is not None
    assert scores.grad.shape == scores.shape


def test_a_second_backward_through_a_retained_graph_gives_the_same() -> None:
    scores = torch.zeros(8, 6, 6, dtype=torch.float64, requires_grad=True)
    total = sample_states(scores, device(8), 1.0, generator()).real.sum()
    (first,) = torch.autograd.grad(total, scores, retain_graph=True)
    (second,) = torch.autograd.grad(total, scores)
    assert torch.equal(first, second)


def test_a_temperature_that_is_not_above_zero_is_refused() -> None:
    with pytest.raises(ConfigError, match="expected a temperature above zero, but got 0"):
        sample_states(torch.zeros(2, 1, 1), device(2), 0.0, None)


def test_highest_is_argmax_and_the_first_of_equals() -> None:
    scores = torch.randint(0, 4, (9, 300, 70)).float()
    assert torch.equal(argmax_levels(scores), scores.argmax(0))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_uniforms_are_uniform_and_below_one(dtype: torch.dtype) -> None:
    values = _uniform(torch.empty(400_001, dtype=dtype), generator())
    assert 0 <= values.min() < 1e-4
    assert 1 - 1e-4 < values.max() < 1
    counts = torch.histc(values.float(), 50, 0, 1)
    # Five standard deviations of a bin.
    assert (counts - 8000).abs().max() < 5 * math.sqrt(8000)
