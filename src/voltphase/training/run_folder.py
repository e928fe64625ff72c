"""The folder of a training run: what is in it, and who may write there."""

from __future__ import annotations

import csv
import io
import math
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from voltphase.config import Config, load_config
from voltphase.core.errors import ConfigError, DataError, OutputError, VoltphaseError
from voltphase.core.files import (
    checked_path,
    is_temporary,
    read_errors,
    read_json,
    reason_of,
    remove_abandoned,
    write_errors,
    write_json,
    write_text,
)
from voltphase.core.words import shell

_METRICS: Final[tuple[str, ...]] = (
    "epoch",
    "temperature",
    "train_loss",
    "train_accuracy",
    "test_accuracy",
    "seconds",
    "images_per_second",
)

# More than a run of a million epochs writes.
_LARGEST_TABLE: Final = 1 << 27
# More than the settings and regions of a thousand layers.
_LARGEST_CONFIG: Final = 1 << 24


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _is_fraction(value: Any) -> bool:
    return _is_number(value) and 0 <= value <= 1


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _is_device(value: Any) -> bool:
    return isinstance(value, dict) and isinstance(value.get("digest"), str)


# Of what a summary holds, that which is read again, in words and as a test.
_SUMMARY: Final[dict[str, tuple[str, Callable[[Any], bool]]]] = {
    "test_accuracy": ("a number from 0 to 1", _is_fraction),
    "train_accuracy": ("a number from 0 to 1", _is_fraction),
    "deployable": ("true or false", lambda value: isinstance(value, bool)),
    "seed": ("a whole number", _is_count),
    "epochs": ("a whole number", _is_count),
    "seconds": ("a number", _is_number),
    "devices": (
        "a device for each layer, with its digest",
        lambda value: isinstance(value, list) and all(map(_is_device, value)),
    ),
    "settings": ("a group of settings", lambda value: isinstance(value, dict)),
    "versions": ("a group of texts", lambda value: isinstance(value, dict)),
    "hardware": ("a group of texts", lambda value: isinstance(value, dict)),
    "refined": (
        "a group of figures",
        lambda value: (
            isinstance(value, dict)
            and all(
                map(_is_number, (value.get(key) for key in ("loss_before", "loss_after", "images", "changed_pixels")))
            )
        ),
    ),
}
_REQUIRED: Final = ("test_accuracy", "train_accuracy", "seed", "epochs", "seconds", "devices")

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

    Args:
        path: The folder; nothing needs to be there.
        error: Class of the error to raise if there can be no such path.
    """

    def __init__(self, path: str | Path, error: type[VoltphaseError] = DataError) -> None:
        self.path = checked_path(path, error)
        self.config_file = self.path / "config.yaml"
        self.metrics_file = self.path / "metrics.csv"
        self.summary_file = self.path / "summary.json"
        self.model_file = self.path / "model.safetensors"
        self.checkpoint_file = self.path / "checkpoints" / "last.ckpt"

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
        if not self._exists():
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
        with write_errors(self.path):
            # In this order: whatever moment a process is killed at, the folder is empty or is known to be a run.
            self.path.mkdir(parents=True, exist_ok=True)
            write_text(self.config_file, config.to_yaml())
            self.checkpoint_file.parent.mkdir(exist_ok=True)
        remove_abandoned(self.checkpoint_file.parent)

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
        path, again = self.metrics_file, self._made_again()
        try:
            if path.exists() and not path.is_file():
                raise DataError(f"expected the metrics of a run in {path}, but it is no regular file: {again}")
            if path.stat().st_size > _LARGEST_TABLE:
                raise DataError(f"expected a row for each epoch in {path}, but it is too large for that: {again}")
            text = path.read_bytes()
        except OSError as error:
            raise DataError(
                f"expected the metrics of a run, but {path} cannot be read ({reason_of(error)}): {again}"
            ) from error
        try:
            header, *lines = list(csv.reader(text.decode("utf-8").splitlines(), strict=True)) or [[]]
            rows = [dict(zip(header, map(float, line), strict=True)) for line in lines]
        except (ValueError, csv.Error) as error:
            raise DataError(f"expected a table of numbers in {path}, but it is damaged: {again}") from error
        if tuple(header) != _METRICS or not rows:
            raise DataError(f"expected a row for each epoch in {path}, but there is none: {again}")
        for number, row in enumerate(rows, start=1):
            if row["epoch"] != number or not all(map(math.isfinite, row.values())):
                raise DataError(
                    f"expected finite numbers for the epochs 1, 2, 3 and so on in {path}, but row {number} is damaged: "
                    f"{again}"
                )
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
        size = self.config_file.stat().st_size
        if size > _LARGEST_CONFIG:
            raise DataError(
                f"expected the settings of a run in {self.config_file}, but it has {size} bytes, too many for that: "
                "train again"
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
                f"{self._resuming()}"
            )
        file, again = self.summary_file, self._made_again()
        try:
            summary = read_json(file, DataError)
        except DataError as error:
            raise DataError(f"{error}; {again}") from error
        if not isinstance(summary, dict):
            raise DataError(f"expected a group of figures in {file}, but got {str(summary)[:60]!r}: {again}")
        for key, (what, fits) in _SUMMARY.items():
            if key not in summary and key in _REQUIRED:
                raise DataError(f"expected {key} in {file}, but it is missing: {again}")
            if key in summary and not fits(summary[key]):
                raise DataError(f"expected {key} in {file} to be {what}, but got {str(summary[key])[:60]!r}: {again}")
        return summary

    def check_settings(self, config: Config, summary: dict[str, Any]) -> None:
        """Refuse settings other than those in the summary: a file that was cut off means something, but another thing.

        Raises:
            DataError: if they are not the same; the first that differs is named.
        """
        found = settings(config)
        for key, value in summary.get("settings", {}).items():
            if key not in found or found[key] != value:
                raise DataError(
                    f"expected the settings that the run was trained with in {self.config_file}, but {key} is "
                    f"{found.get(key)!r} instead of {value!r} as in {self.summary_file.name}: restore the file, or "
                    "train again"
                )

    def _made_again(self) -> str:
        return (
            f"train again, or remove {self.summary_file} and have all made anew from the last checkpoint with "
            f"{self._resuming()}"
        )

    def _resuming(self) -> str:
        return shell("voltphase", "train", self.config_file, "--out", self.path, "--resume")

    def _exists(self) -> bool:
        try:
            return self.path.exists()
        except OSError as error:
            raise OutputError(f"cannot use {self.path}: {reason_of(error)}") from error

    def _occupying(self) -> Iterator[Path]:
        # A process that is killed early leaves temporary folders; an earlier version, an empty folder for checkpoints.
        for path in self.path.iterdir():
            mine = path == self.checkpoint_file.parent and path.is_dir() and not any(path.iterdir())
            if not mine and not is_temporary(path):
                yield path

    def _is_run(self) -> bool:
        # Other projects have a config.yaml too, but no such section. A run whose settings an earlier or a later version
        # wrote, which may not be read today, is one still, and so is one whose config.yaml is damaged.
        return _holds(self.config_file, "\ncodesign:\n") or _holds(self.metrics_file, ",".join(_METRICS))

    def _check_same(self, config: Config) -> None:
        stored, given = settings(self.read_config()), settings(config)
        for key in sorted(stored.keys() | given.keys()):
            if stored.get(key) != given.get(key):
                raise ConfigError(
                    f"expected the configuration {self.path} was started with, but {key} is {given.get(key)!r} "
                    f"instead of {stored.get(key)!r}: resume with "
                    f"{self._resuming()}"
                )

    def _remove_run(self) -> None:
        with write_errors(self.path):
            for file in (
                self.summary_file,
                self.model_file,
                self.metrics_file,
                self.checkpoint_file,
                self.path / "report.html",
            ):
                file.unlink(missing_ok=True)


def _holds(file: Path, words: str) -> bool:
    """Return whether the words are in the first 64 KiB of a file; not where it cannot be read."""
    try:
        if not file.is_file():
            return False
        with file.open("rb") as stream:
            return words.encode() in stream.read(1 << 16).replace(b"\r\n", b"\n")
    except OSError:
        return False


def settings(config: Config) -> dict[str, Any]:
    """Return what defines the experiment, by dotted names: not where the data lie, nor how the machine is used."""
    return _settings(config.model_dump())


def _settings(content: Any, path: tuple[str, ...] = ()) -> dict[str, Any]:
    plain = tuple(step for step in path if not step.isdigit())
    if (plain[0].replace("devices", "device"), *plain[1:]) in _NOT_THE_EXPERIMENT if plain else False:
        return {}
    if isinstance(content, dict):
        return {k: v for key, value in content.items() for k, v in _settings(value, (*path, key)).items()}
    if isinstance(content, list):
        return {k: v for i, value in enumerate(content) for k, v in _settings(value, (*path, str(i))).items()}
    return {".".join(path): content}
