"""Running cells: each once, whoever else is at work on them, until all are done or time is up."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console

from voltphase.core.errors import ConfigError, DataError, OutputError, VoltphaseError
from voltphase.core.files import write_errors, write_json, write_text
from voltphase.sweeps.evaluate import finish
from voltphase.sweeps.lock import claim, sweep
from voltphase.sweeps.peak_memory import train_apart
from voltphase.sweeps.results import ResultFolder
from voltphase.sweeps.runs import Cell
from voltphase.training import RunFolder, train

Say = Callable[[str], None]


@dataclass
class Tally:
    """How a run over cells went.

    Attributes:
        finished: Cells whose results are there now.
        elsewhere: Cells that others are at work on.
        left: Cells that time did not suffice for.
        failed: Cells that could not be run, with the reason.
    """

    finished: list[Cell] = field(default_factory=list)
    elsewhere: list[Cell] = field(default_factory=list)
    left: list[Cell] = field(default_factory=list)
    failed: list[tuple[Cell, str]] = field(default_factory=list)


class _TimeIsUp(Exception):
    """A cell was interrupted at the end of an epoch."""


def run_cells(
    cells: Sequence[Cell],
    folder: ResultFolder,
    *,
    preset: str,
    say: Say,
    minutes: float | None = None,
    console: Console | None = None,
) -> Tally:
    """Run what is not there yet, one cell after the other.

    A cell that others have claimed is left to them, and one that fails does not keep the others from being run. What
    was interrupted goes on from its last whole epoch. A result of the same name is replaced if its settings are others,
    and never if its device is: it may be one that only its owner has.

    Args:
        cells: What to run.
        folder: Where results belong.
        preset: Its name, for the results.
        say: Where to write a line a cell.
        minutes: When to stop: no cell is begun after them, and the one at work ends with its epoch.
        console: Where to show how the cell at work gets on, epoch by epoch; nowhere if None.

    Raises:
        OutputError: if the folder cannot be written to, or holds one of these results made with another device.
        KeyboardInterrupt: if interrupted; the cell at work goes on next time.
    """
    deadline = None if minutes is None else time.monotonic() + 60 * minutes
    prepare(folder)
    tally, pace = Tally(), _Pace()
    todo = []
    for cell in cells:
        try:
            done = folder.finished(cell)
            made_with = [] if done else folder.other_devices(cell)
            if folder.damaged(cell):
                say(f"{folder.file(cell)} is no whole result: its cell is run again")
        except VoltphaseError as error:
            tally.failed.append((cell, str(error)))
            say(f"FAILED {cell.experiment} {cell.name}: {error}")
            continue
        if made_with:
            raise OutputError(
                f"expected {folder.file(cell)} to be of the device to run with, but it was made with "
                f"{', '.join(made_with)}: name that one with --device-file, choose another --out, or remove the file"
            )
        (tally.finished if done else todo).append(cell)
    if tally.finished:
        say(f"{len(tally.finished)} of {len(cells)} cells are there already")
    for place, cell in enumerate(todo):
        if deadline is not None and time.monotonic() >= deadline:
            tally.left += todo[place:]
            break
        try:
            line = _run_cell(cell, folder, preset, deadline, pace, console)
        except _TimeIsUp:
            tally.left += todo[place:]
            break
        except OutputError:
            raise
        except Exception as error:
            tally.failed.append((cell, str(error) or type(error).__name__))
            say(f"FAILED {cell.experiment} {cell.name}: {error}")
            continue
        (tally.elsewhere if line is None else tally.finished).append(cell)
        if line is not None:
            left = pace.remaining(todo[place + 1 :])
            say(f"[{len(tally.finished)}/{len(cells)}] {cell.experiment} {cell.name}: {line}{left}")
    # Others have gone on meanwhile.
    tally.finished += [cell for cell in tally.elsewhere if folder.finished(cell)]
    tally.elsewhere = [cell for cell in tally.elsewhere if cell not in tally.finished]
    return tally


def prepare(folder: ResultFolder) -> None:
    """Make the folder for results, and the one for what is in progress, which git does not see.

    Raises:
        OutputError: if that is not possible.
    """
    with write_errors(folder.path):
        folder.work.mkdir(parents=True, exist_ok=True)
    ignored = folder.work / ".gitignore"
    write_text(ignored, "*\n")
    sweep(folder.work, ignored.stat().st_mtime)


def _run_cell(
    cell: Cell, folder: ResultFolder, preset: str, deadline: float | None, pace: _Pace, console: Console | None
) -> str | None:
    """Run a cell, or take the result of the same run under another name; None if others are at work on it."""
    key = f"{cell.digest}{'-apart' if cell.own_process else ''}"
    with claim(folder.work / f"{key}.claim") as free:
        if not free:
            return None
        result = folder.same_run(cell)
        shared = result is not None
        if result is None:
            started = time.monotonic()
            if console is not None:
                console.print(f"{cell.experiment} {cell.name}", markup=False, highlight=False)
            result = _train(cell, folder.work / key, deadline, console)
            pace.note(cell, time.monotonic() - started)
        file = folder.file(cell)
        file.parent.mkdir(exist_ok=True)
        about = {"experiment": cell.experiment, "cell": cell.name, "preset": preset, "labels": dict(cell.labels)}
        write_json(file, {**about, **{key: value for key, value in result.items() if key not in about}})
        # The checkpoint has served; the trained model stays for whoever wants to look at it or deploy it.
        shutil.rmtree(folder.work / key / "checkpoints", ignore_errors=True)
    return _line(result, shared)


def _train(cell: Cell, run: Path, deadline: float | None, console: Console | None) -> dict[str, Any]:
    if cell.own_process:
        return finish(cell, run, train_apart(cell.config, run))
    stopped = False

    def stop_in_time(_: object) -> None:
        nonlocal stopped
        if deadline is not None and time.monotonic() >= deadline:
            stopped = True
            raise KeyboardInterrupt

    if run.exists() and not RunFolder(run).config_file.is_file():
        # Killed before it was begun. Nobody else writes here.
        shutil.rmtree(run, ignore_errors=True)
    begun = run.exists()

    def whole(**options: bool) -> dict[str, Any]:
        try:
            train(cell.config, run, console=console, watch=stop_in_time, **options)
        except KeyboardInterrupt as interruption:
            if stopped:
                raise _TimeIsUp from interruption
            raise
        return finish(cell, run, {})

    try:
        return whole(resume=True)
    except (DataError, ConfigError):
        if not begun:
            raise
        # What was begun cannot be gone on with: damaged, of an older version, or of when defaults were others.
        return whole(overwrite=True)


def _line(result: dict[str, Any], shared: bool) -> str:
    summary, deployed = result["summary"], result["deployed"]["accuracy"]
    files = "not deployed" if deployed is None else f"{deployed:.4f} from its files"
    took = "already run" if shared else f"{summary['seconds'] + result['finishing_seconds']:.0f} s"
    return f"test {summary['test_accuracy']:.4f}, {files}, {took}"


class _Pace:
    """How long cells take, against how much there is to do in them."""

    def __init__(self) -> None:
        self._seconds = 0.0
        self._work = 0.0

    def note(self, cell: Cell, seconds: float) -> None:
        self._seconds += seconds
        self._work += _work(cell)

    def remaining(self, cells: Sequence[Cell]) -> str:
        if not cells or self._work == 0:
            return ""
        left = {}
        for cell in cells:
            try:
                left[cell.digest] = _work(cell)
            except VoltphaseError:
                continue
        minutes = sum(left.values()) * self._seconds / self._work / 60
        return f"; about {minutes:.0f} min left" if minutes < 90 else f"; about {minutes / 60:.1f} h left"


def _work(cell: Cell) -> float:
    # Planes that light goes to, times how often it does: the time of a cell is near enough to proportional.
    config = cell.config
    images = config.data.train_limit or (1500 if config.data.name == "digits" else 60_000)
    return config.training.epochs * images * (config.optics.depth + 1)
