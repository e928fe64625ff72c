"""What several processes come to and cost: python scripts/processes.py --out benchmarks/results/processes-cpu.json

Trains one system for three epochs in one, two and three processes, in turns, and writes how far their losses and
designs are apart, and what each took: seconds of the processors, which other work on the machine hardly changes, and
seconds.
"""

from __future__ import annotations

import argparse
import csv
import os
import shutil
import socket
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

os.environ |= {"TORCH_CPP_LOG_LEVEL": "ERROR"} | os.environ
os.environ.setdefault("OMP_NUM_THREADS", "1")

from voltphase.cli import main as voltphase
from voltphase.cli.commands import app as _loaded_before_processes_are_forked  # noqa: F401
from voltphase.core.files import write_json
from voltphase.training import load_run
from voltphase.training.processes import group as _loaded_too  # noqa: F401
from voltphase.training.provenance import commit, hardware, versions

SYSTEM = ("data.name=digits", "optics.size=64", "optics.depth=5", "training.batch_size=300", "training.epochs=3")


def start(arguments: list[str], count: int, log: Path) -> list[int]:
    """Start ``voltphase`` in so many processes, as torchrun would, and return their numbers."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    started = []
    for rank in range(count):
        if (process := os.fork()) == 0:
            if count > 1:
                os.environ |= {"TORCHELASTIC_RUN_ID": "here", "RANK": str(rank), "LOCAL_RANK": str(rank)}
                os.environ |= {"WORLD_SIZE": str(count), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
            output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
            os.dup2(output, 1)
            os.dup2(output, 2)
            sys.argv = ["voltphase", *arguments]
            code: Any = 1
            try:
                voltphase()
            except SystemExit as end:
                code = end.code
            finally:
                os._exit(code or 0)
        started.append(process)
    return started


def cost(arguments: list[str], count: int, log: Path) -> tuple[float, float]:
    """Return the seconds of the processors and the seconds that a command takes in so many processes."""
    began, seconds = time.perf_counter(), 0.0
    for process in start([*arguments, "--set", f"training.devices={count}"], count, log):
        _, status, used = os.wait4(process, 0)
        if status:
            raise SystemExit(f"a process failed, see {log}: {log.read_text()[-2000:]}")
        seconds += used.ru_utime + used.ru_stime
    return seconds, time.perf_counter() - began


def losses(run: Path) -> list[float]:
    """Return the loss of each epoch."""
    with (run / "metrics.csv").open() as stream:
        return [float(row["train_loss"]) for row in csv.DictReader(stream)]


def differences(run: Path, one: Path) -> dict[str, Any]:
    """Return how far a run is from that of one process."""
    pairs = list(zip(losses(run), losses(one), strict=True))
    (model, _, summary), (other, _, wanted) = load_run(run), load_run(one)
    levels = [(a == b).double().mean().item() for a, b in zip(model.levels(), other.levels(), strict=True)]
    return {
        "losses": [loss for loss, _ in pairs],
        "largest_relative_difference_of_the_loss": max(abs(loss / wanted - 1) for loss, wanted in pairs),
        "share_of_equal_levels": min(levels),
        "test_accuracy": summary["test_accuracy"],
        "test_accuracy_of_one": wanted["test_accuracy"],
    }


def measure(rounds: int, settings: list[str]) -> dict[str, Any]:
    """Return what is written: of each number of processes the costs of each round, and what it came to."""
    folder = Path(tempfile.mkdtemp())
    found: dict[str, Any] = {}
    counts, spent = (1, 2, 3), {count: [] for count in (1, 2, 3)}
    # What a process takes before and after its steps: loading data, and evaluating all images.
    chosen = [part for setting in settings for part in ("--set", setting)]
    for number in range(rounds):
        for count in counts:
            out = folder / f"{count}-{number}"
            spent[count].append(cost(["train", "digits", *chosen, "--out", str(out)], count, folder / "log.txt"))
    for count in counts:
        cpu, wall = zip(*spent[count], strict=True)
        found[str(count)] = {"cpu_seconds": list(cpu), "seconds": list(wall)}
        if count > 1:
            ratios = [mine[0] / one[0] for mine, one in zip(spent[count], spent[1], strict=True)]
            found[str(count)] |= {"work_against_one": statistics.median(ratios), "ratios": ratios}
            found[str(count)] |= differences(folder / f"{count}-0", folder / "1-0")
        else:
            found["1"]["losses"] = losses(folder / "1-0")
    shutil.rmtree(folder)
    return {"settings": settings, "processes": found, "threads_of_each": 1}


def main() -> None:
    """Measure, and write the file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--set", action="append", default=[], help="a further setting")
    given = parser.parse_args()
    found = measure(given.rounds, [*SYSTEM, *given.set])
    write_json(given.out, found | {"versions": versions(), "commit": commit(), "hardware": hardware()})


if __name__ == "__main__":
    main()
