"""A task that is no classification: what is measured, learned and judged by is its own."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
import torch
from torch import Tensor

from voltphase import DONN, Grid
from voltphase.core.errors import ConfigError
from voltphase.data import ImageDataset
from voltphase.devices import tn_slm
from voltphase.tasks import Metric, Readout, Task, all_outputs, loss_of
from voltphase.training.evaluation import Evaluation, Tally, evaluate

SHAPE = (16, 20)


class Window(Readout):
    """The intensity in a window of the detector, in units of its mean."""

    def __init__(self, shape: tuple[int, int]) -> None:
        super().__init__()
        self.shape = shape
        self.register_buffer("window_rows", torch.arange(4, 12), persistent=False)
        self.register_buffer("window_columns", torch.arange(6, 14), persistent=False)

    def read(self, window: Tensor) -> Tensor:
        return window.abs().square()

    def outputs(self, measured: Tensor) -> Tensor:
        return measured / measured.mean((-2, -1), keepdim=True)

    def counted(self) -> Tensor:
        return torch.ones(8, 8)


def worst(outputs: Tensor, targets: Tensor) -> Tensor:
    return (outputs - targets).abs().amax((-2, -1))


@dataclass(frozen=True)
class Shape(Task):
    """Light in the shape of a picture."""

    weight: float = 1.0

    def make_readout(self, shape: tuple[int, int]) -> Window:
        return Window(shape)

    def compute_loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        return self.weight * (outputs - targets).square().mean()

    @property
    def metrics(self) -> tuple[Metric, ...]:
        return Metric("worst", worst, higher_is_better=False), Metric("mean", lambda outputs, _: outputs.mean((-2, -1)))


@pytest.fixture
def model() -> DONN:
    return DONN(
        grid=Grid(SHAPE, 36e-6),
        wavelength=532e-9,
        distances=0.02,
        devices=[tn_slm(4)] * 2,
        task=Shape(2.0),
        image_shape=(8, 8),
    )


def test_a_network_measures_what_its_readout_reads(model: DONN) -> None:
    images = torch.full((3, 8, 8), 200, dtype=torch.uint8)
    outputs = model.eval()(images)
    assert outputs.shape == (3, 8, 8)
    torch.testing.assert_close(outputs, model.readout(model.planes(images)["detector"]), rtol=1e-4, atol=1e-5)


def test_it_learns_by_its_own_loss(model: DONN) -> None:
    images, target = torch.full((3, 8, 8), 200, dtype=torch.uint8), torch.ones(3, 8, 8)
    before = model.task.compute_loss(model(images), target)
    optimizer = torch.optim.Adam([layer.design for layer in model.layers], lr=0.1)
    loss = before
    for _ in range(20):
        optimizer.zero_grad()
        loss = model.task.compute_loss(model(images), target)
        loss.backward()
        optimizer.step()
    assert loss < before


def test_it_is_judged_by_all_of_its_metrics(model: DONN) -> None:
    images = torch.randint(1, 256, (5, 8, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    targets = torch.ones(5, 8, 8)
    found = Evaluation(model.task, all_outputs(model, images, 2), targets)
    assert list(found.columns("test")) == ["test_worst", "test_mean"]
    assert found.metrics["mean"] == pytest.approx(1)
    assert torch.equal(found.predictions, found.outputs)
    tally = Tally(model.task.metrics)
    for part in (slice(0, 2), slice(2, 5)):
        tally.add(found.outputs[part], targets[part], torch.tensor(float(len(targets[part]))))
    assert tally.columns("test") == pytest.approx(found.columns("test"))
    assert tally.loss == pytest.approx((2 * 2 + 3 * 3) / 5)
    assert model.training  # as it was


def test_an_evaluation_holds_what_was_wanted(model: DONN) -> None:
    dataset = ImageDataset(torch.ones(4, 8, 8, dtype=torch.uint8), torch.tensor([1, 0, 1, 1]), "four", ("a", "b"))
    model.task.check_data(dataset.name, dataset.classes, dataset.labels)  # anything goes unless a task says otherwise
    assert evaluate(model, ImageDataset(*dataset[:1], "one", ("a", "b"))).targets.tolist() == [1]


def made(change: dict[str, object]) -> DONN:
    task = type("Odd", (Shape,), change)()
    return DONN(grid=Grid(SHAPE, 36e-6), wavelength=5e-7, distances=0.02, devices=[tn_slm(4)], task=task)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"make_readout": lambda task, shape: None}, "a readout from the task Odd, but got None"),
        ({"make_readout": lambda task, shape: torch.nn.Flatten()}, "a readout from the task Odd, but got Flatten"),
        ({"metrics": ()}, r"one Metric or more of the task Odd, but got \(\)"),
        ({"metrics": ("accuracy",)}, "one Metric or more of the task Odd"),
    ],
)
def test_a_task_that_makes_no_readout_is_refused_by_its_name(change: dict[str, object], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        made(change)


@pytest.mark.parametrize(
    ("loss", "got"),
    [(None, "None"), (1.5, "1.5"), (torch.ones(3), r"shape \(3,\)"), (torch.ones((), dtype=torch.int64), "int64")],
)
def test_a_loss_that_is_not_one_number_is_refused_by_its_task(loss: object, got: str) -> None:
    task = type("Odd", (Shape,), {"compute_loss": lambda *_: loss})()
    with pytest.raises(ConfigError, match=f"one real number as the loss of the task Odd, but got .*{got}"):
        loss_of(task, torch.ones(3), torch.ones(3))
