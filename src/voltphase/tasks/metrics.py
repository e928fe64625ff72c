"""Metrics of classification."""

from __future__ import annotations

from typing import Final

from torch import Tensor

from voltphase.tasks.base import Metric


def is_right(logits: Tensor, labels: Tensor) -> Tensor:
    """Return whether the highest logit is that of the label, a boolean tensor of ``batch``."""
    return logits.argmax(1) == labels


ACCURACY: Final = Metric("accuracy", is_right, percent=True)
