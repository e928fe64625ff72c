"""Time in rounds over all contenders, memory in a process each."""

from __future__ import annotations

import io
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import redirect_stdout
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

from benchmarks.contenders import CONTENDERS, Calls, Missing, Setting
from voltphase.training.provenance import commit, hardware, versions

Row = dict[str, Any]


def measure(names: Sequence[str], setting: Setting, *, rounds: int, longest: float, memory: bool) -> list[Row]:
    """Rows of medians over interleaved rounds.

    Args:
        names: Of :data:`CONTENDERS`.
        setting: The cell.
        rounds: How often each is timed, at least once.
        longest: Seconds that one call may take; a contender whose step takes longer is timed once or left out.
        memory: Whether to measure peak memory too, in a process of its own.
    """
    made: dict[str, Calls] = {}
    about = {**asdict(setting), "threads": torch.get_num_threads()}
    rows: dict[str, Row] = {name: {"name": name, **about} for name in names}
    for name in names:
        torch.manual_seed(setting.seed)
        try:
            with redirect_stdout(io.StringIO()):
                made[name] = CONTENDERS[name](setting)
        except Missing as error:
            rows[name]["error"] = f"not installed: {error}"
        except Exception as error:  # what another package cannot do here is reported, not hidden
            rows[name]["error"] = f"{type(error).__name__}: {error}"
    seconds: dict[tuple[str, str], list[float]] = {(name, kind): [] for name in made for kind in ("train", "infer")}
    for turn in range(rounds + 1):
        for name, calls in list(made.items()):
            for kind in ("train", "infer"):
                taken = seconds[name, kind]
                if taken and taken[0] * (turn + 1) > longest:
                    continue
                try:
                    elapsed = _time(getattr(calls, kind), setting.device)
                except Exception as error:
                    rows[name]["error"] = f"{type(error).__name__}: {error}"
                    made.pop(name, None)
                    break
                # The first round warms up, unless it is all there is time for.
                if turn > 0 or elapsed > longest / 2:
                    taken.append(elapsed)
    for name in made:
        for kind in ("train", "infer"):
            rows[name] |= _summary(kind, seconds[name, kind], setting.batch)
    made.clear()
    if memory:
        for name, row in rows.items():
            if "error" not in row:
                row["peak_memory_mb"] = peak_memory(name, setting)
    return list(rows.values())


def peak_memory(name: str, setting: Setting) -> float | None:
    """Megabytes that two training steps need above what importing needs, measured in a process of its own."""
    if name.startswith("floor"):
        return None
    threads = str(torch.get_num_threads())
    command = [sys.executable, "-m", "benchmarks", "peak", name, json.dumps(asdict(setting)), "--threads", threads]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    return float(done.stdout.split()[-1]) if done.returncode == 0 else None


def own_peak(name: str, setting: Setting) -> float:
    """What :func:`peak_memory` runs in the process of its own."""
    torch.manual_seed(setting.seed)
    small = CONTENDERS[name](Setting(size=32, depth=1, levels=2, batch=1, device=setting.device))
    small.train()
    if setting.device != "cpu":
        torch.cuda.reset_peak_memory_stats()
    peak = _resident if setting.device == "cpu" else torch.cuda.max_memory_allocated
    before, calls = peak(), CONTENDERS[name](setting)
    calls.train()
    calls.train()
    return (peak() - before) / 1e6


def machine(device: str) -> dict[str, Any]:
    """Where and with what: to stand beside every figure."""
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "versions": versions(),
        "hardware": hardware(torch.device(device)),
        "commit": commit(),
    }


def _resident() -> float:
    """The most bytes of memory this process has had."""
    status = Path("/proc/self/status")
    if status.exists():
        # Not ru_maxrss, which a process takes over from the one that started it.
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return float(line.split()[1]) * 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if platform.system() == "Darwin" else peak * 1024


def _summary(kind: str, seconds: list[float], batch: int) -> Row:
    per_image = sorted(1e3 * s / batch for s in seconds)
    return {
        f"{kind}_ms_per_image": statistics.median(per_image),
        f"{kind}_ms_lowest": per_image[0],
        f"{kind}_ms_highest": per_image[-1],
        f"{kind}_runs": len(per_image),
    }


def _time(call: Callable[[], object], device: str) -> float:
    wait = torch.cuda.synchronize if device != "cpu" else lambda: None
    wait()
    start = time.perf_counter()
    call()
    wait()
    return time.perf_counter() - start
