"""One step of training, without Lightning: on a CPU as it is written, on a CUDA GPU recorded once and replayed."""

from __future__ import annotations

from voltphase.training.steps.learner import Learner
from voltphase.training.steps.optimizer import make_optimizer
from voltphase.training.steps.training_step import Batch, TrainingStep

__all__ = ["Batch", "Learner", "TrainingStep", "make_optimizer"]
