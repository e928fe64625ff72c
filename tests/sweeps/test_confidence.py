from __future__ import annotations

import math

import pytest
import torch

from voltphase.sweeps.confidence import accuracy_when_cut


def logits_of(*probabilities: list[float]) -> torch.Tensor:
    return torch.tensor(probabilities, dtype=torch.float64).log()


def ten(best: float, second: float) -> list[float]:
    """Ten probabilities: class 3 has ``best``, class 7 ``second``, the others share what is left."""
    rest = (1 - best - second) / 8
    return [best if i == 3 else second if i == 7 else rest for i in range(10)]


@pytest.mark.parametrize("cut", [0.01, 0.03, 0.05])
def test_a_winner_stays_ahead_exactly_if_its_lead_is_more_than_the_cut_and_its_ninth(cut: float):
    # best - cut > second + cut / 9  <=>  lead > 10 cut / 9
    margin = 10 * cut / 9
    logits = logits_of(ten(0.3, 0.3 - margin * 1.001), ten(0.3, 0.3 - margin * 0.999))
    assert accuracy_when_cut(logits, torch.tensor([3, 3]), cut) == 0.5


def test_who_was_wrong_before_is_not_right_afterwards():
    logits = logits_of(ten(0.5, 0.49))
    assert [accuracy_when_cut(logits, torch.tensor([7]), cut) for cut in (0.0, 0.01, 0.05)] == [0, 0, 0]


def test_without_a_cut_it_is_the_accuracy_ties_included():
    logits = torch.randn(200, 10).round()
    labels = torch.randint(10, (200,))
    assert accuracy_when_cut(logits, labels, 0.0) == pytest.approx(float((logits.argmax(1) == labels).double().mean()))


def test_a_factor_on_all_outputs_changes_confidence_but_no_answer():
    logits, labels = torch.tensor([[0.02, 0.0, 0.0]]), torch.tensor([0])
    assert accuracy_when_cut(logits, labels, 0.0) == accuracy_when_cut(100 * logits, labels, 0.0) == 1
    # softmax((x, 0, 0)): the lead is (e^x - 1) / (e^x + 2), 0.0067 for x = 0.02 against 3/2 of 1 %
    assert (math.exp(0.02) - 1) / (math.exp(0.02) + 2) < 0.015
    assert accuracy_when_cut(logits, labels, 0.01) == 0
    assert accuracy_when_cut(100 * logits, labels, 0.01) == 1
