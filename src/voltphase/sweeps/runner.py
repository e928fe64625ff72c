"""Training many runs: each once, whoever else is at work on them, until all are done or time is up."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console

from voltphase.core.errors import ConfigError, DataError, OutputError, VoltphaseError
from voltphase.core.files import write_errors, write_json, write_text
from voltphase.sweeps.evaluate import result_of
from voltphase.sweeps.groups import companions
from voltphase.sweeps.lock import lock
from voltphase.sweeps.peak_memory import train_apart
from voltphase.sweeps.results import ResultFolder, read_result
from voltphase.sweeps.runs import Run
from voltphase.training import RunFolder, train, train_several

Say = Callable[[str], None]


@dataclass
class SweepSummary:
    """How a sweep over runs went."""

    finished: list[Run] = field(default_factory=list)  # results are there now
    elsewhere: list[Run] = field(default_factory=list)  # other processes are at work on them
    left: list[Run] = field(default_factory=list)  # time did not suffice for them
    failed: list[tuple[Run, str]] = field(default_factory=list)  # could not be trained, with the reason


class _TimeIsUp(Exception):
    """Time ran out, and the run at work was stopped at the end of an epoch."""


def run_all(
    runs: Sequence[Run],
    folder: ResultFolder,
    *,
    say: Say,
    about: Mapping[str, str] | None = None,
    minutes: float | None = None,
    console: Console | None = None,
) -> SweepSummary:
    """Train what is not there yet, one run after the other; on a GPU small ones of the same shape together.

    A run that another process holds is left to it, and one that fails does not keep the others from being trained. What
    was interrupted goes on from its last whole epoch. A result of the same name is replaced if its settings are others,
    and never if its device is: it may be one that only its owner has.

    ``say`` writes one line for each run, and ``console`` shows the progress of the one at work; ``about`` is what each
    result says of itself besides, such as the name of its preset. No run is begun after ``minutes``, and the one at
    work ends with its epoch.

    Raises:
        OutputError: if the folder cannot be written to, or holds one of these results made with another device.
        KeyboardInterrupt: if interrupted; the run at work goes on next time.
    """
    deadline = None if minutes is None else time.monotonic() + 60 * minutes
    prepare(folder)
    summary, worker = SweepSummary(), _Worker(folder, about or {}, deadline, console)
    todo = _unfinished(runs, folder, summary, say)
    if summary.finished:
        say(f"{len(summary.finished)} of {len(runs)} runs are there already")
    for place, run in enumerate(todo):
        try:
            worker.train_together([run, *companions(run, todo[place + 1 :])], say)
            line = worker.work_on(run)
        except _TimeIsUp:
            summary.left += todo[place:]
            break
        except OutputError:
            raise
        except Exception as error:
            _note_failure(summary, run, error, say)
            continue
        (summary.elsewhere if line is None else summary.finished).append(run)
        if line is not None:
            left = worker.time_left(todo[place + 1 :])
            say(f"[{len(summary.finished)}/{len(runs)}] {run.experiment} {run.name}: {line}{left}")
    # Other processes have gone on meanwhile.
    summary.finished += [run for run in summary.elsewhere if folder.state(run) == "done"]
    summary.elsewhere = [run for run in summary.elsewhere if run not in summary.finished]
    return summary


def prepare(folder: ResultFolder) -> None:
    """Make the folder for results, and the one for what is in progress, which git does not see."""
    with write_errors(folder.path):
        folder.work.mkdir(parents=True, exist_ok=True)
    write_text(folder.work / ".gitignore", "*\n")


def _unfinished(runs: Sequence[Run], folder: ResultFolder, summary: SweepSummary, say: Say) -> list[Run]:
    todo = []
    for run in runs:
        try:
            state = folder.state(run)
        except VoltphaseError as error:
            _note_failure(summary, run, error, say)
            continue
        file = folder.file(run)
        if state == "other device":
            made_with = ", ".join((read_result(file) or {}).get("devices", []))
            raise OutputError(
                f"expected {file} to be of the device to run with, but it was made with {made_with}: run with that "
                "device, choose another folder for the results, or remove the file"
            )
        if state == "damaged":
            say(f"{file} is no whole result: it is run again")
        (summary.finished if state == "done" else todo).append(run)
    return todo


def _note_failure(summary: SweepSummary, run: Run, error: Exception, say: Say) -> None:
    summary.failed.append((run, str(error) or type(error).__name__))
    say(f"FAILED {run.experiment} {run.name}: {error}")


class _Worker:
    def __init__(
        self, folder: ResultFolder, about: Mapping[str, str], deadline: float | None, console: Console | None
    ) -> None:
        self._folder, self._about, self._deadline, self._console = folder, about, deadline, console
        self._seconds = self._work = 0.0
        self._grouped: set[str] = set()  # digests of runs that were trained together, or were to be

    def train_together(self, runs: Sequence[Run], say: Say) -> None:
        """Train several runs to their ends, but for results, which are made of each by itself afterwards.

        Those that are held by others or have been trained are left out. What fails is trained by itself then.
        """
        new = [run for run in runs if run.digest not in self._grouped]
        if len(new) < 2:
            return
        self._stop_in_time(None)
        self._grouped |= {run.digest for run in new}
        started = time.monotonic()
        with ExitStack() as held:
            locks = [held.enter_context(lock(self._folder.work / f"{run.digest}.lock")) for run in new]
            free = [
                run
                for run, is_free in zip(new, locks, strict=True)
                if is_free and not self._trained_before(run) and self._folder.same_run(run) is None
            ]
            if len(free) < 2:
                return
            names = [f"{run.experiment} {run.name}" for run in free]
            say(f"training {len(free)} runs together")
            try:
                train_several(
                    [run.config for run in free],
                    [self._folder.work / run.digest for run in free],
                    names=names,
                    resume=True,
                    console=self._console,
                    watch=self._stop_in_time,
                )
            except (_TimeIsUp, OutputError):
                raise
            except Exception as error:
                say(f"{len(free)} runs together: {error}: each that is not finished goes on by itself")
        self._note(free, time.monotonic() - started)

    def _trained_before(self, run: Run) -> bool:
        folder = RunFolder(self._folder.work / run.digest)
        if folder.path.exists() and not folder.config_file.is_file():
            # A process was killed before it began to train. Nobody else writes here.
            shutil.rmtree(folder.path, ignore_errors=True)
        return folder.finished

    def work_on(self, run: Run) -> str | None:
        """Train a run, or take the result of the same run under another name; None if another process holds it."""
        self._stop_in_time(run)
        key = f"{run.digest}{'-apart' if run.own_process else ''}"
        with lock(self._folder.work / f"{key}.lock") as free:
            if not free:
                return None
            result = self._folder.same_run(run)
            shared = result is not None
            if result is None:
                started = time.monotonic()
                if self._console is not None:
                    self._console.print(f"{run.experiment} {run.name}", markup=False, highlight=False)
                result = self._trained(run, self._folder.work / key)
                if run.digest not in self._grouped:
                    self._note([run], time.monotonic() - started)
            about = {"experiment": run.experiment, "cell": run.name, **self._about, "labels": dict(run.labels)}
            file = self._folder.file(run)
            file.parent.mkdir(exist_ok=True)
            write_json(file, {**about, **{key: value for key, value in result.items() if key not in about}})
            # The checkpoint is not needed any more; the trained model stays, to be looked at or deployed.
            shutil.rmtree(self._folder.work / key / "checkpoints", ignore_errors=True)
        return _line(run, result, shared)

    def _trained(self, run: Run, folder: Path) -> dict[str, Any]:
        if run.own_process:
            return result_of(run, folder, train_apart(run.config, folder))
        self._trained_before(run)
        begun = folder.exists()
        try:
            return self._train(run, folder, resume=True)
        except (DataError, ConfigError):
            if not begun:
                raise
            # It cannot be resumed: it is damaged, of an older version, or was begun with other defaults.
            return self._train(run, folder, overwrite=True)

    def _train(self, run: Run, folder: Path, **options: Any) -> dict[str, Any]:
        train(run.config, folder, console=self._console, watch=self._stop_in_time, **options)
        return result_of(run, folder, {})

    def _stop_in_time(self, _: object) -> None:
        if self._deadline is not None and time.monotonic() >= self._deadline:
            raise _TimeIsUp

    def _note(self, runs: Sequence[Run], seconds: float) -> None:
        """Remember how long runs took, against how much there was to do in them."""
        self._seconds += seconds
        self._work += sum(map(_work, runs))

    def time_left(self, runs: Sequence[Run]) -> str:
        """Return about how long these runs will take, as the end of a line; nothing if there is nothing to go by."""
        if not runs or self._work == 0:
            return ""
        left = {}
        for run in runs:
            try:
                left[run.digest] = _work(run)
            except VoltphaseError:
                continue
        minutes = sum(left.values()) * self._seconds / self._work / 60
        return f"; about {minutes:.0f} min left" if minutes < 90 else f"; about {minutes / 60:.1f} h left"


def _line(run: Run, result: dict[str, Any], shared: bool) -> str:
    metric, summary = run.config.task.build().metrics[0], result["summary"]
    deployed = result["deployed"][metric.name]
    files = "not deployed" if deployed is None else f"{metric.number(deployed)} from its files"
    took = "already run" if shared else f"{summary['seconds'] + result['finishing_seconds']:.0f} s"
    if not shared and "trained_together" in summary:
        took += f", with {summary['trained_together'] - 1} others at the same time"
    return f"test {metric.number(summary[metric.column('test')])}, {files}, {took}"


def _work(run: Run) -> float:
    # Number of planes times how often light goes through them: the time of a run is roughly proportional to it.
    config = run.config
    images = config.data.train_limit or (1500 if config.data.name == "digits" else 60_000)
    return config.training.epochs * images * (config.optics.depth + 1)
