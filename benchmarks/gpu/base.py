"""What a stage is, and what all stages need: rows as they come, times of calls in turns, memory."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch

from benchmarks.contenders import Setting

Row = dict[str, Any]
Call = Callable[[], object]


@dataclass(frozen=True)
class Run:
    """What is measured on, and how thoroughly.

    Attributes:
        device: ``"cuda"``, or ``"cpu"`` for the trial without a GPU.
        quick: Whether this is the trial, at tiny sizes, whose figures are no measurement.
        seconds: How long the stage may take.
    """

    device: str
    quick: bool
    seconds: float = 60.0

    def cell(self, **changes: Any) -> Setting:
        """The system of all comparisons, at 200 x 200 with batches of 500 unless it is the trial."""
        setting = Setting(batch=500, device=self.device)
        if self.quick:
            changes = {name: min(value, TINY[name]) for name, value in {**TINY, **changes}.items()}
        return replace(setting, **changes)

    @property
    def rounds(self) -> int:
        """How often calls are timed, after the round that warms up; without one in the trial."""
        return 0 if self.quick else 9


TINY = {"size": 16, "depth": 2, "levels": 4, "batch": 3}


@dataclass(frozen=True)
class Stage:
    """A part of the benchmark.

    Attributes:
        seconds: How long it may take; it is stopped then, and what it has measured stays.
        rows: What measures: each row is written as soon as it is there.
    """

    seconds: float
    rows: Callable[[Run], Iterator[Row]]


def in_turns(calls: Mapping[str, Call], run: Run, *, seconds: float) -> tuple[dict[str, list[float]], dict[str, str]]:
    """Milliseconds of calls that are timed one after another, again and again, after some that warm up; and errors.

    Args:
        calls: What is timed, by name.
        run: Device, and how many rounds at most.
        seconds: No round begins after so long.
    """
    found: dict[str, list[float]] = {name: [] for name in calls}
    errors: dict[str, str] = {}
    end = time.perf_counter() + seconds
    for turn in range(run.rounds + 1):
        if turn > 1 and time.perf_counter() > end:
            break
        for name, call in calls.items():
            if name in errors:
                continue
            # A GPU is told several times what to do before it is waited for, as in training; a short call more often.
            times = 1 if run.quick else max(3, min(100, int(30 / max(found[name] or [10.0]))))
            try:
                taken = timed(call, times)
            except Exception as error:  # such as memory that others have taken: the others go on
                errors[name] = sentence(error)
                found.pop(name)
                continue
            if turn > 0 or run.quick:
                found[name].append(taken)
    return found, errors


def timed(call: Call, times: int = 1) -> float:
    """Milliseconds of a call, of several that follow each other."""
    wait()
    start = time.perf_counter()
    for _ in range(times):
        call()
    wait()
    return 1e3 * (time.perf_counter() - start) / times


def wait() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def summary(milliseconds: list[float], key: str) -> Row:
    """The median with the extremes, as columns that begin with a word."""
    return {
        f"{key}_ms": statistics.median(milliseconds),
        f"{key}_ms_lowest": min(milliseconds),
        f"{key}_ms_highest": max(milliseconds),
        f"{key}_runs": len(milliseconds),
    }


def sentence(error: BaseException) -> str:
    """An error in one line."""
    return f"{type(error).__name__}: {' '.join(str(error).split())}"[:600]
