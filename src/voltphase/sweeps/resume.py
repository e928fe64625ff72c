"""Training into a folder in which another process may have begun."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rich.console import Console

from voltphase.config import Config
from voltphase.core.errors import ConfigError, DataError
from voltphase.training import RunFolder, train
from voltphase.training.loop import EpochMetrics


def train_on(
    config: Config,
    folder: Path,
    *,
    console: Console | None = None,
    watch: Callable[[EpochMetrics], None] | None = None,
) -> dict[str, Any]:
    """Train from the last whole epoch that is in a folder of a sweep, and return the summary.

    What cannot be gone on with starts again: it is damaged, of an older version, or was begun with other defaults.

    Raises:
        FolderInUseError: if another process is at work there.
        VoltphaseError: as :func:`voltphase.training.train` does.
    """
    finished_before(folder)
    begun = folder.exists()
    try:
        return train(config, folder, resume=True, console=console, watch=watch)
    except (DataError, ConfigError):
        if not begun:
            raise
        return train(config, folder, overwrite=True, console=console, watch=watch)


def finished_before(folder: Path) -> bool:
    """Return whether a folder holds a finished run; one in which a killed process had not begun yet is removed."""
    run = RunFolder(folder)
    if folder.exists() and not run.config_file.is_file():
        shutil.rmtree(folder, ignore_errors=True)
    return run.finished


def drop_checkpoints(folder: Path) -> None:
    """Remove what nobody will go on from; the trained model stays, to be looked at or deployed."""
    shutil.rmtree(folder / "checkpoints", ignore_errors=True)
