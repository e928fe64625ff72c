"""The deployed system, rebuilt from the files of its folder alone."""

from __future__ import annotations

from os import PathLike
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from voltphase.core.dtypes import with_standard_torch
from voltphase.core.errors import DeploymentError, VoltphaseError
from voltphase.core.files import checked_path
from voltphase.deployment.manifest import PRECISIONS, LayerRecord, Manifest
from voltphase.deployment.records import MANIFEST_NAME, read_array, read_image
from voltphase.optics import ImageSource
from voltphase.optics.propagator import propagators_between


class Emulator(nn.Module):
    """What the bench would do with the files of a deployed folder.

    It knows neither the network that was trained nor its configuration. Each layer's states come from the
    image that is loaded on the device; the second file, the hashes and the device table only have to agree
    with it.

    Args:
        manifest: What the folder says about the system.
        levels: The level of each pixel, an integer array of shape (rows, columns) per layer.

    Raises:
        DeploymentError: if the parts do not fit together, or need more memory than there is.
    """

    @with_standard_torch
    def __init__(self, manifest: Manifest, levels: list[np.ndarray]) -> None:
        super().__init__()
        manifest.require_memory()
        self.manifest = manifest
        dtype = PRECISIONS[manifest.precision]
        try:
            self.source = ImageSource(manifest.source, manifest.image_shape, dtype=dtype)
            self.propagators = nn.ModuleList(
                propagators_between(
                    manifest.grids,
                    manifest.distances,
                    wavelength=manifest.wavelength,
                    method=manifest.methods,
                    dtype=dtype,
                )
            )
            self.readout = manifest.make_readout()
        except VoltphaseError as error:
            raise DeploymentError(f"{MANIFEST_NAME}: {error}") from error
        except ArithmeticError as error:
            raise DeploymentError(
                f"{MANIFEST_NAME}: expected lengths that light can be computed with, but got some out of all proportion"
            ) from error
        for index, (layer, level) in enumerate(zip(manifest.layers, levels, strict=True)):
            states = layer.device.states_at(level)
            self.register_buffer(f"states_{index}", torch.tensor(states, dtype=dtype))
        self.eval()

    @classmethod
    def from_folder(cls, folder: str | PathLike[str]) -> Emulator:
        """Rebuild the system of a deployed folder.

        Raises:
            DeploymentError: if a file is missing, cannot be read, was changed, or contradicts another, or the system
                needs more memory than there is.
        """
        folder = checked_path(folder, DeploymentError)
        manifest = Manifest.read(folder)
        manifest.require_memory()
        return cls(manifest, [read_levels(folder, layer) for layer in manifest.layers])

    def modulations(self) -> list[Tensor]:
        """The states of each layer, complex ``rows x columns`` tensors, as the light meets them: without gain."""
        return [self.get_buffer(f"states_{index}") for index in range(len(self.manifest.layers))]

    def detector_field(self, images: Tensor) -> Tensor:
        """The complex ``batch x rows x columns`` field on the detector, of images as for :meth:`forward`."""
        field = self.source(images)
        for propagate, states in zip(self.propagators, self.modulations(), strict=False):
            field = states * propagate(field)
        return self.propagators[-1](field)

    def readings(self, field: Tensor) -> Tensor:
        """The measure of each class, a real ``batch x classes`` tensor, from a detector field.

        Raises:
            ConfigError: if it is no complex tensor; of intensities i, such as a camera's, give ``i.sqrt()`` as complex.
            GeometryError: if it has another shape than the detector.
        """
        return self.readout.read(self.readout.window(field))

    def logits(self, field: Tensor) -> Tensor:
        """Logits, a ``batch x classes`` tensor, from a detector field."""
        return self.readout.outputs(self.manifest.reading_factor * self.readings(field))

    @torch.no_grad()
    def forward(self, images: Tensor) -> Tensor:
        """Logits, a ``batch x classes`` tensor.

        Args:
            images: A ``batch x height x width`` tensor, uint8 or real in 0 to 1; or an array.

        Raises:
            GeometryError: if the images are of another shape.
            ConfigError: if they are of another type.
            DataError: if they are not finite.
        """
        return self.logits(self.detector_field(images))


def read_levels(folder: Path, layer: LayerRecord) -> np.ndarray:
    """The level of each pixel of a layer, an int64 array, from the image that is loaded on the device.

    Raises:
        DeploymentError: if the image or the array of levels is missing, cannot be read, has another size,
            holds a value that the device table lacks, differs from the other, or was changed since it was
            written.
    """
    codes = read_image(folder, layer.image, layer.grid.shape, layer.image_bits)
    of_code = np.full(2**layer.image_bits, -1, dtype=np.int64)
    of_code[list(layer.codes)] = np.arange(len(layer.codes))
    levels = of_code[codes]
    if (levels < 0).any():
        row, column = np.argwhere(levels < 0)[0]
        raise DeploymentError(
            f"expected only grey values of the device table in {folder / layer.image.name}, but got "
            f"{codes[row, column]} at row {row}, column {column}: restore the file or deploy again"
        )
    stored = read_array(folder, layer.levels, layer.grid.shape, "u", "unsigned integers")
    if (different := stored != levels).any():
        row, column = np.argwhere(different)[0]
        raise DeploymentError(
            f"expected the same levels in {folder / layer.image.name} and {layer.levels.name}, but at row "
            f"{row}, column {column} they are {levels[row, column]} and {stored[row, column]}: restore "
            "both or deploy again"
        )
    return levels
