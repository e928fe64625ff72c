"""What moves a network's parameters: Adam, each parameter at a learning rate in its own unit."""

from __future__ import annotations

from torch import optim

from voltphase.config import TrainingConfig
from voltphase.network.donn import DONN


def make_optimizer(model: DONN, training: TrainingConfig) -> optim.Adam:
    """Return Adam with a group for each layer's design, at a learning rate in its own unit, and one for the rest.

    Args:
        model: Network to train, where it is to be trained.
        training: Learning rates.
    """
    groups = model.parameter_groups(training.learning_rate, training.scale_learning_rate)
    return optim.Adam(groups, fused=model.layers[0].design.device.type in ("cpu", "cuda"))
