"""Accuracy against light: what training.efficiency_weight buys at 64 x 64 samples, in five lossy layers.

    python scripts/efficiency.py [--images 6000] [--epochs 3] [--seeds 3] [--json FILE] [--figure FILE]
    python scripts/results.py render

Trains the preset mnist-small on the first images of MNIST once for each weight and seed, and answers the first 2,000
test images with the deployed states. The share of light is that of the input's which arrives in the regions of the
classes. The second command writes the table of `docs/tasks.md` from the file.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from itertools import product
from pathlib import Path
from statistics import mean
from tempfile import TemporaryDirectory
from typing import Any

import torch
from matplotlib.figure import Figure

import voltphase as vp
from voltphase.core.files import atomic_path, write_json
from voltphase.reporting import style
from voltphase.training.provenance import hardware, versions

WEIGHTS = (0.0, 0.03, 0.1, 0.3, 1.0)
KEPT = ("test_accuracy", "train_accuracy", "test_light_share", "test_contrast_margin", "seconds")


def trained(weight: float, seed: int, settings: Sequence[str]) -> dict[str, Any]:
    """The figures of a run with this weight and seed."""
    chosen = [f"training.efficiency_weight={weight}", f"seed={seed}"]
    config = vp.config.load_config("mnist-small", [*settings, *chosen])
    with TemporaryDirectory() as folder:
        summary = vp.train(config, out=Path(folder) / "run", progress=False).summary
    return {"weight": weight, "seed": seed, **{key: summary[key] for key in KEPT}}


def drawn(rows: Sequence[dict[str, Any]]) -> Figure:
    """Accuracy against light, a dot for each seed and a line through the means of each weight."""
    figure = style.new_figure(4.6, 3.2)
    axes = figure.subplots()
    light, accuracy = ([row[key] * 100 for row in rows] for key in ("test_light_share", "test_accuracy"))
    axes.plot(light, accuracy, "o", color=style.ACCENT, alpha=0.4, markersize=4, markeredgewidth=0)
    weights = dict.fromkeys(row["weight"] for row in rows)
    means = [
        [mean(values[at] for at, row in enumerate(rows) if row["weight"] == weight) for values in (light, accuracy)]
        for weight in weights
    ]
    axes.plot(*zip(*means, strict=True), color=style.ACCENT)
    for weight, at in zip(weights, means, strict=True):
        style.annotate(axes, f"{weight:g}", (at[0], at[1]), (8, 11), fontsize=7.5)
    axes.set(xscale="log", xlabel="light in the regions (% of the input's)", ylabel="test accuracy (%)")
    ticks = (0.5, 1, 2, 5, 10, 20)
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.minorticks_off()
    axes.margins(0.12)
    return figure


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=6000)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--figure", type=Path)
    options = parser.parse_args()
    settings = [
        f"data.train_limit={options.images}",
        "data.test_limit=2000",
        f"training.epochs={options.epochs}",
        "training.batch_size=100",
        "training.threads=1",
    ]
    about = {"preset": "mnist-small", "settings": settings, "versions": versions()}
    rows: list[dict[str, Any]] = []
    for seed, weight in product(range(options.seeds), WEIGHTS):
        rows.append(row := trained(weight, seed, settings))
        sys.stdout.write("  ".join(f"{key} {value:.4g}" for key, value in row.items()) + "\n")
        sys.stdout.flush()
    if options.json is not None:
        write_json(options.json, {"rows": rows, **about, "hardware": hardware(torch.device("cpu"))})
    if options.figure is not None:
        with style.house_style(), atomic_path(options.figure) as temporary:
            temporary.write_bytes(style.png(drawn(rows)))


if __name__ == "__main__":
    main()
