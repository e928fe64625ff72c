from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from voltphase.codesign import Proximity, StateTable
from voltphase.codesign.relaxations.proximity import spacing
from voltphase.core.errors import ConfigError

TEMPERATURE = 0.7
EVERY = [Proximity(hard=True), Proximity(hard=False)]


def generator(seed: int = 3) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def table_of(amplitude: list[float] | torch.Tensor, phase: list[float] | torch.Tensor) -> StateTable:
    amplitude, phase = (torch.as_tensor(column, dtype=torch.float64) for column in (amplitude, phase))
    return StateTable(torch.arange(len(amplitude)), amplitude, phase, torch.polar(amplitude, phase))


def spiral(levels: int) -> StateTable:
    return table_of(torch.linspace(0.4, 1, levels), torch.linspace(0, 5.5, levels))


def points(shape: tuple[int, int], seed: int = 1) -> torch.Tensor:
    return 0.7 * torch.randn((2, *shape), dtype=torch.float64, generator=generator(seed))


def weights_of(design: torch.Tensor, table: StateTable, temperature: float) -> torch.Tensor:
    """The weights of the definition, ``levels x rows x columns``, for plain autograd."""
    apart = torch.complex(design[0], design[1]) - table.values[:, None, None]
    scores = -apart.abs().square() / (2 * spacing(table.values) ** 2)
    return torch.softmax(scores / temperature, 0)


@st.composite
def tables(draw: st.DrawFn) -> StateTable:
    """Two to 784 states with ties, duplicates and amplitudes of zero, on a coarse grid so that they do come."""
    levels = draw(st.integers(2, 12) | st.sampled_from([64, 256, 784]))
    steps = draw(st.integers(1, 16))
    source = generator(draw(st.integers(0, 1 << 30)))
    amplitude = torch.randint(steps + 1, (levels,), generator=source) / steps
    return table_of(amplitude, torch.randint(8, (levels,), generator=source) * (math.pi / 4))


@given(table=tables(), seed=st.integers(0, 1 << 30))
@settings(max_examples=60, deadline=None)
def test_a_hard_value_is_the_state_of_the_level(table: StateTable, seed: int) -> None:
    relaxation = Proximity(hard=True)
    design = relaxation.initial(table, (4, 5), generator(seed)).requires_grad_()
    drawn = relaxation.modulation(design, table, TEMPERATURE, generator())
    assert torch.equal(drawn, table.values[relaxation.chosen_levels(design, table)])
    drawn.real.sum().backward()
    assert design.grad is not None
    assert design.grad.isfinite().all()


@given(table=tables(), seed=st.integers(0, 1 << 30))
@settings(max_examples=60, deadline=None)
def test_levels_are_the_nearest_states_the_first_of_equals(table: StateTable, seed: int) -> None:
    # Points on a coarse grid too, so that several states are often equally near.
    design = torch.randint(-3, 4, (2, 3, 4), generator=generator(seed)).double() / 2
    levels = Proximity().chosen_levels(design, table)
    for row in range(3):
        for column in range(4):
            x, y = design[:, row, column].tolist()
            apart = [(x - s.real) ** 2 + (y - s.imag) ** 2 for s in table.values.tolist()]
            assert levels[row, column] == apart.index(min(apart))


@given(table=tables(), seed=st.integers(0, 1 << 30))
@settings(max_examples=60, deadline=None)
def test_a_design_that_holds_levels_stands_for_their_states(table: StateTable, seed: int) -> None:
    levels = torch.randint(len(table), (4, 5), generator=generator(seed))
    held = Proximity().chosen_levels(Proximity().design_for(levels, table), table)
    assert torch.equal(table.values[held], table.values[levels])
    assert (held <= levels).all()


@pytest.mark.parametrize("relaxation", EVERY, ids=repr)
@pytest.mark.parametrize(("levels", "shape"), [(2, (3, 4)), (5, (3, 4)), (300, (40, 50))])
@pytest.mark.parametrize("temperature", [0.3, 20.0])
def test_value_and_gradient_are_those_of_the_definition(
    relaxation: Proximity, levels: int, shape: tuple[int, int], temperature: float
) -> None:
    # 2000 pixels of 300 levels are more than one piece.
    table, design = spiral(levels), points(shape).requires_grad_()
    probe = torch.complex(*points(shape, seed=2))
    made = relaxation.modulation(design, table, temperature, generator())
    weights = weights_of(design, table, temperature)
    mixed = (weights * table.values[:, None, None]).sum(0)
    expected = table.values[weights.argmax(0)] if relaxation.hard else mixed
    torch.testing.assert_close(made, expected, rtol=1e-11, atol=1e-12)
    gradient, wanted = (torch.autograd.grad((m * probe).real.sum(), design)[0] for m in (made, mixed))
    torch.testing.assert_close(gradient, wanted, rtol=1e-9, atol=1e-10)
    assert gradient.abs().max() > 1e-3


def test_a_soft_gradient_is_exact() -> None:
    def modulate(design: torch.Tensor) -> torch.Tensor:
        return Proximity(hard=False).modulation(design, spiral(5), TEMPERATURE, generator())

    assert torch.autograd.gradcheck(modulate, (points((3, 4)).requires_grad_(),))


def test_a_faint_gradient_is_not_lost_in_rounding() -> None:
    # Points on states: in single precision the other weights, down to 1e-20, vanish beside 1, and what would be left
    # of a covariance is rounding, to which Adam would give a full step.
    def gradient(dtype: torch.dtype) -> torch.Tensor:
        exact = spiral(8)
        values = exact.values.to(dtype.to_complex())
        table = StateTable(exact.control, exact.amplitude.to(dtype), exact.phase.to(dtype), values)
        design = Proximity().design_for(torch.arange(8)[None], table).requires_grad_()
        Proximity().modulation(design, table, 1 / 60, generator()).imag.sum().backward()
        assert design.grad is not None
        return design.grad.double()

    exact = gradient(torch.float64)
    assert exact.abs().min() < 1e-20
    # Rounding of exponents up to 60.
    torch.testing.assert_close(gradient(torch.float32), exact, rtol=1e-3, atol=0)


@pytest.mark.parametrize("relaxation", EVERY, ids=repr)
def test_what_is_kept_for_the_backward_pass_does_not_grow_with_the_levels(relaxation: Proximity) -> None:
    def kept(levels: int) -> int:
        numbers = []
        with torch.autograd.graph.saved_tensors_hooks(lambda x: numbers.append(x.numel()) or x, lambda x: x):
            relaxation.modulation(points((6, 7)).requires_grad_(), spiral(levels), TEMPERATURE, generator())
        return sum(numbers)

    assert kept(2) == kept(256) == 3 * 6 * 7


def test_every_level_is_tried_at_the_start() -> None:
    design = Proximity().initial(spiral(8), (20, 20), generator())
    assert len(Proximity().chosen_levels(design, spiral(8)).unique()) == 8


def test_the_spacing_is_the_spread_over_the_root_of_the_levels() -> None:
    # The four corners of a square of side 2 lie sqrt(2) from their mean: sqrt(2 / 4).
    square = torch.tensor([1 + 1j, 1 - 1j, -1 + 1j, -1 - 1j], dtype=torch.complex128)
    assert float(spacing(square)) == pytest.approx(math.sqrt(0.5))
    assert float(spacing(3 * square + 5)) == pytest.approx(3 * math.sqrt(0.5))
    assert float(spacing(torch.ones(3, dtype=torch.complex64))) == 1


def unsteady(levels: int = 64) -> StateTable:
    """Even phases, of which noise has lifted two: means of four readings that spread by 0.3."""
    amplitude, spread = torch.ones(levels, dtype=torch.float64), torch.full((levels,), 0.01, dtype=torch.float64)
    amplitude[[levels // 6, levels // 2]] = 1.15
    spread[[levels // 6, levels // 2]] = 0.3
    return replace(table_of(amplitude, torch.arange(levels) * (2 * math.pi / levels)), spread=spread)


@pytest.mark.parametrize("hard", [True, False])
def test_with_spread_value_and_gradient_are_those_of_the_mean_square_distance(hard: bool) -> None:
    table, design, relaxation = unsteady(), points((40, 50)).requires_grad_(), Proximity(hard=hard, spread=True)
    assert table.spread is not None
    probe = torch.complex(*points((40, 50), seed=2))
    apart = (torch.complex(design[0], design[1]) - table.values[:, None, None]).abs().square()
    scores = -(apart + table.spread.square()[:, None, None]) / (2 * spacing(table.values) ** 2)
    weights = torch.softmax(scores / TEMPERATURE, 0)
    mixed = (weights * table.values[:, None, None]).sum(0)
    made = relaxation.modulation(design, table, TEMPERATURE, generator())
    expected = table.values[scores.argmax(0)] if hard else mixed
    torch.testing.assert_close(made, expected, rtol=1e-11, atol=1e-12)
    assert torch.equal(relaxation.chosen_levels(design, table), scores.argmax(0))
    gradient, wanted = (torch.autograd.grad((m * probe).real.sum(), design)[0] for m in (made, mixed))
    torch.testing.assert_close(gradient, wanted, rtol=1e-9, atol=1e-10)


def test_with_spread_the_gradient_is_that_of_finite_differences() -> None:
    def modulate(design: torch.Tensor) -> torch.Tensor:
        return Proximity(spread=True).modulation(design, unsteady(7), TEMPERATURE, generator())

    assert torch.autograd.gradcheck(modulate, (points((3, 4)).requires_grad_(),))


def test_a_level_that_noise_favoured_is_the_best_of_fewer_pixels() -> None:
    # Pixels that want a little more light than steady states let through, each with a phase of its own.
    table = unsteady()
    wanted = torch.polar(torch.tensor(1.1, dtype=torch.float64), torch.linspace(0, 2 * math.pi, 400)[None].double())

    def share(relaxation: Proximity) -> float:
        design = relaxation.initial(table, (1, 400), generator()).requires_grad_()
        optimizer = torch.optim.Adam([design], 0.25 * relaxation.lr_unit(table))
        for step in range(150):
            optimizer.zero_grad()
            light = relaxation.modulation(design, table, 10 * 0.01 ** (step / 150), generator())
            (light - wanted).abs().square().sum().backward()
            optimizer.step()
        levels = relaxation.chosen_levels(design, table)
        return float(((levels == 64 // 6) | (levels == 32)).double().mean())

    # 9 % against 4.5 %; two of 64 levels are 3.1 %.
    assert share(Proximity()) > 0.08
    assert share(Proximity(spread=True)) < 0.06


def test_with_spread_what_no_point_is_nearest_to_is_not_held() -> None:
    table, relaxation = unsteady(), Proximity(spread=True)
    held = relaxation.design_for(torch.arange(64)[None], table)
    lost = held.isnan().any(0)[0]
    assert lost.nonzero().flatten().tolist() == [64 // 6, 32]
    assert torch.equal(relaxation.chosen_levels(held, table)[0][~lost], torch.arange(64)[~lost])
    assert not relaxation.initial(table, (20, 20), generator()).isnan().any()


def test_spread_is_asked_of_a_table_that_has_none() -> None:
    with pytest.raises(ConfigError, match="spread of repeated readings"):
        Proximity(spread=True).modulation(points((2, 2)), spiral(3), TEMPERATURE, generator())


@pytest.mark.parametrize("temperature", [0.0, -1.0, math.nan])
def test_a_temperature_that_is_not_above_zero_is_refused(temperature: float) -> None:
    with pytest.raises(ConfigError, match=f"expected a temperature above zero, but got {temperature}"):
        Proximity().modulation(points((2, 2)), spiral(3), temperature, generator())
