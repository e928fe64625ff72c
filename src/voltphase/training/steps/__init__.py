"""One step of training, without Lightning: on a CPU as it is written, on a CUDA GPU recorded once and replayed."""

from __future__ import annotations

from voltphase.training.steps.optimizer import make_optimizer
from voltphase.training.steps.training_step import TrainingStep

__all__ = ["TrainingStep", "make_optimizer"]
