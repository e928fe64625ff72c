"""Turning a configuration into a trained network, and a run folder back into one."""

from __future__ import annotations

from voltphase.core.installed import needing_extras

with needing_extras():
    from voltphase.training.batches import ImageBatches
    from voltphase.training.build import build_dataset, build_datasets, build_devices, build_model
    from voltphase.training.evaluation import Evaluation, evaluate
    from voltphase.training.refine.refine_run import refine_run
    from voltphase.training.refine.search import Refinement, refine
    from voltphase.training.resume import load_run
    from voltphase.training.run import train
    from voltphase.training.run_folder import RunFolder
    from voltphase.training.several import train_several
    from voltphase.training.watching.profile import Profile, profiled
    from voltphase.training.weights import save_model

__all__ = [
    "Evaluation",
    "ImageBatches",
    "Profile",
    "Refinement",
    "RunFolder",
    "build_dataset",
    "build_datasets",
    "build_devices",
    "build_model",
    "evaluate",
    "load_run",
    "profiled",
    "refine",
    "refine_run",
    "save_model",
    "train",
    "train_several",
]
