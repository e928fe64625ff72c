"""The deployed system, rebuilt from the files of its folder alone."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from os import PathLike
from typing import cast

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
from voltphase.deployment.parts.beams import intensity_of
from voltphase.deployment.propagation import PRECISIONS, MethodRecord
from voltphase.devices import Device
from voltphase.devices.spectrum import parts_of
from voltphase.optics import ImageSource
from voltphase.optics.masks import Mask
from voltphase.optics.paths import Path, Steps, paths_between
from voltphase.optics.propagator import Propagator, across
from voltphase.tasks.background_light import as_field, with_background

#: A line of the light: its wavelength, and its methods over each distance and on each skip.
_Line = tuple[float, list[MethodRecord], list[MethodRecord]]


class Emulator(nn.Module):
    """What the bench would do with the files of a deployed folder.

    It knows neither the network that was trained nor its configuration. Each layer's levels come from the files that
    are loaded on the device or made into it, by the target that wrote them; the arrays of levels, the hashes and the
    device only have to agree with them. What is changed and sealed again, and has no part in this, goes unseen.

    Args:
        manifest: What the folder says about the system.
        states: State of each pixel of each layer, complex arrays of shape (rows, columns), with a first axis of
            wavelengths where devices have states at several.
        mask: Mask in front of the source, where the manifest names one.
        spans: What is between the planes, with what is in the arrays of elements, where the manifest names some.

    Raises:
        DeploymentError: if the parts do not fit together, or need more memory than there is.
    """

    screens: Tensor | None

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
            lines = self._lines()
            self.gaps = nn.ModuleList(nn.ModuleList(across(self._paths(line, spans), dtype)) for line in lines)
            self.past = nn.ModuleList(nn.ModuleList(self._past(line, dtype)) for line in lines)
            self.readout = manifest.readout.make_readout()
        except VoltphaseError as error:
            raise DeploymentError(f"{MANIFEST_NAME}: {error}") from error
        except ArithmeticError as error:
            raise DeploymentError(
                f"{MANIFEST_NAME}: expected lengths that light can be computed with, but got some out of all proportion"
            ) from error
        coherence = None if manifest.light is None else manifest.light.coherence
        screens = None if coherence is None else coherence.coherence.screens(manifest.grids[0])
        self.register_buffer("screens", None if screens is None else torch.tensor(screens, dtype=dtype))
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
        states = [_states(layer.device, level) for layer, level in zip(layers, levels, strict=True)]
        return cls(manifest, states, read_mask(folder, manifest), manifest.spans(folder))

    def modulations(self) -> list[Tensor]:
        """The states of each layer, complex ``rows x columns`` tensors, as the light meets them: without gain.

        Where devices have states at several wavelengths, these are the first axis.
        """
        return [self.get_buffer(f"states_{index}") for index in range(len(self.manifest.layers))]

    def detector_field(self, images: Tensor) -> Tensor:
        """The complex ``batch x rows x columns`` field on the detector, of images as for :meth:`forward`.

        Of several beams, or where there is background light, it is what the detector sees of all: see
        :func:`with_background`. Where the detector tells wavelengths apart, they are an axis behind the first.
        """
        manifest, source = self.manifest, self.source(images)
        if manifest.beams is None and manifest.light is None and manifest.detectors is None:
            (field,) = self._arriving(0, source, self.modulations())
        else:
            field = as_field(self._intensity(source))
        return with_background(field, manifest.readout.background_light)

    def _intensity(self, source: Tensor) -> Tensor:
        """Return the intensity on the detector, of all lines behind all screens, of the field on the source."""
        manifest, channels = self.manifest, {}
        light = manifest.light
        screens = [source] if self.screens is None else [screen * source for screen in self.screens]
        lines = [(1.0, 0)] if light is None else [(line.weight, line.states_of) for line in light.lines]
        for line, (weight, band) in enumerate(lines):
            states = [states if states.ndim == 2 else states[band] for states in self.modulations()]
            channel = band if light is not None and light.channels == "wavelengths" else 0
            for lit in screens:
                each = (
                    (beam.weight * one.share, beam.area + one.area, arrived)
                    for beam in manifest.all_beams
                    for one, arrived in zip(
                        manifest.all_detectors,
                        self._arriving(line, lit, [states[number - 1] for number in beam.layers]),
                        strict=True,
                    )
                )
                found = weight / len(screens) * intensity_of(each)
                channels[channel] = channels[channel] + found if channel in channels else found
        return channels[0] if len(channels) == 1 else torch.stack([channels[n] for n in range(len(channels))], 1)

    def _lines(self) -> list[_Line]:
        manifest = self.manifest
        if manifest.light is None:
            past = [record.method for record in manifest.skips or ()]
            return [(manifest.wavelength_m, manifest.propagation.methods, past)]
        return [(line.wavelength_m, line.methods, line.past) for line in manifest.light.lines]

    def _paths(self, line: _Line, spans: Sequence[Steps] | None) -> list[Path]:
        wavelength, methods, _ = line
        return paths_between(
            self.manifest.way,
            self.manifest.spans() if spans is None else spans,
            wavelength=wavelength,
            method=[record.method for record in methods],
        )

    def _past(self, line: _Line, dtype: torch.dtype) -> Iterator[Propagator]:
        """Yield what takes light of a line from the first splitter of each skip to its second one."""
        wavelength, _, methods = line
        for geometry, record in zip(self.manifest.past, methods, strict=True):
            yield Propagator(
                geometry.source,
                geometry.target,
                wavelength=wavelength,
                distance=geometry.distance,
                method=record.method,
                dtype=dtype,
            )

    def _arriving(self, line: int, field: Tensor, states: Sequence[Tensor]) -> list[Tensor]:
        """Return the field that light of a line leaves on a beam's part of the detector, or on each of several.

        It goes from plane to plane by a walk of its own, which shares nothing with how networks are trained.
        """
        skips, aside = self.manifest.skips or (), dict[int, Tensor]()
        gaps, past = (list(cast("nn.ModuleList", each[line])) for each in (self.gaps, self.past))

        def joined(plane: int, field: Tensor) -> Tensor:
            for number, skip in enumerate(skips):
                if skip.end == plane:
                    field = math.sqrt(1 - skip.share) * field + 1j * math.sqrt(skip.share) * aside.pop(number)
            return field

        for plane in range(len(states) + 1):
            if plane > 0:
                field = states[plane - 1] * joined(plane, gaps[plane - 1](field))
            for number, (skip, way) in enumerate(zip(skips, past, strict=True)):
                if skip.start == plane:
                    aside[number] = 1j * math.sqrt(skip.share) * way(field)
                    field = math.sqrt(1 - skip.share) * field
        return [joined(len(states) + 1, gap(field)) for gap in gaps[len(states) :]]

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


def _states(device: Device, levels: NDArray[np.integer]) -> NDArray[np.complex128]:
    """Return the state of each pixel; at several wavelengths along a first axis."""
    each = [part.states_at(levels) for part in parts_of(device)]
    return each[0] if len(each) == 1 else np.stack(each)
