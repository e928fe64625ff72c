"""Trainings that take their steps together: each as Lightning runs it, all steps in one place."""

from __future__ import annotations

import contextvars
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import torch

from voltphase.core.errors import VoltphaseError
from voltphase.training.loop import Batches, TrainingModule, take_steps
from voltphase.training.steps import TrainingStep
from voltphase.training.watching.profile import spending


class _Stopped(BaseException):
    """Ends a training that waits for its turn; no Exception, and no KeyboardInterrupt, which Lightning exits by."""


class _Fibre:
    """A training in a thread of its own that runs only while it is resumed: until it wants to take steps, or ends.

    So at every moment one thread runs, as if there were no threads; settings of the whole process, which a step and an
    evaluation change and put back, are never changed by two at a time.

    Attributes:
        batches: Batches that it wants to take steps with; None before it runs and once it has ended.
        error: What it ended with, or None.
    """

    def __init__(self, module: TrainingModule, fit: Callable[[], None]) -> None:
        self.module, self._fit = module, fit
        self.batches: Batches | None = None
        self.error: BaseException | None = None
        self._raised: BaseException | None = None
        self._ended = False
        self._go, self._parked = threading.Semaphore(0), threading.Semaphore(0)
        module.in_turn = self._wait_for_steps
        self._thread = threading.Thread(target=contextvars.copy_context().run, args=(self._run,), daemon=True)
        self._thread.start()

    def resume(self, error: BaseException | None = None) -> None:
        """Let it run, where ``error`` is given by raising that in it."""
        self._raised = error
        self._go.release()
        self._parked.acquire()

    def stop(self) -> None:
        """End it, if it has not ended."""
        while not self._ended:
            self.resume(_Stopped())
        self._thread.join()

    def _wait_for_steps(self, batches: Batches) -> None:
        self.batches = batches
        self._parked.release()
        self._wait()

    def _wait(self) -> None:
        self._go.acquire()
        self.batches = None
        if self._raised is not None:
            raise self._raised

    def _run(self) -> None:
        try:
            self._wait()
            self._fit()
        except BaseException as error:
            self.error = error
        finally:
            self._ended = True
            self._parked.release()


def run_in_lockstep(
    modules: Sequence[TrainingModule], fits: Sequence[Callable[[], None]], until: Callable[[], BaseException | None]
) -> list[VoltphaseError | None]:
    """Run trainings until all have ended, their steps together; one that fails leaves the others alone.

    All wait for each other after the steps of a quarter of a second, and at the end of an epoch until each has answered
    its test images and is kept.

    Args:
        modules: What is trained, with batches of the same sizes.
        fits: Functions that train them, one for each.
        until: Function that returns why all are to end now, an error to raise, or None; it is asked when they wait.

    Returns:
        For each training the error that it failed with, or None.

    Raises:
        KeyboardInterrupt: if interrupted; each has kept its last whole epoch.
        Exception: what ``until`` returns, or any error that is not one training's own.
    """
    for module in modules:
        module.trained_together = len(modules)
    with _noted_interrupts() as interrupted:
        fibres = [_Fibre(*one) for one in zip(modules, fits, strict=True)]
        try:
            for fibre in fibres:
                fibre.resume()
            _take_turns(fibres, lambda: KeyboardInterrupt() if interrupted() else until())
        finally:
            for fibre in fibres:
                fibre.stop()
                fibre.module.in_turn = None
    errors = [fibre.error for fibre in fibres]
    for error in errors:
        if error is not None and not isinstance(error, VoltphaseError):
            raise error
    return [error for error in errors if error is None or isinstance(error, VoltphaseError)]


def _take_turns(fibres: Sequence[_Fibre], until: Callable[[], BaseException | None]) -> None:
    step: TrainingStep | None = None
    members: list[_Fibre] = []
    while waiting := [fibre for fibre in fibres if fibre.batches is not None]:
        if (reason := until()) is not None:
            raise reason
        if step is None or waiting != members:
            step = None  # and with it the memory of what it recorded for more of them
            step, members = TrainingStep([fibre.module.learner for fibre in waiting]), waiting
        with torch.enable_grad(), spending("steps", step.learners[0].device):
            sources = [fibre.batches for fibre in waiting if fibre.batches is not None]
            take_steps(step, [fibre.module for fibre in waiting], sources)
        for number, fibre in enumerate(waiting):
            fibre.resume(step.failures.get(number))


@contextmanager
def _noted_interrupts() -> Iterator[Callable[[], bool]]:
    """Note Ctrl-C and SIGTERM where they come, so that no training is cut off while an epoch is kept."""
    noted = False

    def note(*_: object) -> None:
        nonlocal noted
        noted = True

    signals = (signal.SIGINT, signal.SIGTERM) if threading.current_thread() is threading.main_thread() else ()
    before = {number: signal.signal(number, note) for number in signals}
    try:
        yield lambda: noted
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
