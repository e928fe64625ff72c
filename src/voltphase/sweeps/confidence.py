"""How sure a network is: accuracy when the winner's probability is cut (the paper's table 2)."""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor

CUTS: Final[tuple[float, ...]] = (0.0, 0.01, 0.03, 0.05)


def accuracy_when_cut(logits: Tensor, labels: Tensor, cut: float) -> float:
    """Return the accuracy when ``cut`` of probability is taken from each winner and shared by the other classes.

    With probabilities ``p = softmax(logits)``, the winner has ``max(p) - cut`` afterwards and each of the other
    ``C - 1`` classes ``cut / (C - 1)`` more. A winner that is no longer ahead has lost. The logits are
    ``images x classes``; the paper's 1 % is a cut of 0.01.

    Examples:
        >>> accuracy_when_cut(torch.tensor([[0.02, 0.0, 0.0]]), torch.tensor([0]), 0.01)
        0.0
    """
    probabilities = torch.softmax(logits.double(), dim=1)
    best, second = probabilities.topk(2, dim=1).values.unbind(1)
    # Without a cut a tie is decided as everywhere else: by the first of the highest.
    ahead = best - cut > second + cut / (logits.shape[1] - 1) if cut > 0 else torch.ones_like(best, dtype=torch.bool)
    right = probabilities.argmax(1) == labels
    return float((right & ahead).double().mean())
