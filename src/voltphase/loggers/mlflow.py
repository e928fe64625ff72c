"""MLflow: a run in a store of its own in the run folder, or on a tracking server."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from voltphase.core.files import write_text
from voltphase.core.words import shell
from voltphase.loggers.base import EPOCH, LOGGERS, EpochRecord, Log, Logger, RunToLog

_NAME: Final = "mlflow"
_URI: Final = "MLFLOW_TRACKING_URI"
_ID_FILE: Final = "run-id"


@LOGGERS.register(_NAME)
@dataclass(frozen=True)
class MLflow(Logger):
    """MLflow: curves, counts of levels and pictures, in a store in the run folder or on a tracking server.

    Args:
        tracking_uri: Where to log to, such as ``http://host:5000``; null for what MLFLOW_TRACKING_URI of the
            environment says, else a store in the run folder.
        experiment: Name of the experiment that the run belongs to.
    """

    library = _NAME
    chatter = (_NAME, "alembic")
    environment = {  # noqa: RUF012
        # It would tell its makers how it is used.
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
        "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
        # By itself it asks a server that is away for minutes, in which nothing is trained.
        "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
        "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    }

    tracking_uri: str | None = None
    experiment: str = "voltphase"

    def open(self, run: RunToLog) -> Log:
        """Begin the run, or go on with it; see :meth:`Logger.open`."""
        return _Run(run, self._store(run), self.experiment)

    def how_to_look(self, run: RunToLog) -> str:
        """Return the command that shows it, or where it is; see :meth:`Logger.how_to_look`."""
        store, local = self._store(run), run.folder / _NAME
        return store if store != _local_store(local) else shell("mlflow", "ui", "--backend-store-uri", store)

    def _store(self, run: RunToLog) -> str:
        return self.tracking_uri or os.environ.get(_URI) or _local_store(run.folder / _NAME)


class _Run(Log):
    def __init__(self, run: RunToLog, store: str, experiment: str) -> None:
        from lightning.pytorch.loggers import MLFlowLogger

        folder = run.folder / _NAME
        folder.mkdir(exist_ok=True)
        file = folder / _ID_FILE
        begun = file.read_text(encoding="ascii").strip() if file.is_file() else None
        artifacts = (folder / "artifacts").resolve().as_uri() if store == _local_store(folder) else None
        with _own_store():
            self._logger: Any = MLFlowLogger(
                experiment, run.name, store, artifact_location=artifacts, run_id=begun, synchronous=True
            )
            self._client, self._id = self._logger.experiment, self._logger.run_id
        if begun is None:
            write_text(file, self._id)
            self._logger.log_hyperparams(dict(run.settings))
        else:
            self._client.update_run(self._id, status="RUNNING")
        self._epochs = frozenset(metric.step for metric in self._client.get_metric_history(self._id, EPOCH))

    @property
    def epochs(self) -> Collection[int]:
        return self._epochs

    def write(self, record: EpochRecord) -> None:
        for name, pixels in record.counts.items():
            # It draws no histograms: a table beside the pictures.
            self._client.log_dict(self._id, {"pixels": pixels.tolist()}, f"{name}/{record.epoch:06}.json")
        for name, picture in record.pictures.items():
            self._client.log_image(self._id, picture, f"{name}/{record.epoch:06}.png")
        self._logger.log_metrics(record.figures, step=record.epoch)

    def close(self, *, finished: bool) -> None:
        self._logger.finalize("success" if finished else "failed")


def _local_store(folder: Path) -> str:
    return f"sqlite:///{folder.resolve() / 'mlflow.db'}"


@contextmanager
def _own_store() -> Iterator[None]:
    """Leave the process's own store as it is, which Lightning's logger sets for all of the process."""
    import mlflow

    before: Any = os.environ.get(_URI)
    try:
        yield
    finally:
        mlflow.set_tracking_uri(before)
