from __future__ import annotations

import math
from typing import Any

import pytest
import torch

from voltphase.core.errors import ConfigError, GeometryError
from voltphase.tasks import TASKS, Classification, Regions, Task

FOUR = ((0, 0, 2, 2), (0, 4, 2, 2), (4, 0, 2, 2), (4, 4, 2, 2))


def test_it_is_found_by_its_name() -> None:
    assert TASKS["classification"] is Classification
    assert isinstance(Classification(), Task)


@pytest.mark.parametrize(
    ("task", "wanted"),
    [
        (Classification(), Regions.paper_pairs(64)),
        (Classification(differential=False), Regions.paper(64)),
        (Classification.paper(), Regions.paper(64)),
        (Classification(FOUR), Regions(FOUR, (64, 64))),
        (Classification([list(box) for box in FOUR]), Regions(FOUR, (64, 64))),
        (Classification(FOUR, differential=True), Regions(FOUR, (64, 64), paired=True)),
    ],
)
def test_two_regions_a_class_unless_they_are_listed_or_it_is_said(task: Classification, wanted: Regions) -> None:
    assert task.make_readout((64, 64)).regions == wanted


def test_the_paper_reads_mean_amplitudes_as_they_are() -> None:
    readout = Classification.paper().make_readout((200, 200))
    assert (readout.measure, readout.scale, readout.calibrated) == ("amplitude", 1.0, True)
    assert Classification.paper().loss == "mse"


@pytest.mark.parametrize("differential", [False, True])
def test_the_papers_regions_on_a_detector_that_is_not_square_are_a_grid(differential: bool) -> None:
    regions = Classification(differential=differential).make_readout((40, 72)).regions
    assert regions == Regions.laid_out("grid", (40, 72), 10, paired=differential)
    assert Classification(FOUR).make_readout((20, 24)).shape == (20, 24)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"regions": "mine"}, "'paper', 'grid', 'rings' or a list of detector regions"),
        ({"regions": [3]}, "detector region 0 .* but got 3"),
        ({"regions": [[0, 0, 3, 3], [0, 3, 3]]}, "detector region 1 .* but got"),
        ({"measure": "max"}, "a measure out of sum, mean, amplitude, fraction"),
        ({"scale": 0}, "^expected a readout scale of at least 1e-12 and at most"),
        ({"scale": "high"}, "a readout scale .* or give 'calibrated'"),
        ({"loss": "hinge"}, "a loss out of cross-entropy, mse, one-vs-rest"),
        ({"differential": 1}, "differential to be True or False"),
        ({"classes": 1}, "a number of classes"),
        ({"regions": FOUR, "classes": 3}, "a list of 3 regions, one for each class of 3, but got 4"),
        ({"regions": FOUR, "classes": 3, "differential": True}, "6 regions, two for each class of 3, but got 4"),
        ({"loss": "one-vs-rest", "differential": False}, "pairs of regions for the loss one-vs-rest, .* single ones"),
    ],
)
def test_other_settings_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Classification(**settings)


def test_a_list_of_regions_fits_the_number_of_classes() -> None:
    labels = torch.tensor([0, 1])
    Classification(FOUR).check_data("four", ("a", "b", "c", "d"), labels)
    Classification(FOUR, differential=True).check_data("two", ("a", "b"), labels)
    with pytest.raises(ConfigError, match=r"task\.regions to list 4 regions, two for each class of two, but got 8"):
        Classification(FOUR * 2, differential=True).check_data("two", ("a", "b"), labels)


def test_answers_and_accuracy() -> None:
    logits, labels = torch.tensor([[0.1, 0.9], [0.3, 0.2], [0.5, 0.4]]), torch.tensor([1, 1, 0])
    task = Classification(loss="mse")
    assert task.predict(logits).tolist() == [1, 0, 0]
    (accuracy,) = task.metrics
    assert accuracy.of(logits, labels) == pytest.approx(2 / 3)
    assert (accuracy.column("test"), accuracy.number(0.97894), accuracy.text(0.97894)) == (
        "test_accuracy",
        "0.9789",
        "97.9%",
    )
    assert task.compute_loss(logits, labels) != Classification().compute_loss(logits, labels)


@pytest.mark.parametrize("count", [2, 7, 10, 26])
@pytest.mark.parametrize("layout", ["paper", "grid", "rings"])
@pytest.mark.parametrize("differential", [False, True])
def test_as_many_classes_as_the_data_have(count: int, layout: Any, differential: bool) -> None:
    names, labels = tuple(map(str, range(count))), torch.arange(count)
    asked = Classification(layout, differential=differential)
    asked.check_data("mine", names, labels)
    task = asked.for_data(names, labels)
    assert task.classes == (None if layout == "paper" and count == 10 else count)
    task.check_data("mine", names, labels)
    with pytest.raises(ConfigError, match=rf"task\.classes to be {count + 1}, .* but got {count}: leave it out"):
        Classification(layout, classes=count).check_data("mine", (*names, "more"), labels)
    readout = task.make_readout((64, 64))
    assert (readout.regions.classes, readout.regions.paired) == (count, differential)
    if layout == "paper":
        assert task.regions == ("paper" if count == 10 else "grid")
        assert count != 10 or readout.regions == asked.make_readout((64, 64)).regions


def test_each_pair_learns_by_itself() -> None:
    logits, labels = torch.tensor([[2.0, -1.0, 0.5]], requires_grad=True), torch.tensor([0])
    loss = Classification(loss="one-vs-rest").compute_loss(logits, labels)
    by_hand = (math.log1p(math.exp(-2)) + math.log1p(math.exp(-1)) + math.log1p(math.exp(0.5))) / 3
    assert loss.item() == pytest.approx(by_hand)
    # The slope of one logit does not depend on the others, which it does with the cross-entropy.
    (slope,) = torch.autograd.grad(loss, logits)
    other = torch.tensor([[2.0, 5.0, -3.0]], requires_grad=True)
    (slope_beside,) = torch.autograd.grad(Classification(loss="one-vs-rest").compute_loss(other, labels), other)
    assert slope[0, 0] == slope_beside[0, 0]


def test_one_pair_tells_no_classes_apart() -> None:
    with pytest.raises(GeometryError, match="at least two classes, but got those of 1"):
        Classification(FOUR[:2], differential=True).make_readout((64, 64))
