"""Running a sweep: one of any number of processes that work on its trials until all of them have ended."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from rich.console import Console

from voltphase.config import Config
from voltphase.core.errors import ConfigError, DataError, FolderInUseError, LostProcessError, OutputError, TrainingError
from voltphase.core.files import checked_path
from voltphase.core.words import counted
from voltphase.reporting import REPORT_NAME, write_sweep_report
from voltphase.settings.messages import yaml_shown
from voltphase.sweeps import queue as queues
from voltphase.sweeps.queue import TrialQueue
from voltphase.sweeps.resume import drop_checkpoints, train_on
from voltphase.sweeps.search.outcome import BEST, EPOCHS, ERROR, FIGURES, SECONDS, TABLE, VALUES, Outcome, shown
from voltphase.sweeps.search.settings import Sweep, read_sweep
from voltphase.sweeps.search.space import Values, as_told, draw
from voltphase.sweeps.storage import (
    DATABASE,
    JOURNAL,
    close_connections,
    open_study,
    place_of,
    quiet_optuna,
    storage_errors,
)
from voltphase.training import RunFolder, build_datasets
from voltphase.training.processes import place
from voltphase.training.processes.machine import accelerator_of

if TYPE_CHECKING:
    from optuna import Study, Trial
    from optuna.samplers import BaseSampler
    from optuna.trial import FrozenTrial

Say = Callable[[str], None]

#: Attributes of a study: what its trials are, and how many.
_DEFINITION, _COUNT = "sweep", "trials"
#: Folder of the runs, in that of the sweep.
TRIALS: Final = "trials"
# Trials that are trained to their ends before any is ended early; and part of the epochs in which none is.
_UNPRUNED_TRIALS: Final = 5
_UNPRUNED_EPOCHS: Final = 1 / 3


@dataclass(frozen=True)
class SweepResult:
    """What a sweep has come to.

    Args:
        path: Path of its folder.
        rows: A row for each trial, as in ``trials.csv``.
        best: Configuration of the best trial.
        study: Study of Optuna's, for whatever else is to be known.
        ranked: The same rows, the best first.
    """

    path: Path
    rows: list[dict[str, Any]]
    best: Config
    study: Study
    ranked: list[dict[str, Any]]

    def __repr__(self) -> str:
        best = self.ranked[0]["trial"]
        return f"SweepResult({str(self.path)!r}, {counted(len(self.rows), 'trial')}, best: trial {best})"


def run_sweep(
    given: str | PathLike[str] | Mapping[str, Any],
    out: str | PathLike[str] | None = None,
    *,
    data_dir: str | Path | None = None,
    say: Say = lambda _: None,
    console: Console | None = None,
) -> SweepResult:
    """Work on the trials of a sweep until all have ended, by whomever they were trained.

    Args:
        given: Path of a YAML file, or what one holds.
        out: Folder of the sweep, ``sweeps/NAME`` by default.
        data_dir: Folder of the data sets on this machine.
        say: What writes one line for each trial.
        console: Console to show the progress of the trial at work on.

    Raises:
        ConfigError: if the sweep makes no sense, another one is in the folder, or a device's table has changed.
        DataError: if the data of all trials cannot be had here; the trial at work waits for who has them.
        DeviceError: if a device that no trial chooses cannot be had.
        LostProcessError: if one of several processes of a training is killed; the trial goes on, as after a kill.
        OutputError: if the folder or the storage cannot be used.
        TrainingError: if all trials have failed.
        KeyboardInterrupt: if interrupted; the trial at work waits for who goes on with it.
    """
    folder = folder_of(given, out)
    with quiet_optuna(), prepared_sweep(given, folder, data_dir) as (sweep, queue):
        if any(not trial.state.is_finished() for trial in _trials(queue, sweep)):
            _require_able(sweep)
        _Worker(sweep, folder, queue, say, console).work_off()
        outcome = Outcome(sweep, _trials(queue, sweep))
        outcome.write(folder)
        if not outcome.best:
            raise TrainingError(_hopeless(outcome))
        best, aims = outcome.config_of(outcome.best[0]), [aim.name for aim in sweep.aims]
        result = SweepResult(folder, outcome.rows(), best, queue.study, outcome.ranked())
        value = shown(result.ranked[0][aims[0]])
        write_sweep_report(folder, queue.study, aims, result.ranked, best.to_yaml(), value)
    return result


@contextmanager
def prepared_sweep(
    given: str | PathLike[str] | Mapping[str, Any], folder: Path, data_dir: str | Path | None = None
) -> Iterator[tuple[Sweep, TrialQueue]]:
    """Provide a sweep and its trials, which are made if the sweep is new; for errors see :func:`run_sweep`."""
    sweep = read_sweep(given, data_dir)
    definition = sweep.definition()
    storage, name = sweep.given.storage, folder.resolve().name
    _require_free(folder, storage)
    with quiet_optuna():
        study, created = open_study(storage, folder, name, [aim.direction for aim in sweep.aims])
        try:
            queue = TrialQueue(study, place_of(storage, folder), lambda number: _sampler(sweep, number))
            _join(queue, created, sweep, definition, folder)
            yield sweep, queue
        finally:
            close_connections(study)


def _require_free(folder: Path, storage: str) -> None:
    """Refuse a folder without a sweep that holds a training run, or what the sweep would replace."""
    if any((folder / name).exists() for name in (TRIALS, DATABASE, JOURNAL)):
        return
    # All trials of a database may have been trained elsewhere.
    ours = () if "://" in storage else (BEST, TABLE, REPORT_NAME)
    theirs = next((name for name in ours if (folder / name).exists()), None)
    if RunFolder(folder).begun or theirs is not None:
        held = f"{theirs} of something else" if theirs is not None else "a training run"
        raise OutputError(f"expected a folder for a sweep, but {folder} holds {held}: choose another with --out")


def _require_able(sweep: Sweep) -> None:
    """Refuse to take trials that no process like this one could train: another may be able to.

    Raises:
        ConfigError: if there is no GPU and one is asked for, or several processes were started that would each take
            the others for its own.
    """
    training = sweep.base.training
    if not {"training.accelerator", "optics.backend", "optics.precision"} & sweep.given.search.keys():
        accelerator_of(sweep.base)
    try:
        alone = training.nodes == 1 and place.place_of(training) is None
    except ConfigError:
        alone = False
    if not alone:
        raise ConfigError(
            "expected each worker of a sweep to start the processes of a training itself, but training.nodes is "
            f"{training.nodes}, or torchrun or srun has started several: start workers one by one, with "
            "training.nodes 1"
        )


def folder_of(given: str | PathLike[str] | Mapping[str, Any], out: str | PathLike[str] | None) -> Path:
    """Return the folder of a sweep."""
    if out is None and isinstance(given, Mapping):
        raise OutputError("expected out, the folder of a sweep that no file describes, but got none: name one")
    return checked_path(Path("sweeps") / Path(str(given)).stem if out is None else out, OutputError)


def _sampler(sweep: Sweep, number: int) -> BaseSampler:
    """Return what chooses the values of a trial; the same for the same number, whoever trains it."""
    from optuna import samplers

    if sweep.grid is not None:
        return samplers.PartialFixedSampler(as_told(sweep.grid[number]), samplers.RandomSampler(seed=number))
    if sweep.given.sampler == "random":
        return samplers.RandomSampler(seed=number)
    if sweep.given.sampler == "tpe":
        return samplers.TPESampler(seed=number, constant_liar=True)
    # As many generations as there are trials in one of them, or more: Optuna's 50 are for thousands of trials.
    return samplers.NSGAIISampler(population_size=min(max(round(sweep.trials**0.5), 4), 50), seed=number)


def _join(queue: TrialQueue, created: bool, sweep: Sweep, wanted: Mapping[str, Any], folder: Path) -> None:
    """Make the trials of a study that is new, and see that one that is there is of the same sweep."""
    study = queue.study
    with storage_errors(place_of(sweep.given.storage, folder)):
        count, since = -1, time.monotonic()
        # Whoever has made a study makes its trials; unless that process has ended meanwhile.
        while not created and _DEFINITION not in study.user_attrs and time.monotonic() - since < queues.STILL_SECONDS:
            if (now := len(queue.trials())) != count:
                count, since = now, time.monotonic()
            time.sleep(queues.LOOK_SECONDS / 4)
        about = study.user_attrs
        if [direction.name.lower() for direction in study.directions] != [aim.direction for aim in sweep.aims]:
            raise ConfigError(
                f"expected the sweep that {folder} was begun with, but its storage holds another study of that name: "
                "begin another sweep with --out"
            )
        if _DEFINITION in about:
            _require_same(about[_DEFINITION], wanted, folder)
        if about.get(_COUNT, 0) < sweep.trials:
            for _ in range(len(queue.trials()), sweep.trials):
                queue.add()
            study.set_metric_names([aim.name for aim in sweep.aims])
            study.set_user_attr(_COUNT, sweep.trials)
            study.set_user_attr(_DEFINITION, wanted)


def _require_same(known: Mapping[str, Any], wanted: Mapping[str, Any], folder: Path) -> None:
    for part in wanted:
        one, other = known.get(part), wanted[part]
        if part == "devices":
            _require_same_tables(one or {}, other, folder)
            continue
        if one == other:
            continue
        name = part
        if isinstance(one, dict) and isinstance(other, dict):
            key = next(key for key in [*one, *other] if one.get(key) != other.get(key))
            name, one, other = f"{part} {key}", one.get(key), other.get(key)
        raise ConfigError(
            f"expected the sweep that {folder} was begun with, but {name} is {yaml_shown(other)} instead of "
            f"{yaml_shown(one)}: put it back, or begin another sweep with --out"
        )


def _require_same_tables(known: Mapping[str, Any], now: Mapping[str, Any], folder: Path) -> None:
    # Storages of earlier versions have digests of models too, of which there is nothing now, and none of masks.
    pairs = (pair for name in known for pair in zip(known[name], now.get(name, []), strict=False))
    if known.keys() - now.keys() or any(digest not in (None, before) for before, digest in pairs):
        raise ConfigError(
            f"expected the devices that the sweep in {folder} was begun with, but a device's table or a mask has "
            "changed since, or is gone: restore it, or begin another sweep with --out"
        )


def _trials(queue: TrialQueue, sweep: Sweep) -> list[FrozenTrial]:
    # Two processes that made more of them at once may have made too many.
    return [trial for trial in queue.trials() if trial.number < sweep.trials]


def _hopeless(outcome: Outcome) -> str:
    reasons = [trial.user_attrs[ERROR] for trial in outcome.trials if ERROR in trial.user_attrs]
    return f"expected trials that can be trained, but all {len(outcome.trials)} failed, the first because {reasons[0]}"


@dataclass
class _Worker:
    sweep: Sweep
    folder: Path
    queue: TrialQueue
    say: Say
    console: Console | None

    def work_off(self) -> None:
        """Train the trials that wait, and wait for those of others, until all have ended."""
        import optuna

        self._tables = self.sweep.tables()
        if self.sweep.prunes:
            warm = round(_UNPRUNED_EPOCHS * self.sweep.base.training.epochs)
            self.queue.study.pruner = optuna.pruners.MedianPruner(_UNPRUNED_TRIALS, warm)
        else:
            self.queue.study.pruner = optuna.pruners.NopPruner()
        with self.queue.working():
            while True:
                waiting, running = self.queue.look(lambda trial: trial.number < self.sweep.trials)
                taken = next((trial for one in waiting if (trial := self.queue.take(one)) is not None), None)
                if taken is not None:
                    self._work_on(taken)
                elif running or waiting:
                    self.queue.wait(running, "trial", self.say)
                elif all(trial.state.is_finished() for trial in _trials(self.queue, self.sweep)):
                    return

    def _work_on(self, trial: Trial) -> None:
        import optuna

        started, means, pruned = time.monotonic(), None, False
        _require_same_tables(self._tables, self.sweep.tables(), self.folder)
        with storage_errors(place_of(self.sweep.given.storage, self.folder)):
            values = draw(self.sweep.dimensions, trial)
        try:
            figures = self._train(trial, values)
        except FolderInUseError:  # by a process that was taken for dead
            self.queue.leave(trial)
            return
        except OutputError:
            raise
        except LostProcessError as error:
            raise LostProcessError(f"{error}, the same command goes on") from error
        except optuna.TrialPruned as ended:
            about, pruned = {EPOCHS: int(str(ended))}, True
        except Exception as error:
            if isinstance(error, DataError):
                self._require_data()
            about = {ERROR: str(error) or type(error).__name__}
        else:
            about = {FIGURES: figures, EPOCHS: self.sweep.config_of(values).training.epochs}
            means = [sum(figures[aim.name]) / len(figures[aim.name]) for aim in self.sweep.aims]
        seconds = round(time.monotonic() - started, 1)
        self.queue.finish(trial, means, pruned=pruned, **about, **{VALUES: values, SECONDS: seconds})
        for seed in self.sweep.seeds:
            drop_checkpoints(self._run_folder(trial, seed))
        self._tell(trial.number)

    def _require_data(self) -> None:
        """Refuse to go on where the data of all trials cannot be had: each would fail, and another worker has them."""
        if not any(one.key.startswith("data.") for one in self.sweep.dimensions):
            build_datasets(self.sweep.base)

    def _train(self, trial: Trial, values: Values) -> dict[str, list[float]]:
        """Train with each seed, and return the figures of each by their names."""
        figures: dict[str, list[float]] = {}
        for seed in self.sweep.seeds:
            config, folder = self.sweep.config_of(values, seed), self._run_folder(trial, seed)
            watch = self._pruning(trial) if seed == self.sweep.seeds[0] and self.sweep.prunes else None
            if self.console is not None:
                line = f"trial {trial.number}: {', '.join(f'{key} {shown(value)}' for key, value in values.items())}"
                self.console.print(f"{line}, seed {seed}", markup=False, highlight=False)
            summary = train_on(config, folder, console=self.console, watch=watch)
            last = RunFolder(folder).read_metrics()[-1]
            own = {aim.name: aim.of_run(config, summary, last) for aim in self.sweep.aims}
            columns = [metric.column(split) for metric in config.task.build().metrics for split in ("val", "test")]
            judged = {f"{summary['watched']}_{aim.name}" for aim in self.sweep.aims}
            own |= {name: summary[name] for name in columns if name in summary and name not in judged}
            for name, value in own.items():
                figures.setdefault(name, []).append(value)
        return figures

    def _pruning(self, trial: Trial) -> Callable[[Mapping[str, float]], None]:
        import optuna

        aim = self.sweep.aims[0]
        reported = set(self.queue.study.trials[trial.number].intermediate_values)

        def watch(epoch: Mapping[str, float]) -> None:
            value, number = aim.of_epoch(epoch), int(epoch["epoch"])
            if value is None or number >= self.sweep.base.training.epochs:
                return
            with storage_errors(place_of(self.sweep.given.storage, self.folder)):
                if number not in reported:
                    trial.report(value, number)
                bad = trial.should_prune()
            if bad:
                raise optuna.TrialPruned(str(number))

        return watch

    def _run_folder(self, trial: Trial, seed: int) -> Path:
        return self.folder / TRIALS / f"{trial.number:04d}" / f"seed-{seed}"

    def _tell(self, number: int) -> None:
        """Write what there is now, and say how a trial ended and how long the others will take."""
        trials = _trials(self.queue, self.sweep)
        outcome = Outcome(self.sweep, trials)
        outcome.write(self.folder)
        trial = trials[number]
        done = [one for one in trials if one.state.is_finished()]
        how = {"PRUNED": ": ended early", "FAIL": f": failed: {trial.user_attrs.get(ERROR)}"}.get(trial.state.name, "")
        self.say(f"[{len(done)}/{len(trials)}] {outcome.told(trial)}{how}{_time_left(trials)}")


def _time_left(trials: list[FrozenTrial]) -> str:
    seconds = [one.user_attrs[SECONDS] for one in trials if SECONDS in one.user_attrs and ERROR not in one.user_attrs]
    left = len([one for one in trials if not one.state.is_finished()])
    if not seconds or not left:
        return ""
    workers = 1 + len(queues.running(trials))
    return queues.time_left(left * sum(seconds) / len(seconds) / workers / 60)
