"""What a second wavelength brings, and what further ones cost: python scripts/wavelengths.py

Trains one layer of 64 x 64 pixels of a printed relief on MNIST in light of 532 nm, with a pair of regions for each
class, and in light of 532 nm and 633 nm that the detector tells apart, with one region for each class: the same pixels,
levels, recipe and seeds. Then times a training step in light of one to four wavelengths, in turns, as seconds of the
processor, and the making of the network. Writes ``benchmarks/results/wavelengths-cpu.json``; ``python
scripts/results.py render`` makes the table of docs/light.md.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch

import voltphase as vp
from voltphase.config import load_config
from voltphase.core.files import write_json
from voltphase.training import build_devices
from voltphase.training.build import build_model
from voltphase.training.provenance import commit, hardware, versions

RESULT = Path(__file__).resolve().parent.parent / "benchmarks" / "results" / "wavelengths-cpu.json"
SYSTEM = ["optics.size=64", "optics.distances=0.1", "training.threads=1"]
LIGHT = {
    "532 nm": ["optics.wavelength=532e-9", "task.differential=true"],
    "633 nm": ["optics.wavelength=633e-9", "task.differential=true"],
    "532 nm and 633 nm": ["optics.wavelength=[532e-9, 633e-9]", "task.differential=wavelength"],
}
WAVELENGTHS = (532e-9, 633e-9, 488e-9, 594e-9)
BATCH = 100


def trained(light: str, seed: int, epochs: int) -> dict[str, Any]:
    """Train in some light, and return what came of it."""
    settings = [*SYSTEM, *LIGHT[light], f"training.epochs={epochs}", f"seed={seed}"]
    with tempfile.TemporaryDirectory() as folder:
        summary = vp.train(load_config("two-wavelengths", settings), out=Path(folder) / "run", progress=False).summary
    row = {"light": light, "seed": seed, "epochs": epochs, "test_accuracy": summary["test_accuracy"]}
    print(row, flush=True)
    return row


def costs(rounds: int) -> list[dict[str, Any]]:
    """Return what a training step takes in light of each number of wavelengths, and making the network."""
    torch.set_num_threads(1)
    images = torch.from_numpy(np.random.default_rng(0).random((BATCH, 28, 28), dtype=np.float32))
    targets = torch.arange(BATCH) % 10
    models, made = [], []
    for count in range(1, len(WAVELENGTHS) + 1):
        some = ", ".join(f"{one:g}" for one in WAVELENGTHS[:count])
        config = load_config("two-wavelengths", [*SYSTEM, f"optics.wavelength=[{some}]", "task.differential=true"])
        devices, started = build_devices(config), time.process_time()
        models.append(build_model(config, devices, (28, 28)).train())
        made.append(time.process_time() - started)
    optimizers = [torch.optim.Adam(model.parameter_groups()) for model in models]
    seconds: list[list[float]] = [[] for _ in models]
    for _ in range(rounds):
        for model, optimizer, spent in zip(models, optimizers, seconds, strict=True):
            started = time.process_time()
            loss = model.task.compute_loss(model(images), targets)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            spent.append(time.process_time() - started)
    one = seconds[0][1:]
    return [
        {
            "wavelengths": number,
            "seconds_a_step": statistics.median(spent[1:]),
            "against_one": statistics.median(mine / first for mine, first in zip(spent[1:], one, strict=True)),
            "seconds_to_make": making,
        }
        for number, (spent, making) in enumerate(zip(seconds, made, strict=True), start=1)
    ]


def main() -> None:
    """Measure, and write the file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=15)
    asked = parser.parse_args()
    found = {
        "costs": costs(asked.rounds),
        "rows": [trained(light, seed, asked.epochs) for light in LIGHT for seed in range(asked.seeds)],
        "settings": SYSTEM,
        "lights": LIGHT,
        "batch": BATCH,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "versions": versions(),
        "hardware": hardware(),
        "commit": commit(),
    }
    write_json(RESULT, found)
    print(f"written to {RESULT}")


if __name__ == "__main__":
    main()
