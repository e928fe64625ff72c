"""Weights & Biases: a run that stays on this machine unless the environment says otherwise."""

from __future__ import annotations

import json
import os
import struct
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from voltphase.core.files import write_text
from voltphase.core.words import shell
from voltphase.loggers.base import EPOCH, LOGGERS, EpochRecord, Log, Logger, RunToLog

_NAME: Final = "wandb"
_OFFLINE: Final = "offline"
# Which W&B knows the run by, here and on a server.
_ID_FILE: Final = "run-id"
# Its process writes into memory, and what is there is lost where the training is killed.
_FLUSH_SECONDS: Final = 1.0
_HEADER_BYTES, _BLOCK_BYTES = 7, 32768
_WHOLE, _LAST = 1, 4


@LOGGERS.register(_NAME)
@dataclass(frozen=True)
class WeightsAndBiases(Logger):
    """Weights & Biases: curves, histograms and pictures; offline unless WANDB_MODE of the environment says otherwise.

    Args:
        project: Name of the project that the run belongs to; null for what WANDB_PROJECT of the environment says, else
            ``voltphase``.
    """

    library = _NAME
    chatter = (_NAME,)
    # It would report its own failures to its makers, offline too.
    environment = {"WANDB_ERROR_REPORTING": "false"}  # noqa: RUF012

    project: str | None = None

    def open(self, run: RunToLog) -> Log:
        """Begin the run, or a further part of it; see :meth:`Logger.open`."""
        return _Run(run, self.project)

    def how_to_look(self, run: RunToLog) -> str:
        """Return the command that sends it, or that it is sent; see :meth:`Logger.how_to_look`."""
        if (mode := _mode()) != _OFFLINE:
            return f"WANDB_MODE is {mode}"
        return f"nothing is sent; to send it: {shell(_NAME, 'sync', run.folder / _NAME)}"


class _Run(Log):
    def __init__(self, run: RunToLog, project: str | None) -> None:
        import wandb
        from lightning.pytorch.loggers import WandbLogger

        folder = run.folder / _NAME
        folder.mkdir(exist_ok=True)
        self._epochs = frozenset(epoch for file in folder.glob("*run-*/*.wandb") for epoch in _epochs_in(file))
        # Output of the terminal stays where it is, and what else its own processes have to say is not for there.
        options: dict[str, Any] = {"console": "off", "silent": True, "x_transaction_log_flush_interval": _FLUSH_SECONDS}
        options = {name: value for name, value in options.items() if name in wandb.Settings.model_fields}
        self._run = wandb.init(
            dir=run.folder,
            project=project or os.environ.get("WANDB_PROJECT") or "voltphase",
            name=run.name,
            id=_id_in(folder),
            mode=_mode(),
            resume="allow",
            reinit="create_new",
            settings=wandb.Settings(**options),
        )
        self._logger: Any = WandbLogger(experiment=self._run)
        self._logger.log_hyperparams(dict(run.settings))

    @property
    def epochs(self) -> Collection[int]:
        return self._epochs

    def write(self, record: EpochRecord) -> None:
        import wandb

        counts = {
            name: wandb.Histogram(np_histogram=(pixels, np.arange(len(pixels) + 1) - 0.5))
            for name, pixels in record.counts.items()
        }
        pictures = {name: wandb.Image(picture) for name, picture in record.pictures.items()}
        self._logger.log_metrics({**counts, **pictures, **record.figures}, step=record.epoch)

    def close(self, *, finished: bool) -> None:
        self._run.finish(exit_code=0 if finished else 1)


def _mode() -> Any:
    return os.environ.get("WANDB_MODE") or _OFFLINE


def _id_in(folder: Path) -> str:
    file = folder / _ID_FILE
    if not file.is_file():
        from wandb.sdk.lib.runid import generate_id

        write_text(file, generate_id())
    return file.read_text(encoding="ascii").strip()


def _epochs_in(file: Path) -> Iterator[int]:
    """Yield the epochs that a file of W&B's own holds."""
    from wandb.proto import wandb_internal_pb2

    made: Any = wandb_internal_pb2  # whose classes are made when it is imported
    for content in _records_in(file.read_bytes()):
        record = made.Record()
        record.ParseFromString(content)
        for item in record.history.item:
            if (item.key or "/".join(item.nested_key)) == EPOCH:
                yield int(float(json.loads(item.value_json)))


def _records_in(content: bytes) -> Iterator[bytes]:
    """Yield the whole records of a file in LevelDB's log format, as W&B writes it after seven bytes of its own."""
    at, record = _HEADER_BYTES, b""
    while at + _HEADER_BYTES <= len(content):
        if (left := _BLOCK_BYTES - at % _BLOCK_BYTES) < _HEADER_BYTES:
            at += left  # no header is cut in two
            continue
        _, size, kind = struct.unpack_from("<IHB", content, at)
        at += _HEADER_BYTES
        if at + size > len(content):
            return
        record += content[at : at + size]
        at += size
        if kind in (_WHOLE, _LAST):
            yield record
            record = b""
