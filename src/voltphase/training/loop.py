"""A network, its loss, its optimizer and its temperature, as Lightning wants them."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from voltphase.codesign import Schedule
from voltphase.config import TrainingConfig
from voltphase.core.errors import TrainingError
from voltphase.network.donn import DONN
from voltphase.training.batches import ImageBatches
from voltphase.training.trainer import lightning

if TYPE_CHECKING:
    from lightning.pytorch.utilities.types import OptimizerConfig, OptimizerLRSchedulerConfig

Row = dict[str, float]


def diverged(row: Row) -> TrainingError:
    """Return the error for a loss or a parameter that is not finite, in the epoch with these figures."""
    return TrainingError(
        f"expected a finite loss and finite parameters, but training diverged in epoch {row['epoch']:g}, loss "
        f"{row['train_loss']:g}: lower training.learning_rate, or check the amplitudes of the devices"
    )


class TrainingModule(lightning.LightningModule):
    """Trains a :class:`voltphase.DONN`.

    After each epoch ``row`` holds its figures and ``history`` those of all epochs: ``epoch`` (from 1),
    ``temperature`` (of its last step), ``train_loss`` and ``train_accuracy`` (of what light saw while it
    trains), ``test_accuracy`` (of the deployed states), ``seconds`` and ``images_per_second`` (of training alone).

    Args:
        model: What to train.
        training: Loss, learning rates and number of epochs.
        schedule: Of the temperature.
        batches: The training images.
        test_batches: The test images; watched, never used to choose anything.
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
        self.history: list[Row] = []
        self._training_config = training
        self._schedule = schedule
        self._batches = batches
        self._test_batches = test_batches
        self._temperature_per_epoch = temperature_per_epoch
        self._about = about or {}
        self._loss = model.task.compute_loss
        self._reset_sums()

    @property
    def temperature(self) -> float:
        """The temperature of the current step, by how far training has come."""
        if self._temperature_per_epoch:
            done, last = self.current_epoch, self._training_config.epochs - 1
        else:
            done, last = self.global_step, self._training_config.epochs * len(self._batches) - 1
        return self._schedule.temperature(done / last if last > 0 else 1.0)

    def configure_optimizers(self) -> OptimizerConfig | OptimizerLRSchedulerConfig:
        rate = self._training_config.learning_rate
        groups: list[dict[str, Any]] = [
            {"params": [layer.design], "lr": rate * layer.relaxation.lr_unit(layer.table)}
            for layer in self.model.layers
        ]
        designs = {id(layer.design) for layer in self.model.layers}
        others = [parameter for parameter in self.model.parameters() if id(parameter) not in designs]
        if others:
            groups.append({"params": others, "lr": self._training_config.scale_learning_rate})
        optimizer = torch.optim.Adam(groups, fused=self.device.type in ("cpu", "cuda"))
        if self._training_config.learning_rate_decay == "none":
            return {"optimizer": optimizer}
        steps = self._training_config.epochs * len(self._batches)
        decay = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
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
            self._reset_sums()
        self._last_temperature = self.temperature
        self.model.set_temperature(self._last_temperature)

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        images, labels = batch
        logits = self.model(images)
        loss = self._loss(logits, labels)
        # Summed on the device: reading a number back after every step would make a GPU wait.
        self._loss_sum += loss.detach() * len(labels)
        self._correct += (logits.detach().argmax(1) == labels).sum()
        self._seen += len(labels)
        return loss

    def on_validation_start(self) -> None:
        self._train_seconds = time.perf_counter() - self._started
        self._test_correct = torch.zeros((), dtype=torch.int64, device=self.device)

    def validation_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:
        images, labels = batch
        self._test_correct += (self.model(images).argmax(1) == labels).sum()

    def running(self) -> Row:
        """Loss, accuracy and temperature so far in this epoch."""
        return {
            "train_loss": float(self._loss_sum) / max(self._seen, 1),
            "train_accuracy": int(self._correct) / max(self._seen, 1),
            "temperature": self._last_temperature,
        }

    def close_epoch(self) -> Row:
        """Take down the figures of the epoch that has just ended, and give them.

        Raises:
            TrainingError: if the loss or a parameter is finite no longer.
        """
        running = self.running()
        row: Row = {
            "epoch": len(self.history) + 1,
            "temperature": running["temperature"],
            "train_loss": running["train_loss"],
            "train_accuracy": running["train_accuracy"],
            "test_accuracy": int(self._test_correct) / self._test_batches.images,
            "seconds": time.perf_counter() - self._started,
            "images_per_second": self._seen / max(self._train_seconds, 1e-9),  # a clock may not have moved
        }
        self._check_finite(row)
        self.history.append(row)
        return row

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["voltphase"] = {"history": self.history, **self._about}

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        self.history = list(checkpoint["voltphase"]["history"])

    def _check_finite(self, row: Row) -> None:
        # The loss of an epoch does not show what its last step did to the parameters.
        if not (math.isfinite(row["train_loss"]) and all(bool(p.isfinite().all()) for p in self.model.parameters())):
            raise diverged(row)

    def _reset_sums(self) -> None:
        self._started = time.perf_counter()
        self._train_seconds = 1.0
        self._seen = 0
        self._last_temperature = self._schedule.temperature(0.0)
        self._loss_sum = torch.zeros((), device=self.device)
        self._correct = torch.zeros((), dtype=torch.int64, device=self.device)
        self._test_correct = torch.zeros((), dtype=torch.int64, device=self.device)
