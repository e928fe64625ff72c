"""A network, its loss, its optimizer and its temperature as Lightning trains them: in one process on one device."""

from __future__ import annotations

import inspect
import math
import os
import time
from typing import Any, Final

from torch import Tensor, optim

from voltphase.codesign import Schedule
from voltphase.config import TrainingConfig
from voltphase.core.errors import TrainingError
from voltphase.core.surroundings import hidden
from voltphase.network.donn import DONN
from voltphase.tasks import loss_of
from voltphase.training.batches import ImageBatches
from voltphase.training.evaluation import Tally

# Lightning reads them when it is imported, and expects whole numbers.
_RANKS: Final = ("RANK", "LOCAL_RANK", "SLURM_PROCID", "JSM_NAMESPACE_RANK")

with hidden(*_RANKS):
    import lightning
    from lightning.fabric.plugins.environments.lightning import LightningEnvironment
    from lightning.pytorch.plugins.io import CheckpointIO

__all__ = ["CheckpointIO", "EpochMetrics", "TrainingModule", "lightning", "make_trainer"]

#: Figures of an epoch by the names of their columns in ``metrics.csv``.
EpochMetrics = dict[str, float]


class TrainingModule(lightning.LightningModule):
    """Trains a :class:`voltphase.DONN`.

    ``history`` holds the figures of each epoch: ``epoch`` (from 1), ``temperature`` (of its last step), ``train_loss``
    and ``train_`` with the name of each of the task's metrics (of what light saw in training), ``test_`` with the name
    of each (of the deployed states), ``seconds`` and ``images_per_second`` (of training alone).

    Args:
        model: Network to train.
        training: Learning rates and number of epochs.
        schedule: Course of the temperature.
        batches: Batches of the training images.
        test_batches: Batches of the test images; watched, never used to choose anything.
        temperature_per_epoch: Whether the temperature stays for an epoch instead of moving with every step.
        about: What a checkpoint is to say of the run, such as its settings and the digests of its devices.
    """

    def __init__(
        self,
        model: DONN,
        training: TrainingConfig,
        schedule: Schedule,
        batches: ImageBatches,
        test_batches: ImageBatches,
        *,
        temperature_per_epoch: bool = False,
        about: dict[str, Any] | None = None,
    ) -> None:
        super().__init__()
        self.model = model
        self.epochs = training.epochs
        self.history: list[EpochMetrics] = []
        self._training_config = training
        self._schedule = schedule
        self._batches = batches
        self._test_batches = test_batches
        self._temperature_per_epoch = temperature_per_epoch
        self._about = about or {}
        self._begin_epoch()

    def temperature(self, step: int) -> float:
        """Return the temperature after so many steps, by how far training has come."""
        steps = len(self._batches)
        done, last = step, self.epochs * steps - 1
        if self._temperature_per_epoch:
            done, last = step // steps, self.epochs - 1
        return self._schedule.temperature(done / last if last > 0 else 1.0)

    def configure_optimizers(self) -> Any:
        """Return Adam with learning rates in each design's own unit, and their decay."""
        rate = self._training_config.learning_rate
        layers = self.model.layers
        groups: list[dict[str, Any]] = [
            {"params": [layer.design], "lr": rate * layer.relaxation.lr_unit(layer.table)} for layer in layers
        ]
        designs = {id(layer.design) for layer in layers}
        others = [parameter for parameter in self.model.parameters() if id(parameter) not in designs]
        if others:
            groups.append({"params": others, "lr": self._training_config.scale_learning_rate})
        optimizer = optim.Adam(groups, fused=self.device.type in ("cpu", "cuda"))
        if self._training_config.learning_rate_decay == "none":
            return {"optimizer": optimizer}
        decay = optim.lr_scheduler.CosineAnnealingLR(optimizer, self.epochs * len(self._batches))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": decay, "interval": "step"}}

    def on_fit_start(self) -> None:
        self._batches.to(self.device)
        self._test_batches.to(self.device)

    def train_dataloader(self) -> ImageBatches:
        return self._batches

    def val_dataloader(self) -> ImageBatches:
        return self._test_batches

    def on_train_batch_start(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:
        if batch_idx == 0:
            self._begin_epoch()
        self._last_temperature = self.temperature(self.global_step)
        self.model.set_temperature(self._last_temperature)

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        images, targets = batch
        outputs = self.model(images)
        loss = loss_of(self.model.task, outputs, targets)
        self._tally.add(outputs.detach(), targets, loss.detach())
        return loss

    def on_validation_start(self) -> None:
        self._train_seconds = time.perf_counter() - self._started
        self._test_tally = Tally(self.model.task.metrics)

    def validation_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:
        images, targets = batch
        self._test_tally.add(self.model(images), targets)

    def running(self) -> EpochMetrics:
        """Return loss, metrics and temperature so far in this epoch."""
        return {
            "temperature": self._last_temperature,
            "train_loss": self._tally.loss,
            **self._tally.columns("train"),
        }

    def close_epoch(self) -> EpochMetrics:
        """Take down the figures of the epoch that has just ended, and return them.

        Raises:
            TrainingError: if the loss or a parameter is not finite.
        """
        figures: EpochMetrics = {
            "epoch": len(self.history) + 1,
            **self.running(),
            **self._test_tally.columns("test"),
            "seconds": time.perf_counter() - self._started,
            "images_per_second": self._tally.examples / max(self._train_seconds, 1e-9),  # a clock may not have moved
        }
        # The loss of an epoch does not show what its last step did to the parameters.
        if not (math.isfinite(figures["train_loss"]) and all(p.isfinite().all() for p in self.model.parameters())):
            raise TrainingError(
                f"expected a finite loss and finite parameters, but training diverged in epoch {figures['epoch']:g}, "
                f"loss {figures['train_loss']:g}: lower training.learning_rate, or check the amplitudes of the devices"
            )
        self.history.append(figures)
        return figures

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["voltphase"] = {"history": self.history, **self._about}

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        self.history = list(checkpoint["voltphase"]["history"])

    def _begin_epoch(self) -> None:
        self._started = time.perf_counter()
        self._train_seconds = 1.0
        self._last_temperature = self._schedule.temperature(0.0)
        self._tally, self._test_tally = (Tally(self.model.task.metrics) for _ in range(2))


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
    """Return a trainer on one device, ``"cpu"`` or ``"cuda"``, that is as the arguments say, and detects nothing."""
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
