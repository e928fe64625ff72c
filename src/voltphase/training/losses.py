"""How far logits are from the labels."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import torch
from torch import Tensor
from torch.nn import functional

Loss = Callable[[Tensor, Tensor], Tensor]


def cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """Mean over the batch of ``-log softmax(logits)[label]``; ``batch x classes`` logits, ``batch`` labels."""
    return functional.cross_entropy(logits, labels)


def softmax_mse(logits: Tensor, labels: Tensor) -> Tensor:
    """Mean squared error between ``softmax(logits)`` and the one-hot labels, over batch and classes (the paper's)."""
    wanted = functional.one_hot(labels, logits.shape[1]).to(logits.dtype)
    return functional.mse_loss(torch.softmax(logits, dim=1), wanted)


LOSSES: Final[dict[str, Loss]] = {"cross-entropy": cross_entropy, "mse": softmax_mse}
