"""TensorBoard: event files in the run folder."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from voltphase.core.words import shell
from voltphase.loggers.base import EPOCH, LOGGERS, EpochRecord, Log, Logger, RunToLog

_NAME: Final = "tensorboard"
# Nothing is written but when it is asked for.
_NEVER: Final = 1_000_000


@LOGGERS.register(_NAME)
@dataclass(frozen=True)
class TensorBoard(Logger):
    """TensorBoard: curves, histograms of levels and pictures of layers in event files."""

    library = _NAME
    chatter = (_NAME,)

    def open(self, run: RunToLog) -> Log:
        """Begin an event file beside those that are there; see :meth:`Logger.open`."""
        return _EventFiles(run)

    def how_to_look(self, run: RunToLog) -> str:
        """Return the command that shows it; see :meth:`Logger.how_to_look`."""
        return shell("tensorboard", "--logdir", run.folder / _NAME)


class _EventFiles(Log):
    def __init__(self, run: RunToLog) -> None:
        from lightning.pytorch.loggers import TensorBoardLogger

        folder = run.folder / _NAME
        self._epochs = _epochs_in(folder)
        self._logger: Any = TensorBoardLogger(
            run.folder, name=_NAME, version="", default_hp_metric=False, flush_secs=_NEVER
        )
        if not self._epochs:
            settings = "\n".join(f"    {key}: {value}" for key, value in sorted(run.settings.items()))
            self._logger.experiment.add_text("settings", settings)

    @property
    def epochs(self) -> Collection[int]:
        return self._epochs

    def write(self, record: EpochRecord) -> None:
        writer = self._logger.experiment
        for name, counts in record.counts.items():
            levels = np.arange(len(counts))
            writer.add_histogram_raw(
                name,
                min=int(levels[counts > 0].min()),
                max=int(levels[counts > 0].max()),
                num=int(counts.sum()),
                sum=int((levels * counts).sum()),
                sum_squares=int((levels**2 * counts).sum()),
                bucket_limits=(levels + 0.5).tolist(),
                bucket_counts=counts.tolist(),
                global_step=record.epoch,
            )
        for name, picture in record.pictures.items():
            writer.add_image(name, picture, record.epoch, dataformats="HWC")
        for name, value in record.figures.items():  # log_metrics would call a full disk a wrong type
            writer.add_scalar(name, value, record.epoch)
        writer.flush()

    def close(self, *, finished: bool) -> None:
        self._logger.finalize("finished" if finished else "failed")


def _epochs_in(folder: Path) -> frozenset[int]:
    """Return the epochs that event files hold to their last figure."""
    if not folder.is_dir():
        return frozenset()
    from tensorboard.backend.event_processing.event_accumulator import SCALARS, EventAccumulator

    events = EventAccumulator(str(folder), size_guidance={SCALARS: 0}).Reload()
    found = events.Scalars(EPOCH) if EPOCH in events.Tags()[SCALARS] else []
    return frozenset(event.step for event in found)
