"""Numbers and bits from pairs of regions: what outputs mean, how wrong they are, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from sklearn.metrics import mean_absolute_error, r2_score, root_mean_squared_error

from voltphase.core.errors import ConfigError, DataError
from voltphase.data import LogicTable
from voltphase.tasks import Classification, Logic, Regions, Regression
from voltphase.training.evaluation import Tally

GENERATOR = torch.Generator().manual_seed(0)
WANTED = torch.rand(40, 2, generator=GENERATOR, dtype=torch.float64) * torch.tensor([3.0, 1e-3]) + torch.tensor(
    [7, 1e3]
)


def fitted() -> Regression:
    return Regression().for_data((), WANTED)


def test_ranges_are_those_of_the_training_targets() -> None:
    task = fitted()
    assert torch.tensor(task.ranges, dtype=torch.float64).T.equal(torch.stack(list(WANTED.aminmax(dim=0))))
    assert task.make_readout((64, 64)).regions == Regions.laid_out("grid", (64, 64), 2, paired=True)
    assert Regression(ranges=[(0, 1)]).for_data((), WANTED).ranges == ((0.0, 1.0),)
    assert Regression().for_data((), WANTED[:, 0]).make_readout((64, 64)).regions.classes == 1


def test_a_contrast_of_half_is_the_end_of_a_range() -> None:
    task = Regression(ranges=[(-3, 5), (0, 1)])
    readout = task.make_readout((20, 20))
    outputs = readout.outputs(torch.tensor([[0.5, -0.5], [0.0, 0.25]], dtype=torch.float64))
    assert task.predict(outputs).tolist() == [[5.0, 0.0], [1.0, 0.75]]
    assert task.answer == (
        "A class stands for a number here: number 0 is -3.0 + 4.0 * (logit of class 0 + 1); "
        "number 1 is 0.0 + 0.5 * (logit of class 1 + 1)."
    )


def test_metrics_are_those_of_scikit_learn_whole_and_by_batches() -> None:
    task, outputs = fitted(), torch.randn(40, 2, generator=GENERATOR, dtype=torch.float64)
    found = task.predict(outputs)
    both = WANTED.numpy(), found.numpy()
    wanted = {
        "mae": mean_absolute_error(*both),
        "rmse": (WANTED - found).square().mean().sqrt().item(),
        "r2": r2_score(*both),
    }
    assert {metric.name: metric.of(outputs, WANTED) for metric in task.metrics} == pytest.approx(wanted, rel=1e-6)
    tally = Tally(task.metrics)
    for part in (slice(0, 30), slice(30, 40)):
        tally.add(outputs[part], WANTED[part])
    assert tally.columns("test") == pytest.approx({f"test_{name}": value for name, value in wanted.items()}, rel=1e-6)
    one = Regression(ranges=[(0, 1)]).metrics[1]
    assert one.of(outputs[:, :1], WANTED[:, 0]) == pytest.approx(
        root_mean_squared_error(WANTED[:, 0], (outputs[:, 0] + 1) / 2)
    )


def test_the_loss_is_zero_for_right_numbers_and_counts_each_in_its_range() -> None:
    task = Regression(ranges=[(0, 2), (0, 1000)])
    outputs = torch.zeros(3, 2, requires_grad=True)
    assert task.compute_loss(outputs, torch.tensor([[1.0, 500.0]]).expand(3, 2)).item() == 0
    off = [task.compute_loss(outputs, torch.tensor([target]).expand(3, 2)) for target in ([2.0, 500.0], [1.0, 1000.0])]
    assert off[0].item() == off[1].item() == 0.5
    (slope,) = torch.autograd.grad(off[0], outputs)
    torch.testing.assert_close(slope, torch.tensor([[-1 / 3, 0]]).expand(3, 2))


def test_what_does_not_vary_explains_nothing() -> None:
    assert Regression(ranges=[(0, 1)]).metrics[2].of(torch.tensor([[0.1], [0.2]]), torch.tensor([0.5, 0.5])) == 0


@pytest.mark.parametrize(
    ("task", "targets", "error", "words"),
    [
        (Regression(), torch.ones(4, 2), DataError, "number 0 is the same for all images"),
        (Regression(), torch.rand(4, 2, 2), DataError, "for the task regression, .* targets of 4 x 2 x 2"),
        (Regression(ranges=[(0, 1)]), torch.rand(4, 2), ConfigError, "each of 2 numbers of mine, but got those of 1"),
        (Regression(regions=[[0, 0, 2, 2]] * 6), torch.rand(4, 2), ConfigError, "two regions for each of 2 numbers"),
        (Logic(), torch.tensor([[0.0, 0.5]]), DataError, "expected bits, 0 or 1"),
        (Logic(bits=3), torch.tensor([[0, 1]]), ConfigError, "each of 2 numbers of mine, but got those of 3"),
    ],
)
def test_data_that_do_not_fit_are_refused(
    task: Regression | Logic, targets: torch.Tensor, error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        task.check_data("mine", (), targets)


def test_labels_are_no_numbers() -> None:
    with pytest.raises(DataError, match="labels of 2 classes: give whole numbers that are no labels as floating-point"):
        Regression().check_data("mine", ("a", "b"), torch.tensor([0, 1]))


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"ranges": [(1, 0)]}, r"a range as \[lowest, highest\], but got"),
        ({"ranges": []}, "the range of at least one number"),
        ({"scale": "calibrated"}, "a scale of contrasts of at least .* but got 'calibrated'$"),
        ({"scale": -1}, "a scale of contrasts of at least .* but got -1$"),
        ({"ranges": [(0, 1)], "regions": [[0, 0, 2, 2]] * 4}, "2 regions, two for each number of 1, but got 4"),
        ({"regions": "paper"}, "'grid', 'rings' or a list"),
    ],
)
def test_bad_settings_are_refused(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        Regression(**settings)


def test_a_list_of_regions_has_two_for_each_bit() -> None:
    with pytest.raises(ConfigError, match="4 regions, two for each bit of 2, but got 2"):
        Logic(regions=[[0, 0, 2, 2]] * 2, bits=2)


def test_a_bit_is_right_where_its_sign_is_and_an_answer_where_all_are() -> None:
    task, outputs = Logic(bits=2), torch.tensor([[1.0, -2.0], [0.5, 0.1], [-1.0, -1.0]])
    targets = torch.tensor([[1, 0], [1, 0], [0, 0]])
    assert task.metrics[0].of(outputs, targets) == pytest.approx(2 / 3)
    torch.testing.assert_close(task.contrast_margin(outputs), torch.tensor([1.0, 0.1, 1.0]))
    assert task.make_readout((64, 64)).regions.classes == 2
    assert Logic().for_data((), targets).bits == 2


@pytest.mark.parametrize(
    ("table", "add"),
    [("xor", lambda a, b: [a ^ b]), ("half-adder", lambda a, b: [(a + b) % 2, (a + b) // 2])],
)
def test_a_truth_table_is_that_of_the_gate_and_each_input_lights_one_port(table: Any, add: Any) -> None:
    test = LogicTable(table).load("test")
    ports = test.images.view(4, 2, 8, 2, 8).amax((2, 4))
    for image, targets in zip(ports, test.targets.tolist(), strict=True):
        assert image.sum(1).tolist() == [255, 255]
        a, b = (int(one[1] > 0) for one in image)
        assert targets == add(a, b)
    train = LogicTable(table, count=10).load("train")
    assert torch.equal(train.images, test.images[torch.arange(10) % 4])


def test_tables_of_ones_own() -> None:
    mine = LogicTable([[1, 0, 1], [0, 1, 1]]).load("test")
    assert (mine.images.shape, mine.targets.tolist()) == ((2, 8, 16), [[1, 0, 1], [0, 1, 1]])
    assert LogicTable("full-adder").load("test").targets.sum(1).tolist() == [0, 1, 1, 1, 1, 1, 1, 2]
    for wrong in ("maybe", [[0], [1], [1]], [[0], [1, 1]], [[0], [2]], [[], []]):
        with pytest.raises(DataError, match="truth table"):
            LogicTable(wrong)  # pyright: ignore[reportArgumentType]


def test_classes_stay_classes() -> None:
    assert Classification().answer == "The class with the highest logit is the prediction."
