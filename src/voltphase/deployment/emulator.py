"""The deployed system, rebuilt from the files of its folder alone."""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from voltphase.core.dtypes import with_standard_torch
from voltphase.core.errors import DeploymentError, VoltphaseError
from voltphase.core.files import checked_path
from voltphase.deployment.folder import MANIFEST_NAME
from voltphase.deployment.layers import read_layers, read_levels, read_mask
from voltphase.deployment.manifest import Manifest
from voltphase.deployment.parts.beams import field_of
from voltphase.deployment.propagation import PRECISIONS
from voltphase.optics import ImageSource
from voltphase.optics.backends.base import Options
from voltphase.optics.backends.reference import Reference
from voltphase.optics.masks import Mask
from voltphase.optics.paths import Steps, paths_between, stack_of
from voltphase.optics.propagator import Propagator, across
from voltphase.optics.skips import Splitters
from voltphase.tasks.background_light import with_background


class Emulator(nn.Module):
    """What the bench would do with the files of a deployed folder.

    It knows neither the network that was trained nor its configuration. Each layer's levels come from the files that
    are loaded on the device or made into it, by the target that wrote them; the arrays of levels, the hashes and the
    device only have to agree with them. What is changed and sealed again, and has no part in this, goes unseen.

    Args:
        manifest: What the folder says about the system.
        states: State of each pixel of each layer, complex arrays of shape (rows, columns).
        mask: Mask in front of the source, where the manifest names one.
        spans: What is between the planes, with what is in the arrays of elements, where the manifest names some.

    Raises:
        DeploymentError: if the parts do not fit together, or need more memory than there is.
    """

    @with_standard_torch
    def __init__(
        self,
        manifest: Manifest,
        states: Sequence[NDArray[np.complex128]],
        mask: Mask | None = None,
        spans: Sequence[Steps] | None = None,
    ) -> None:
        super().__init__()
        manifest.require_memory()
        if (mask is None) != (manifest.input.mask is None):
            raise DeploymentError(f"expected the mask that {MANIFEST_NAME} names, or none where it names none")
        self.manifest = manifest
        dtype = PRECISIONS[manifest.propagation.precision]
        rows, columns = manifest.input.image_shape
        try:
            self.source = ImageSource(manifest.grids[0], (rows, columns), light=manifest.input.light(mask), dtype=dtype)
            paths = paths_between(
                manifest.way,
                manifest.spans() if spans is None else spans,
                wavelength=manifest.wavelength_m,
                method=[record.method for record in manifest.propagation.methods],
            )
            self.executor = Reference().compile(stack_of(paths), Options(dtype))
            self.skips = [record.skip for record in manifest.skips or ()]
            past = [
                Propagator(
                    one.source,
                    one.target,
                    wavelength=one.wavelength,
                    distance=one.distance,
                    method=record.method.method,
                    dtype=dtype,
                )
                for one, record in zip(manifest.past, manifest.skips or (), strict=True)
            ]
            self.past = nn.ModuleList(past)
            self.gaps = nn.ModuleList(across(paths, dtype) if past else [])
            self.readout = manifest.readout.make_readout()
        except VoltphaseError as error:
            raise DeploymentError(f"{MANIFEST_NAME}: {error}") from error
        except ArithmeticError as error:
            raise DeploymentError(
                f"{MANIFEST_NAME}: expected lengths that light can be computed with, but got some out of all proportion"
            ) from error
        for index, layer in enumerate(states):
            self.register_buffer(f"states_{index}", torch.tensor(layer, dtype=dtype))
        self.eval()

    @classmethod
    def from_folder(cls, folder: str | PathLike[str]) -> Emulator:
        """Rebuild the system of a deployed folder.

        Raises:
            DeploymentError: if a file is missing, cannot be read, was changed, or contradicts another, the target is
                not known here, or the system needs more memory than there is.
        """
        folder = checked_path(folder, DeploymentError)
        manifest = Manifest.read(folder)
        layers = read_layers(folder, manifest)
        levels = read_levels(folder, manifest, layers)
        states = [layer.device.states_at(level) for layer, level in zip(layers, levels, strict=True)]
        return cls(manifest, states, read_mask(folder, manifest), manifest.spans(folder))

    def modulations(self) -> list[Tensor]:
        """The states of each layer, complex ``rows x columns`` tensors, as the light meets them: without gain."""
        return [self.get_buffer(f"states_{index}") for index in range(len(self.manifest.layers))]

    def detector_field(self, images: Tensor) -> Tensor:
        """The complex ``batch x rows x columns`` field on the detector, of images as for :meth:`forward`.

        Of several beams, or where there is background light, it is what the detector sees of all: see
        :func:`with_background`.
        """
        source, states, beams = self.source(images), self.modulations(), self.manifest.beams
        each = [
            self._arriving(source, [states[number - 1] for number in beam.layers]) for beam in self.manifest.all_beams
        ]
        return with_background(
            each[0] if beams is None else field_of(beams, each), self.manifest.readout.background_light
        )

    def _arriving(self, field: Tensor, states: Sequence[Tensor]) -> Tensor:
        """Return the field that a beam leaves on its part of the detector; plane by plane where there are skips."""
        if not self.skips:
            return self.executor(field, states)
        splitters, (*gaps, last) = Splitters(self.skips, list(self.past)), self.gaps
        field = splitters.behind(0, field)
        for plane, (gap, state) in enumerate(zip(gaps, states, strict=True), start=1):
            field = splitters.behind(plane, state * splitters.before(plane, gap(field)))
        return splitters.before(len(self.gaps), last(field))

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
