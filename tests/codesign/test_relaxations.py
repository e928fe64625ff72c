from __future__ import annotations

import pytest
import torch

from voltphase.codesign import RELAXATIONS, GumbelSoftmax, Mix, ReinMax, Relaxation, Softmax, StateTable
from voltphase.core.errors import ConfigError

LEVELS = 5
SHAPE = (LEVELS, 3, 4)
AMPLITUDE = torch.tensor([0.3, 0.9, 0.5, 0.7, 1.0], dtype=torch.float64)
PHASE = torch.tensor([0.0, 1.0, 2.5, 4.0, 5.5], dtype=torch.float64)
STATES = torch.polar(AMPLITUDE, PHASE)
TABLE = StateTable(torch.arange(LEVELS, dtype=torch.float64), AMPLITUDE, PHASE, STATES)
MIXES: tuple[Mix, ...] = ("complex", "polar")
SOFT = [kind(hard=False, mix=mix) for kind in (GumbelSoftmax, Softmax) for mix in MIXES]
HARD = [kind(hard=True, mix=mix) for kind in (GumbelSoftmax, Softmax) for mix in MIXES] + [
    ReinMax(mix) for mix in MIXES
]


def scores(seed: int = 1) -> torch.Tensor:
    return torch.randn(SHAPE, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def modulate(relaxation: Relaxation, values: torch.Tensor, temperature: float = 0.7) -> torch.Tensor:
    return relaxation.modulation(values, TABLE, temperature, torch.Generator().manual_seed(2))


def level_of(modulation: torch.Tensor) -> torch.Tensor:
    return (modulation.detach()[..., None] - STATES).abs().argmin(-1)


def mixed(weights: torch.Tensor, mix: Mix) -> torch.Tensor:
    if mix == "complex":
        return (weights * STATES[:, None, None]).sum(0)
    a, p = ((weights * table[:, None, None]).sum(0) for table in (AMPLITUDE, PHASE))
    return a * torch.exp(1j * p)


@pytest.mark.parametrize("relaxation", SOFT, ids=repr)
def test_a_soft_gradient_is_exact(relaxation: Relaxation) -> None:
    assert torch.autograd.gradcheck(lambda values: modulate(relaxation, values), (scores().requires_grad_(),))


@pytest.mark.parametrize("relaxation", SOFT, ids=repr)
def test_a_cold_mix_is_a_state(relaxation: Relaxation) -> None:
    cold = modulate(relaxation, scores(), temperature=1e-4)
    assert (cold[..., None] - STATES).abs().amin(-1).max() < 1e-12


@pytest.mark.parametrize("name", RELAXATIONS)
@pytest.mark.parametrize("hard", [False, True])
def test_a_temperature_may_be_held_by_a_tensor(name: str, hard: bool) -> None:
    relaxation = RELAXATIONS[name](**({"hard": hard} if name in ("proximity", "softmax", "gumbel-softmax") else {}))
    design = relaxation.initial(TABLE, SHAPE[1:], torch.Generator().manual_seed(1)).requires_grad_()
    found = []
    for temperature in (0.7, torch.tensor(0.7, dtype=torch.float64)):
        made = relaxation.modulation(design, TABLE, temperature, torch.Generator().manual_seed(2))
        found += [made, *torch.autograd.grad(made.abs().sum() + made.real.sum(), design)]
    for by_number, by_tensor in zip(found[:2], found[2:], strict=True):
        torch.testing.assert_close(by_tensor, by_number, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("relaxation", HARD, ids=repr)
def test_a_hard_value_is_a_state(relaxation: Relaxation) -> None:
    assert (modulate(relaxation, scores())[..., None] - STATES).abs().amin(-1).max() < 1e-15


@pytest.mark.parametrize("mix", MIXES)
def test_softmax_without_noise_is_the_softmax(mix: Mix) -> None:
    weights = torch.softmax(scores() / 0.7, 0)
    torch.testing.assert_close(modulate(Softmax(mix=mix), scores()), mixed(weights, mix))
    assert torch.equal(level_of(modulate(Softmax(hard=True, mix=mix), scores())), scores().argmax(0))


def straight_through(relaxation: Softmax | GumbelSoftmax | ReinMax, values: torch.Tensor) -> torch.Tensor:
    """The gradient by plain autograd, from one-hot weights that carry the gradient of soft ones."""
    values = values.clone().requires_grad_()
    drawn = torch.nn.functional.one_hot(level_of(modulate(relaxation, values)), LEVELS).movedim(-1, 0).double()
    if isinstance(relaxation, ReinMax):
        # The authors' form: the second softmax is taken at scores shifted so that it equals q.
        p = torch.softmax(values, 0)
        q = (drawn + torch.softmax(values / 0.7, 0)) / 2
        shifted = torch.softmax((q.log() - values).detach() + values, 0)
        soft = 2 * shifted - p / 2
    else:
        soft = torch.softmax(values / 0.7, 0)
    weights = drawn + soft - soft.detach()
    probe = torch.linspace(-1, 1, 12, dtype=torch.float64).view(3, 4) + 0.5j
    (mixed(weights, relaxation.mix) * probe).real.sum().backward()
    assert values.grad is not None
    return values.grad


@pytest.mark.parametrize("relaxation", [r for r in HARD if not isinstance(r, GumbelSoftmax)], ids=repr)
def test_a_hard_gradient_is_that_of_its_weights(relaxation: Softmax | ReinMax) -> None:
    values = scores().requires_grad_()
    probe = torch.linspace(-1, 1, 12, dtype=torch.float64).view(3, 4) + 0.5j
    (modulate(relaxation, values) * probe).real.sum().backward()
    torch.testing.assert_close(values.grad, straight_through(relaxation, scores()), rtol=1e-10, atol=1e-13)
    assert values.grad is not None
    assert values.grad.abs().max() > 1e-3


def test_reinmax_is_of_second_order_where_straight_through_is_of_first() -> None:
    # For a loss quadratic in the one-hot, ReinMax at temperature 1 has the exact gradient of the expected loss on
    # average over draws; straight-through has not. One pixel, two levels, all draws by hand.
    theta = torch.tensor([0.4, -0.3], dtype=torch.float64, requires_grad=True)
    f = torch.tensor([[1.0, 0.3], [0.3, 4.0]], dtype=torch.float64)

    def loss(one_hot: torch.Tensor) -> torch.Tensor:
        return one_hot @ f @ one_hot

    p = torch.softmax(theta, 0)
    expected = (p * torch.stack([loss(d) for d in torch.eye(2, dtype=torch.float64)])).sum()
    (exact,) = torch.autograd.grad(expected, theta)

    from voltphase.codesign.relaxations.reinmax import _SecondOrder

    average = torch.zeros(2, dtype=torch.float64)
    plain = torch.zeros(2, dtype=torch.float64)
    for level, drawn in enumerate(torch.eye(2, dtype=torch.float64)):
        values = theta.detach().clone().requires_grad_()
        (second,) = torch.autograd.grad(loss(_SecondOrder.apply(values, drawn, 1.0)), values)
        soft = torch.softmax(values, 0)
        (first,) = torch.autograd.grad(loss(drawn + soft - soft.detach()), values)
        average += p.detach()[level] * second
        plain += p.detach()[level] * first
    torch.testing.assert_close(average, exact, rtol=1e-12, atol=1e-14)
    assert (plain - exact).abs().max() > 0.1


@pytest.mark.parametrize("kind", [GumbelSoftmax, Softmax, ReinMax])
def test_an_unknown_mix_is_refused(kind: type) -> None:
    with pytest.raises(ConfigError, match="expected a mix out of complex, polar, but got 'cartesian'"):
        kind(mix="cartesian")
