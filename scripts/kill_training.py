"""Kill a training again and again: python scripts/kill_training.py --processes 2 --out benchmarks/results/killed-2.json

Trains a tiny system undisturbed, then once more, sent SIGKILL at random moments (with several processes one of them, or
all) and resumed each time, and writes whether both came to the same bytes.
"""

from __future__ import annotations

import argparse
import csv
import os
import random
import signal
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from processes import start

from voltphase.core.files import is_temporary, write_json
from voltphase.training.provenance import commit, hardware, versions

SYSTEM = (
    "optics.size=12",
    "optics.depth=2",
    "optics.distances=0.02",
    "device.levels=4",
    "data.train_limit=61",
    "data.test_limit=21",
    "training.batch_size=20",
    "training.threads=1",
)

#: Seconds that the others are given to end by themselves; they look for what was said for five.
PATIENCE = 8.0
#: Seconds after which a training has surely begun.
BEGUN = 120.0


def figures(run: Path) -> list[list[str]]:
    """Return the rows of ``metrics.csv`` without what a clock says."""
    with (run / "metrics.csv").open() as stream:
        return [row[:-2] for row in csv.reader(stream)]


def epochs_of(run: Path) -> int:
    """Return how many epochs are kept."""
    with suppress(OSError):
        return max(0, len((run / "metrics.csv").read_text().splitlines()) - 1)
    return 0


def end(started: list[int], seconds: float) -> tuple[list[int], float]:
    """Wait for processes; return their statuses, and after how many seconds the last one had ended.

    As torchrun does, those are sent SIGTERM that still run when another was killed: where the others have not met yet,
    they wait for it.
    """
    began, statuses, told = time.monotonic(), {}, False
    while len(statuses) < len(started):
        for process in started:
            if process not in statuses and (found := os.waitpid(process, os.WNOHANG))[0]:
                statuses[process] = found[1]
        if not told and any(map(os.WIFSIGNALED, statuses.values())) and time.monotonic() - began > PATIENCE:
            told = True
            for process in set(started) - set(statuses):
                os.kill(process, signal.SIGTERM)
        if time.monotonic() - began > seconds:
            raise SystemExit(f"expected the processes to end within {seconds:g} s, but some still run")
        time.sleep(0.01)
    return [statuses[process] for process in started], time.monotonic() - began


def kill_and_resume(kills: int, processes: int, epochs: int, longest: float, seed: int) -> dict[str, Any]:
    """Return what came of it."""
    folder, draw = Path(tempfile.mkdtemp()), random.Random(seed)
    whole, killed, log = folder / "whole", folder / "killed", folder / "log.txt"
    settings = [*SYSTEM, f"training.epochs={epochs}", f"training.devices={processes}"]
    command = ["train", "digits", *(part for setting in settings for part in ("--set", setting))]
    statuses, seconds = end(start([*command, "--out", str(whole)], processes, log), 3600)
    if any(statuses):
        raise SystemExit(f"the undisturbed training failed: {log.read_text()[-2000:]}")
    victims: dict[str, int] = {}
    kept: list[int] = []
    waited: list[float] = []
    while sum(victims.values()) < kills:
        training = draw.random() < 0.7
        before = epochs_of(killed)
        started = start([*command, "--out", str(killed), "--resume"], processes, log)
        # Some while it starts, most while it trains.
        begun = time.monotonic()
        while training and epochs_of(killed) == before and time.monotonic() - begun < BEGUN:
            time.sleep(0.01)
        time.sleep(draw.uniform(0.0, longest))
        who = draw.choice(["first", "other", "all"]) if processes > 1 else "first"
        for process in {"first": started[:1], "other": started[-1:], "all": started}[who]:
            os.kill(process, signal.SIGKILL)  # not waited for yet: its number is its own still
        statuses, after = end(started, 60)
        if not any(os.WIFSIGNALED(status) for status in statuses):
            raise SystemExit(f"the training came to its end before it was killed: {epochs} epochs are too few")
        victims[who] = victims.get(who, 0) + 1
        kept.append(epochs_of(killed))
        waited.append(round(after, 2))
    statuses, _ = end(start([*command, "--out", str(killed), "--resume"], processes, log), 3600)
    if any(statuses):
        raise SystemExit(f"the last training failed: {log.read_text()[-2000:]}")
    return {
        "kills": kills,
        "processes": processes,
        "killed": victims,
        "epochs": epochs,
        "epochs_kept_at_each_kill": kept,
        "seconds_until_the_others_had_ended": max(waited),
        "undisturbed_seconds": round(seconds, 1),
        "same_model": (whole / "model.safetensors").read_bytes() == (killed / "model.safetensors").read_bytes(),
        "same_metrics": figures(whole) == figures(killed),
        "nothing_left": not [path for path in killed.rglob("*") if is_temporary(path)],
        "settings": settings,
        "seed": seed,
    }


def main() -> None:
    """Kill, compare, and write the file; the exit code says whether all was the same."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--epochs", type=int, default=300)
    parser.add_argument("--longest", type=float, default=0.6, help="seconds after an epoch or the start, at most")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    found = kill_and_resume(given.kills, given.processes, given.epochs, given.longest, given.seed)
    write_json(given.out, found | {"versions": versions(), "commit": commit(), "hardware": hardware()})
    raise SystemExit(0 if found["same_model"] and found["same_metrics"] and found["nothing_left"] else 1)


if __name__ == "__main__":
    main()
