"""Light in the shape of pictures: a beam shaper and a hologram, from data drawn here.

    python examples/pictures.py pictures

writes `pictures/beam-shaper.npz` and `pictures/hologram.npz` (an image and its target each), trains on them, draws
reports, deploys and verifies, and holds both against the weighted form of Gerchberg and Saxton's way on the same
states. `docs/tasks.md` has figures of more targets, of the plain form and of three seeds, which `scripts/holograms.py`
measures. From the files the same is learned by

    voltphase train examples/beam-shaper.yaml --data-dir pictures --out runs/beam
    voltphase report runs/beam
    voltphase deploy runs/beam --out bench
    voltphase verify bench --data-dir pictures
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

import voltphase as vp
from voltphase.network.gerchberg_saxton import gerchberg_saxton

HERE = Path(__file__).parent
SIZE = 64
Pair = tuple[NDArray[np.float32], NDArray[np.float32]]


def beam_shaper() -> Pair:
    """A Gaussian beam, and a square that is evenly lit."""
    y, x = np.indices((SIZE, SIZE)) - (SIZE - 1) / 2
    beam, square = np.exp(-(y**2 + x**2) / (2 * 12**2)), np.maximum(abs(y), abs(x)) < 12
    return beam[None].astype(np.float32), square[None].astype(np.float32)


def hologram() -> Pair:
    """An even wave, and two letters."""
    letters = np.zeros((SIZE, SIZE))
    for rows, columns in (
        ((14, 50), (14, 18)),
        ((14, 18), (14, 30)),
        ((30, 34), (14, 26)),
        ((14, 50), (38, 42)),
        ((46, 50), (38, 54)),
    ):
        letters[slice(*rows), slice(*columns)] = 1
    return np.ones((1, SIZE, SIZE), np.float32), letters[None].astype(np.float32)


def write(folder: Path) -> None:
    """Write the data as files of numpy."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, (images, targets) in {"beam-shaper": beam_shaper(), "hologram": hologram()}.items():
        np.savez_compressed(folder / f"{name}.npz", images=images, targets=targets)


def against_gerchberg_saxton(run: vp.workflow.TrainedRun, pair: Pair) -> dict[str, tuple[float, float]]:
    """Efficiency and non-uniformity of what was trained, and of the weighted form of Gerchberg and Saxton's way."""
    images, target = map(torch.from_numpy, pair)
    design = gerchberg_saxton(run.model, images, target, weighted=True)
    found = {"trained": vp.tasks.all_outputs(run.model, images), "Gerchberg-Saxton": design.outputs}
    efficiency, *_, nonuniformity = run.model.task.metrics[1:]
    return {way: (efficiency.of(one, target), nonuniformity.of(one, target)) for way, one in found.items()}


def main(folder: Path, overrides: Sequence[str] = ()) -> None:
    """Write the data, train on them, report, deploy and verify."""
    write(folder)
    for name, pair in {"beam-shaper": beam_shaper(), "hologram": hologram()}.items():
        run = vp.train(vp.config.load_config(HERE / f"{name}.yaml", overrides), out=folder / name, data=pair)
        verdict = vp.verify(vp.deploy(run, folder / f"{name}-bench"), run.test_set).verdict
        print(f"report: {vp.report(run)}; {verdict}")
        for way, (efficiency, nonuniformity) in against_gerchberg_saxton(run, pair).items():
            print(f"  {way:<17} {efficiency:.1%} of the light in the signal, uneven by {nonuniformity:.1%}")


if __name__ == "__main__":
    if len(sys.argv) != 2 or sys.argv[1].startswith("-"):
        sys.exit("usage: python pictures.py FOLDER, a new one")
    main(Path(sys.argv[1]))
