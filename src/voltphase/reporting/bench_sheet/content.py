"""What a bench sheet shows, read from a deployed folder."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from os import PathLike
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from voltphase.core.errors import DeploymentError
from voltphase.core.files import checked_path
from voltphase.deployment.folder import MANIFEST_NAME, read_array
from voltphase.deployment.layers import read_layers, read_levels
from voltphase.deployment.manifest import Manifest
from voltphase.deployment.proof.compare import read_finite, sample_images
from voltphase.deployment.targets import TARGETS, Layer, Target
from voltphase.optics.sources import ImageSource

_INPUTS: Final = 3


@dataclass(frozen=True, eq=False)
class Sheet:
    """A deployed folder, as its bench sheet shows it.

    Args:
        folder: The folder.
        manifest: What the folder says about the system.
        layers: Layers in the order light meets them.
        levels: Level of each pixel of each layer.
        inputs: A few test inputs, images of ``rows x columns`` numbers from 0 to 1.
        labels: What each of them is, in a few words.
        readings: What the detector reads for each: a number for each region, or a picture.
    """

    folder: Path
    manifest: Manifest
    layers: list[Layer]
    levels: list[NDArray[np.integer]]
    inputs: list[NDArray[np.float64]]
    labels: list[str]
    readings: list[NDArray[np.float64]]

    @classmethod
    def of(cls, folder: str | PathLike[str]) -> Sheet:
        """Read a folder, with every check that rebuilding the system from it makes.

        Raises:
            DeploymentError: if it is no deployed folder, or a file is missing, was changed or contradicts another.
        """
        path = checked_path(folder, DeploymentError)
        manifest = Manifest.read(path)
        layers = read_layers(path, manifest)
        levels = read_levels(path, manifest, layers)
        return cls(path.resolve(), manifest, layers, levels, *_samples(path, manifest))

    @property
    def name(self) -> str:
        """Name of the folder."""
        return self.folder.name

    @property
    def target(self) -> Target:
        """The target that the folder was written for."""
        target: Target = self.manifest.target.make(TARGETS, Path(MANIFEST_NAME), "target")
        return target.at(self.folder)

    @cached_property
    def on_source(self) -> list[NDArray[np.float64]]:
        """Each test input on the samples of the source, numbers from 0 to 1, as the input plane has to carry it."""
        given = self.manifest.input
        rows, columns = given.image_shape
        source = ImageSource(given.grid.grid, (rows, columns))
        dark = given.background
        return [dark + (1 - dark) * source(image.astype(np.float32)).real.double().numpy() for image in self.inputs]

    @property
    def carried(self) -> str:
        """What the brightest grey of an input picture is on the input plane."""
        given = self.manifest.input
        phase = f"a phase of {given.phase_range_rad or 0:.4g} rad"
        return {
            "amplitude": "the largest amplitude (not intensity), black is "
            + (f"{given.background:.3g} of it" if given.background else "dark"),
            "phase": f"{phase}, black is none",
            "both": f"the largest amplitude (not intensity) and {phase}",
        }[given.encoding]


def _samples(
    folder: Path, manifest: Manifest
) -> tuple[list[NDArray[np.float64]], list[str], list[NDArray[np.float64]]]:
    """Return up to three test inputs of the folder, of different classes where there are some."""
    if (samples := manifest.samples) is None:  # folders of format version 1 have none
        return [], [], []
    images = sample_images(folder, samples, (samples.count, *manifest.input.image_shape)).numpy()
    images = images / (255 if images.dtype == np.uint8 else 1)
    readout, classes = manifest.readout, manifest.readout.classes
    channels = 2 if readout.differential == "wavelength" else 1  # a region is read at each in turn
    shape = readout.output_shape if readout.pixels is not None else (channels * len(readout.on_detector.boxes),)
    readings = read_finite(folder, samples.readings, (samples.count, *shape), "readings").double().numpy()
    chosen, names = list(range(samples.count)), [""] * samples.count
    if classes and samples.labels is not None:
        numbers = read_array(folder, samples.labels, (samples.count,), "i", "whole numbers")
        names = [classes[number] if 0 <= number < len(classes) else "?" for number in numbers.tolist()]
        first = {name: index for index, name in reversed(list(enumerate(names)))}
        chosen = sorted(first.values()) + [index for index in chosen if index not in first.values()]
    chosen = chosen[:_INPUTS]
    return (
        [images[index].astype(np.float64) for index in chosen],
        [names[index] for index in chosen],
        [readings[index] for index in chosen],
    )
