"""What a person sees while a network trains, and how Lightning is kept from saying more."""

from __future__ import annotations

import logging
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from voltphase.training.loop import Row, TrainingModule
from voltphase.training.trainer import lightning

# Reading the running loss makes a GPU wait for its queue; four times a second is still alive to the eye.
_REFRESH_SECONDS = 0.25


def describe_row(row: Row, epochs: int) -> str:
    """An epoch's figures in a line: accuracies of the deployed and of the trained states, loss, temperature, time."""
    width = len(str(epochs))
    return (
        f"epoch {int(row['epoch']):>{width}}/{epochs}  test {row['test_accuracy']:.4f} (deployed)  "
        f"train {row['train_accuracy']:.4f} (in training)  loss {row['train_loss']:.4f}  τ {row['temperature']:.2f}  "
        f"{row['seconds']:.1f} s"
    )


class ShowProgress(lightning.Callback):
    """A bar with epoch, loss, accuracy, temperature and time left on a terminal; a line an epoch anywhere.

    Args:
        console: Where to write.
        epochs: How many there will be.
    """

    def __init__(self, console: Console, epochs: int) -> None:
        self._epochs = epochs
        self._refreshed = 0.0
        self._bar = Progress(
            TextColumn("epoch {task.fields[epoch]}"),
            BarColumn(),
            TaskProgressColumn(),
            TextColumn("{task.fields[figures]}"),
            TimeRemainingColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )

    def on_train_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        steps = int(trainer.num_training_batches)
        self._task = self._bar.add_task(
            "",
            total=steps * self._epochs,
            completed=trainer.global_step,
            epoch=self._epoch(trainer),
            figures="",
        )
        self._bar.start()

    def on_train_batch_end(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        now = time.monotonic()
        if self._bar.disable or now - self._refreshed < _REFRESH_SECONDS:
            return
        assert isinstance(pl_module, TrainingModule)
        self._refreshed = now
        running = pl_module.running()
        self._bar.update(
            self._task,
            completed=trainer.global_step,
            epoch=self._epoch(trainer),
            figures=(
                f"loss {running['train_loss']:.4f}  accuracy {running['train_accuracy']:.4f}  "
                f"τ {running['temperature']:.2f}"
            ),
        )

    def show(self, row: Row) -> None:
        """Write the line of an epoch."""
        self._bar.console.print(describe_row(row, self._epochs), highlight=False, soft_wrap=True)

    def on_train_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        self._bar.stop()

    def on_exception(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, exception: BaseException
    ) -> None:
        self._bar.stop()

    def _epoch(self, trainer: lightning.Trainer) -> str:
        return f"{min(trainer.current_epoch + 1, self._epochs)}/{self._epochs}"


@contextmanager
def quiet_lightning() -> Iterator[None]:
    """Keep Lightning's advice about hardware, workers and its shop out of the user's terminal."""
    loggers = [logging.getLogger(name) for name in ("lightning.pytorch", "lightning.fabric")]
    levels = [logger.level for logger in loggers]
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"lightning(\..*)?")
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        try:
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)
