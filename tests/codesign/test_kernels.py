"""Triton's kernels against the plain path: on a GPU where there is one, else in Triton's interpreter."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import scipy.stats
import torch
from torch import Tensor

from voltphase.codesign import GumbelSoftmax, Mix, Proximity, ReinMax, Relaxation, Softmax, StateTable
from voltphase.codesign.relaxations import proximity, sample_states
from voltphase.core.installed import triton_obstacle
from voltphase.devices import DeviceStates

DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
if obstacle := triton_obstacle(DEVICE.type):
    pytest.skip(f"no kernels: {obstacle}", allow_module_level=True)

from voltphase.codesign.kernels import draws, near, near_at_each  # noqa: E402 (only where Triton is)

# What a few operations in each precision may differ by, of the largest gradient.
ROUNDING = {torch.float32: 2e-5, torch.float64: 1e-12}


def generator(seed: int = 3) -> torch.Generator:
    return torch.Generator(DEVICE).manual_seed(seed)


def device(levels: int, dtype: torch.dtype = torch.float64) -> StateTable:
    amplitude = np.random.default_rng(1).uniform(size=levels)
    states = DeviceStates(np.arange(float(levels)), amplitude, np.linspace(-1, 5.3, levels), "random")
    table = StateTable.of(states, dtype.to_complex())
    amplitude, phase, values = (column.to(DEVICE) for column in (table.amplitude, table.phase, table.values))
    return StateTable(table.control, amplitude, phase, values)


def normal(*shape: int, dtype: torch.dtype = torch.float64, seed: int = 1) -> Tensor:
    return torch.randn(shape, generator=generator(seed), dtype=dtype, device=DEVICE)


def noise_of(scores: Tensor) -> Tensor:
    return draws.fill_gumbel(torch.empty_like(scores).flatten(1), generator()).view_as(scores)


def mixed(weights: Tensor, table: StateTable, mix: Mix) -> Tensor:
    if mix == "complex":
        return torch.tensordot(table.values, weights.to(table.values.dtype), 1)
    return torch.polar(*(torch.tensordot(column, weights, 1) for column in (table.amplitude, table.phase)))


def straight_through(scores: Tensor, table: StateTable, temperature: float, noise: Tensor, mix: Mix) -> Tensor:
    soft = torch.softmax((scores + noise) / temperature, 0)
    hard = torch.zeros_like(soft).scatter_(0, (scores + noise).argmax(0, keepdim=True), 1)
    return mixed(hard + soft - soft.detach(), table, mix)


def assert_gradients_agree(made: Tensor, expected: Tensor, parameter: Tensor) -> None:
    probe = normal(*made.shape, 2, dtype=parameter.dtype, seed=5)
    found, wanted = (
        torch.autograd.grad((torch.view_as_real(m) * probe).sum(), parameter, retain_graph=True)[0]
        for m in (made, expected)
    )
    assert wanted.abs().max() > 1e-6
    torch.testing.assert_close(found, wanted, rtol=0, atol=ROUNDING[parameter.dtype] * wanted.abs().max().item())


@pytest.mark.parametrize(
    ("levels", "shape", "dtype", "mix"),
    [
        (2, (3, 4), torch.float64, "complex"),
        (3, (7, 11), torch.float64, "polar"),
        (8, (9, 15), torch.float32, "complex"),
        (37, (1, 5), torch.float64, "complex"),
        (784, (6, 11), torch.float32, "polar"),
    ],
)
def test_a_draw_and_its_gradient_are_those_of_plain_autograd(
    levels: int, shape: tuple[int, int], dtype: torch.dtype, mix: Mix, monkeypatch: Any
) -> None:
    if levels == 784 and DEVICE.type == "cpu":
        monkeypatch.setattr(draws, "_FOURS", 64)  # the interpreter takes as long for a block of any size
    table, scores = device(levels, dtype), normal(levels, *shape, dtype=dtype).requires_grad_()
    drawn = draws.Draw.apply(scores, table, 0.7, generator(), mix, True)
    noise = noise_of(scores)
    assert torch.equal(drawn, table.values[(scores + noise).argmax(0)])
    assert_gradients_agree(drawn, straight_through(scores, table, 0.7, noise, mix), scores)


@pytest.mark.parametrize("mix", ["complex", "polar"])
def test_a_draw_at_two_wavelengths_is_one_and_its_gradients_add(mix: Mix) -> None:
    first, scores = device(5), normal(5, 2, 3).requires_grad_()
    other = replace(first, phase=2 * first.phase, values=torch.polar(first.amplitude, 2 * first.phase))
    table = replace(first, others=(other,))
    drawn = draws.Draw.apply(scores, table, 0.7, generator(), mix, True)
    noise = noise_of(scores)
    assert torch.equal(drawn, table.over(lambda one: one.values[(scores + noise).argmax(0)]))
    expected = torch.stack([straight_through(scores, one, 0.7, noise, mix) for one in table.each])
    assert_gradients_agree(drawn, expected, scores)


@pytest.mark.parametrize("mix", ["complex", "polar"])
def test_a_gradient_is_the_finite_difference_of_soft_weights(mix: Mix) -> None:
    table, scores, along, step = device(5), normal(5, 1, 3).requires_grad_(), normal(5, 1, 3, seed=7), 1e-5
    drawn = draws.Draw.apply(scores, table, 0.7, generator(), mix, True)
    (gradient,) = torch.autograd.grad(drawn.real.sum(), scores)
    with torch.no_grad():
        noisy = scores + noise_of(scores)
        hard = torch.zeros_like(noisy).scatter_(0, noisy.argmax(0, keepdim=True), 1)
        above, below = (torch.softmax((noisy + side * step * along) / 0.7, 0) for side in (1, -1))
        slope = (mixed(hard + (above - below) / 2, table, mix) - mixed(hard - (above - below) / 2, table, mix)) / step
    torch.testing.assert_close((gradient * along).sum(0), slope.real / 2, rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("temperature", [1e-6, 0.3])
def test_without_noise_and_with_extreme_scores_all_is_as_on_the_plain_path(temperature: float) -> None:
    table, scores = device(6), normal(6, 5, 14)
    scores[2:4] = 0.0
    scores[0, 1], scores[:5, 2], scores[5, 3], scores[1:3, 4] = -torch.inf, -torch.inf, 1e30, 9.0
    scores.requires_grad_()
    made, expected = (
        function.apply(scores, table, temperature, None, "complex", False)
        for function in (draws.Draw, sample_states._Draw)
    )
    assert torch.equal(made, expected)
    assert_gradients_agree(made, expected, scores)


def test_what_is_not_a_number_is_not_hidden() -> None:
    table, scores = device(6, torch.float32), torch.zeros(6, 1, 3, device=DEVICE)
    scores[2, 0, 1] = torch.nan
    scores.requires_grad_()
    drawn = draws.Draw.apply(scores, table, 0.5, generator(), "complex", True)
    assert (drawn[0, 1] == table.values[-1]).all()
    drawn.real.sum().backward()
    assert scores.grad is not None
    assert torch.equal(scores.grad.isnan().all(0), torch.tensor([[False, True, False]], device=DEVICE))
    assert torch.equal(draws.highest_levels(scores.flatten(1)), sample_states.argmax_levels(scores.cpu())[0].to(DEVICE))


def test_one_seed_gives_one_draw_and_the_next_another() -> None:
    arguments = (torch.zeros(3, 8, 8, device=DEVICE), device(3, torch.float32), 1.0)
    source = generator()
    first, second = (draws.Draw.apply(*arguments, source, "complex", True) for _ in range(2))
    assert torch.equal(first, draws.Draw.apply(*arguments, generator(), "complex", True))
    assert not torch.equal(first, second)


def test_levels_are_drawn_with_their_softmax_probability(monkeypatch: pytest.MonkeyPatch) -> None:
    if DEVICE.type == "cpu":  # whose interpreter takes as long for a block of any size; a compiler takes minutes
        monkeypatch.setattr(draws, "PIXELS", 4096)
    probabilities = torch.tensor([0.5, 0.25, 0.15, 0.07, 0.03], dtype=torch.float64)
    scores = probabilities.log().float().to(DEVICE)[:, None, None].expand(5, 64, 256)
    states = torch.arange(5.0, device=DEVICE)
    table = StateTable(states, states, torch.zeros_like(states), states.to(torch.complex64))
    drawn = draws.Draw.apply(scores, table, 1.0, generator(), "complex", True).real.long().cpu()
    counts = torch.bincount(drawn.flatten(), minlength=5).numpy()
    assert scipy.stats.chisquare(counts, probabilities.numpy() * drawn.numel()).pvalue > 1e-4
    # Nor do neighbours know of each other.
    for one, other in ((drawn[:, 1:], drawn[:, :-1]), (drawn[1:], drawn[:-1])):
        test: Any = scipy.stats.chi2_contingency(np.histogram2d(one.flatten(), other.flatten(), bins=5)[0])
        assert test.pvalue > 1e-4


def test_noise_is_gumbel_and_independent_from_level_to_level(monkeypatch: pytest.MonkeyPatch) -> None:
    if DEVICE.type == "cpu":
        monkeypatch.setattr(draws, "PIXELS", 4096)
    noise = noise_of(torch.empty(9, 4096, device=DEVICE)).cpu().double()
    assert scipy.stats.kstest(noise.flatten().numpy(), scipy.stats.gumbel_r.cdf).pvalue > 1e-4
    correlation = torch.corrcoef(noise) - torch.eye(9, dtype=torch.float64)
    assert correlation.abs().max() < 5 / 4096**0.5


def test_noise_is_finite_whatever_the_bits() -> None:
    import triton
    import triton.language as tl

    @triton.jit
    def kernel(bits, noise, DTYPE: tl.constexpr, N: tl.constexpr):
        at = tl.arange(0, N)
        tl.store(noise + at, draws.gumbel(tl.load(bits + at).to(tl.uint32, bitcast=True), DTYPE))

    bits = torch.tensor([0, -1, 1, -2, 2**31 - 1, -(2**31), 2**31 - 2, 12345], dtype=torch.int32, device=DEVICE)
    for dtype, kind in ((torch.float32, tl.float32), (torch.float64, tl.float64)):
        noise = torch.empty(8, dtype=dtype, device=DEVICE)
        launch: Any = kernel[1,]
        launch(bits, noise, kind, 8)
        assert noise.isfinite().all()
        assert -3.2 < noise.min() < -3.0
        assert 16.5 < noise.max() < 16.7


@pytest.mark.parametrize(
    ("levels", "shape", "dtype"),
    [
        (2, (3, 4), torch.float32),
        (3, (7, 11), torch.float64),
        (8, (9, 15), torch.float32),
        (784, (6, 11), torch.float64),
    ],
)
@pytest.mark.parametrize(("hard", "spread"), [(True, False), (False, True)])
def test_states_near_a_point_are_those_of_the_plain_path(
    levels: int, shape: tuple[int, int], dtype: torch.dtype, hard: bool, spread: bool, monkeypatch: Any
) -> None:
    if levels == 784 and DEVICE.type == "cpu":
        monkeypatch.setattr(near, "STATES", 256)
    table, design = device(levels, dtype), 0.7 * normal(2, *shape, dtype=dtype)
    design.requires_grad_()
    excess = normal(levels, dtype=dtype, seed=4).square() / 20 if spread else None
    for temperature in (0.2, torch.tensor(2.0, dtype=dtype, device=DEVICE)):
        made = near.Near.apply(design, table.values, temperature, hard, excess)
        width = proximity.spacing(table.values)
        expected = proximity._Near.apply(design, table.values, width, temperature, hard, excess)
        torch.testing.assert_close(made, expected, rtol=0, atol=ROUNDING[dtype])
        assert_gradients_agree(made, expected, design)
    levels_found = near.nearest_levels(design.detach().flatten(1), table.values, excess).view(shape)
    if hard:
        assert torch.equal(table.values[levels_found], made.detach())


@pytest.mark.parametrize(
    ("waves", "levels", "shape", "dtype", "spread"),
    [(3, 2, (3, 4), torch.float32, False), (2, 17, (5, 14), torch.float64, True)],
)
@pytest.mark.parametrize("hard", [True, False])
def test_states_near_points_at_several_wavelengths_are_those_of_the_plain_path(
    waves: int, levels: int, shape: tuple[int, int], dtype: torch.dtype, spread: bool, hard: bool
) -> None:
    values = 0.5 * torch.view_as_complex(normal(waves, levels, 2, dtype=dtype, seed=2))
    design = (0.5 * normal(2 * waves, *shape, dtype=dtype)).requires_grad_()
    excess = normal(levels, dtype=dtype, seed=4).square() / 20 if spread else None
    width = proximity.spacing(values)
    for temperature in (0.2, torch.tensor(2.0, dtype=dtype, device=DEVICE)):
        made, expected = (
            near_by.NearAtEach.apply(design, values, width, temperature, hard, excess)
            for near_by in (near_at_each, proximity)
        )
        torch.testing.assert_close(made, expected, rtol=0, atol=ROUNDING[dtype])
        assert_gradients_agree(made, expected, design)
    found = near_at_each.nearest_levels_at_each(design.detach().flatten(1), values, excess).view(shape)
    if hard:
        assert torch.equal(values[:, found], made.detach())


def test_of_states_equally_near_the_first_is_chosen_and_equal_states_mix_to_themselves() -> None:
    values = torch.tensor([1, 1j, 1j, 0, 1], dtype=torch.complex64, device=DEVICE)
    design = torch.tensor([[0.0, 1.0, 0.5, 0.5], [1.0, 0.0, 0.5, 0.0]], device=DEVICE)
    assert near.nearest_levels(design, values, None).tolist() == [1, 0, 0, 0]
    alike = torch.full_like(values, 0.3 + 0.4j)
    made = near.Near.apply(design.view(2, 2, 2), alike, 1e-6, False, None)
    torch.testing.assert_close(made, torch.full_like(made, 0.3 + 0.4j))


def test_a_faint_gradient_is_not_lost_in_rounding() -> None:
    found = []
    for dtype in (torch.float32, torch.float64):
        table = device(8, dtype)
        design = Proximity().design_for(torch.arange(8, device=DEVICE)[None], table).requires_grad_()
        near.Near.apply(design, table.values, 0.03, False, None).real.sum().backward()
        assert design.grad is not None
        found.append(design.grad.double())
    assert found[1].abs().min() < 1e-20
    torch.testing.assert_close(found[0], found[1], rtol=1e-3, atol=1e-30)


RELAXATIONS = [GumbelSoftmax(), GumbelSoftmax(hard=False), Softmax(hard=True, mix="polar"), ReinMax(), Proximity()]


@pytest.mark.parametrize("relaxation", RELAXATIONS, ids=repr)
def test_relaxations_use_them(relaxation: Relaxation, monkeypatch: pytest.MonkeyPatch) -> None:
    table = device(8)
    design = normal(2 if isinstance(relaxation, Proximity) else 8, 3, 4)
    plain = relaxation.chosen_levels(design.cpu(), StateTable(*(c.cpu() for c in list(vars(table).values())[:4])))
    for module in (sample_states, proximity):
        monkeypatch.setattr(module, "by_kernel", lambda device: True)
    temperature = torch.tensor(0.5, dtype=torch.float64, device=DEVICE)
    assert torch.equal(relaxation.chosen_levels(design, table).cpu(), plain)
    made = relaxation.modulation(design.requires_grad_(), table, temperature, generator())
    noise = noise_of(design.detach()) if getattr(relaxation, "sampled", False) or isinstance(relaxation, ReinMax) else 0
    if not isinstance(relaxation, Proximity):
        weights = torch.softmax((design.detach() + noise) / 0.5, 0)
        if getattr(relaxation, "hard", True):
            weights = torch.zeros_like(weights).scatter_(0, weights.argmax(0, keepdim=True), 1)
        torch.testing.assert_close(made.detach(), mixed(weights, table, "complex"))
    made.real.sum().backward()
    assert design.grad is not None
    assert design.grad.abs().max() > 1e-3


def test_nearness_at_two_wavelengths_uses_them(monkeypatch: pytest.MonkeyPatch) -> None:
    first = device(4)
    table, design = replace(first, others=(replace(first, values=first.values.conj()),)), normal(4, 2, 3)
    monkeypatch.setattr(proximity, "by_kernel", lambda device: False)
    plain = Proximity().chosen_levels(design, table)
    monkeypatch.setattr(proximity, "by_kernel", lambda device: True)
    monkeypatch.setattr(proximity, "NearAtEach", None)
    assert torch.equal(Proximity().chosen_levels(design, table), plain)
    hard = Proximity(hard=True).modulation(design, table, 0.5, generator())
    assert torch.equal(hard, table.over(lambda one: one.values[plain]))


@pytest.mark.parametrize("relaxation", RELAXATIONS, ids=repr)
def test_a_temperature_may_be_a_tensor(relaxation: Relaxation) -> None:
    table, gradients = device(8), []
    for temperature in (0.25, torch.tensor(0.25, device=DEVICE)):
        design = normal(2 if isinstance(relaxation, Proximity) else 8, 3, 4).requires_grad_()
        relaxation.modulation(design, table, temperature, generator()).abs().square().sum().backward()
        gradients.append(design.grad)
    torch.testing.assert_close(*gradients, rtol=1e-12, atol=1e-14)


@pytest.mark.skipif(DEVICE.type != "cuda", reason="needs a GPU: only CUDA has graphs")
@pytest.mark.parametrize("relaxation", [GumbelSoftmax(), Proximity()], ids=repr)
def test_a_recorded_graph_draws_anew_and_finds_another_temperature(relaxation: Relaxation) -> None:
    table, temperature, source = device(8, torch.float32), torch.tensor(1.0, device=DEVICE), generator()
    design = normal(2 if isinstance(relaxation, Proximity) else 8, 16, 16, dtype=torch.float32).requires_grad_()

    def step() -> tuple[Tensor, Tensor]:
        made = relaxation.modulation(design, table, temperature, source)
        return made.detach(), torch.autograd.grad(made.real.sum(), design)[0]

    torch.cuda.synchronize()
    with torch.cuda.stream(torch.cuda.Stream()):
        step()
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    graph.register_generator_state(source)
    with torch.cuda.graph(graph):
        made, gradient = step()
    found = []
    for value in (1.0, 1.0, 1e-3):
        temperature.fill_(value)
        graph.replay()
        found.append((made.clone(), gradient.abs().median().item()))
    assert torch.equal(found[0][0], found[1][0]) == isinstance(relaxation, Proximity)
    assert found[2][1] < found[1][1] / 1e3


def test_a_gpu_takes_all_pixels_at_once() -> None:
    assert list(sample_states.pixel_blocks(784, 40_000, torch.device("cuda"))) == [slice(0, 40_000)]
