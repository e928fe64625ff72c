"""Images of your own, in arrays, in files of numpy and as a folder of pictures: seven shapes, drawn here.

    python examples/own_data.py shapes

writes `shapes/pictures` (a folder for each class), `shapes/train.npz` and `shapes/test.npz` (arrays `images` and
`targets`), trains on the arrays at hand and on the pictures in the folder, draws a report of each, deploys and
verifies. From the files the same is learned by

    voltphase train examples/own-arrays.yaml --data-dir shapes --out runs/arrays
    voltphase train examples/image-folder.yaml --data-dir shapes --out runs/pictures
    voltphase report runs/pictures
    voltphase deploy runs/pictures --data-dir shapes --out bench
    voltphase verify bench --data-dir shapes
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

import voltphase as vp

SHAPES = ("bar", "column", "cross", "disc", "frame", "ring", "square")
SIZE = 20


def draw(shape: str, rng: np.random.Generator) -> NDArray[np.uint8]:
    """A grey picture of a shape, somewhere near the middle, of some size."""
    y, x = np.indices((SIZE, SIZE)) - SIZE / 2 - rng.uniform(-1.5, 1.5, (2, 1, 1))
    large, far, round_ = rng.uniform(5.5, 7.5), np.maximum(abs(y), abs(x)), np.hypot(y, x)
    inside = {
        "bar": (abs(y) < 2) & (abs(x) < large),
        "column": (abs(x) < 2) & (abs(y) < large),
        "cross": (np.minimum(abs(y), abs(x)) < 2) & (far < large),
        "disc": round_ < large,
        "frame": abs(far - large) < 1.2,
        "ring": abs(round_ - large) < 1.2,
        "square": far < large - 1,
    }[shape]
    return np.where(inside, rng.integers(150, 256), 0).astype(np.uint8)


def shapes(count: int, seed: int) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Images and labels of as many pictures, all shapes by turns."""
    rng, labels = np.random.default_rng(seed), np.arange(count) % len(SHAPES)
    return np.stack([draw(SHAPES[label], rng) for label in labels]), labels


def write(folder: Path, train: int, test: int) -> None:
    """Write the pictures, and the same arrays as files of numpy."""
    for split, count, seed in (("train", train, 0), ("test", test, 1)):
        images, labels = shapes(count, seed)
        for index, (image, label) in enumerate(zip(images, labels, strict=True)):
            place = folder / "pictures" / split / SHAPES[label]
            place.mkdir(parents=True, exist_ok=True)
            Image.fromarray(image).save(place / f"{index}.png")
        np.savez_compressed(folder / f"{split}.npz", images=images, targets=labels)


def main(folder: Path, train: int = 1400, test: int = 350, epochs: int = 5) -> None:
    """Write the data, train on them, report, deploy and verify."""
    write(folder, train, test)
    pictures = vp.data.Pictures("pictures", dir=str(folder))
    config = vp.config.load_config(Path(__file__).with_name("own-arrays.yaml"), [f"training.epochs={epochs}"])
    for name, data in {
        "arrays": {"train": shapes(train, 0), "test": shapes(test, 1)},
        "pictures": {"train": pictures.load("train"), "test": pictures.load("test")},
    }.items():
        run = vp.train(config, out=folder / f"run-{name}", data=data)
        result = vp.verify(vp.deploy(run, folder / f"bench-{name}"), data["test"])
        print(f"report: {vp.report(run)}; {result.verdict}")
        print(f"accuracy {run.summary['test_accuracy']:.4f} trained, {result.accuracy:.4f} from the files")


if __name__ == "__main__":
    if len(sys.argv) != 2 or sys.argv[1].startswith("-"):
        sys.exit("usage: python own_data.py FOLDER, a new one")
    main(Path(sys.argv[1]))
