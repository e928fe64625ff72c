"""A sweep from Python."""

from __future__ import annotations

from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import Any

from rich.console import Console

from voltphase.core import checks
from voltphase.core.advice import once
from voltphase.sweeps.search.sweep import SweepResult, run_sweep


@once()
def sweep(
    given: str | PathLike[str] | Mapping[str, Any],
    *,
    out: str | PathLike[str] | None = None,
    data_dir: str | Path | None = None,
    progress: bool = True,
) -> SweepResult:
    """Search for the best settings, and return what was found; several processes may do so at once.

    Args:
        given: Path of a sweep's YAML file, or a mapping of its keys; see ``voltphase sweep --help``.
        out: Path of the sweep's folder, ``sweeps/NAME`` of a file by default; what is there is gone on with.
        data_dir: Path of the folder of the data sets.
        progress: Whether to show a line for each trial, and a bar for the one at work in a terminal.

    Raises:
        VoltphaseError: if something given does not fit, the storage cannot be used, or all trials fail.

    Examples:
        >>> few = {"optics.depth": 1, "training.epochs": 1, "data.train_limit": 100, "data.test_limit": 20}
        >>> search = {"codesign.gain": [1.0, 3.0]}
        >>> given = {"config": "digits", "set": few, "search": search, "sampler": "grid"}
        >>> found = sweep(given, out="gains", progress=False)
        >>> [(row["codesign.gain"], row["state"]) for row in found.rows]
        [(1.0, 'complete'), (3.0, 'complete')]
        >>> found.best.codesign.gain in (1.0, 3.0)
        True
    """
    if not checks.flag(progress, "progress"):
        return run_sweep(given, out, data_dir=data_dir)
    console = Console(highlight=False, soft_wrap=True, markup=False)
    bar = console if console.is_terminal else None
    return run_sweep(given, out, data_dir=data_dir, say=console.print, console=bar)
