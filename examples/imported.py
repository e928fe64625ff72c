"""A grating of four levels and a lens, as somebody else may have drawn them: maps and a short file beside each.

    python examples/imported.py imported

writes the designs into `imported/grating` and `imported/lens`, imports them, holds their light against what textbooks
say, draws reports, deploys and verifies. From the files the same is done by

    voltphase import imported/lens --out runs/lens
    voltphase report runs/lens
    voltphase deploy runs/lens --out bench
    voltphase verify bench
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

import voltphase as vp

WAVELENGTH = 532e-9
# Of 16 pixels of 32 um, four a period, 1 m before a detector whose samples each hold a quarter of an order.
GRATING, PIXEL, FAR = 16, 32e-6, 1.0
ORDER = 4
LENS, PITCH, FOCAL_LENGTH = 64, 36e-6, 0.3


def write_grating(folder: Path) -> None:
    """Write the levels of a blazed grating as an array."""
    folder.mkdir(parents=True)
    np.save(folder / "grating.npy", np.tile(np.arange(GRATING) % 4, (GRATING, 1)))
    sample = WAVELENGTH / (4 * PIXEL) * FAR / ORDER
    (folder / "design.yaml").write_text(
        f"""\
maps: {{files: [grating.npy], kind: level}}
device: {{model: lcos, parameters: {{grey_levels: 4}}}}
optics:
  wavelength: {WAVELENGTH}
  method: fresnel-pixels        # of square pixels, which have the orders of their raster
  size: [{GRATING}, {GRATING}, 11]
  pitch: [{PIXEL}, {PIXEL}, {sample!r}]
  distances: [0.05, {FAR}]
""",
        encoding="utf-8",
    )


def write_lens(folder: Path) -> None:
    """Write the phases of a lens as a picture, of which 256 is a turn."""
    folder.mkdir(parents=True)
    y, x = (np.indices((LENS, LENS)) - (LENS - 1) / 2) * PITCH
    turns = -(x**2 + y**2) / (2 * WAVELENGTH * FOCAL_LENGTH)
    Image.fromarray((np.rint(turns * 256) % 256).astype(np.uint8)).save(folder / "lens.png")
    (folder / "design.yaml").write_text(
        f"""\
maps: {{files: [lens.png], kind: phase, two_pi: 256}}
optics: {{wavelength: {WAVELENGTH}, pitch: {PITCH}, distances: [0.001, {FOCAL_LENGTH}]}}
""",
        encoding="utf-8",
    )


def light_of(model: vp.DONN) -> NDArray[np.float32]:
    """Return the intensity of an even wave on the detector."""
    even = torch.ones(1, *model.source.image_shape)
    return model.planes(even)["detector"][0].abs().square().detach().numpy()


def first_order(model: vp.DONN) -> float:
    """Return the intensity of a grating's first order, over that of the zero order of its pixels all in one state."""
    middle = model.grids[-1].rows // 2
    blazed = light_of(model)[middle, middle + ORDER]
    model.layers[0].set_levels(torch.zeros(GRATING, GRATING, dtype=torch.int64))
    return float(blazed / light_of(model)[middle, middle])


def from_airy(model: vp.DONN) -> float:
    """Return how far the light of a lens is off the pattern of a square aperture, in parts of its peak."""
    along = model.grids[-1].coordinates()[0].numpy()
    expected = np.sinc(along * LENS * PITCH / (WAVELENGTH * FOCAL_LENGTH)) ** 2
    found, pattern = light_of(model), np.outer(expected, expected)
    return float(np.abs(found / found.max() - pattern / pattern.max()).max())


def main(folder: Path) -> None:
    """Write both designs, import them, and look at their light."""
    for name, write in {"grating": write_grating, "lens": write_lens}.items():
        write(folder / name)
        run = vp.import_design(folder / name, folder / f"{name}-run")
        verdict = vp.verify(vp.deploy(run, folder / f"{name}-bench"), data_dir=run.path).verdict
        print(f"report: {vp.report(run)}; {verdict}")
        if name == "grating":
            print(f"  first order {first_order(run.model):.4f}, sinc² of a quarter {np.sinc(1 / 4) ** 2:.4f}")
        else:
            print(f"  focus within {from_airy(run.model):.2%} of its peak of what a square aperture makes")


if __name__ == "__main__":
    if len(sys.argv) != 2 or sys.argv[1].startswith("-"):
        sys.exit("usage: python imported.py FOLDER, a new one")
    main(Path(sys.argv[1]))
