"""Edges of pictures, found by light: pictures drawn here, with a picture of what is wanted of each.

    python examples/edges.py drawn

writes `drawn/pairs/train` and `drawn/pairs/test`, each with a folder `images` and a folder `targets` of the same names,
trains on the arrays at hand, draws the report, deploys the network and verifies it, and says how well the light's
pictures correlate with the edges. From the files the same is learned by

    voltphase train examples/edges.yaml --data-dir drawn --out runs/edges
    voltphase report runs/edges
    voltphase deploy runs/edges --data-dir drawn --out bench
    voltphase verify bench --data-dir drawn
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

import voltphase as vp

SIZE = 16


def draw(rng: np.random.Generator) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """A bright rectangle or disc somewhere, and its edge: the pixels in it that have one beside them that is not."""
    y, x = np.indices((SIZE, SIZE)) - SIZE / 2 - rng.uniform(-2.5, 2.5, (2, 1, 1))
    height, width = rng.uniform(2.5, 5, 2)
    inside = (abs(y) < height) & (abs(x) < width) if rng.random() < 0.5 else np.hypot(y, x) < height
    around = np.pad(inside, 1)
    buried = around[:-2, 1:-1] & around[2:, 1:-1] & around[1:-1, :-2] & around[1:-1, 2:]
    return np.where(inside, 255, 0).astype(np.uint8), np.where(inside & ~buried, 255, 0).astype(np.uint8)


def pairs(count: int, seed: int) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Images, and as many pictures of their edges."""
    rng = np.random.default_rng(seed)
    images, edges = zip(*(draw(rng) for _ in range(count)), strict=True)
    return np.stack(images), (np.stack(edges) / 255).astype(np.float32)


def write(folder: Path, train: int, test: int) -> None:
    """Write the pictures."""
    for split, count, seed in (("train", train, 0), ("test", test, 1)):
        images, edges = pairs(count, seed)
        for name, pictures in (("images", images), ("targets", (255 * edges).astype(np.uint8))):
            place = folder / "pairs" / split / name
            place.mkdir(parents=True, exist_ok=True)
            for index, picture in enumerate(pictures):
                Image.fromarray(picture).save(place / f"{index:04}.png")


def main(folder: Path, train: int = 2000, test: int = 200, epochs: int = 20) -> None:
    """Write the pictures, train on them, deploy, verify, and compare with what the images themselves show."""
    write(folder, train, test)
    config = vp.config.load_config(Path(__file__).with_name("edges.yaml"), [f"training.epochs={epochs}"])
    images, edges = pairs(test, 1)
    run = vp.train(config, out=folder / "run", data={"train": pairs(train, 0), "test": (images, edges)})
    print(f"report: {vp.report(run)}; {vp.verify(vp.deploy(run, folder / 'bench'), run.test_set).verdict}")
    itself = np.mean(
        [np.corrcoef(image.ravel(), edge.ravel())[0, 1] for image, edge in zip(images, edges, strict=True)]
    )
    print(f"correlation with the edges: {run.summary['test_correlation']:.3f}, of the images themselves {itself:.3f}")


if __name__ == "__main__":
    if len(sys.argv) != 2 or sys.argv[1].startswith("-"):
        sys.exit("usage: python edges.py FOLDER, a new one")
    main(Path(sys.argv[1]))
