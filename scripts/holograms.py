"""Beam shaping and holograms against Gerchberg and Saxton's way, on the same eight states.

    python scripts/holograms.py [--seeds 3] [--json FILE]
    python scripts/results.py render

Designs one layer for each of four targets of 64 x 64 samples, once for each seed and measure that is learned by, with
the settings of examples/beam-shaper.yaml and examples/hologram.yaml, and lets the plain and the weighted form find
levels for the same network; neither depends on a seed. The settings were chosen on the first two targets, and the last
two, a ring and a handwritten digit in grey, were not looked at before. What is measured is the intensity that the
chosen states make: the share of the light where the target is lit, and how uneven it is there. The second command
writes the table of `docs/tasks.md` from the file.
"""

from __future__ import annotations

import argparse
import sys
from itertools import product
from pathlib import Path
from runpy import run_path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

import voltphase as vp
from voltphase.core.files import write_json
from voltphase.network.gerchberg_saxton import gerchberg_saxton
from voltphase.training.provenance import hardware, versions

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"
MEASURES = ("intensity", "amplitude")
Pair = tuple[NDArray[np.float32], NDArray[np.float32]]


def targets() -> dict[str, tuple[str, Pair]]:
    """Each target by its name: the file of its settings, and an image with its target."""
    drawn = run_path(str(EXAMPLES / "pictures.py"))
    shaper, hologram = drawn["beam_shaper"](), drawn["hologram"]()
    (beam, _), (wave, _) = shaper, hologram
    y, x = np.indices(beam.shape[1:]) - (beam.shape[1] - 1) / 2
    ring = abs(np.hypot(y, x) - 14) < 3
    digit = vp.data.load("digits", "test").images[0].numpy().repeat(6, 0).repeat(6, 1) / 255
    return {
        "beam shaper: square": ("beam-shaper", shaper),
        "hologram: letters": ("hologram", hologram),
        "beam shaper: ring": ("beam-shaper", (beam, ring[None].astype(np.float32))),
        "hologram: digit in grey": ("hologram", (wave, np.pad(digit, 8)[None].astype(np.float32))),
    }


def measured(measure: str, outputs: torch.Tensor, target: torch.Tensor) -> dict[str, float]:
    """Efficiency and non-uniformity of the intensity."""
    judges = {metric.name: metric for metric in vp.tasks.Image().metrics}
    light = outputs if measure == "intensity" else outputs.square()
    return {name: judges[name].of(light, target) for name in ("efficiency", "nonuniformity")}


def designed(file: str, pair: Pair, measure: str, seed: int) -> tuple[vp.DONN, dict[str, float]]:
    """A trained network, and its figures."""
    config = vp.config.load_config(EXAMPLES / f"{file}.yaml", [f"task.measure={measure}", f"seed={seed}"])
    images, target = map(torch.from_numpy, pair)
    with TemporaryDirectory() as folder:
        model = vp.train(config, out=Path(folder) / "run", data=(images, target), progress=False).model
    return model, measured(measure, vp.tasks.all_outputs(model, images), target)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    rows: list[dict[str, Any]] = []
    for (name, (file, pair)), measure in product(targets().items(), MEASURES):
        about = {"target": name, "measure": measure}
        designs = [designed(file, pair, measure, seed) for seed in range(options.seeds)]
        rows += [{**about, "way": "trained", "seed": seed, **found} for seed, (_, found) in enumerate(designs)]
        images, target = map(torch.from_numpy, pair)
        for way, weighted in (("plain", False), ("weighted", True)):
            design = gerchberg_saxton(designs[0][0], images, target, weighted=weighted)
            rows.append({**about, "way": way, **measured(measure, design.outputs, target)})
        for row in rows[-options.seeds - 2 :]:
            words = (f"{value:.4g}" if isinstance(value, float) else str(value) for value in row.values())
            sys.stdout.write("  ".join(words) + "\n")
            sys.stdout.flush()
    if options.json is not None:
        write_json(options.json, {"rows": rows, "versions": versions(), "hardware": hardware(torch.device("cpu"))})


if __name__ == "__main__":
    main()
