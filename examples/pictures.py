"""Light in the shape of pictures: a beam shaper and a hologram, from data drawn here.

    python examples/pictures.py pictures

writes `pictures/beam-shaper.npz` and `pictures/hologram.npz` (an image and its target each), trains on them, deploys
and verifies, and holds both against Gerchberg and Saxton's way on the same states: what is trained on amplitudes
against the plain form, which brings amplitudes near to the target, and what is trained on intensities against the
weighted form, which evens them. Measured with the states and settings of the examples in a plain loop (share of the
light in the signal, and its non-uniformity there):

    beam shaper  intensity  trained 93.4 %, 0.081   weighted form 91.4 %, 0.147
                 amplitude  trained 97.4 %, 0.189   plain form    97.2 %, 0.254
    hologram     intensity  trained 84.8 %, 0.060   weighted form 83.1 %, 0.081
                 amplitude  trained 90.9 %, 0.208   plain form    86.0 %, 0.286

From the files the same is learned by

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
    """Efficiency and non-uniformity of the intensity: of what was trained, and of Gerchberg and Saxton's way.

    What was trained on intensities is held against the weighted form, which evens them.
    """
    images, target = map(torch.from_numpy, pair)
    of_intensity = run.model.task.measure == "intensity"
    design = gerchberg_saxton(run.model, images, target, weighted=of_intensity)
    found = {"trained": vp.tasks.all_outputs(run.model, images), "Gerchberg-Saxton": design.outputs}
    efficiency, *_, nonuniformity = vp.tasks.Image().metrics[1:]
    light = {way: outputs if of_intensity else outputs**2 for way, outputs in found.items()}
    return {way: (efficiency.of(one, target), nonuniformity.of(one, target)) for way, one in light.items()}


def main(folder: Path, overrides: Sequence[str] = ()) -> None:
    """Write the data, train on them, deploy and verify."""
    write(folder)
    alone = [(name, measure) for name in ("beam-shaper", "hologram") for measure in ("intensity", "amplitude")]
    for name, measure in alone:
        config = vp.config.load_config(HERE / f"{name}.yaml", [f"task.measure={measure}", *overrides])
        pair = {"beam-shaper": beam_shaper, "hologram": hologram}[name]()
        run = vp.train(config, out=folder / f"{name}-{measure}", data=pair, progress=False)
        verdict = vp.verify(vp.deploy(run, folder / f"{name}-{measure}-bench"), run.test_set).verdict
        print(f"{name}, {measure}: {verdict}, correlation {run.summary['test_correlation']:.3f}")
        for way, (efficiency, nonuniformity) in against_gerchberg_saxton(run, pair).items():
            print(f"  {way:<17} {efficiency:.1%} of the light in the signal, uneven by {nonuniformity:.1%}")


if __name__ == "__main__":
    if len(sys.argv) != 2 or sys.argv[1].startswith("-"):
        sys.exit("usage: python pictures.py FOLDER, a new one")
    main(Path(sys.argv[1]))
