"""``python -m benchmarks.gpu``: every stage in a process of its own, stopped when its time is over; see ``--help``.

Everything measured is in the file of results as soon as it is there: whatever ends the whole loses nothing else.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import psutil
import torch

from benchmarks.gpu import checks, kernels, speed, training
from benchmarks.gpu.base import Row, Run, Stage, sentence
from voltphase.core.files import write_json

RESULTS = Path(__file__).parents[1] / "results"
LEAST_SECONDS = 10  # to import everything, and find the GPU
#: In order of value: what comes last gets the time that is left.
STAGES: dict[str, Stage] = {
    "environment": Stage(30, checks.environment),
    "kernels against the oracle": Stage(75, checks.kernels_against_the_oracle),
    "steps": Stage(70, speed.steps),
    "training": Stage(80, training.trainings),
    "levels": Stage(40, speed.levels),
    "kernels": Stage(40, kernels.kernels),
    "precision": Stage(30, checks.precision),
    "designs": Stage(40, speed.designs),
    "sizes": Stage(40, speed.sizes),
    "fused steps": Stage(50, speed.fused),
    "all tests": Stage(3600, checks.all_tests),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run stages as the command line asks for; 1 if one failed or was stopped."""
    options = _parser().parse_args(arguments)
    if options.peers is not None:
        sys.path.append(str(options.peers.resolve()))  # behind everything else
    device = "cuda" if torch.cuda.is_available() and not options.quick else "cpu"
    run = Run(device, options.quick)
    if options.part is not None:
        # What the process has already taken, to import everything, counts too.
        gone = time.time() - psutil.Process().create_time()
        return measure(options.stages[0], replace(run, seconds=options.seconds - gone), options.part)
    if device == "cpu" and not options.quick:
        print("error: expected a CUDA GPU, but PyTorch finds none here: --quick tries the script without one")
        return 2
    name = re.sub(r"\W+", "-", torch.cuda.get_device_name().lower()).strip("-") if device == "cuda" else "quick"
    out = options.out or RESULTS / f"gpu-{name}.json"
    end = time.monotonic() + 60 * options.minutes
    result: dict[str, object] = {"measurement": not options.quick, "stages": {}}
    done: dict[str, Row] = {}
    for stage in options.stages:
        seconds = min(STAGES[stage].seconds, end - time.monotonic())
        done[stage] = _apart(stage, options, seconds) if not options.quick else _here(stage, run)
        result["stages"] = done
        write_json(out, result)
        print(f"{stage}: {done[stage]['outcome']}, {done[stage]['seconds']:.1f} s", flush=True)
    print(f"wrote {out}")
    return int(any(stage["outcome"] != "done" for stage in done.values()))


def measure(stage: str, run: Run, part: Path) -> int:
    """Run one stage here and write its rows, as they come, to a file."""
    rows: list[Row] = []
    part.parent.mkdir(parents=True, exist_ok=True)
    try:
        for row in STAGES[stage].rows(run):
            rows.append(row)
            write_json(part, {"rows": rows})
    except Exception as error:
        write_json(part, {"rows": rows, "error": sentence(error)})
        return 1
    return 0


def _here(stage: str, run: Run) -> Row:
    start, rows = time.monotonic(), []
    try:
        rows += STAGES[stage].rows(run)
    except Exception as error:
        return {"outcome": "failed", "seconds": time.monotonic() - start, "error": sentence(error), "rows": rows}
    return {"outcome": "done", "seconds": time.monotonic() - start, "rows": rows}


def _apart(stage: str, options: argparse.Namespace, seconds: float) -> Row:
    if seconds < LEAST_SECONDS:
        return {"outcome": "no time left", "seconds": 0.0, "rows": []}
    part = (options.out or RESULTS / "gpu").with_suffix(f".{os.getpid()}.part")
    command = [sys.executable, "-m", "benchmarks.gpu", "--stages", stage, "--part", str(part)]
    command += ["--seconds", str(seconds)] + (["--peers", str(options.peers)] if options.peers else [])
    return apart(command, part, seconds)


def apart(command: Sequence[str], part: Path, seconds: float) -> Row:
    """Run a process that writes its rows to a file; stopped, it takes whatever it has started with it."""
    start = time.monotonic()
    process = subprocess.Popen(command, start_new_session=True)
    outcome = "stopped"
    try:
        outcome = "failed" if process.wait(seconds) else "done"
    except subprocess.TimeoutExpired:
        pass
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    found = json.loads(part.read_text(encoding="utf-8")) if part.exists() else {"rows": []}
    part.unlink(missing_ok=True)
    return {"outcome": outcome, "seconds": time.monotonic() - start, "limit_seconds": seconds, **found}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu", description=__doc__)
    parser.add_argument(
        "--stages", nargs="+", choices=list(STAGES), default=list(STAGES), help="default: all, in order"
    )
    parser.add_argument("--minutes", type=float, default=6.0, help="how long all may take together; default 6")
    parser.add_argument("--out", type=Path, help="file of results; default benchmarks/results/gpu-NAME.json")
    parser.add_argument("--peers", type=Path, help="a folder with other packages to compare with, if not installed")
    parser.add_argument("--quick", action="store_true", help="try the script on a CPU, at sizes that measure nothing")
    parser.add_argument("--part", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--seconds", type=float, default=60.0, help=argparse.SUPPRESS)
    return parser


if __name__ == "__main__":
    sys.exit(main())
