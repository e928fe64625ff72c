"""Turning a configuration into a trained network, and a run folder back into one."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from voltphase.core.installed import needing_extras

with needing_extras():
    from voltphase.training.batches import ImageBatches
    from voltphase.training.build import build_dataset, build_datasets, build_devices, build_model
    from voltphase.training.evaluation import Evaluation, evaluate
    from voltphase.training.refine.refine_run import refine_run
    from voltphase.training.refine.search import Refinement, refine
    from voltphase.training.resume import load_run
    from voltphase.training.run_folder import RunFolder
    from voltphase.training.watching.profile import Profile, profiled
    from voltphase.training.weights import save_model

if TYPE_CHECKING:
    from voltphase.training.run import train
    from voltphase.training.several import train_several

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

# Loaded when asked for: Lightning takes seconds, and whoever loads, deploys or draws a run needs none of it.
_TRAINING = {"train": "run", "train_several": "several"}


def __getattr__(name: str) -> Any:
    if name not in _TRAINING:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    with needing_extras():
        value = globals()[name] = getattr(import_module(f"{__name__}.{_TRAINING[name]}"), name)
    return value
