"""Whatever a process has set in PyTorch: the same results, or one sentence; and it stays as it was."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor

from voltphase import DONN, Grid, ImageSource, Propagator, RegionReadout, Regions
from voltphase.codesign import (
    GumbelSoftmax,
    Proximity,
    ReinMax,
    Relaxation,
)
from voltphase.core.errors import ConfigError
from voltphase.devices import tn_slm
from voltphase.optics import Aperture, ThinLens, gaussian_beam, plane_wave, point_source
from voltphase.tasks import Classification, all_outputs

SIZE, WAVELENGTH = 16, 532e-9
GRID = Grid(SIZE, 36e-6)


def images() -> Tensor:
    return torch.arange(3 * 64, device="cpu").view(3, 8, 8).to(torch.uint8)


def network(relaxation: Relaxation | None = None, method: str = "fresnel", pairs: bool = True) -> DONN:
    return DONN(
        grid=GRID,
        wavelength=WAVELENGTH,
        distances=0.05,
        devices=[tn_slm(4)] * 2,
        task=Classification(differential=pairs),
        image_shape=(8, 8),
        method=method,
        relaxation=relaxation,
    )


def trained(model: DONN) -> list[Tensor]:
    """Logits in training and in evaluation, and all gradients."""
    logits = model.train()(images())
    with torch.autocast("cpu", enabled=False):  # as PyTorch asks for losses and gradients
        torch.nn.functional.cross_entropy(logits, torch.tensor([1, 2, 3], device="cpu")).backward()
    gradients = [p.grad for p in model.parameters() if p.grad is not None]
    return [logits.detach(), *gradients, model.eval()(images()).detach()]


def evaluated(model: DONN) -> list[Tensor]:
    return [model.eval()(images()).detach()]


@contextmanager
def default_dtype(dtype: torch.dtype) -> Iterator[None]:
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


@contextmanager
def deterministic() -> Iterator[None]:
    torch.set_deterministic_debug_mode("error")
    try:
        yield
    finally:
        torch.set_deterministic_debug_mode("default")


@contextmanager
def matmul(precision: str) -> Iterator[None]:
    torch.set_float32_matmul_precision(precision)
    try:
        yield
    finally:
        torch.set_float32_matmul_precision("highest")
        backends: Any = torch.backends
        backends.cuda.matmul.fp32_precision = backends.mkldnn.matmul.fp32_precision = "none"


@contextmanager
def threads(count: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


SURROUNDINGS: dict[str, Callable[[], Any]] = {
    "float64 by default": partial(default_dtype, torch.float64),
    "bfloat16 by default": partial(default_dtype, torch.bfloat16),
    "meta by default": partial(torch.device, "meta"),
    "deterministic algorithms": deterministic,
    "anomaly detection": torch.autograd.detect_anomaly,
    "autocast": partial(torch.autocast, "cpu", dtype=torch.bfloat16),
    "medium products": partial(matmul, "medium"),
    "high products": partial(matmul, "high"),
}


@pytest.mark.parametrize("surroundings", SURROUNDINGS)
@pytest.mark.filterwarnings("ignore:Anomaly Detection")
def test_training_is_the_same_bit_for_bit(any_relaxation: Relaxation, surroundings: str) -> None:
    expected = trained(network(any_relaxation))
    with SURROUNDINGS[surroundings]():
        found = trained(network(any_relaxation))
    for one, other in zip(found, expected, strict=True):
        assert one.dtype == other.dtype
        assert torch.equal(one, other)


@pytest.mark.parametrize("surroundings", [*SURROUNDINGS, "inference mode", "no gradients"])
@pytest.mark.parametrize(("method", "pairs"), [("fresnel", False), ("angular-spectrum", True)])
@pytest.mark.filterwarnings("ignore:Anomaly Detection", "ignore::voltphase.optics.SamplingWarning")
def test_evaluation_is_the_same_bit_for_bit(method: str, pairs: bool, surroundings: str) -> None:
    others = {"inference mode": torch.inference_mode, "no gradients": torch.no_grad}
    expected = evaluated(network(method=method, pairs=pairs))
    with (SURROUNDINGS | others)[surroundings]():
        model = network(method=method, pairs=pairs)
        found = evaluated(model)
    assert torch.equal(found[0], expected[0])
    assert all(parameter.requires_grad and not parameter.is_inference() for parameter in model.parameters())


def test_gradients_inside_of_autocast_too(any_relaxation: Relaxation) -> None:
    def gradients() -> list[Tensor | None]:
        model = network(any_relaxation)
        model(images()).square().sum().backward()
        return [parameter.grad for parameter in model.parameters()]

    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = gradients()
    for one, other in zip(found, gradients(), strict=True):
        assert one is not None
        assert other is not None
        assert torch.equal(one, other)


@pytest.mark.parametrize("surroundings", ["float64 by default", "meta by default", "autocast"])
def test_light_is_the_same_bit_for_bit(surroundings: str) -> None:
    def light() -> list[Tensor]:
        propagator = Propagator(GRID, wavelength=WAVELENGTH, distance=0.1)
        field = ImageSource(GRID, (8, 8))(images())
        pair = propagator.matrices()
        assert pair is not None
        assert propagator.explain().limits
        return [
            propagator(field),
            propagator.adjoint(field),
            *pair,
            plane_wave(GRID, wavelength=WAVELENGTH),
            gaussian_beam(GRID, wavelength=WAVELENGTH, waist=1e-4),
            point_source(GRID, wavelength=WAVELENGTH, distance=0.5),
            ThinLens(GRID, wavelength=WAVELENGTH, focal_length=0.3)(field),
            Aperture(GRID, diameter=2e-4)(field),
            RegionReadout(Regions.paper(SIZE), "amplitude", 2.0)(field),
        ]

    expected = light()
    with SURROUNDINGS[surroundings]():
        found = light()
    for one, other in zip(found, expected, strict=True):
        assert one.dtype == other.dtype
        assert torch.equal(one, other)


def test_the_global_generator_is_neither_used_nor_changed() -> None:
    torch.manual_seed(1)
    before = torch.get_rng_state()
    first = trained(network())
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(2)
    for one, other in zip(first, trained(network()), strict=True):
        assert torch.equal(one, other)


def test_more_threads_draw_the_same_states() -> None:
    first = trained(network())
    with threads(2):
        for one, other in zip(first, trained(network()), strict=True):
            torch.testing.assert_close(one, other)


def test_what_is_set_while_a_network_is_made_is_as_it_was_after_an_error() -> None:
    with default_dtype(torch.float64), torch.device("meta"), torch.inference_mode():
        with pytest.raises(ConfigError):
            network(relaxation="soft")  # pyright: ignore[reportArgumentType]
        assert torch.get_default_dtype() == torch.float64
        assert torch.get_default_device().type == "meta"
        assert torch.is_inference_mode_enabled()


def test_a_compiled_network_is_the_same_bit_for_bit() -> None:
    compiled: Any = torch.compile(network(), backend="eager")
    for one, other in zip(trained(compiled), trained(network()), strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize("relaxation", [GumbelSoftmax(), ReinMax(), Proximity()], ids=str)
def test_transforms_of_functions_are_refused_in_a_sentence(relaxation: Relaxation) -> None:
    model = network(relaxation)
    real = images() / 255
    for transformed in (
        lambda: torch.func.vmap(model)(real[None]),
        lambda: torch.func.jacrev(model)(real),
        lambda: torch.func.grad(lambda parameters: torch.func.functional_call(model, parameters, (real,)).sum())(
            dict(model.named_parameters())
        ),
        lambda: torch.func.jvp(model.eval(), (real,), (real,)),
    ):
        with pytest.raises(ConfigError, match=r"outside of torch\.func's transforms"):
            transformed()
    plain = torch.func.functional_call(model, dict(model.named_parameters()), (real,))
    assert torch.equal(plain, model(real))


def test_second_derivatives_are_refused_instead_of_being_zero() -> None:
    model, real = network().eval(), images() / 255
    with pytest.raises(ConfigError, match="first derivatives"):
        torch.autograd.functional.hessian(lambda x: model(x).square().sum(), real)
    with pytest.raises(ConfigError, match="one number at a time"):
        torch.autograd.functional.jacobian(model, real, vectorize=True)
    jacobian = torch.autograd.functional.jacobian(model, real)
    assert isinstance(jacobian, Tensor)
    assert jacobian.shape == (3, 10, 3, 8, 8)


def test_evaluation_leaves_each_part_in_the_mode_it_was_in() -> None:
    model = network().train()
    model.readout.eval()
    all_outputs(model, images())
    assert model.training
    assert not model.readout.training
