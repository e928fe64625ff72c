"""Hands each epoch to the loggers of a run; one that fails is left out, and training goes on."""

from __future__ import annotations

import logging
import os
import sys
import threading
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from voltphase.codesign import CodesignLayer
from voltphase.config import Config
from voltphase.core.advice import advise
from voltphase.core.dtypes import surely
from voltphase.core.errors import VoltphaseWarning
from voltphase.core.registry import failure
from voltphase.core.surroundings import unheard
from voltphase.loggers import EpochRecord, Log, Logger, RunToLog
from voltphase.loggers.base import EPOCH
from voltphase.network.donn import DONN
from voltphase.training.experiment import settings
from voltphase.training.loop import EpochMetrics, TrainingModule, lightning
from voltphase.training.run_folder import RunFolder
from voltphase.training.watching.pictures import layer_pictures, level_counts
from voltphase.training.watching.profile import spending


class LoggerWarning(VoltphaseWarning):
    """A logger that failed and is left out, while training goes on."""


class Watcher(lightning.Callback):
    """Logs every whole epoch once it is kept; with no loggers it does nothing.

    So no epoch is logged twice, as a run goes on from the last one that is kept. What a killed process has kept and not
    logged is made up for by its figures.

    Args:
        folder: Run folder.
        config: Its configuration, which says by what loggers.

    Attributes:
        console: Console that is told how to look at each, or None.

    Raises:
        MissingLibraryError: if what a logger needs is not installed.
    """

    def __init__(self, folder: RunFolder, config: Config) -> None:
        self._run = RunToLog(folder.path.resolve().name, folder.path, settings(config))
        self._loggers: dict[str, Logger] = {asked.name: asked.build() for asked in config.training.loggers}
        self._open: dict[str, Log] = {}
        self._levels: list[NDArray[np.int64]] | None = None
        self.console: Console | None = None
        self._failures: dict[str, str] = {}
        for logger in self._loggers.values():
            with _undisturbed(logger):
                logger.require()

    @property
    def noted(self) -> dict[str, Any]:
        """What the summary of a run is to say of it: why loggers were left out, by their names, if some were."""
        return {"failed_loggers": self._failures} if self._failures else {}

    def on_train_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        assert isinstance(pl_module, TrainingModule)
        if not self._loggers or not trainer.is_global_zero:
            return
        self._levels = _levels_of(pl_module.model)
        for name, logger in self._loggers.items():
            with self._trying(name):
                self._open[name] = log = logger.open(self._run)
                self._say(f"{name}: {logger.how_to_look(self._run)}")
                there = log.epochs
                for figures in pl_module.history:
                    if figures[EPOCH] not in there:
                        log.write(EpochRecord(int(figures[EPOCH]), _with_epoch_last(figures)))

    def on_train_epoch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        assert isinstance(pl_module, TrainingModule)
        if self._open:
            with spending("logging"):
                self._log(pl_module)

    def _log(self, pl_module: TrainingModule) -> None:
        figures, counts = self._figures_of(pl_module)
        epoch, pictures = int(figures[EPOCH]), None
        for name, log in list(self._open.items()):
            wanted = _is_pictured(epoch, self._loggers[name].pictures_every, pl_module.epochs)
            if wanted and pictures is None:
                pictures = _pictures_of(pl_module.model, self._levels)
            with self._trying(name, epoch):
                log.write(EpochRecord(epoch, figures, counts, pictures if wanted and pictures else {}))

    def on_train_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        self._close(finished=True)

    def on_exception(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, exception: BaseException
    ) -> None:
        self._close(finished=False)

    def _say(self, line: str) -> None:
        if self.console is not None:
            self.console.print(line, markup=False, highlight=False, soft_wrap=True)

    def _figures_of(self, module: TrainingModule) -> tuple[dict[str, float], dict[str, NDArray[np.int64]]]:
        """Return the figures of the epoch that has just been kept, and how many pixels of a layer are at each level."""
        before, self._levels = self._levels, _levels_of(module.model)
        figures: dict[str, float] = {}
        counts: dict[str, NDArray[np.int64]] = {}
        if before is not None and self._levels is not None:
            changed = [now != then for now, then in zip(self._levels, before, strict=True)]
            figures["changed_share"] = sum(map(np.sum, changed)) / sum(one.size for one in changed)
            for (name, layer), now, of_layer in zip(_named(module.model), self._levels, changed, strict=True):
                counts[f"{name}/level_counts"] = pixels = level_counts(now, len(layer.device_states))
                figures[f"{name}/changed_share"] = float(of_layer.mean())
                figures[f"{name}/levels_in_use"] = float(np.count_nonzero(pixels))
        return _with_epoch_last({**module.history[-1], **figures}), counts

    def _close(self, *, finished: bool) -> None:
        for name in list(self._open):
            with self._trying(name):
                self._open.pop(name).close(finished=finished)

    @contextmanager
    def _trying(self, name: str, epoch: int | None = None) -> Iterator[None]:
        """Leave out a logger that fails in the block, with a warning."""
        with spending("logging"), _undisturbed(self._loggers[name]):
            try:
                yield
                return
            except Exception as error:
                reason = failure(error)
            if (log := self._open.pop(name, None)) is not None:
                with suppress(Exception):
                    log.close(finished=False)
        when = "" if epoch is None else f" from epoch {epoch} on"
        self._failures[name] = f"left out{when}: {reason}"
        advise(
            f"the logger {name} is left out{when} ({reason}): training goes on, and metrics.csv has every epoch",
            LoggerWarning,
            name,
            self._run.folder,
        )


def _named(model: DONN) -> list[tuple[str, CodesignLayer]]:
    return [(f"layer-{number}", layer) for number, layer in enumerate(model.layers, start=1)]


def _levels_of(model: DONN) -> list[NDArray[np.int64]] | None:
    """Return the level of each pixel of each layer; None of free phases, which have none."""
    if not all(layer.relaxation.discrete for layer in model.layers):
        return None
    return [levels.cpu().numpy() for levels in model.levels()]


def _pictures_of(model: DONN, levels: Sequence[NDArray[np.int64]] | None) -> dict[str, NDArray[np.uint8]]:
    return {
        f"{name}/{what}": picture
        for (name, layer), at in zip(_named(model), levels or [None] * len(model.layers), strict=True)
        for what, picture in layer_pictures(layer, at).items()
    }


def _is_pictured(epoch: int, every: int, epochs: int) -> bool:
    return every > 0 and (epoch in (1, epochs) or epoch % every == 0)


def _with_epoch_last(figures: EpochMetrics) -> EpochMetrics:
    return {**{name: value for name, value in figures.items() if name != EPOCH}, EPOCH: figures[EPOCH]}


@contextmanager
def _undisturbed(logger: Logger) -> Iterator[None]:
    """Keep what a library has to say out of the terminal, and give it the environment that it is to have."""
    hooks = threading.excepthook, sys.excepthook, sys.exit

    def hook(raised: threading.ExceptHookArgs) -> None:
        if type(raised.thread).__module__.partition(".")[0] not in logger.chatter:
            hooks[0](raised)

    missing = [name for name in logger.environment if name not in os.environ]

    def restore() -> None:
        threading.excepthook, sys.excepthook, sys.exit = hooks
        for name in missing:
            os.environ.pop(name, None)

    quiet = unheard(*(logging.getLogger(name) for name in logger.chatter))
    with surely(restore), warnings.catch_warnings(), quiet:
        warnings.simplefilter("ignore")
        threading.excepthook = hook
        os.environ.update({name: logger.environment[name] for name in missing})
        yield
