"""Where the time of a training goes."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from pathlib import Path
from typing import Final, Literal, get_args

import torch

from voltphase.core.files import write_json

#: Name of the file in a run folder that a profile is kept in.
FILE: Final = "profile.json"
#: What time is spent on. ``steps`` is what is done in steps and not measured by itself: on a GPU, which takes a step as
#: one piece, all of it. ``host`` is what is left: Lightning, and this program's own.
On = Literal[
    "preparing",
    "data",
    "forward",
    "backward",
    "exchange",
    "optimiser",
    "steps",
    "evaluation",
    "checkpoint",
    "logging",
    "host",
]
_ORDER: Final[tuple[On, ...]] = get_args(On)

_current: ContextVar[Profile | None] = ContextVar("profile", default=None)


class Profile:
    """Seconds of wall clock by what they were spent on; what is done within something else counts once, there.

    Args:
        clock: Function that returns the time in seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self._clock, self._began = clock, clock()
        self._ended: float | None = None
        self._spent: dict[On, float] = {}
        self._inner = [0.0]  # for each block that is open, what blocks in it have taken

    @contextmanager
    def spending(self, on: On, device: torch.device | None = None) -> Iterator[None]:
        """Count the time of a block; of a GPU, until it has done all that it was told in the block."""
        started = self._clock()
        self._inner.append(0.0)
        try:
            yield
            if device is not None and device.type == "cuda":
                torch.cuda.synchronize(device)
        finally:
            whole = self._clock() - started
            self._spent[on] = self._spent.get(on, 0.0) + whole - self._inner.pop()
            self._inner[-1] += whole

    def begin_training(self) -> None:
        """Count what has been done so far, and not counted yet, as preparing."""
        self._spent["preparing"] = self._clock() - self._began - sum(self._spent.values())

    def end(self) -> None:
        """Stop the clock."""
        self._ended = self._clock()

    @property
    def total(self) -> float:
        """Seconds from the beginning to the end, or until now."""
        return (self._clock() if self._ended is None else self._ended) - self._began

    @property
    def seconds(self) -> dict[str, float]:
        """Seconds by what they were spent on, which add up to the total."""
        spent = {**self._spent, "host": self.total - sum(self._spent.values())}
        return {on: spent[on] for on in _ORDER if on in spent}

    def rows(self) -> list[tuple[str, str, str]]:
        """Return a table: what, seconds, and its share of the total."""
        total = self.total
        parts = {**self.seconds, "all": total}
        rows = [(on, f"{seconds:8.2f}", f"{seconds / total:6.1%}") for on, seconds in parts.items()]
        return [("time spent on", " seconds", " share"), *rows]

    def write(self, folder: Path) -> None:
        """Keep it in a run folder."""
        rounded = {on: round(seconds, 6) for on, seconds in self.seconds.items()}
        write_json(folder / FILE, {"total_seconds": round(self.total, 6), "seconds": rounded})


@contextmanager
def profiled() -> Iterator[Profile]:
    """Measure where the time of trainings in the block goes.

    Examples:
        >>> with profiled() as profile:
        ...     pass  # vp.train(config, "runs/mine")
        >>> list(profile.seconds)
        ['host']
    """
    profile = Profile()
    token = _current.set(profile)
    try:
        yield profile
    finally:
        _current.reset(token)
        profile.end()


def spending(on: On, device: torch.device | None = None) -> AbstractContextManager[None]:
    """Count the time of a block, where somebody measures; see :meth:`Profile.spending`."""
    profile = _current.get()
    return nullcontext() if profile is None else profile.spending(on, device)


def spending_in_step(on: On, device: torch.device) -> AbstractContextManager[None]:
    """Count the time of a part of a step, where somebody measures; a GPU's is measured as a whole, see `spending`."""
    return nullcontext() if device.type == "cuda" else spending(on)


def begin_training() -> None:
    """Say that training begins, where somebody measures."""
    if (profile := _current.get()) is not None:
        profile.begin_training()
