"""Accuracy against light: what training.efficiency_weight buys at 64 x 64 samples, in five lossy layers.

    python scripts/efficiency.py [--images 5000] [--epochs 4] [--json FILE] [--figure FILE]

Trains the preset mnist-small on the first images of MNIST once for each weight, and answers the first 2,000 test images
with the deployed states. The share of light is that of the input's which arrives in the regions of the classes.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
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


def trained(weight: float, settings: Sequence[str]) -> dict[str, Any]:
    """The figures of a run with this weight."""
    config = vp.config.load_config("mnist-small", [*settings, f"training.efficiency_weight={weight}"])
    with TemporaryDirectory() as folder:
        summary = vp.train(config, out=Path(folder) / "run", progress=False).summary
    return {"weight": weight, **{key: summary[key] for key in KEPT}}


def drawn(rows: Sequence[dict[str, Any]]) -> Figure:
    """Accuracy against light, a dot for each weight."""
    figure = style.new_figure(4.6, 3.2)
    axes = figure.subplots()
    light, accuracy = ([row[key] * 100 for row in rows] for key in ("test_light_share", "test_accuracy"))
    axes.plot(light, accuracy, "o-", color=style.ACCENT)
    for row, *at in zip(rows, light, accuracy, strict=True):
        style.annotate(axes, f"{row['weight']:g}", (at[0], at[1]), (6, 4), fontsize=7.5)
    axes.set(xscale="log", xlabel="light in the regions (% of the input's)", ylabel="test accuracy (%)")
    axes.margins(0.12)
    return figure


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=5000)
    parser.add_argument("--epochs", type=int, default=4)
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
    rows = []
    for weight in WEIGHTS:
        rows.append(row := trained(weight, settings))
        sys.stdout.write("  ".join(f"{key} {value:.4g}" for key, value in row.items()) + "\n")
        sys.stdout.flush()
    if options.json is not None:
        about = {"preset": "mnist-small", "settings": settings, "versions": versions()}
        write_json(options.json, {"rows": rows, **about, "hardware": hardware(torch.device("cpu"))})
    if options.figure is not None:
        with style.house_style(), atomic_path(options.figure) as temporary:
            temporary.write_bytes(style.png(drawn(rows)))


if __name__ == "__main__":
    main()
