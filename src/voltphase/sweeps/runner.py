"""Training many runs: each once, whoever else is at work on them, until all are done or time is up."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from rich.console import Console

from voltphase.core.errors import FolderInUseError, OutputError, VoltphaseError
from voltphase.core.files import write_errors, write_json, write_text
from voltphase.sweeps import queue as queues
from voltphase.sweeps.evaluate import result_of
from voltphase.sweeps.groups import companions
from voltphase.sweeps.peak_memory import train_apart
from voltphase.sweeps.queue import TrialQueue
from voltphase.sweeps.results import ResultFolder, read_result
from voltphase.sweeps.resume import drop_checkpoints, finished_before, train_on
from voltphase.sweeps.runs import Run
from voltphase.sweeps.storage import one_at_a_time, open_study, place_of
from voltphase.training import train_several

if TYPE_CHECKING:
    from optuna import Trial
    from optuna.trial import FrozenTrial

Say = Callable[[str], None]

#: Attribute of a trial that says which run it is.
RUN: Final = "run"
# On a disk that machines may share, whatever its kind.
_STORAGE: Final = "journal"


@dataclass
class SweepSummary:
    """How a sweep over runs went."""

    finished: list[Run] = field(default_factory=list)  # results are there now
    elsewhere: list[Run] = field(default_factory=list)  # other processes were at work on them when time was up
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

    Each run is a trial of an Optuna study below the folder, which any number of processes may work on: each takes what
    none other has taken, and waits in the end for those that others are at work on, to go on with them if they die. One
    that fails does not keep the others from being trained. What was interrupted goes on from its last whole epoch. A
    result of the same name is replaced if its settings are others, and never if its device is: it may be one that only
    its owner has.

    ``say`` writes one line for each run, and ``console`` shows the progress of the one at work; ``about`` is what each
    result says of itself besides, such as the name of its preset. No run is begun after ``minutes``, and the one at
    work ends with its epoch.

    Raises:
        OutputError: if the folder cannot be written to, or holds one of these results made with another device.
        KeyboardInterrupt: if interrupted; the run at work goes on next time.
    """
    deadline = None if minutes is None else time.monotonic() + 60 * minutes
    prepare(folder)
    summary = SweepSummary()
    todo = _unfinished(runs, folder, summary, say)
    if summary.finished:
        say(f"{len(summary.finished)} of {len(runs)} runs are there already")
    if todo:
        study, _ = open_study(_STORAGE, folder.work, "runs")
        queue = TrialQueue(study, place_of(_STORAGE, folder.work))
        _Worker(queue, folder, about or {}, deadline, console, summary, say).work_off(todo, len(runs))
        summary.finished = [run for run in runs if run in summary.finished]
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
            state, _ = folder.state(run), run.digest
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


def _note_failure(summary: SweepSummary, run: Run, error: Exception | str, say: Say) -> None:
    summary.failed.append((run, str(error) or type(error).__name__))
    say(f"FAILED {run.experiment} {run.name}: {error}")


@dataclass
class _Worker:
    queue: TrialQueue
    folder: ResultFolder
    about: Mapping[str, str]
    deadline: float | None
    console: Console | None
    summary: SweepSummary
    say: Say

    def __post_init__(self) -> None:
        self._names: dict[str, list[Run]] = {}  # of each trial the runs to come: one may stand under several names
        self._grouped: set[str] = set()  # digests of runs that were trained together, or were to be
        self._seconds = self._work = 0.0

    def work_off(self, todo: Sequence[Run], total: int) -> None:
        """Train runs, or wait for what others come to, until there is a result of each or a reason why not."""
        self._total = total
        for run in todo:
            self._names.setdefault(_key(run), []).append(run)
        with self.queue.working():
            self._add()
            try:
                while self._names:
                    if group := self._take():
                        self._train_together([run for _, run in group])
                        for trial, run in group:
                            self._work_on(trial, run)
                    else:
                        self._settle()
            except _TimeIsUp:
                _, others = self.queue.look(self._is_ours)
                taken = {trial.user_attrs[RUN] for trial in others}
                for key, runs in self._names.items():
                    (self.summary.elsewhere if key in taken else self.summary.left).extend(runs)

    def _add(self) -> None:
        """Add a trial for each run of which none waits or runs; two that looked at once would both add it."""
        with one_at_a_time(self.folder.work):
            there = {trial.user_attrs.get(RUN) for trial in self.queue.trials() if not trial.state.is_finished()}
            for key, [run, *_] in list(self._names.items()):
                if key in there:
                    continue
                former, now = (self.folder.work / name for name in (_key(run, run.former_digest), key))
                if former.is_dir() and not now.exists():  # begun by an earlier version
                    with write_errors(now):
                        former.rename(now)
                if self.folder.state(run) == "done":  # by others, since it was looked at
                    self._keep(run, read_result(self.folder.file(run)) or {}, False)
                else:
                    self.queue.add(**{RUN: key})

    def _is_ours(self, trial: FrozenTrial) -> bool:
        return trial.user_attrs.get(RUN) in self._names

    def _take(self) -> list[tuple[Trial, Run]]:
        """Take the first run that waits, with those that are trained together with it; nothing if others have all."""
        self._stop_in_time(None)
        waiting, running = self.queue.look(self._is_ours)
        # Who broke another's lock may have added a run that was there: the first of its trials counts.
        first: dict[str, FrozenTrial] = {}
        for trial in sorted([*waiting, *running], key=lambda trial: trial.number):
            first.setdefault(trial.user_attrs[RUN], trial)
        free = {key: first[key] for key in self._names if key in first and first[key] in waiting}
        for key, trial in free.items():
            if (taken := self.queue.take(trial)) is None:
                continue
            run = self._names[key][0]
            rest = (self._names[name][0] for name in free if name != key)
            others = companions(run, rest) if self._needs_training(run) else []
            with_it = ((self.queue.take(free[_key(one)]), one) for one in others if self._needs_training(one))
            return [(taken, run), *((more, one) for more, one in with_it if more is not None)]
        if running:
            self.queue.wait(running, "run", self.say)
        return []

    def _needs_training(self, run: Run) -> bool:
        folder = self.folder.work / _key(run)
        return run.digest not in self._grouped and not finished_before(folder) and self.folder.same_run(run) is None

    def _train_together(self, runs: Sequence[Run]) -> None:
        """Train several runs to their ends, but for results, which are made of each by itself afterwards.

        What fails is trained by itself then.
        """
        if len(runs) < 2:
            return
        self._grouped |= {run.digest for run in runs}
        started = time.monotonic()
        self.say(f"training {len(runs)} runs together")
        try:
            train_several(
                [run.config for run in runs],
                [self.folder.work / _key(run) for run in runs],
                names=[f"{run.experiment} {run.name}" for run in runs],
                resume=True,
                console=self.console,
                watch=self._stop_in_time,
            )
        except (_TimeIsUp, OutputError):
            raise
        except Exception as error:
            self.say(f"{len(runs)} runs together: {error}: each that is not finished goes on by itself")
        self._note(runs, time.monotonic() - started)

    def _work_on(self, trial: Trial, run: Run) -> None:
        """Train a run that is taken, or find it under another name, and note what it came to."""
        self._stop_in_time(None)
        folder = self.folder.work / _key(run)
        try:
            result = self.folder.same_run(run)
            trained = result is None
            if result is None:
                result = self._trained(run, folder)
        except FolderInUseError:  # by a process that was taken for dead
            self.queue.leave(trial)
            return
        except (_TimeIsUp, OutputError):
            raise
        except Exception as error:
            reason = str(error) or type(error).__name__
            self.queue.finish(trial, error=reason)
            self._note_failures(run, reason)
            return
        self._keep(run, result, trained)
        metric = run.config.task.build().metrics[0]
        self.queue.finish(trial, [result["summary"][metric.column("test")]])
        drop_checkpoints(folder)

    def _trained(self, run: Run, folder: Path) -> dict[str, Any]:
        started = time.monotonic()
        if self.console is not None:
            self.console.print(f"{run.experiment} {run.name}", markup=False, highlight=False)
        measured: dict[str, Any] = {}
        if run.own_process:
            measured = train_apart(run.config, folder)
        else:
            train_on(run.config, folder, console=self.console, watch=self._stop_in_time)
        result = result_of(run, folder, measured)
        if run.digest not in self._grouped:
            self._note([run], time.monotonic() - started)
        return result

    def _settle(self) -> None:
        """Note the runs that other processes have come to an end with."""
        last = {trial.user_attrs[RUN]: trial for trial in self.queue.trials() if self._is_ours(trial)}
        for key in [key for key in self._names if last[key].state.is_finished()]:
            run = self._names[key][0]
            if (result := self.folder.same_run(run)) is not None:
                self._keep(run, result, False)
            else:
                self._note_failures(run, last[key].user_attrs.get("error", "it has no result"))

    def _keep(self, run: Run, result: Mapping[str, Any], trained: bool) -> None:
        """Write the result of a run under each of its names."""
        for one in self._names.pop(_key(run)):
            about = {"experiment": one.experiment, "cell": one.name, **self.about, "labels": dict(one.labels)}
            file = self.folder.file(one)
            with write_errors(file):
                file.parent.mkdir(exist_ok=True)
            if self.folder.state(one) != "done":
                write_json(file, {**about, **{key: value for key, value in result.items() if key not in about}})
            self.summary.finished.append(one)
            left = self.time_left([runs[0] for runs in self._names.values()])
            line = _line(one, result, trained and one is run)
            self.say(f"[{len(self.summary.finished)}/{self._total}] {one.experiment} {one.name}: {line}{left}")

    def _note_failures(self, run: Run, reason: str) -> None:
        for one in self._names.pop(_key(run)):
            _note_failure(self.summary, one, reason, self.say)

    def _stop_in_time(self, _: object) -> None:
        if self.deadline is not None and time.monotonic() >= self.deadline:
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
        return queues.time_left(sum(left.values()) * self._seconds / self._work / 60)


def _key(run: Run, digest: str | None = None) -> str:
    return f"{digest or run.digest}{'-apart' if run.own_process else ''}"


def _line(run: Run, result: Mapping[str, Any], trained: bool) -> str:
    metric, summary = run.config.task.build().metrics[0], result["summary"]
    deployed = result["deployed"][metric.name]
    files = "not deployed" if deployed is None else f"{metric.number(deployed)} from its files"
    took = f"{summary['seconds'] + result['finishing_seconds']:.0f} s" if trained else "already run"
    if trained and "trained_together" in summary:
        took += f", with {summary['trained_together'] - 1} others at the same time"
    return f"test {metric.number(summary[metric.column('test')])}, {files}, {took}"


def _work(run: Run) -> float:
    # Number of planes times how often light goes through them: the time of a run is roughly proportional to it.
    config = run.config
    images = config.data.train_limit or (1500 if config.data.name == "digits" else 60_000)
    return config.training.epochs * images * (config.optics.layers + 1)
