from __future__ import annotations

import math

import torch
from torch.nn.functional import cross_entropy

from voltphase.tasks.classification import softmax_mse


def test_undecided_logits_cost_what_the_closed_form_says():
    logits, labels = torch.zeros(4, 10), torch.arange(4)
    torch.testing.assert_close(cross_entropy(logits, labels), torch.tensor(math.log(10)))
    # Nine classes are 0.1 off and one 0.9: (9 * 0.01 + 0.81) / 10.
    torch.testing.assert_close(softmax_mse(logits, labels), torch.tensor(0.09))


def test_certain_logits_cost_nothing_when_right_and_most_when_wrong():
    logits = 100 * torch.nn.functional.one_hot(torch.tensor([2, 0]), 3).float()
    torch.testing.assert_close(softmax_mse(logits, torch.tensor([2, 0])), torch.tensor(0.0))
    torch.testing.assert_close(softmax_mse(logits, torch.tensor([1, 1])), torch.tensor(2 / 3))
    torch.testing.assert_close(cross_entropy(logits, torch.tensor([1, 1])), torch.tensor(100.0))


def test_the_gradient_of_the_squared_error_is_exact():
    logits = torch.randn(3, 5, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: softmax_mse(x, torch.tensor([0, 4, 2])), logits)
