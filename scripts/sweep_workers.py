"""Kill the workers of a sweep, and see that no trial is lost or doubled, and that the sweep finds what a grid finds.

    python scripts/sweep_workers.py DIR journal postgresql://user@host/sweeps

Several processes of ``voltphase sweep`` search the paper's lambda for two layers on scikit-learn's digits with TPE, in
each of the storages; one of them is killed with SIGKILL and started again, as often as is asked for. Then a grid of as
many values is trained. Each trial has several seeds, so that it can be told which values of lambda differ by more than
seeds do: ``undecided`` are those from the lowest to the highest lambda of the grid whose loss is within two standard
errors of the best. What was measured is in ``benchmarks/results/sweep-workers-cpu.json`` afterwards; ``python
scripts/results.py render`` makes the table of docs/sweeps.md.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

import voltphase as vp
from voltphase.core.files import write_json
from voltphase.sweeps.storage import open_study
from voltphase.training.provenance import commit, hardware, versions

SHARED = {
    "recipe": "paper",
    "optics": {"size": 16, "depth": 2, "distances": 0.03},
    "data": {"train_limit": 300, "test_limit": 20},
    "training": {"epochs": 4, "batch_size": 25, "threads": 1},
}
LOWEST, HIGHEST = 1.0, 7.0  # 40 of them are 5 % apart
SEEDS = 3
RESULT = Path(__file__).resolve().parent.parent / "benchmarks" / "results" / "sweep-workers-cpu.json"
KEY, METRIC = "codesign.gain", "train_loss"


def start(file: Path, out: Path, number: int) -> subprocess.Popen[bytes]:
    with (out.parent / f"worker-{number}.log").open("ab") as log:
        words = [sys.executable, "-m", "voltphase", "sweep", file, "--out", out]
        return subprocess.Popen(words, stdout=log, stderr=subprocess.STDOUT)


def finished(folder: Path) -> int:
    """Return how many trials have ended, as the workers say."""
    said = [
        int(number) for log in folder.glob("worker-*.log") for number in re.findall(r"^\[(\d+)/", log.read_text(), re.M)
    ]
    return max(said, default=0)


def search(folder: Path, storage: str, trials: int, workers: int, kills: int) -> dict[str, Any]:
    """Run workers until all trials have ended, kill one of them now and then, and return what was seen."""
    file, out = folder / "tpe.yaml", folder / f"tpe-{time.time_ns()}"
    given = {
        "config": "digits",
        "set": SHARED,
        "search": {KEY: {"low": LOWEST, "high": HIGHEST, "log": True}},
        "sampler": "tpe",
        "trials": trials,
        "metric": METRIC,
        "seeds": SEEDS,
        "prune": False,
        "storage": storage,
    }
    file.write_text(json.dumps(given), encoding="utf-8")  # YAML, too
    started = time.monotonic()
    running = [start(file, out, number) for number in range(workers)]
    chance, killed = random.Random(0), 0
    while killed < kills:
        while finished(folder) < (killed + 1) * trials // (kills + 2):
            time.sleep(0.5)
        time.sleep(2 * chance.random())
        running[0].kill()
        running[0].wait()
        killed += 1
        running[0] = start(file, out, 0)
    codes = [process.wait() for process in running]
    study = open_study(storage, out, out.name)[0]
    told = Counter(
        int(number) for log in folder.glob("worker-*.log") for number in re.findall(r"\] trial (\d+):", log.read_text())
    )
    values = [trial.value for trial in study.trials if trial.value is not None]
    assert codes == [0] * workers, codes
    assert [trial.state.name for trial in study.trials] == ["COMPLETE"] * trials
    assert [trial.number for trial in study.trials] == list(range(trials))
    assert set(told.values()) == {1}, told
    assert len(told) >= trials - kills, "one killed between its end and its line has none"
    assert len((out / "trials.csv").read_text().splitlines()) == trials + 1
    assert len(list(out.glob("trials/*/*/summary.json"))) == trials * SEEDS
    place = storage.partition(":")[0]
    seconds = round(time.monotonic() - started, 1)
    return {"storage": place, "lambda": study.best_params[KEY], METRIC: min(values), "seconds": seconds}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("storages", nargs="+")
    parser.add_argument("--trials", type=int, default=40)
    parser.add_argument("--workers", type=int, default=3)
    parser.add_argument("--kills", type=int, default=2)
    asked = parser.parse_args()
    found = []
    for number, storage in enumerate(asked.storages):
        folder = asked.folder / str(number)
        folder.mkdir(parents=True)
        found.append(search(folder, storage, asked.trials, asked.workers, asked.kills))
        print(f"{found[-1]}: each trial ended once, and none is missing")
    points = [float(f"{point:.4g}") for point in np.geomspace(LOWEST, HIGHEST, asked.trials)]
    given = {"config": "digits", "set": SHARED, "search": {KEY: points}, "sampler": "grid", "metric": METRIC}
    rows = vp.sweep({**given, "seeds": SEEDS}, out=asked.folder / "grid", progress=False).rows
    best = min(rows, key=lambda row: row[METRIC])
    error = best[f"{METRIC}_spread"] / SEEDS**0.5
    undecided = [row[KEY] for row in rows if row[METRIC] - best[METRIC] < 2 * error]
    for one in found:
        one["loss_against_grid"] = one[METRIC] / best[METRIC] - 1
        one["lambda_against_grid"] = one["lambda"] / best[KEY] - 1
    kept = {
        "trials": asked.trials,
        "workers": asked.workers,
        "kills": asked.kills,
        "seeds": SEEDS,
        "sweeps": found,
        "grid": [{key: row[key] for key in (KEY, METRIC, f"{METRIC}_spread")} for row in rows],
        "best": {"lambda": best[KEY], METRIC: best[METRIC], "standard_error": error},
        "undecided": [min(undecided), max(undecided)],
        "versions": versions(),
        "hardware": hardware(),
        "commit": commit(),
    }
    write_json(RESULT, kept)
    print(json.dumps({key: value for key, value in kept.items() if key != "grid"}, indent=2))


if __name__ == "__main__":
    main()
