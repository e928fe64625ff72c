"""What is kept of each epoch, and what a person sees while a network trains."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from voltphase.core.dtypes import surely
from voltphase.core.files import atomic_path
from voltphase.core.surroundings import unheard
from voltphase.training.loop import EpochMetrics, TrainingModule, lightning
from voltphase.training.run_folder import RunFolder
from voltphase.training.watching.profile import spending

# Found once: to look one up takes logging's lock, which Ctrl-C at the wrong moment would leave taken.
_LOGGERS: Final = tuple(logging.getLogger(name) for name in ("lightning.pytorch", "lightning.fabric"))


class Recorder(lightning.Callback):
    """Keeps every whole epoch, its figures and all that is needed to go on from there, and shows them.

    Args:
        folder: Run folder to keep them in.
        console: Console for a line an epoch and, on a terminal, a bar with what is reached and the time left.
        watch: Function that is called with the figures of each epoch once they are kept.
        name: What its lines begin with, where there are others.
        table: Bars of several trainings, in place of a bar of its own.
    """

    def __init__(
        self,
        folder: RunFolder,
        console: Console | None,
        watch: Callable[[EpochMetrics], None] | None,
        *,
        name: str = "",
        table: Progress | None = None,
    ) -> None:
        self.folder, self.started = folder, False
        self._watch, self._name, self._ends_bar = watch, name, table is None
        self._console = Console(quiet=True) if console is None else console
        self._bar = progress_table(console) if table is None else table

    def on_train_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        assert isinstance(pl_module, TrainingModule)
        self.started = True
        steps, epochs = int(trainer.num_training_batches), int(trainer.max_epochs or 1)
        self._task = self._bar.add_task(
            self._name, total=steps * epochs, completed=pl_module.steps_done, epoch=_epoch(trainer), figures=""
        )
        self._bar.start()

    def on_train_batch_end(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if self._bar.disable:
            return
        assert isinstance(pl_module, TrainingModule)
        running, metric = pl_module.running(), pl_module.model.task.metrics[0]
        value = metric.number(running[metric.column("train")])
        figures = f"loss {running['train_loss']:.4f}  {metric.name} {value}  τ {running['temperature']:.2f}"
        self._bar.update(self._task, completed=pl_module.steps_done, epoch=_epoch(trainer), figures=figures)

    def on_train_epoch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        assert isinstance(pl_module, TrainingModule)
        figures, metric = pl_module.close_epoch(), pl_module.model.task.metrics[0]
        with spending("checkpoint"):
            with atomic_path(self.folder.checkpoint_file) as temporary:
                trainer.save_checkpoint(temporary)
            self.folder.write_metrics(pl_module.history)
        seen, train = (metric.number(figures[metric.column(split)]) for split in (pl_module.watched, "train"))
        epoch = f"{int(figures['epoch']):>{len(str(pl_module.epochs))}}/{pl_module.epochs}"
        line = (
            f"{self._name}{'  ' if self._name else ''}epoch {epoch}  {pl_module.watched} {seen} (deployed)  "
            f"train {train} (in training)  loss {figures['train_loss']:.4f}  τ {figures['temperature']:.2f}  "
            f"{figures['seconds']:.1f} s"
        )
        self._console.print(line, markup=False, highlight=False, soft_wrap=True)
        if self._watch is not None:
            self._watch(figures)

    def on_train_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        self._end_bar()

    def on_exception(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, exception: BaseException
    ) -> None:
        self._end_bar()

    def _end_bar(self) -> None:
        if self._ends_bar:
            self._bar.stop()


class Follower(Recorder):
    """What stands in for a recorder in every process but the first: it keeps and shows nothing.

    Args:
        folder: Run folder, which the first process keeps epochs in.
    """

    def on_train_epoch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        assert isinstance(pl_module, TrainingModule)
        pl_module.close_epoch()


def progress_table(console: Console | None) -> Progress:
    """Return a table of bars, one for each training that is added; it shows nothing where no terminal is."""
    return Progress(
        TextColumn("{task.description}"),
        TextColumn("epoch {task.fields[epoch]}"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[figures]}"),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=console is None or not console.is_terminal,
    )


def _epoch(trainer: lightning.Trainer) -> str:
    return f"{min(trainer.current_epoch + 1, int(trainer.max_epochs or 1))}/{trainer.max_epochs}"


@contextmanager
def quiet_lightning() -> Iterator[None]:
    """Keep Lightning's advice about hardware, workers and its shop out of the user's terminal."""
    filters = warnings.filters

    def restore() -> None:
        warnings.filters = filters  # which Ctrl-C can keep catch_warnings from

    with unheard(*_LOGGERS), surely(restore), warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"lightning(\..*)?")
        yield
