"""Two versions of voltphase against each other: a training step of each in turn, in a process each.

One thread is timed by what it uses of a processor, several by the clock. The other version is a checkout with its own
``benchmarks``, whose ``contenders`` build the network as it wants to be built there. This file runs as a script in
both processes, so it imports nothing but what both versions have.
"""

from __future__ import annotations

import functools
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).parents[1]


@dataclass(frozen=True)
class Case:
    """A training step to compare."""

    method: str
    size: int  # samples along each side of a plane
    batch: int


CASES = (
    Case("fresnel", 64, 100),
    Case("fresnel", 200, 32),
    Case("angular-spectrum", 64, 100),
    Case("angular-spectrum", 200, 32),
)


class Version:
    """A version of voltphase, of the checkout in a folder, in a process of its own."""

    def __init__(self, root: Path, threads: int) -> None:
        paths = os.pathsep.join((str(root / "src"), str(root)))
        environment = {**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": str(threads)}
        pipe, command = subprocess.PIPE, [sys.executable, __file__]
        self._process = subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, cwd=root, env=environment)

    def ask(self, what: str, case: Case) -> float:
        """Return the ``"seconds"`` of a training step, or the bytes that training needs at its ``"peak"``."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(json.dumps([what, asdict(case)]), file=self._process.stdin, flush=True)
        answer = self._process.stdout.readline()
        if not answer:
            raise RuntimeError(f"the version in {self._process.args} ended: see its error above")
        return float(answer)

    def close(self) -> None:
        self._process.communicate()


def compare(old: Path, *, cases: Sequence[Case] = CASES, rounds: int, threads: int) -> Iterator[dict[str, Any]]:
    """Yield a row for each case: medians of both versions, their ratio, and peaks of memory.

    Args:
        old: Folder of the checkout of the other version.
        cases: Training steps to compare.
        rounds: How often each version is timed, in turns.
        threads: Number of threads to compute with.
    """
    roots = {"old": old.resolve(), "new": HERE}
    for case in cases:
        versions = {name: Version(root, threads) for name, root in roots.items()}
        seconds: dict[str, list[float]] = {name: [] for name in versions}
        for turn in range(rounds + 1):
            for name in sorted(versions, reverse=turn % 2 == 1):
                elapsed = versions[name].ask("seconds", case)
                if turn > 0:  # the first one warms up
                    seconds[name].append(elapsed)
        row: dict[str, Any] = {**asdict(case), "threads": threads, "rounds": rounds}
        for name, version in versions.items():
            version.close()
            row[f"{name}_ms_per_image"] = 1e3 * statistics.median(seconds[name]) / case.batch
            row[f"{name}_ms_lowest"] = 1e3 * min(seconds[name]) / case.batch
            fresh = Version(roots[name], threads)
            row[f"{name}_peak_memory_mb"] = fresh.ask("peak", case) / 1e6
            fresh.close()
        row["ratio"] = statistics.median(new / old for old, new in zip(seconds["old"], seconds["new"], strict=True))
        row["memory_ratio"] = row["new_peak_memory_mb"] / row["old_peak_memory_mb"]
        yield row


def _answer() -> None:
    """Answer the questions of :meth:`Version.ask`, one a line."""
    made: dict[Case, Any] = {}
    for line in sys.stdin:
        what, settings = json.loads(line)
        case = Case(**settings)
        if what == "peak":
            print(_peak(case), flush=True)
            continue
        train = made[case] = made.get(case) or _training_step(case)
        clock = time.process_time if os.environ["OMP_NUM_THREADS"] == "1" else time.perf_counter
        start = clock()
        train()
        print(clock() - start, flush=True)


def _training_step(case: Case) -> Any:
    import torch

    import voltphase
    from benchmarks import contenders

    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    donn = voltphase.DONN
    voltphase.DONN = functools.partial(donn, method=case.method)
    try:
        return contenders.CONTENDERS["voltphase"](contenders.Setting(size=case.size, batch=case.batch)).train
    finally:
        voltphase.DONN = donn


def _peak(case: Case) -> float:
    _training_step(Case(case.method, 32, 1))()
    before = _high_water()
    train = _training_step(case)
    train()
    train()
    return _high_water() - before


def _high_water() -> float:
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return float(line.split()[1]) * 1024


if __name__ == "__main__":
    _answer()
