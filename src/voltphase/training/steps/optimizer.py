"""What moves a network's parameters: Adam, each parameter at a learning rate in its own unit."""

from __future__ import annotations

from typing import Any

from torch import optim

from voltphase.config import TrainingConfig
from voltphase.network.donn import DONN


def make_optimizer(model: DONN, training: TrainingConfig) -> optim.Adam:
    """Return Adam with a group for each layer's design, at a learning rate in its own unit, and one for the rest.

    Args:
        model: Network to train, where it is to be trained.
        training: Learning rates.
    """
    groups: list[dict[str, Any]] = [
        {"params": [layer.design], "lr": training.learning_rate * layer.relaxation.lr_unit(layer.table)}
        for layer in model.layers
    ]
    designs = {id(layer.design) for layer in model.layers}
    others = [parameter for parameter in model.parameters() if id(parameter) not in designs]
    if others:
        groups.append({"params": others, "lr": training.scale_learning_rate})
    return optim.Adam(groups, fused=model.layers[0].design.device.type in ("cpu", "cuda"))
