"""Cells among fibres, found by light: pictures drawn here, with a mask of the cells in each.

    python examples/cells.py drawn

writes `drawn/pairs/train` and `drawn/pairs/test`, each with a folder `images` and a folder `targets` of the same names,
trains on the arrays at hand, draws the report, deploys the network, verifies it, and says how well the masks overlap
with those that are wanted (intersection over union): of the light; of the images themselves, thresholded in the same
way; and of these after a morphological opening, which is how a computer takes thin things away. From the files the same
is learned by

    voltphase train examples/cells.yaml --data-dir drawn --out runs/cells
    voltphase report runs/cells
    voltphase deploy runs/cells --data-dir drawn --out bench
    voltphase verify bench --data-dir drawn
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import binary_opening

import voltphase as vp

SIZE = 24


def draw(rng: np.random.Generator) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """A noisy picture of two or three round cells and as many fibres, just as bright, and the mask of the cells."""
    places = np.indices((SIZE, SIZE))
    cells, fibres = np.zeros((2, SIZE, SIZE), bool)
    for _ in range(rng.integers(2, 4)):
        y, x = places - rng.uniform(4, SIZE - 5, (2, 1, 1))
        cells |= np.hypot(y, x) < rng.uniform(2.5, 4)
        (y, x), angle = places - rng.uniform(4, SIZE - 5, (2, 1, 1)), rng.uniform(0, np.pi)
        fibres |= abs(y * np.cos(angle) - x * np.sin(angle)) < 0.6
    picture = 0.8 * (cells | fibres) + rng.normal(0.1, 0.1, (SIZE, SIZE))
    return (255 * picture.clip(0, 1)).astype(np.uint8), np.where(cells, 255, 0).astype(np.uint8)


def pairs(count: int, seed: int) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Images, and as many masks of 0 and 1."""
    rng = np.random.default_rng(seed)
    images, masks = zip(*(draw(rng) for _ in range(count)), strict=True)
    return np.stack(images), (np.stack(masks) / 255).astype(np.float32)


def write(folder: Path, train: int, test: int) -> None:
    """Write the pictures."""
    for split, count, seed in (("train", train, 0), ("test", test, 1)):
        images, masks = pairs(count, seed)
        for name, pictures in (("images", images), ("targets", (255 * masks).astype(np.uint8))):
            place = folder / "pairs" / split / name
            place.mkdir(parents=True, exist_ok=True)
            for index, picture in enumerate(pictures):
                Image.fromarray(picture).save(place / f"{index:04}.png")


def main(folder: Path, train: int = 2000, test: int = 200, epochs: int = 20) -> None:
    """Write the pictures, train on them, deploy, verify, and compare with what the images themselves show."""
    write(folder, train, test)
    config = vp.config.load_config(Path(__file__).with_name("cells.yaml"), [f"training.epochs={epochs}"])
    images, masks = pairs(test, 1)
    run = vp.train(config, out=folder / "run", data={"train": pairs(train, 0), "test": (images, masks)})
    print(f"report: {vp.report(run)}; {vp.verify(vp.deploy(run, folder / 'bench'), run.test_set).verdict}")
    task, given = vp.tasks.Segmentation(), torch.from_numpy(images)
    opened = torch.from_numpy(np.stack([binary_opening(mask) for mask in task.predict(given)])).double()
    itself, computed = (task.metrics[0].of(one, torch.from_numpy(masks)) for one in (given, opened))
    print(
        f"overlap with the cells: {run.summary['test_iou']:.3f} by light, {itself:.3f} of the images themselves, "
        f"{computed:.3f} of these when opened"
    )


if __name__ == "__main__":
    if len(sys.argv) != 2 or sys.argv[1].startswith("-"):
        sys.exit("usage: python cells.py FOLDER, a new one")
    main(Path(sys.argv[1]))
