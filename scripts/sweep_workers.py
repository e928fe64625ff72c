"""Kill the workers of a sweep, and see that no trial is lost or doubled, and that the sweep finds what a grid finds.

    python scripts/sweep_workers.py DIR --storage journal
    python scripts/sweep_workers.py DIR --storage postgresql://user@host/sweeps

Several processes of ``voltphase sweep`` search the paper's lambda for one layer on scikit-learn's digits with TPE; one
of them is killed with SIGKILL and started again, as often as is asked for. Then a grid of as many values is trained.
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
from voltphase.sweeps.storage import open_study

SHARED = {
    "recipe": "paper",
    "optics": {"size": 20, "depth": 1, "distances": 0.05},
    "data": {"train_limit": 1200, "test_limit": 100},
    "training": {"epochs": 2, "batch_size": 50, "threads": 1},
}
LOWEST, HIGHEST = 1.0, 300.0
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
    assert len(list(out.glob("trials/*/*/summary.json"))) == trials
    return {"lambda": study.best_params[KEY], METRIC: min(values), "seconds": time.monotonic() - started}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--storage", default="journal")
    parser.add_argument("--trials", type=int, default=40)
    parser.add_argument("--workers", type=int, default=3)
    parser.add_argument("--kills", type=int, default=2)
    asked = parser.parse_args()
    asked.folder.mkdir(parents=True)
    found = search(asked.folder, asked.storage, asked.trials, asked.workers, asked.kills)
    points = [float(f"{point:.4g}") for point in np.geomspace(LOWEST, HIGHEST, asked.trials)]
    given = {"config": "digits", "set": SHARED, "search": {KEY: points}, "sampler": "grid", "metric": METRIC}
    best = vp.sweep(given, out=asked.folder / "grid", progress=False).ranked[0]
    print(f"{asked.trials} trials by {asked.workers} workers in {found['seconds']:.0f} s, {asked.kills} of them killed")
    print("each trial ended once, and none is missing")
    print(f"tpe:  lambda {found['lambda']:.4g}, {METRIC} {found[METRIC]:.5f}")
    print(
        f"grid: lambda {best[KEY]:.4g}, {METRIC} {best[METRIC]:.5f}, neighbours {points[1] / points[0] - 1:.0%} apart"
    )
    worse, apart = found[METRIC] / best[METRIC] - 1, found["lambda"] / best[KEY] - 1
    print(f"the sweep's {METRIC} is {worse:+.2%} of the grid's, its lambda {apart:+.1%}")


if __name__ == "__main__":
    main()
