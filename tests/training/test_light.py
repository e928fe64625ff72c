"""Light beside answers: its share in the regions, the contrast margin, and what both are worth in the loss."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, optim

import voltphase as vp
from voltphase.optics import SourceLight
from voltphase.reporting import write_report
from voltphase.tasks import Classification, Image, Task
from voltphase.training import evaluate
from voltphase.training.evaluation import Tally
from voltphase.training.steps.learner import Learner

QUICK = ["optics.depth=2", "training.epochs=2", "data.train_limit=300", "data.test_limit=100", "training.batch_size=50"]
IMAGES = torch.randint(0, 256, (6, 8, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
BOXES = ((2, 3, 4, 5), (10, 20, 6, 6), (20, 4, 5, 5), (22, 20, 3, 8))

TASKS: dict[str, tuple[Task, dict[str, Any]]] = {
    "pairs": (Classification(), {}),
    "fraction": (Classification(differential=False), {"gain": [2.0, 0.5]}),
    "amplitude": (Classification(BOXES, measure="amplitude"), {"gain": 3.0}),
    "sum": (Classification(BOXES, measure="sum"), {"source": SourceLight("phase")}),
    "beam": (Classification("rings", classes=5), {"source": SourceLight(waist=4e-4, background=0.1)}),
    "window": (Image(window=(4, 6, 12, 10)), {}),
    "finer": (Classification(BOXES, differential=True), {"grid": [vp.Grid(16, 72e-6), *[vp.Grid(32, 36e-6)] * 3]}),
}


def network(task: Task, **changed: Any) -> vp.DONN:
    common: dict[str, Any] = {
        "grid": vp.Grid(32, 36e-6),
        "wavelength": 532e-9,
        "distances": 0.02,
        "image_shape": (8, 8),
    }
    devices = [vp.devices.tn_slm().pick(8)] * 2
    return vp.DONN(**{**common, "devices": devices, "task": task, "dtype": torch.complex128, **changed})


def share_by_planes(model: vp.DONN, images: Tensor) -> Tensor:
    """The share of light by the fields on source and detector, however the network reads it."""
    planes, readout = model.planes(images), model.readout
    powers = [planes["source"], readout.window(planes["detector"]) * readout.counted()]
    sent, kept = ((field.real**2 + field.imag**2).sum((-2, -1)) for field in powers)
    areas = [math.prod(model.grids[end].pitch) for end in (0, -1)]
    return kept * areas[1] / (sent * areas[0]) / math.prod(layer.gain for layer in model.layers) ** 2


@pytest.mark.parametrize("kind", TASKS)
def test_the_share_is_that_of_the_fields_and_so_is_its_gradient(kind: str) -> None:
    task, changed = TASKS[kind]
    model = network(task, **changed).eval()
    states = [layer.table.values[layer.levels()] * layer.gain for layer in model.layers]
    read = model.read(IMAGES, [state.requires_grad_() for state in states])
    torch.testing.assert_close(read.light_share, share_by_planes(model, IMAGES))
    assert bool(((read.light_share > 0) & (read.light_share < 1)).all())
    assert torch.equal(read.outputs, model(IMAGES))
    assert torch.equal(read.measured, model.measure(IMAGES))
    (slope,) = torch.autograd.grad(read.light_share.mean(), states[:1])
    step = 1e-6 * torch.randn(slope.shape, dtype=slope.dtype, generator=torch.Generator().manual_seed(1))
    higher, lower = (
        model.read(IMAGES, [states[0].detach() + sign * step, states[1]]).light_share.mean() for sign in (1, -1)
    )
    by_differences = (higher - lower) / 2
    torch.testing.assert_close((slope.conj() * step).real.sum(), by_differences.detach(), rtol=1e-5, atol=0)


def test_a_black_image_has_no_share() -> None:
    images = torch.cat([IMAGES[:1], torch.zeros_like(IMAGES[:1])])
    shares = network(Classification()).eval().read(images).light_share
    assert shares[0] > 0 and shares[1] == 0  # noqa: PT018


def test_the_contrast_margin_is_that_of_the_two_brightest() -> None:
    measured = torch.tensor([[3.0, 1.0, 2.0], [0.0, 0.0, 0.0]])
    torch.testing.assert_close(Classification(differential=False).contrast_margin(measured), torch.tensor([0.2, 0.0]))
    contrasts = torch.tensor([[1.0, -1.0, -1.0], [0.3, 0.1, -0.5]])
    torch.testing.assert_close(Classification().contrast_margin(contrasts), torch.tensor([1.0, 0.1]))
    assert Image().contrast_margin(contrasts) is None


def learner(weight: float) -> Learner:
    model = network(Classification(differential=False), relaxation=vp.Softmax()).train()
    model(IMAGES)  # settles the scale
    optimizer = optim.SGD(model.parameters(), lr=0.0)
    return Learner(model, optimizer, Tally(()), efficiency_weight=weight)


def test_the_loss_is_the_tasks_and_the_logarithm_of_the_light() -> None:
    labels, found = torch.arange(6), {}
    for weight in (0.0, 0.7):
        one = learner(weight)
        one.advance(IMAGES, labels)
        design = one.model.layers[0].design
        assert design.grad is not None
        one.tally.examples += 6
        found[weight] = one.tally.loss, design.grad.clone()
    model = learner(0.0).model
    lost = -share_by_planes(model, IMAGES).mean().log()
    lost.backward()
    design = model.layers[0].design
    assert design.grad is not None
    assert found[0.7][0] == pytest.approx(found[0.0][0] + 0.7 * lost.item(), rel=1e-9)
    torch.testing.assert_close(found[0.7][1], found[0.0][1] + 0.7 * design.grad, rtol=1e-6, atol=1e-9)


def test_without_a_weight_a_step_looks_at_no_light(monkeypatch: pytest.MonkeyPatch) -> None:
    one = learner(0.0)
    monkeypatch.setattr(vp.DONN, "read", lambda *_: pytest.fail("light is looked at"))
    one.advance(IMAGES, torch.arange(6))


@pytest.mark.usefixtures("undrawn")
def test_a_run_tells_of_its_light_and_a_weight_brings_more(tmp_path: Path) -> None:
    runs = {
        weight: vp.train(
            vp.config.load_config("digits", [*QUICK, f"training.efficiency_weight={weight}"]),
            out=tmp_path / str(weight),
            progress=False,
        )
        for weight in (0.0, 1.0)
    }
    shares = {weight: run.summary["test_light_share"] for weight, run in runs.items()}
    assert shares[1.0] > 1.3 * shares[0.0]
    run = runs[1.0]
    test = vp.data.load("digits", "test").take(100)
    found = evaluate(run.model, test)
    assert found.light("test") == pytest.approx({key: run.summary[key] for key in found.light("test")}, rel=1e-5)
    assert list(found.light("test")) == ["test_light_share", "test_contrast_margin"]
    assert shares[1.0] == pytest.approx(share_by_planes(run.model, test.images).mean().item(), rel=1e-4)
    page = write_report(run.path).read_text(encoding="utf-8")
    assert "<dt>light in what is read</dt>" in page
    assert "<dt>contrast margin</dt>" in page
    refined = vp.training.refine_run(run.path, tmp_path / "refined", images=50, evaluations=3)
    assert refined["test_light_share"] == pytest.approx(
        evaluate(vp.load_run(tmp_path / "refined").model, test).light("test")["test_light_share"]
    )
