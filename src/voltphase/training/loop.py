"""A network, its loss, its optimizer and its temperature as Lightning trains them: each process on one device."""

from __future__ import annotations

import inspect
import io
import math
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, Self

import torch
from torch import Tensor, optim

from voltphase.codesign import Schedule
from voltphase.config import TrainingConfig
from voltphase.core.errors import DataError, TrainingError
from voltphase.core.surroundings import hidden
from voltphase.network.donn import DONN
from voltphase.tasks.base import require_values
from voltphase.training.batches import ImageBatches
from voltphase.training.checkpoint import DIGESTS, digest_of
from voltphase.training.evaluation import Tally, tally_of
from voltphase.training.processes import ALONE, Ranks
from voltphase.training.processes.agreement import require_same_design
from voltphase.training.steps import Batch, Learner, TrainingStep, make_optimizer
from voltphase.training.watching.profile import begin_training, spending

# Lightning reads them when it is imported, and expects whole numbers.
_RANKS: Final = ("RANK", "LOCAL_RANK", "SLURM_PROCID", "JSM_NAMESPACE_RANK")

with hidden(*_RANKS):
    import lightning
    from lightning.fabric.plugins.environments.lightning import LightningEnvironment
    from lightning.pytorch.plugins.io import CheckpointIO

__all__ = ["Checkpoints", "EpochMetrics", "TrainingModule", "lightning", "make_trainer", "take_steps"]

#: How often what a terminal shows moves, and what came in from outside (a signal to end) is looked at. Reading the
#: running loss makes a GPU wait for its queue; four times a second is still alive to the eye.
REFRESH_SECONDS: Final = 0.25
#: Figures of an epoch by the names of their columns in ``metrics.csv``.
EpochMetrics = dict[str, float]
#: Batches of images and targets as Lightning hands them on, each with two numbers of its own.
Batches = Iterator[tuple[tuple[Tensor, Tensor], int, int]]


class TrainingModule(lightning.LightningModule):
    """Trains a :class:`voltphase.DONN`.

    ``history`` holds the figures of each epoch: ``epoch`` (from 1), ``temperature`` (of its last step), ``train_loss``
    and ``train_`` with the name of each of the task's metrics (of what light saw in training), ``test_`` (or ``val_``)
    with the name of each (of the deployed states), ``seconds`` and ``images_per_second`` (of training alone). After
    training ``host_seconds`` is the time that was spent neither in steps nor on the images that are watched, and
    ``recorded`` says whether steps were replayed as a CUDA graph.

    Args:
        model: Network to train.
        training: Learning rates and number of epochs.
        schedule: Course of the temperature.
        batches: Batches of the training images.
        watched_batches: Batches of the images that are answered after each epoch, never used to choose anything.
        watched: Name of these images in the figures' columns: ``test`` or ``val``.
        temperature_per_epoch: Whether the temperature stays for an epoch instead of moving with every step.
        about: What a checkpoint is to say of the run, such as its settings and the digests of its devices.
        ranks: Processes that train the network, which share the batches.
    """

    def __init__(
        self,
        model: DONN,
        training: TrainingConfig,
        schedule: Schedule,
        batches: ImageBatches,
        watched_batches: ImageBatches,
        *,
        watched: str = "test",
        temperature_per_epoch: bool = False,
        about: dict[str, Any] | None = None,
        ranks: Ranks = ALONE,
    ) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.model = model
        self.epochs = training.epochs
        self.history: list[EpochMetrics] = []
        self._training_config = training
        self._schedule = schedule
        self._batches = batches
        self._watched_batches, self.watched = watched_batches, watched
        self._temperature_per_epoch = temperature_per_epoch
        self._about, self.ranks = about or {}, ranks
        #: What takes steps with batches in turn with other trainings; None where they are taken as they come.
        self.in_turn: Callable[[Batches], None] | None = None
        self.trained_together = 1
        self._tally = Tally(model.task.metrics, model.task)
        self.host_seconds, self.recorded, self._busy_seconds = 0.0, False, 0.0
        self._begin_epoch()

    def temperature(self, step: int) -> float:
        """Return the temperature after so many steps, by how far training has come."""
        steps = len(self._batches)
        done, last = step, self.epochs * steps - 1
        if self._temperature_per_epoch:
            done, last = step // steps, self.epochs - 1
        return self._schedule.temperature(done / last if last > 0 else 1.0)

    @property
    def steps_done(self) -> int:
        """Number of steps of training so far, of all epochs."""
        return self.current_epoch * len(self._batches) + self._steps_of_epoch

    def configure_optimizers(self) -> Any:
        """Return Adam with learning rates in each design's own unit, and their decay."""
        optimizer = make_optimizer(self.model, self._training_config)
        if self._training_config.learning_rate_decay == "none":
            return {"optimizer": optimizer}
        decay = optim.lr_scheduler.CosineAnnealingLR(optimizer, self.epochs * len(self._batches))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": decay, "interval": "step"}}

    def share_images(self, moved: dict[int, Tensor]) -> None:
        """Move the images to the network's device, but those that are among ``moved``; see :meth:`ImageBatches.to`."""
        for batches in (self._batches, self._watched_batches):
            batches.to(self.model.layers[0].design.device, moved)

    def on_fit_start(self) -> None:
        self._batches.to(self.device)
        self._watched_batches.to(self.device)

    def on_train_start(self) -> None:
        # What a checkpoint holds has been put back by now.
        optimizer: Any = self.optimizers(use_pl_optimizer=False)
        self.learner = Learner.of(self.model, optimizer, self._tally, self._training_config, self.ranks)
        self._step = TrainingStep([self.learner]) if self.in_turn is None else None
        self._decay: Any = self.lr_schedulers()
        self._began, self._busy_seconds = time.perf_counter(), 0.0
        begin_training()

    def cpu(self) -> Self:
        """Stay: Lightning ends with this, and a network is evaluated where it was trained, by the same back end."""
        return self

    def train_dataloader(self) -> ImageBatches:
        return self._batches

    def on_train_epoch_start(self) -> None:
        self._begin_epoch()

    def training_step(self, dataloader_iter: Batches) -> None:
        """Take steps for as long as the terminal may stay as it is; to Lightning all of them are one.

        What Lightning does for each step takes it about a millisecond.
        """
        with self._busy():
            if self._step is not None:
                with spending("steps", self.device):
                    take_steps(self._step, [self], [dataloader_iter])
            elif self.in_turn is not None:
                self.in_turn(dataloader_iter)

    def next_batch(self, images: Tensor, targets: Tensor) -> Batch:
        """Return a batch with the temperature of the step that is to be taken with it."""
        self._last_temperature = self.temperature(self.steps_done)
        return images, targets, self._last_temperature

    def count_step(self) -> None:
        """Count a step that was taken, and let the learning rates decay by it."""
        if self._decay is not None:
            self._decay.step()
        self._steps_of_epoch += 1

    def on_train_end(self) -> None:
        self.host_seconds = time.perf_counter() - self._began - self._busy_seconds
        self._step = None  # and with it the memory of what it recorded

    def running(self) -> EpochMetrics:
        """Return loss, metrics and temperature so far in this epoch, of the images that this process has seen."""
        return self._figures_of(self._tally)

    def close_epoch(self) -> EpochMetrics:
        """Answer the images that are watched, take down the figures of the epoch that has just ended, and return them.

        Raises:
            TrainingError: if the loss, a parameter or a metric is not finite.
        """
        tally = self._tally.of_all(self.ranks)
        figures: EpochMetrics = {"epoch": len(self.history) + 1, **self._figures_of(tally)}
        trained = time.perf_counter() - self._started
        # The loss of an epoch does not show what its last step did to the parameters.
        if not (math.isfinite(figures["train_loss"]) and all(p.isfinite().all() for p in self.model.parameters())):
            raise TrainingError(
                f"expected a finite loss and finite parameters, but training diverged in epoch {figures['epoch']:g}, "
                f"loss {figures['train_loss']:g}: lower training.learning_rate, or check the amplitudes of the devices"
            )
        require_same_design(self.model, self.ranks)
        with self._busy(), spending("evaluation"):
            figures |= tally_of(self.model, self._watched_batches, self.ranks).columns(self.watched)
        for split in ("train", self.watched):
            require_values(self.model.task, figures, split)
        figures["seconds"] = time.perf_counter() - self._started
        figures["images_per_second"] = tally.examples / max(trained, 1e-9)  # a clock may not have moved
        self.history.append(figures)
        return figures

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["voltphase"] = {
            "history": self.history,
            "trained_together": self.trained_together,
            **self._about,
        }

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        self.history = list(checkpoint["voltphase"]["history"])
        self.trained_together = max(self.trained_together, checkpoint["voltphase"].get("trained_together", 1))

    def _figures_of(self, tally: Tally) -> EpochMetrics:
        return {"temperature": self._last_temperature, "train_loss": tally.loss, **tally.columns("train")}

    def _begin_epoch(self) -> None:
        self._started = time.perf_counter()
        self._last_temperature = self._schedule.temperature(0.0)
        self._steps_of_epoch = 0
        self._tally.clear()

    @contextmanager
    def _busy(self) -> Iterator[None]:
        started = time.perf_counter()
        yield
        self._busy_seconds += time.perf_counter() - started


def take_steps(step: TrainingStep, modules: Sequence[TrainingModule], sources: Sequence[Batches]) -> None:
    """Take steps with batches of as many modules as ``step`` trains, for as long as a terminal may stay as it is.

    It ends sooner where batches are used up, or one of the networks fails.

    Args:
        step: What trains the networks of ``modules``, in this order.
        modules: The modules.
        sources: Batches of each, of the same sizes.
    """
    until = time.monotonic() + REFRESH_SECONDS
    while found := _next_batches(sources):
        step([module.next_batch(*batch) for module, batch in zip(modules, found, strict=True)])
        for module in modules:
            module.count_step()
            module.recorded = step.recorded
        if step.failures or time.monotonic() > until:
            break


def _next_batches(sources: Sequence[Batches]) -> list[tuple[Tensor, Tensor]]:
    with spending("data"):
        return [fetched[0] for batches in sources if (fetched := next(batches, None)) is not None]


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


class Checkpoints(CheckpointIO):
    """Writes checkpoints with a digest for each part, and gives Lightning the one that was read and checked before."""

    def __init__(self, content: dict[str, Any] | None = None) -> None:
        self._content = content

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None) -> None:
        digests = {name: digest_of(part) for name, part in checkpoint.items()}
        # To memory first: PyTorch's own writer reports a full disk as a RuntimeError.
        stream = io.BytesIO()
        torch.save({**checkpoint, DIGESTS: digests}, stream)
        Path(path).write_bytes(stream.getbuffer())

    def load_checkpoint(
        self, path: str | Path, map_location: Any = None, weights_only: bool | None = None
    ) -> dict[str, Any]:
        if self._content is None:
            raise DataError(f"expected a checkpoint that was read before, but got {path}")
        return self._content

    def remove_checkpoint(self, path: str | Path) -> None:
        Path(path).unlink(missing_ok=True)


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
