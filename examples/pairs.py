"""Edges of pictures, or cells among fibres, found by light: pictures drawn here, with what is wanted of each.

    python examples/pairs.py edges drawn
    python examples/pairs.py cells drawn

writes `drawn/pairs/train` and `drawn/pairs/test`, each with a folder `images` and a folder `targets` of the same
names, trains on the arrays at hand, draws the report, deploys the network, verifies it, and says how near the light's
pictures come to those that are wanted. Of edges that is the correlation with them, beside that of the images
themselves; of cells the overlap of the masks (intersection over union), beside that of the images themselves,
thresholded in the same way, and of these after a morphological opening, which is how a computer takes thin things
away. From the files the same is learned by, with `edges` or `cells`,

    voltphase train examples/cells.yaml --data-dir drawn --out runs/cells
    voltphase report runs/cells
    voltphase deploy runs/cells --data-dir drawn --out bench
    voltphase verify bench --data-dir drawn
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import binary_opening

import voltphase as vp

Picture = NDArray[np.uint8]
Images = NDArray[np.uint8]
Targets = NDArray[np.float32]


def edges(rng: np.random.Generator, size: int = 16) -> tuple[Picture, Picture]:
    """A bright rectangle or disc somewhere, and its edge: the pixels in it that have one beside them that is not."""
    y, x = np.indices((size, size)) - size / 2 - rng.uniform(-2.5, 2.5, (2, 1, 1))
    height, width = rng.uniform(2.5, 5, 2)
    inside = (abs(y) < height) & (abs(x) < width) if rng.random() < 0.5 else np.hypot(y, x) < height
    around = np.pad(inside, 1)
    buried = around[:-2, 1:-1] & around[2:, 1:-1] & around[1:-1, :-2] & around[1:-1, 2:]
    return np.where(inside, 255, 0).astype(np.uint8), np.where(inside & ~buried, 255, 0).astype(np.uint8)


def cells(rng: np.random.Generator, size: int = 24) -> tuple[Picture, Picture]:
    """A noisy picture of two or three round cells and as many fibres, just as bright, and the mask of the cells."""
    places = np.indices((size, size))
    found, fibres = np.zeros((2, size, size), bool)
    for _ in range(rng.integers(2, 4)):
        y, x = places - rng.uniform(4, size - 5, (2, 1, 1))
        found |= np.hypot(y, x) < rng.uniform(2.5, 4)
        (y, x), angle = places - rng.uniform(4, size - 5, (2, 1, 1)), rng.uniform(0, np.pi)
        fibres |= abs(y * np.cos(angle) - x * np.sin(angle)) < 0.6
    picture = 0.8 * (found | fibres) + rng.normal(0.1, 0.1, (size, size))
    return (255 * picture.clip(0, 1)).astype(np.uint8), np.where(found, 255, 0).astype(np.uint8)


def correlation(run: vp.TrainedRun, images: Images, targets: Targets) -> str:
    """How well the light's pictures correlate with the edges, and how well the images do."""
    pairs = zip(images, targets, strict=True)
    itself = np.mean([np.corrcoef(image.ravel(), edge.ravel())[0, 1] for image, edge in pairs])
    return f"correlation with the edges: {run.summary['test_correlation']:.3f}, of the images themselves {itself:.3f}"


def overlap(run: vp.TrainedRun, images: Images, targets: Targets) -> str:
    """How well the masks that light finds overlap with the cells, and those that a computer finds in the images."""
    task, given = vp.tasks.Segmentation(), torch.from_numpy(images)
    opened = torch.from_numpy(np.stack([binary_opening(mask) for mask in task.predict(given)])).double()
    itself, computed = (task.metrics[0].of(one, torch.from_numpy(targets)) for one in (given, opened))
    return (
        f"overlap with the cells: {run.summary['test_iou']:.3f} by light, {itself:.3f} of the images themselves, "
        f"{computed:.3f} of these when opened"
    )


KINDS: dict[str, tuple[Callable[[np.random.Generator], tuple[Picture, Picture]], Callable[..., str]]] = {
    "edges": (edges, correlation),
    "cells": (cells, overlap),
}


def pairs(kind: str, count: int, seed: int) -> tuple[Images, Targets]:
    """Images, and as many pictures from 0 to 1 of what is wanted of them."""
    rng, (draw, _) = np.random.default_rng(seed), KINDS[kind]
    images, targets = zip(*(draw(rng) for _ in range(count)), strict=True)
    return np.stack(images), (np.stack(targets) / 255).astype(np.float32)


def write(kind: str, folder: Path, train: int, test: int) -> None:
    """Write the pictures."""
    for split, count, seed in (("train", train, 0), ("test", test, 1)):
        images, targets = pairs(kind, count, seed)
        for name, pictures in (("images", images), ("targets", (255 * targets).astype(np.uint8))):
            place = folder / "pairs" / split / name
            place.mkdir(parents=True, exist_ok=True)
            for index, picture in enumerate(pictures):
                Image.fromarray(picture).save(place / f"{index:04}.png")


def main(kind: str, folder: Path, train: int = 2000, test: int = 200, epochs: int = 20) -> None:
    """Write the pictures, train on them, deploy, verify, and compare with what the images themselves show."""
    write(kind, folder, train, test)
    config = vp.config.load_config(Path(__file__).with_name(f"{kind}.yaml"), [f"training.epochs={epochs}"])
    test_set = pairs(kind, test, 1)
    run = vp.train(config, out=folder / "run", data={"train": pairs(kind, train, 0), "test": test_set})
    print(f"report: {vp.report(run)}; {vp.verify(vp.deploy(run, folder / 'bench'), run.test_set).verdict}")
    print(KINDS[kind][1](run, *test_set))


if __name__ == "__main__":
    if len(sys.argv) != 3 or sys.argv[1] not in KINDS or sys.argv[2].startswith("-"):
        sys.exit(f"usage: python pairs.py {'|'.join(KINDS)} FOLDER, a new one")
    main(sys.argv[1], Path(sys.argv[2]))
