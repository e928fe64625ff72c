"""Light as it is: a Gaussian beam off the axis through a filter of one's own, in a network made and trained in Python.

    python examples/illumination.py lit

writes the filter, a lens with a soft edge, as the file that examples/illumination.yaml takes, trains on handwritten
digits behind it, and deploys into the same folder. The filter goes with the saved and with the deployed network.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import torch

import voltphase as vp

PLANE = vp.Grid(32, pitch=36e-6)


def filter_of_a_lens() -> vp.optics.Mask:
    """A lens of 30 cm that lets less light through towards its edge."""
    lens = vp.optics.thin_lens(PLANE, wavelength=532e-9, focal_length=0.3)
    y, x = PLANE.coordinates()
    return vp.optics.Mask(lens * torch.exp(-(((y[:, None] ** 2 + x**2) / 6e-4**2) ** 4)))


def main(folder: Path, images: int | None = None, epochs: int = 10) -> None:
    """Write the filter, train, save, deploy and verify."""
    folder.mkdir()
    mask = filter_of_a_lens()
    np.save(folder / "mask.npy", mask.values)
    train, test = (vp.data.load("digits", split) for split in ("train", "test"))
    train = train if images is None else train.take(images)
    light = vp.optics.SourceLight(waist=6e-4, centre=(1e-4, -5e-5), mask=mask)
    devices, shape = [vp.devices.tn_slm().pick(8)] * 2, train.image_shape
    model = vp.DONN(grid=PLANE, wavelength=532e-9, distances=0.03, devices=devices, image_shape=shape, source=light)
    optimizer, epoch = torch.optim.Adam(model.parameter_groups(learning_rate=0.25)), 0
    batches = vp.training.ImageBatches(train, batch_size=100, seed=0, epoch=lambda: epoch)
    for epoch in range(epochs):
        model.set_temperature(vp.codesign.ExponentialSchedule()(epoch / max(epochs - 1, 1)))
        for pictures, labels in batches:
            optimizer.zero_grad()
            model.task.compute_loss(model(pictures), labels).backward()
            optimizer.step()
    run = vp.save(model, folder / "run", train=train, test=test)
    result = vp.verify(vp.deploy(run, folder / "bench"))
    print(f"accuracy {run.summary['test_accuracy']:.4f}, {result.accuracy:.4f} from the files; {result.verdict}")


if __name__ == "__main__":
    if len(sys.argv) != 2 or sys.argv[1].startswith("-"):
        sys.exit("usage: python illumination.py FOLDER, a new one")
    main(Path(sys.argv[1]))
