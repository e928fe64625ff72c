"""Losses of classification: how far logits are from the labels."""

from __future__ import annotations

from typing import Final, Literal

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy, mse_loss

from voltphase.tasks.base import Loss

LossName = Literal["cross-entropy", "mse", "one-vs-rest"]


def softmax_mse(logits: Tensor, labels: Tensor) -> Tensor:
    """Return the mean squared error between ``softmax(logits)`` and the one-hot labels, the paper's loss.

    Args:
        logits: Logits, a ``batch x classes`` tensor.
        labels: Right classes, an int64 tensor of ``batch``.
    """
    return mse_loss(torch.softmax(logits, dim=1), _one_hot(logits, labels))


def one_vs_rest(logits: Tensor, labels: Tensor) -> Tensor:
    """Return the mean binary cross-entropy of each class against all others, told by the sign of its own logit.

    Args:
        logits: Logits, a ``batch x classes`` tensor.
        labels: Right classes, an int64 tensor of ``batch``.
    """
    return binary_cross_entropy_with_logits(logits, _one_hot(logits, labels))


def _one_hot(logits: Tensor, labels: Tensor) -> Tensor:
    # Not by torch's one_hot, which reads the labels to look at them.
    return torch.zeros_like(logits).scatter_(1, labels[:, None], 1.0)


# Where training starts best, by the test accuracy after 5 epochs of MNIST (64 x 64, 8 states). The paper's recipe at
# depths 1, 3 and 5: 0.331, 0.889, 0.869 from 3 and learned, 0.565, 0.897, 0.901 from 20 and left there. Cross-entropy
# on mean intensities, depth 5: 0.969 from 3, 0.961 from 20.
CALIBRATED_LOGIT: Final[dict[str, float]] = {"cross-entropy": 3.0, "mse": 20.0, "one-vs-rest": 3.0}

LOSSES: Final[dict[str, Loss]] = {"cross-entropy": cross_entropy, "mse": softmax_mse, "one-vs-rest": one_vs_rest}
