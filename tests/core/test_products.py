"""No matrix product in single precision runs as whatever the process happens to have set."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

import voltphase
from voltphase import DONN, Grid, ImageSource, Propagator, RegionReadout, Regions
from voltphase.codesign import (
    Proximity,
    Relaxation,
    Unconstrained,
)
from voltphase.core.installed import triton_obstacle
from voltphase.devices import tn_slm
from voltphase.optics import SourceLight
from voltphase.optics.backends import BACKENDS
from voltphase.tasks import Classification, all_outputs
from voltphase.training.refine.search import refine

PRODUCTS = {"mm", "bmm", "addmm", "addmm_", "baddbmm", "baddbmm_", "mv", "addmv", "addmv_", "dot", "vdot", "addr"}
ROUNDED = {torch.float32, torch.complex64}
GRID = Grid(16, 36e-6)
SOURCE = Path(voltphase.__file__).parent


class Watched(TorchDispatchMode):
    """Counts matrix products in single precision, and refuses those that the process's settings would round."""

    def __init__(self) -> None:
        super().__init__()
        self.products = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func.overloadpacket.__name__ in PRODUCTS and args[0].dtype in ROUNDED:
            self.products += 1
            assert torch._C._get_fp32_precision_getter("mkldnn", "matmul") in ("ieee", "none"), func
        return func(*args, **(kwargs or {}))


@contextmanager
def watched(least: int = 1) -> Iterator[Watched]:
    torch.set_float32_matmul_precision("medium")
    try:
        with Watched() as mode:
            yield mode
    finally:
        torch.set_float32_matmul_precision("highest")
        backends: Any = torch.backends
        backends.cuda.matmul.fp32_precision = backends.mkldnn.matmul.fp32_precision = "none"
    assert mode.products >= least


def images() -> Tensor:
    return torch.arange(3 * 64).view(3, 8, 8).to(torch.uint8)


def network(relaxation: Relaxation, backend: str = "auto", method: str = "fresnel", measure: Any = "fraction") -> DONN:
    return DONN(
        grid=GRID,
        wavelength=532e-9,
        distances=0.05,
        devices=[tn_slm(4)] * 2,
        task=Classification(measure=measure),
        image_shape=(8, 8),
        relaxation=relaxation,
        method=method,
        backend=backend,
    )


def trained_and_asked(model: DONN) -> None:
    labels = torch.tensor([1, 2, 3])
    model.task.compute_loss(model.train()(images()), labels).backward()
    all_outputs(model, images())
    model.eval().planes(images())
    refine(model, images(), labels, loss=model.task.compute_loss, evaluations=4)


def test_training_and_evaluation_with_any_relaxation(relaxation_of_states: Relaxation) -> None:
    model = network(relaxation_of_states)
    with watched(least=20):
        trained_and_asked(model)


@pytest.mark.parametrize("measure", ["fraction", "amplitude"])
@pytest.mark.parametrize("method", ["fresnel", "angular-spectrum"])
@pytest.mark.parametrize("backend", sorted(set(BACKENDS) - {"literal", "cuda"}))
@pytest.mark.filterwarnings("ignore::voltphase.optics.SamplingWarning")
def test_training_and_evaluation_by_any_back_end(backend: str, method: str, measure: str) -> None:
    model = network(Proximity(), backend, method, measure)
    with watched(least=8):
        trained_and_asked(model)


def test_training_and_evaluation_by_the_back_end_for_gpus() -> None:
    if obstacle := triton_obstacle("cpu"):
        pytest.skip(f"without a GPU {obstacle}")
    model = network(Proximity(), "cuda")
    with watched(least=8):
        model.train()(images()).square().sum().backward()
        model.eval()(images())


def test_what_goes_on_without_levels() -> None:
    model = network(Unconstrained())
    with watched():
        model(images()).square().sum().backward()
        model.eval()(images())


def test_the_parts_of_a_network_by_themselves() -> None:
    propagator = Propagator(GRID, wavelength=532e-9, distance=0.05, engine="matrix")
    source = ImageSource(GRID, (8, 8), light=SourceLight("both"))
    readout = RegionReadout(Regions.paper(16), "sum", 1.0)
    given = torch.rand(2, 8, 8, requires_grad=True)
    with watched(least=12):
        logits = readout(propagator(source(given)))
        logits.square().sum().backward(retain_graph=True)
        propagator.adjoint(propagator(source(given))).abs().sum().backward()
        readout.counted()


def test_no_generator_yields_to_others_inside_of_a_block() -> None:
    """While a generator waits, whoever asked it for its next value would compute as the block does."""
    blocks = ("matrix_products(", "exact_products(", "standard_torch(", "no_autocast(", "no_grad(", "inference_mode(")
    found = [
        f"{path.name}: {function.name}"
        for path in SOURCE.rglob("*.py")
        for function in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(function, ast.FunctionDef) and "contextmanager" not in map(ast.unparse, function.decorator_list)
        for block in ast.walk(function)
        if isinstance(block, ast.With) and any(name in ast.unparse(item) for item in block.items for name in blocks)
        if any(isinstance(node, ast.Yield | ast.YieldFrom) for node in ast.walk(block))
    ]
    assert found == []
