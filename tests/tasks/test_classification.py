from __future__ import annotations

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


def test_regions_for_a_detector_that_is_not_square_have_to_be_listed() -> None:
    with pytest.raises(GeometryError, match=r"expected a square detector .* but got 20 x 24"):
        Classification().make_readout((20, 24))
    assert Classification(FOUR).make_readout((20, 24)).shape == (20, 24)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"regions": "mine"}, "'paper' or a list of detector regions"),
        ({"regions": [3]}, "detector region 0 .* but got 3"),
        ({"regions": [[0, 0, 3, 3], [0, 3, 3]]}, "detector region 1 .* but got"),
        ({"measure": "max"}, "a measure out of sum, mean, amplitude, fraction"),
        ({"scale": 0}, "^expected a readout scale of at least 1e-12 and at most"),
        ({"scale": "high"}, "a readout scale .* or give 'calibrated'"),
        ({"loss": "hinge"}, "a loss out of cross-entropy, mse"),
        ({"differential": 1}, "differential to be True or False"),
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


def test_more_classes_than_the_paper_has_regions_are_refused() -> None:
    names = tuple(map(str, range(15)))
    with pytest.raises(ConfigError, match="at most 10 classes for the regions paper, but got 15"):
        Classification().check_data("mine", names, torch.arange(15))
    Classification().check_data("mine", names[:10], torch.arange(10))
