from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from typer.testing import CliRunner, Result

from voltphase.cli import app
from voltphase.codesign import (
    CodesignLayer,
    Nearest,
    PostTraining,
    QuantizationAware,
    StateTable,
    Unconstrained,
)
from voltphase.config import load_config
from voltphase.core.errors import ConfigError
from voltphase.devices import DevicePanel, DeviceStates, fit_response
from voltphase.devices.models import model

SLM = model("tn-slm").pick(8)
TABLE = StateTable.of(SLM, torch.complex128)
SENSES: tuple[Nearest, ...] = ("control", "complex")
GENERATOR = torch.Generator()


def random_states(k: int, seed: int) -> DeviceStates:
    """Unsorted, with whole turns too many, some states dark and some repeated."""
    random = np.random.default_rng(seed)
    amplitude, phase = random.uniform(0.2, 1, k), random.uniform(-9, 9, k)
    amplitude[random.random(k) < 0.2] = 0
    amplitude[0] = 0.7
    repeated = random.random(k) < 0.2
    amplitude[repeated], phase[repeated] = amplitude[0], phase[0]
    return DeviceStates(random.permutation(4 * k)[:k] / 8, amplitude, phase, "random")


def designs(seed: int, shape: tuple[int, int] = (6, 7)) -> Tensor:
    """Control values of which about half lie beyond the ends."""
    return 4 * torch.rand((1, *shape), generator=torch.Generator().manual_seed(seed), dtype=torch.float64) - 2


def train_modulation(relaxation: PostTraining | QuantizationAware | Unconstrained, design: Tensor) -> Tensor:
    return relaxation.modulation(design, TABLE, 1.0, GENERATOR)


def folded(design: Tensor) -> Tensor:
    """Where a design between -3 and 3 lies, in units that make the range -1 to 1."""
    return torch.where(design > 1, 2 - design, torch.where(design < -1, -2 - design, design))


def response(design: Tensor, order: int | None = None) -> Tensor:
    """The fitted response, by its numpy twin."""
    low, high = SLM.control.min(), SLM.control.max()
    control = low + (high - low) * (folded(design[0]).detach().numpy() + 1) / 2
    amplitude, phase = fit_response(SLM, order).at(control)
    return torch.from_numpy(amplitude * np.exp(1j * phase))


@pytest.mark.parametrize("order", [None, 1, 3, 7])
def test_light_in_ptq_training_sees_the_fitted_response_with_its_exact_gradient(order: int | None) -> None:
    relaxation, design = PostTraining(order=order), designs(1)
    torch.testing.assert_close(train_modulation(relaxation, design), response(design, order), rtol=0, atol=1e-12)
    assert torch.autograd.gradcheck(lambda d: train_modulation(relaxation, d), (design.requires_grad_(),))


def test_the_gradient_is_exact_where_a_fitted_amplitude_dips_below_zero() -> None:
    states = DeviceStates(np.arange(4.0), np.array([1.0, 0, 0, 0.1]), np.array([0, 1.0, 2, 3]), "dips")
    table, design = StateTable.of(states, torch.complex128), designs(2).requires_grad_()
    relaxation = PostTraining(order=2)
    assert fit_response(states, 2).at(np.linspace(0, 3, 50))[0].min() < -0.01
    assert torch.autograd.gradcheck(lambda d: relaxation.modulation(d, table, 1.0, GENERATOR), (design,))


@pytest.mark.parametrize("kind", [PostTraining, QuantizationAware])
def test_no_control_value_freezes_a_pixel(kind: type[PostTraining | QuantizationAware]) -> None:
    # At both ends, beyond them, and far beyond: always a control value of the device, and a gradient of the slope that
    # the response has there.
    design = torch.tensor([[[-1.0, 1.0, -1.3, 1.3, 17.0, -1e3]]], dtype=torch.float64, requires_grad=True)
    relaxation = kind()
    train_modulation(relaxation, design).angle().sum().backward()
    assert design.grad is not None
    same = torch.tensor([[[-1.0, 1.0, -0.7, 0.7, 1.0, 0.0]]], dtype=torch.float64, requires_grad=True)
    train_modulation(relaxation, same).angle().sum().backward()
    assert same.grad is not None
    torch.testing.assert_close(design.grad.abs(), same.grad.abs(), rtol=1e-9, atol=0)
    assert design.grad.abs().min() > 0.01
    # Descent from beyond an end goes the way descent from within goes: towards the same control values.
    assert torch.equal(design.grad[0, 0, 2:4].sign(), -same.grad[0, 0, 2:4].sign())


def test_descent_holds_a_pixel_at_the_end_it_is_pulled_to_and_lets_it_go() -> None:
    relaxation, rate = PostTraining(order=1), 0.01
    design = torch.full((1, 1, 1), 0.5, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.SGD([design], lr=rate)

    def descend(towards: Tensor, steps: int) -> float:
        for _ in range(steps):
            optimizer.zero_grad()
            train_modulation(relaxation, design).sub(towards).abs().square().sum().backward()
            optimizer.step()
        return float(folded(design.detach()))

    end, start = (response(torch.full((1, 1, 1), x, dtype=torch.float64), 1) for x in (1.0, 0.6))
    beyond = end * (end / start)
    # The pull is at most 4 radians' worth of a gradient: it stays within a step or two of the end.
    assert descend(beyond, 100) > 1 - 2 * 4 * rate
    assert descend(start, 400) == pytest.approx(0.6, abs=1e-3)


@pytest.mark.parametrize("nearest", SENSES)
@settings(max_examples=40)
@given(k=st.integers(2, 40), seed=st.integers(0, 2**32 - 1))
def test_light_in_qat_training_sees_the_states_of_evaluation(nearest: Nearest, k: int, seed: int) -> None:
    device = random_states(k, seed)
    table, design = StateTable.of(device, torch.complex128), designs(seed)
    relaxation = QuantizationAware(nearest)
    seen = relaxation.modulation(design, table, 1.0, GENERATOR)
    assert (seen[..., None] - torch.from_numpy(device.values())).abs().amin(-1).max() == 0
    levels = relaxation.chosen_levels(design, table)
    assert torch.equal(seen, table.values[levels])
    assert torch.equal(levels, PostTraining(nearest).chosen_levels(design, table))


@pytest.mark.parametrize("nearest", SENSES)
def test_the_gradient_of_qat_is_that_of_the_response_at_the_control_value_before_rounding(nearest: Nearest) -> None:
    probe = torch.randn(6, 7, dtype=torch.complex128, generator=torch.Generator().manual_seed(3))
    design = designs(4).requires_grad_()
    (train_modulation(QuantizationAware(nearest), design) * probe).sum().real.backward()
    # Written out: slope of the fold, times the derivative of a(x) exp(i p(x)) by its polynomials.
    fit, x = fit_response(SLM), folded(design.detach())[0].numpy()
    a, p = (np.polynomial.Chebyshev(each) for each in (fit.amplitude, fit.phase))
    slope = (a.deriv()(x) + 1j * a(x) * p.deriv()(x)) * np.exp(1j * p(x))
    side = np.where(design.detach()[0].abs().numpy() > 1, -1, 1)
    assert design.grad is not None
    np.testing.assert_allclose(design.grad[0].numpy(), side * (probe.numpy() * slope).real, rtol=1e-9, atol=1e-11)


@settings(max_examples=40)
@given(k=st.integers(2, 40), seed=st.integers(0, 2**32 - 1))
def test_rounding_takes_the_nearest_state(k: int, seed: int) -> None:
    device = random_states(k, seed)
    table, design = StateTable.of(device, torch.complex128), designs(seed)
    fit = fit_response(device)
    low, high = fit.control_range
    control = low + (high - low) * (folded(design[0]).numpy() + 1) / 2
    along = np.abs(control[..., None] - device.control)
    by_control = PostTraining("control").chosen_levels(design, table).numpy()
    np.testing.assert_allclose(np.take_along_axis(along, by_control[..., None], -1)[..., 0], along.min(-1), atol=1e-9)
    amplitude, phase = fit.at(control)
    apart = np.abs((amplitude * np.exp(1j * phase))[..., None] - device.values())
    by_plane = PostTraining("complex").chosen_levels(design, table).numpy()
    np.testing.assert_allclose(np.take_along_axis(apart, by_plane[..., None], -1)[..., 0], apart.min(-1), atol=1e-9)


def test_of_equal_states_the_one_nearest_in_control_value_is_taken() -> None:
    device = DeviceStates(np.arange(5.0), np.array([1, 0.5, 1, 0.5, 1]), np.array([0, 1, 0, 1, 2 * np.pi]), "repeats")
    table = StateTable.of(device, torch.complex128)
    relaxation = PostTraining("complex", order=4)
    levels = torch.arange(5)[None]
    design = relaxation.design_for(levels, table)
    assert torch.equal(relaxation.chosen_levels(design, table), levels)
    tie = torch.tensor([[[-0.75]]], dtype=torch.float64)
    assert PostTraining("control").chosen_levels(tie, table).item() == 0
    assert PostTraining("control").chosen_levels(-tie, table).item() == 3


@settings(max_examples=40)
@given(k=st.integers(2, 40), seed=st.integers(0, 2**32 - 1), double=st.booleans())
def test_levels_that_are_set_are_the_levels_in_use(k: int, seed: int, double: bool) -> None:
    dtype = torch.complex128 if double else torch.complex64
    layer = CodesignLayer((5, 8), random_states(k, seed), relaxation=QuantizationAware(), dtype=dtype)
    wanted = torch.from_numpy(np.random.default_rng(seed).integers(0, k, (5, 8)))
    layer.set_levels(wanted)
    assert torch.equal(layer.levels(), wanted)
    assert torch.equal(layer.eval().modulation(), layer.table.values[wanted])


@settings(max_examples=10)
@given(k=st.integers(2, 40), seed=st.integers(0, 2**32 - 1))
def test_on_the_complex_plane_levels_are_held_or_refused(k: int, seed: int) -> None:
    layer = CodesignLayer((2, 3), random_states(k, seed), relaxation=PostTraining("complex"), seed=seed)
    for level, attainable in enumerate(layer.attainable()[:, 0, 0]):
        wanted = torch.full((2, 3), level)
        if attainable:
            layer.set_levels(wanted)
            assert torch.equal(layer.levels(), wanted)
        else:
            with pytest.raises(ConfigError) as caught:
                layer.set_levels(wanted)
            assert str(caught.value) == (
                f"expected levels that a design can stand for, but PostTraining(nearest='complex', order=None) finds "
                f"none for level {level}: set other levels, or train with another relaxation"
            )


@pytest.mark.parametrize("relaxation", [PostTraining(), QuantizationAware("complex", 3)], ids=repr)
@pytest.mark.parametrize(
    "control",
    [8e7 + np.arange(8), 1e-46 * np.arange(8), np.array([0, 1e-9, *range(1, 7)])],
    ids=["far from zero", "near zero", "near one another"],
)
def test_control_values_may_be_nearer_to_one_another_than_single_precision_tells(
    relaxation: PostTraining, control: np.ndarray
) -> None:
    wanted = torch.arange(8).view(2, 4)
    layer = CodesignLayer((2, 4), DeviceStates(control, SLM.amplitude, SLM.phase, "counter"), relaxation=relaxation)
    layer.set_levels(wanted)
    assert torch.equal(layer.levels(), wanted)


def test_a_level_that_a_pixel_is_at_may_be_set_whether_or_not_it_is_known_how_to_get_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    layer = CodesignLayer((20, 20), SLM, relaxation=PostTraining("complex"))
    monkeypatch.setattr(PostTraining, "design_for", lambda *_: torch.full((1, 20, 20), torch.nan))
    before = layer.levels()
    layer.set_levels(before)
    assert torch.equal(layer.levels(), before)


def test_every_level_of_a_response_that_is_followed_closely_is_held_on_the_complex_plane() -> None:
    wanted = torch.arange(8).view(2, 4)
    for table in (TABLE, StateTable.of(SLM)):
        relaxation = PostTraining("complex")
        assert torch.equal(relaxation.chosen_levels(relaxation.design_for(wanted, table), table), wanted)


def test_the_response_is_fitted_once_for_each_table_and_again_when_it_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    fits = []

    def counted(states: DeviceStates, order: int | None = None) -> object:
        fits.append(states.digest)
        return fit_response(states, order)

    monkeypatch.setattr("voltphase.codesign.relaxations.rounded.fit_response", counted)
    layers = [CodesignLayer((3, 4), random_states(k, k), relaxation=PostTraining()) for k in (5, 6)]
    for _ in range(3):
        for layer in layers:
            layer.train().modulation()
            layer.eval().modulation()
    assert len(fits) == 2
    before = layers[0].train().modulation()
    layers[0].table.amplitude.mul_(0.5)
    torch.testing.assert_close(layers[0].modulation(), 0.5 * before)
    assert len(fits) == 3


def test_a_layer_first_seen_in_inference_mode_can_be_trained() -> None:
    layer = CodesignLayer((3, 4), random_states(7, 1), relaxation=PostTraining())
    with torch.inference_mode():
        layer.eval().modulation()
    layer.train().modulation().abs().sum().backward()
    assert layer.design.grad is not None


@pytest.mark.parametrize("relaxation", [PostTraining(), QuantizationAware("complex")], ids=repr)
def test_pixels_of_a_panel_follow_the_response_of_their_own_table(relaxation: PostTraining) -> None:
    tables = tuple(
        DeviceStates(SLM.control, scale * SLM.amplitude, SLM.phase + shift, "part")
        for scale, shift in ((1.0, 0.0), (0.5, 0.4))
    )
    regions = np.tile([0, 1, 1, -1], (3, 2))
    layer = CodesignLayer(
        regions.shape, DevicePanel(tables, regions, inactive_value=0.25), relaxation=relaxation, dtype=torch.complex128
    )
    seen, evaluated = layer.train().modulation().detach(), layer.eval().modulation()
    for region, states in enumerate(tables):
        alone = CodesignLayer(regions.shape, states, relaxation=relaxation, dtype=torch.complex128)
        alone.load_state_dict(layer.state_dict(), strict=False)
        there = torch.from_numpy(regions == region)
        torch.testing.assert_close(seen[there], alone.train().modulation().detach()[there])
        assert torch.equal(evaluated[there], alone.eval().modulation()[there])
    assert (seen[torch.from_numpy(regions == -1)] == 0.25).all()


def test_free_phases_have_amplitude_one_an_exact_gradient_and_are_what_is_evaluated() -> None:
    relaxation = Unconstrained()
    layer = CodesignLayer((5, 6), SLM, relaxation=relaxation, gain=1.5, seed=2, dtype=torch.complex128)
    expected = 1.5 * torch.exp(1j * layer.design[0])
    torch.testing.assert_close(layer.train().modulation(), expected)
    torch.testing.assert_close(layer.eval().modulation(), expected)
    assert torch.equal(layer.modulation(), layer.modulation())
    assert layer.draws == 1
    assert torch.autograd.gradcheck(lambda d: train_modulation(relaxation, d), (designs(5).requires_grad_(),))


def test_free_phases_have_no_levels() -> None:
    layer = CodesignLayer((2, 3), SLM, relaxation=Unconstrained())
    for refused in (layer.levels, lambda: layer.set_levels(torch.zeros(2, 3, dtype=torch.int64))):
        with pytest.raises(ConfigError, match=r"^expected pixels in states of a device, but unconstrained phases have"):
            refused()


def test_an_unknown_sense_of_nearest_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"^expected nearest out of control, complex, but got 'euclid'$"):
        PostTraining("euclid")  # pyright: ignore[reportArgumentType]


def named(*keys: str) -> list[str]:
    return [f"codesign.relaxation.{setting}" for setting in keys]


def test_baselines_by_name() -> None:
    def built(*keys: str) -> object:
        return load_config("digits", named(*keys)).codesign.relaxation.build()

    assert built("name=ptq") == PostTraining("control", None)
    assert built("name=ptq", "nearest=complex", "order=4") == PostTraining("complex", 4)
    assert built("name=qat", "nearest=complex") == QuantizationAware("complex")
    assert built("name=unconstrained") == Unconstrained()


@pytest.mark.parametrize(
    ("keys", "sentence"),
    [
        (["nearest=complex"], "codesign.relaxation.nearest is of ptq and qat, not of proximity"),
        (["name=unconstrained", "order=3"], "codesign.relaxation.order is of ptq and qat, not of unconstrained"),
    ],
)
def test_rounding_is_refused_where_nothing_is_rounded(keys: list[str], sentence: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config("digits", named(*keys))
    assert sentence in str(caught.value)


def call(*words: str | Path) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words], terminal_width=80)


def train(out: Path, *keys: str) -> dict[str, object]:
    tiny = ["optics.size=16", "optics.depth=2", "optics.distances=0.02", "data.train_limit=100", "data.test_limit=50"]
    quick = ["training.batch_size=50", "training.epochs=2", "training.learning_rate=0.05"]
    words = [word for setting in (*tiny, *quick, *named(*keys)) for word in ("--set", setting)]
    result = call("train", "digits", *words, "--out", out)
    assert result.exit_code == 0, result.output
    return json.loads((out / "summary.json").read_text())


@pytest.mark.parametrize("keys", [["name=ptq"], ["name=qat", "nearest=complex", "order=4"]], ids=" ".join)
def test_rounded_networks_train_and_deploy_like_any_other(keys: list[str], tmp_path: Path) -> None:
    run, bench = tmp_path / "run", tmp_path / "bench"
    summary = train(run, *keys)
    assert summary["deployable"] is True
    fit = fit_response(SLM, 4 if "order=4" in keys else None)
    devices = summary["devices"]
    assert isinstance(devices, list)
    assert [device["response"]["order"] for device in devices] == [fit.order] * 2
    assert devices[0]["response"]["error"] == pytest.approx(fit.error, rel=1e-4)
    assert call("deploy", run, "--out", bench).exit_code == 0
    verified = call("verify", bench)
    assert verified.exit_code == 0, verified.output
    assert f"accuracy {summary['test_accuracy']:.4f} from the files" in verified.output


def test_a_ceiling_is_trained_and_evaluated_but_neither_deployed_nor_drawn(tmp_path: Path) -> None:
    run = tmp_path / "run"
    summary = train(run, "name=unconstrained")
    assert summary["deployable"] is False
    evaluated = call("evaluate", run)
    assert evaluated.exit_code == 0, evaluated.output
    assert evaluated.stdout.startswith(f"test accuracy {summary['test_accuracy']:.4f}: ")
    assert "of free phases: a ceiling, which no device can be set to\n" in evaluated.stdout
    for words in (["deploy", run, "--out", tmp_path / "bench"], ["report", run]):
        refused = call(*words)
        assert refused.exit_code == 2
        assert refused.stderr == (
            "error: expected pixels in states of a device, but unconstrained phases have no levels: they are a ceiling "
            "to compare accuracies with, train with another codesign.relaxation for a device\n"
        )
    assert not (tmp_path / "bench").exists()
