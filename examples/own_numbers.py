"""Numbers from light: a network learns where a spot is, reports, deploys, and is verified from its files.

python examples/own_numbers.py spots.npz
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import voltphase as vp


def spots(count: int, seed: int = 0) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Images of a spot, and where it is: (y, x) in pixels."""
    places = np.random.default_rng(seed).uniform(4, 11, (count, 2))
    y, x = np.indices((16, 16))
    squared = (y - places[:, :1, None]) ** 2 + (x - places[:, 1:, None]) ** 2
    return (255 * np.exp(-squared / 4)).round().astype(np.uint8), places.astype(np.float32)


def main(file: Path, count: int = 1000, epochs: int = 15) -> None:
    """Write the file, train on the same arrays, report, deploy and verify."""
    images, places = spots(count)
    np.savez_compressed(file, images=images, targets=places)
    config = vp.config.load_config(Path(__file__).with_name("regression.yaml"), [f"training.epochs={epochs}"])
    data = {"train": (images, places), "test": spots(200, seed=1)}
    run = vp.train(config, out=file.with_suffix(""), data=data, progress=False)
    result = vp.verify(vp.deploy(run, file.with_name("bench")), data["test"])
    print(f"report: {vp.report(run)}")
    print(f"r2 {run.summary['test_r2']:.3f}, off by {run.summary['test_mae']:.2f} pixels; {result.verdict}")


if __name__ == "__main__":
    if len(sys.argv) != 2 or not sys.argv[1].endswith(".npz"):
        sys.exit("usage: python own_numbers.py FILE.npz, a new one")
    main(Path(sys.argv[1]))
