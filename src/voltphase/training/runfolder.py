"""The folder of a training run: what is in it, and who may write there."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from voltphase.config import Config, load_config
from voltphase.errors import ConfigError, DataError, OutputError
from voltphase.files import write_json, write_text

_METRICS: Final[tuple[str, ...]] = (
    "epoch",
    "temperature",
    "train_loss",
    "train_accuracy",
    "test_accuracy",
    "seconds",
    "images_per_second",
)

# Where the data lie and how the machine is used are no part of the experiment: a run may go on elsewhere.
_NOT_THE_EXPERIMENT = {
    ("data", "dir"),
    ("training", "threads"),
    ("training", "accelerator"),
    ("device", "file"),
}


class RunFolder:
    """The files of one training run.

    ``config.yaml`` (every setting), ``metrics.csv`` (a row an epoch), ``checkpoints/last.ckpt`` (to resume from), and
    once training is done ``model.safetensors`` and ``summary.json``.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.config_file = self.path / "config.yaml"
        self.metrics_file = self.path / "metrics.csv"
        self.summary_file = self.path / "summary.json"
        self.model_file = self.path / "model.safetensors"
        self.checkpoint_file = self.path / "checkpoints" / "last.ckpt"

    @property
    def finished(self) -> bool:
        """Whether training has come to its end here."""
        return self.summary_file.is_file() and self.model_file.is_file()

    def check(self, config: Config, *, resume: bool, overwrite: bool) -> None:
        """Refuse a folder that must not be written to, before any work is done; nothing is changed.

        Raises:
            OutputError: if the folder holds something that is no run, or a run and neither ``resume`` nor ``overwrite``
                is asked for.
            ConfigError: if ``resume`` is asked for with another configuration than the run's own.
        """
        if resume and overwrite:
            raise OutputError("expected either --resume or --overwrite, but got both")
        if not self._exists():
            return
        if not self.path.is_dir():
            raise OutputError(f"expected {self.path} to be a folder to write to, but it is a file: choose another")
        try:
            occupied = any(self.path.iterdir())
        except OSError as error:
            raise OutputError(f"cannot read {self.path}: {(error.strerror or str(error)).lower()}") from error
        if not occupied:
            return
        if not self._is_run():
            raise OutputError(
                f"expected a new or empty folder, but {self.path} holds files that are no training run: choose another"
            )
        if resume:
            self._check_same(config)
        elif not overwrite:
            raise OutputError(
                f"{self.path} holds a training run already: choose another folder, or give --resume to continue it "
                "or --overwrite to replace it"
            )

    def prepare(self, config: Config, *, overwrite: bool) -> None:
        """Make the folder and write ``config.yaml``, after removing an earlier run's files if ``overwrite``.

        Raises:
            OutputError: if it cannot be written.
        """
        if overwrite:
            self._remove_run()
        try:
            self.checkpoint_file.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            raise OutputError(f"cannot write {self.path}: {reason}; choose a place that can be written") from error
        write_text(self.config_file, config.to_yaml())

    def write_metrics(self, history: Sequence[dict[str, float]]) -> None:
        """Write ``metrics.csv``, whole or not at all."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(_METRICS)
        for row in history:
            writer.writerow(int(row[key]) if key == "epoch" else f"{row[key]:.6g}" for key in _METRICS)
        write_text(self.metrics_file, text.getvalue())

    def read_metrics(self) -> list[dict[str, float]]:
        """The rows of ``metrics.csv``, one for each epoch.

        Raises:
            DataError: if the file is missing, holds no epoch, or something that is no number.
        """
        path = self.metrics_file
        try:
            with path.open(newline="", encoding="utf-8") as stream:
                rows = [{key: float(value) for key, value in row.items()} for row in csv.DictReader(stream)]
        except OSError as error:
            raise DataError(
                f"expected the metrics of a run, but {path} cannot be read "
                f"({(error.strerror or 'no reason').lower()}): train again"
            ) from error
        except (ValueError, TypeError, csv.Error) as error:
            raise DataError(f"expected a table of numbers in {path}, but it is damaged: train again") from error
        if not rows or "epoch" not in rows[0]:
            raise DataError(f"expected a row for each epoch in {path}, but there is none: train again")
        return rows

    def write_summary(self, summary: dict[str, Any]) -> None:
        """Write ``summary.json``, whole or not at all."""
        write_json(self.summary_file, summary)

    def read_config(self) -> Config:
        """The run's own configuration.

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
            raise DataError(f"the training run is damaged: {error}") from error

    def read_summary(self) -> dict[str, Any]:
        """The final figures.

        Raises:
            DataError: if training has not come to its end, or the file is damaged.
        """
        if not self.finished:
            missing = next(file.name for file in (self.model_file, self.summary_file) if not file.is_file())
            raise DataError(
                f"expected a finished training run, but {self.path} holds no {missing}: finish it with "
                f"voltphase train {self.config_file} --out {self.path} --resume"
            )
        try:
            summary = json.loads(self.summary_file.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise DataError(f"expected JSON in {self.summary_file}, but it cannot be read: {error}") from error
        if not isinstance(summary, dict) or not isinstance(summary.get("test_accuracy"), float):
            raise DataError(f"expected test_accuracy in {self.summary_file}, but it is missing: train again")
        return summary

    def _exists(self) -> bool:
        try:
            return self.path.exists()
        except OSError as error:
            raise OutputError(f"cannot use {self.path}: {(error.strerror or str(error)).lower()}") from error

    def _is_run(self) -> bool:
        # Other projects have a config.yaml too, but no such section. A run whose settings an earlier or a later version
        # wrote, which may not be read today, is one still.
        try:
            return "\ncodesign:\n" in self.config_file.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError):
            return False

    def _check_same(self, config: Config) -> None:
        stored, given = _settings(self.read_config().model_dump()), _settings(config.model_dump())
        for key in sorted(stored.keys() | given.keys()):
            if stored.get(key) != given.get(key):
                raise ConfigError(
                    f"expected the configuration {self.path} was started with, but {key} is {given.get(key)!r} "
                    f"instead of {stored.get(key)!r}: resume with "
                    f"voltphase train {self.config_file} --out {self.path} --resume"
                )

    def _remove_run(self) -> None:
        try:
            for file in (self.summary_file, self.model_file, self.metrics_file, self.checkpoint_file):
                file.unlink(missing_ok=True)
            (self.path / "report.html").unlink(missing_ok=True)
        except OSError as error:
            raise OutputError(
                f"cannot replace the run in {self.path}: {(error.strerror or str(error)).lower()}"
            ) from error


def _settings(content: Any, path: tuple[str, ...] = ()) -> dict[str, Any]:
    plain = tuple(step for step in path if not step.isdigit())
    if (plain[0].replace("devices", "device"), *plain[1:]) in _NOT_THE_EXPERIMENT if plain else False:
        return {}
    if isinstance(content, dict):
        return {k: v for key, value in content.items() for k, v in _settings(value, (*path, key)).items()}
    if isinstance(content, list):
        return {k: v for i, value in enumerate(content) for k, v in _settings(value, (*path, str(i))).items()}
    return {".".join(path): content}
