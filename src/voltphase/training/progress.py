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

from voltphase.tasks import Metric
from voltphase.training.loop import EpochMetrics, TrainingModule, lightning

# Reading the running loss makes a GPU wait for its queue; four times a second is still alive to the eye.
_REFRESH_SECONDS = 0.25


def describe_epoch(figures: EpochMetrics, epochs: int, metric: Metric) -> str:
    """Return an epoch's figures in a line.

    Args:
        figures: Figures of the epoch.
        epochs: Number of epochs of the whole training.
        metric: Metric to tell, of the deployed states and of those that light saw in training.
    """
    test, train = (metric.number(figures[metric.column(split)]) for split in ("test", "train"))
    return (
        f"epoch {int(figures['epoch']):>{len(str(epochs))}}/{epochs}  test {test} (deployed)  "
        f"train {train} (in training)  loss {figures['train_loss']:.4f}  τ {figures['temperature']:.2f}  "
        f"{figures['seconds']:.1f} s"
    )


class ShowProgress(lightning.Callback):
    """A bar with epoch, loss, metric, temperature and time left on a terminal; a line an epoch anywhere.

    Args:
        console: Console to write to.
        epochs: Number of epochs of the whole training.
        metric: Metric to show.
    """

    def __init__(self, console: Console, epochs: int, metric: Metric) -> None:
        self._epochs = epochs
        self._metric = metric
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
        value = self._metric.number(running[self._metric.column("train")])
        self._bar.update(
            self._task,
            completed=trainer.global_step,
            epoch=self._epoch(trainer),
            figures=(f"loss {running['train_loss']:.4f}  {self._metric.name} {value}  τ {running['temperature']:.2f}"),
        )

    def show(self, figures: EpochMetrics) -> None:
        """Write the line of an epoch."""
        self._bar.console.print(describe_epoch(figures, self._epochs, self._metric), highlight=False, soft_wrap=True)

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
