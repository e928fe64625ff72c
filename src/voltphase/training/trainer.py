"""Lightning as voltphase uses it: one process on one device, whatever scheduler, launcher or variable surrounds it."""

from __future__ import annotations

import inspect
import os
from typing import Any, Final

from voltphase.core.surroundings import hidden

# Lightning reads them when it is imported, and expects whole numbers.
_RANKS: Final = ("RANK", "LOCAL_RANK", "SLURM_PROCID", "JSM_NAMESPACE_RANK")


with hidden(*_RANKS):
    import lightning
    from lightning.fabric.plugins.environments.lightning import LightningEnvironment
    from lightning.pytorch.plugins.io import CheckpointIO

__all__ = ["CheckpointIO", "lightning", "make_trainer"]


class _OneProcess(LightningEnvironment):
    """No cluster: nothing is read from the environment."""

    @property
    def creates_processes_externally(self) -> bool:
        return False

    @property
    def main_address(self) -> str:
        return "127.0.0.1"

    def local_rank(self) -> int:
        return 0

    def node_rank(self) -> int:
        return 0

    def teardown(self) -> None:
        pass


def make_trainer(accelerator: str, checkpoints: CheckpointIO, **options: Any) -> lightning.Trainer:
    """Return a trainer on one device that is as the arguments say, and detects nothing.

    Args:
        accelerator: ``"cpu"`` or ``"cuda"``.
        checkpoints: What reads and writes checkpoints.
        options: Arguments of ``lightning.Trainer``; those not given have Lightning's defaults.
    """
    # Each argument is given: what is not, Lightning takes from variables such as PL_TRAINER_LIMIT_TRAIN_BATCHES.
    defaults = {name: about.default for name, about in inspect.signature(lightning.Trainer).parameters.items()}
    ours = {
        "accelerator": accelerator,
        "devices": 1,
        "plugins": [_OneProcess(), checkpoints],
        # A path below which nothing can lie: in a folder Lightning would find and prefer a scheduler's hpc_ckpt_N.ckpt.
        "default_root_dir": os.devnull,
        "logger": False,
        "enable_checkpointing": False,
        "enable_progress_bar": False,
        "enable_model_summary": False,
        "num_sanity_val_steps": 0,
        "use_distributed_sampler": False,
    }
    return lightning.Trainer(**(defaults | ours | options))
