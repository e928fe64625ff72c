"""The folder of a training run: what is in it, and who may write there."""

from __future__ import annotations

import csv
import io
import math
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model

from voltphase.config import Config, load_config
from voltphase.core.errors import ConfigError, DataError, FolderInUseError, OutputError, VoltphaseError
from voltphase.core.files import (
    checked_path,
    is_temporary,
    read_errors,
    read_json,
    read_text,
    remove_abandoned,
    remove_folder,
    write_errors,
    write_text,
)
from voltphase.core.words import shell
from voltphase.data import ImageDataset
from voltphase.loggers import LOGGERS
from voltphase.tasks import Metric
from voltphase.training.experiment import differences, settings, unlike
from voltphase.training.watching.profile import FILE as PROFILE

try:
    import fcntl
except ImportError:  # on Windows
    fcntl = None

# A line of ``metrics.csv`` begins and ends with these; between are the metrics in training and of the deployed states.
_FIRST: Final = ["epoch", "temperature", "train_loss"]
_LAST: Final = ["seconds", "images_per_second"]
# More than a run of a million epochs writes.
_LARGEST_TABLE: Final = 1 << 27


class _Part(BaseModel):
    model_config = ConfigDict(extra="allow", frozen=True, strict=True, allow_inf_nan=False)


class DeviceRecord(_Part):
    """A layer's device in a summary, and what training said of its table."""

    digest: str
    notes: list[str] = []


class RefinedRecord(_Part):
    """What a search over levels after training came to."""

    loss_before: float
    loss_after: float
    images: int
    changed_pixels: int


class Summary(_Part):
    """What is read again of ``summary.json``, beside the metrics; it holds more for people to read."""

    seed: int = Field(ge=0)
    epochs: int = Field(ge=0)
    seconds: float
    devices: list[DeviceRecord]
    deployable: bool = True
    settings: dict[str, Any] = {}
    task: dict[str, Any] = {}
    versions: dict[str, str] = {}
    hardware: dict[str, Any] = {}
    commit: str | None = None
    backend: str | None = None
    precision: str | None = None
    refined: RefinedRecord | None = None
    data_given: bool = False
    imported: dict[str, Any] = {}
    data_notes: list[str] = []
    train_images: int | None = None
    val_images: int | None = None

    def metric(self, column: str) -> float:
        """Return the value of a metric by the name of its column, such as ``test_accuracy``."""
        return float((self.model_extra or {})[column])


class RunFolder:
    """The files of one training run.

    ``config.yaml`` (every setting), ``metrics.csv`` (a row an epoch), ``checkpoints/last.ckpt`` (to resume from), and
    once training is done ``model.safetensors`` and ``summary.json``; of an imported design perhaps ``reference.npz``.
    What a logger writes is in a folder with its name.

    Args:
        path: Path of the folder; nothing needs to be there.
        error: Class of the error to raise if there can be no such path.
    """

    def __init__(self, path: str | Path, error: type[VoltphaseError] = DataError) -> None:
        self.path = checked_path(path, error)
        self.config_file = self.path / "config.yaml"
        self.metrics_file = self.path / "metrics.csv"
        self.summary_file = self.path / "summary.json"
        self.model_file = self.path / "model.safetensors"
        self.checkpoint_file = self.path / "checkpoints" / "last.ckpt"
        self.reference_file = self.path / "reference.npz"

    @property
    def finished(self) -> bool:
        """Whether training has come to its end here."""
        return self.summary_file.is_file() and self.model_file.is_file()

    @property
    def begun(self) -> bool:
        """Whether there is, or was, a whole epoch to resume from."""
        return os.path.lexists(self.checkpoint_file) or os.path.lexists(self.metrics_file)

    def check(self, config: Config, *, resume: bool, overwrite: bool) -> None:
        """Refuse a folder that must not be written to, before any work is done; nothing is changed.

        Raises:
            OutputError: if the folder holds something that is no run, or a run and neither ``resume`` nor ``overwrite``
                is asked for.
            ConfigError: if ``resume`` is asked for with another configuration than the run's own.
        """
        if resume and overwrite:
            raise OutputError("expected either --resume or --overwrite, but got both")
        if not self.path.exists():
            return
        if not self.path.is_dir():
            raise OutputError(f"expected {self.path} to be a folder to write to, but it is a file: choose another")
        with read_errors(self.path, OutputError):
            if not any(self._occupying()):
                return
        if not self._is_run():
            raise OutputError(
                f"expected a new or empty folder, but {self.path} holds files that are no training run: choose another"
            )
        if resume:
            for key, given, stored in differences(settings(config), settings(self.read_config())):
                raise ConfigError(
                    f"expected the configuration {self.path} was started with, but {key} is {given!r} instead of "
                    f"{stored!r}: resume with {self._resuming()}"
                )
        elif not overwrite:
            raise OutputError(
                f"{self.path} holds a training run already: choose another folder, or give --resume to continue it "
                "or --overwrite to replace it"
            )

    @contextmanager
    def writing(self, config: Config, *, resume: bool, overwrite: bool) -> Iterator[None]:
        """Prepare the folder for a training in the block, and keep other processes from training into it meanwhile.

        The folder is made and ``config.yaml`` written, after removing an earlier run's files if ``overwrite``.

        Raises:
            OutputError: if it cannot be written.
            FolderInUseError: if another process is training into it.
        """
        with write_errors(self.path):
            self.path.mkdir(parents=True, exist_ok=True)
        with locked(self.path):
            self.check(config, resume=resume, overwrite=overwrite)  # again: another process may have been here since
            if overwrite:
                self._remove_run()
            with write_errors(self.path):
                # In this order: whatever moment a process is killed at, the folder is empty or is known to be a run.
                write_text(self.config_file, config.to_yaml())
                self.checkpoint_file.parent.mkdir(exist_ok=True)
            remove_abandoned(self.checkpoint_file.parent)
            yield

    def write_metrics(self, history: Sequence[dict[str, float]]) -> None:
        """Write ``metrics.csv`` from the figures of each epoch, if there are any, whole or not at all."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(history[0] if history else [*_FIRST, *_LAST])
        for row in history:
            writer.writerow(int(value) if key == "epoch" else f"{value:.6g}" for key, value in row.items())
        write_text(self.metrics_file, text.getvalue())

    def read_metrics(self, *, least: int = 1) -> list[dict[str, float]]:
        """Return the rows of ``metrics.csv``, one for each epoch.

        Args:
            least: Number of rows below which the file is damaged; 0 for a network that was trained elsewhere.

        Raises:
            DataError: if the file is missing, holds no epoch, or something that is no number.
        """
        path = self.metrics_file
        with self._advising():
            text = read_text(path, DataError, _LARGEST_TABLE)
            try:
                header, *lines = list(csv.reader(text.splitlines(), strict=True)) or [[]]
                rows = [dict(zip(header, map(float, line), strict=True)) for line in lines]
            except (ValueError, csv.Error) as error:
                raise DataError(f"expected a table of numbers in {path}, but it is damaged") from error
            metrics = header[len(_FIRST) : -len(_LAST)]
            named = all(metric.startswith(("train_", "test_", "val_")) for metric in metrics)
            if not named or header != [*_FIRST, *metrics, *_LAST] or len(rows) < least:
                raise DataError(f"expected a row for each epoch in {path}, but there is none")
            for number, row in enumerate(rows, start=1):
                if row["epoch"] != number or not all(map(math.isfinite, row.values())):
                    raise DataError(f"expected finite numbers for epoch {number} in {path}, but its row is damaged")
        return rows

    def read_config(self) -> Config:
        """Return the run's own configuration.

        Raises:
            DataError: if this is no training run, or its ``config.yaml`` is damaged.
        """
        if not self.config_file.is_file():
            raise DataError(
                f"expected the folder of a training run, but {self.path} "
                f"{'holds no config.yaml' if self.path.is_dir() else 'does not exist'}: train one with voltphase train"
            )
        try:
            return load_config(self.config_file)
        except ConfigError as error:
            raise DataError(f"the training run cannot be read: {error}") from error

    def read_summary(self, metrics: Sequence[Metric]) -> dict[str, Any]:
        """Return the final figures, among them the values of the metrics of the run's task.

        Raises:
            DataError: if training has not come to its end, or the file is damaged.
        """
        if not self.finished:
            missing = next(file.name for file in (self.model_file, self.summary_file) if not file.is_file())
            raise DataError(
                f"expected a finished training run, but {self.path} holds no {missing}: finish it with "
                f"{self._resuming()}"
            )
        file = self.summary_file
        with self._advising():
            summary = read_json(file, DataError)
            try:
                _summary_model(metrics).model_validate(summary)
            except ValidationError as error:
                problem = error.errors()[0]
                key = ".".join(map(str, problem["loc"])) or "a group of figures"
                found = "it is missing" if problem["type"] == "missing" else f"got {problem['input']!r:.60}"
                raise DataError(f"expected {key} as training writes it in {file}, but {found}") from error
        return summary

    def require_data(self, summary: dict[str, Any], **given: ImageDataset) -> None:
        """Refuse a run whose images neither its configuration names nor somebody gives.

        Args:
            summary: Content of its summary.
            given: Data sets that are given in Python, by their splits.

        Raises:
            DataError: if it was trained on images given in Python and none are given, or another number of them; or if
                images are given for a run whose configuration names its data set.
        """
        if given and not summary.get("data_given"):
            raise DataError(f"expected no images for {self.path}, whose config.yaml names its data set: leave them out")
        if summary.get("data_given") and not given:
            raise DataError(
                f"expected a run on a data set that its config.yaml names, but {self.path} was trained on images given "
                "in Python, which it does not hold: give them in Python too, as test_set= of voltphase.deploy and "
                "voltphase.report, data= of voltphase.training.refine_run, or to "
                "voltphase.training.evaluate"
            )
        for split, dataset in given.items():
            if len(dataset) != (wanted := summary.get(f"{split}_images")):
                raise DataError(
                    f"expected the {wanted} {split} images that {self.path} was made with, but got {len(dataset)}: "
                    "give those that were given to train"
                )

    def check_settings(self, config: Config, summary: dict[str, Any]) -> None:
        """Refuse settings other than those in the summary: a file that was cut off means something, but another thing.

        Raises:
            DataError: if they are not the same; the first that differs is named.
        """
        for key, here, there in unlike(config, summary.get("settings", {})):
            raise DataError(
                f"expected the settings that the run was trained with in {self.config_file}, but {key} is {here!r} "
                f"instead of {there!r} as in {self.summary_file.name}: restore the file, or train again"
            )

    @contextmanager
    def _advising(self) -> Iterator[None]:
        try:
            yield
        except DataError as error:
            raise DataError(
                f"{error}; train again, or remove {self.summary_file} and have all made anew from the last checkpoint "
                f"with {self._resuming()}"
            ) from error

    def _resuming(self) -> str:
        return shell("voltphase", "train", self.config_file, "--out", self.path, "--resume")

    def _occupying(self) -> Iterator[Path]:
        # A process that is killed early leaves temporary folders; an earlier version, an empty folder for checkpoints.
        for path in self.path.iterdir():
            mine = path == self.checkpoint_file.parent and path.is_dir() and not any(path.iterdir())
            if not mine and not is_temporary(path):
                yield path

    def _is_run(self) -> bool:
        # Other projects have a config.yaml too, but no such section. A run whose settings an earlier or a later version
        # wrote, which may not be read today, is one still, and so is one whose config.yaml is damaged.
        return _holds(self.config_file, "\ncodesign:\n") or _holds(self.metrics_file, ",".join(_FIRST))

    def _remove_run(self) -> None:
        files = (self.summary_file, self.model_file, self.metrics_file, self.checkpoint_file, self.reference_file)
        with write_errors(self.path):
            for file in (*files, self.path / "report.html", self.path / PROFILE):
                file.unlink(missing_ok=True)
            for logged in filter(Path.is_dir, (self.path / name for name in LOGGERS)):
                remove_folder(logged)


def _summary_model(metrics: Sequence[Metric]) -> type[Summary]:
    columns: dict[str, Any] = {
        metric.column(split): (float, Field(ge=0, le=1) if metric.percent else Field())
        for metric in metrics
        for split in ("test", "train")
    }
    return create_model("RunSummary", __base__=Summary, **columns)


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keep other processes from training into a folder while the block runs; on Windows nothing does.

    The operating system holds the lock, of the folder itself: it leaves no file, and ends with the process.

    Raises:
        FolderInUseError: if another process holds the lock.
    """
    if fcntl is None:
        yield
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):  # of a file system without locks
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise FolderInUseError(
                    f"expected {folder} for this training alone, but another process is training into it: wait until "
                    "it is done, or choose another folder"
                ) from error
        yield
    finally:
        os.close(descriptor)


def _holds(file: Path, words: str) -> bool:
    """Return whether the words are in the first 64 KiB of a file; not where it cannot be read."""
    with suppress(OSError):
        if file.is_file():
            with file.open("rb") as stream:
                return words.encode() in stream.read(1 << 16).replace(b"\r\n", b"\n")
    return False
