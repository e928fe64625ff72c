"""Make the weights of other programs that ``tests/importing`` imports, with what these programs read of a few images.

``python scripts/foreign_weights.py tests/importing --peers FOLDER`` takes LightRidge 0.2.2 and TorchOptics 1.0.2 from a
folder, where ``pip install --no-deps --target FOLDER lightridge torchoptics`` has put them.
"""

from __future__ import annotations

import argparse
import sys
import types
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

SIZE, PAD, WAVELENGTH, PITCH, DISTANCE = 12, 10, 532e-9, 36e-6, 0.004
REGIONS = ((0, 0), (1, 7), (7, 4))
SIDE = 4


def images() -> Tensor:
    """Return a few images of as many samples as a plane has."""
    return torch.rand(8, SIZE, SIZE, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def save(folder: Path, name: str, model: nn.Module, readings: Tensor) -> None:
    """Write the weights of a model as its users save them, and what it reads of each image."""
    torch.save(model.state_dict(), folder / f"{name}.pth")
    np.savez(folder / f"{name}-readings.npz", images=images().numpy(), readings=readings.detach().double().numpy())


def lightridge(folder: Path) -> None:
    """Make a model of phases and one of levels, of two layers each, as LightRidge's tutorials define them."""
    # It imports torchvision for data sets alone.
    for name in ("", ".transforms", ".datasets", ".utils"):
        sys.modules.setdefault(f"torchvision{name}", types.ModuleType(f"torchvision{name}"))
    for name in ("transforms", "datasets", "utils"):
        setattr(sys.modules["torchvision"], name, sys.modules[f"torchvision.{name}"])
    layers = import_module("lightridge.layers")
    common: dict[str, Any] = {"wavelength": WAVELENGTH, "pixel_size": PITCH, "size": SIZE, "pad": PAD}
    common |= {"distance": DISTANCE, "amplitude_factor": 1.5, "approx": "Fresnel"}
    rows, columns = ([corner[axis] for corner in REGIONS] for axis in (0, 1))

    class Classifier(nn.Module):
        def __init__(self, make: Any, **options: Any) -> None:
            super().__init__()
            self.diffractive_layers = nn.ModuleList(make() for _ in range(2))
            self.last_diffraction = make(phase_mod=False)
            self.detector = layers.Detector(rows, columns, det_size=SIDE, size=SIZE, activation=None)
            self.options = options

        def forward(self, light: Tensor) -> Tensor:
            for layer in self.diffractive_layers:
                light = layer(light, **self.options)
            return self.detector(self.last_diffraction(light))

    torch.manual_seed(0)
    np.random.seed(0)  # noqa: NPY002 - what LightRidge draws its first levels by
    raw = Classifier(lambda **more: layers.DiffractLayer_Raw(**common, **more))
    for layer in raw.diffractive_layers:
        layer.phase.data = 3 * torch.randn(SIZE, SIZE)  # as far as training takes them, beyond a turn
    save(folder, "lightridge-phases", raw, raw(images().to(torch.complex64)))
    phase, amplitude = torch.tensor([0.0, 1.1, 2.3, 3.9]), torch.tensor([1.0, 0.8, 0.9, 0.6])
    # Scores are one-hot at first, so that its evaluation without a draw is that of single levels.
    levels = Classifier(
        lambda **more: layers.DiffractLayer(phase, amplitude, precision=4, **common, **more), evaluate=True
    )
    save(folder, "lightridge-levels", levels, levels(images().to(torch.complex64)))
    # At a distance where all are sampled well enough to tell them apart.
    small = common | {"size": 10, "pad": 1, "distance": 0.1}
    kernels = {
        approx: layers.DiffractLayer_Raw(**small | {"approx": approx}).h.detach().numpy()
        for approx in ("Fresnel", "Fresnel2", "Fresnel3", "Sommerfeld")
    }
    np.savez(folder / "lightridge-kernels.npz", **kernels)


def torchoptics(folder: Path) -> None:
    """Make a system of two phase modulators and a detector."""
    optics, elements = import_module("torchoptics"), import_module("torchoptics.elements")
    optics.set_default_spacing(PITCH)
    optics.set_default_wavelength(WAVELENGTH)
    generator = torch.Generator().manual_seed(3)
    system = optics.System(
        *(
            elements.PhaseModulator(nn.Parameter(6 * torch.rand(SIZE, SIZE, generator=generator)), z=z)
            for z in (0.1, 0.3)
        ),
        elements.Detector(SIZE, z=0.4),
    )
    power = system(optics.Field(images()))  # over such distances it takes its DIM by itself
    read = torch.stack([power[:, y : y + SIDE, x : x + SIDE].sum((1, 2)) / power.sum((1, 2)) for y, x in REGIONS], 1)
    save(folder, "torchoptics", system, read)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--peers", type=Path)
    arguments = parser.parse_args()
    if arguments.peers is not None:
        sys.path.insert(0, str(arguments.peers.resolve()))
    lightridge(arguments.folder)
    torchoptics(arguments.folder)


if __name__ == "__main__":
    main()
