"""The trials of a study, each worked on by one process at a time, wherever that runs.

Optuna's storage says whose turn it is: it lets exactly one process turn a waiting trial into a running one. Whoever
runs a trial beats its heart there, and a trial whose heart has stood still for a while waits again, under its number,
for somebody who goes on with it. Optuna has heartbeats of its own, but for databases alone; they begin only after the
trial does, so that a process killed in between keeps its trial for ever, and a trial gets another number by them.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from secrets import token_hex
from typing import TYPE_CHECKING, Any, Final

from voltphase.core.words import counted, duration
from voltphase.sweeps.storage import storage_errors

if TYPE_CHECKING:
    from optuna import Study, Trial
    from optuna.samplers import BaseSampler
    from optuna.trial import FrozenTrial

#: How often a heart beats, for how long one may stand still, and how often a process without work looks for some.
BEAT_SECONDS: Final = 10.0
STILL_SECONDS: Final = 60.0
LOOK_SECONDS: Final = 2.0

_BEAT: Final = "voltphase:beat"


class TrialQueue:
    """The trials of a study, to be taken one after another.

    Args:
        study: Study of Optuna's.
        place: Where its storage is, as errors say it.
        sampler_of: What chooses the parameters of the trial with a number; the study's own sampler by default.
    """

    def __init__(self, study: Study, place: str, sampler_of: Callable[[int], BaseSampler] | None = None) -> None:
        self.study = study
        self._storage = study._storage
        self._place, self._sampler_of = place, sampler_of
        self._held: dict[int, int] = {}  # the number of each trial at work here, by what the storage calls it
        self._seen: dict[int, tuple[Any, float]] = {}  # the last beat of others, and since when it is that
        self._told = False  # whether it was said that others are waited for

    def trials(self) -> list[FrozenTrial]:
        """Return all trials there are."""
        with storage_errors(self._place):
            return self.study.get_trials(deepcopy=False)

    def add(self, **about: Any) -> None:
        """Add a trial that waits, with attributes of its own."""
        from optuna.trial import TrialState, create_trial

        with storage_errors(self._place):
            self.study.add_trial(create_trial(state=TrialState.WAITING, user_attrs=about))

    def look(self, ours: Callable[[FrozenTrial], bool]) -> tuple[list[FrozenTrial], list[FrozenTrial]]:
        """Return which of our trials wait and which others run, and have those wait again whose process has ended."""
        trials = [trial for trial in self.trials() if ours(trial)]
        for trial in self._abandoned(trials):
            self._wait_again(trial._trial_id)
        return waiting(trials), [trial for trial in running(trials) if trial._trial_id not in self._held]

    def wait(self, others: Sequence[FrozenTrial], noun: str, say: Callable[[str], None]) -> None:
        """Wait a moment before the next look, and say the first time what for.

        Args:
            others: Trials that other processes run.
            noun: What a trial is called.
            say: What writes a line.
        """
        if others and not self._told:
            say(f"waiting for {counted(len(others), noun)} that other processes are at work on")
            self._told = True
        time.sleep(LOOK_SECONDS)

    def take(self, trial: FrozenTrial) -> Trial | None:
        """Take a trial that waits; None if another process was faster."""
        from optuna import Trial
        from optuna.exceptions import UpdateFinishedTrialError
        from optuna.trial import TrialState

        with storage_errors(self._place):
            try:
                # First, so that a process that ends just behind the next line is noticed too.
                self._beat(trial._trial_id)
                if not self._storage.set_trial_state_values(trial._trial_id, TrialState.RUNNING):
                    return None
            except UpdateFinishedTrialError:
                return None
            self._held[trial._trial_id] = trial.number
            if self._sampler_of is not None:
                self.study.sampler = self._sampler_of(trial.number)
            return Trial(self.study, trial._trial_id)

    def finish(
        self, trial: Trial, values: Sequence[float] | None = None, *, pruned: bool = False, **about: Any
    ) -> None:
        """Write down how a trial ended, with attributes; without values it has failed, unless it was pruned."""
        from optuna.exceptions import UpdateFinishedTrialError
        from optuna.trial import TrialState

        failed = TrialState.PRUNED if pruned else TrialState.FAIL
        with storage_errors(self._place):
            # One that was taken for dead may come to its end all the same, to the same one as who took its trial.
            with suppress(UpdateFinishedTrialError):
                for name, value in about.items():
                    trial.set_user_attr(name, value)
                self._storage.set_trial_state_values(trial._trial_id, TrialState.RUNNING)  # it may wait again by now
                state = failed if values is None else TrialState.COMPLETE
                self.study.tell(trial.number, values, state, skip_if_finished=True)
            self._held.pop(trial._trial_id, None)

    def leave(self, trial: Trial) -> None:
        """Leave a trial to another process that turned out to be at work on it."""
        self._held.pop(trial._trial_id, None)

    @contextmanager
    def working(self) -> Iterator[None]:
        """Beat the hearts of trials that are taken in the block; those that it leaves unfinished wait again."""
        ended = threading.Event()
        thread = threading.Thread(target=self._beat_until, args=(ended,), daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()
            for trial_id in list(self._held):
                with suppress(Exception):  # of a storage that is gone: others notice by themselves
                    self._wait_again(trial_id)
                self._held.pop(trial_id)

    def _beat_until(self, ended: threading.Event) -> None:
        while not ended.wait(BEAT_SECONDS):
            for trial_id in list(self._held):
                with suppress(Exception):  # the next beat may find the storage again, or the trial has been finished
                    self._beat(trial_id)
        with suppress(Exception):
            self._storage.remove_session()

    def _beat(self, trial_id: int) -> None:
        self._storage.set_trial_system_attr(trial_id, _BEAT, token_hex(8))

    def _wait_again(self, trial_id: int) -> None:
        from optuna.exceptions import UpdateFinishedTrialError
        from optuna.trial import TrialState

        with storage_errors(self._place), suppress(UpdateFinishedTrialError):
            self._beat(trial_id)
            self._storage.set_trial_state_values(trial_id, TrialState.WAITING)

    def _abandoned(self, trials: Sequence[FrozenTrial]) -> Iterator[FrozenTrial]:
        # By this machine's own clock: those of others may be wrong.
        now = time.monotonic()
        for trial in running(trials):
            beat = trial.system_attrs.get(_BEAT)
            known, since = self._seen.get(trial.number, (None, now))
            if beat != known or trial.number not in self._seen:
                self._seen[trial.number] = (beat, now)
            elif now - since > STILL_SECONDS and trial._trial_id not in self._held:
                del self._seen[trial.number]
                yield trial


def waiting(trials: Sequence[FrozenTrial]) -> list[FrozenTrial]:
    """Return the trials that wait for somebody."""
    return [trial for trial in trials if trial.state.name == "WAITING"]


def time_left(minutes: float) -> str:
    """Return how long all that is left will take, as the end of a line."""
    return f"; about {duration(minutes)} left"


def running(trials: Sequence[FrozenTrial]) -> list[FrozenTrial]:
    """Return the trials that somebody is at work on."""
    return [trial for trial in trials if trial.state.name == "RUNNING"]
