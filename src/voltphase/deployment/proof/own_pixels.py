"""The light of a deployed system on the pixels of what shows it, which are finer than the design's.

A pixel of a design is a sample of its field. On a panel it is a tile of pixels, each with dead space that sends on
light unchanged, within a border that does so too; corrected or resampled pixels have other states than the design's.
What all this does to the answers is measured here, by the plain maps and from the files alone.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from typing import Final

import numpy as np
import torch
from torch import Tensor

from voltphase.core.errors import GeometryError, VoltphaseError, VoltphaseWarning
from voltphase.core.limits import CLOSE, available_memory, gigabytes
from voltphase.core.units import metres
from voltphase.deployment.emulator import Emulator
from voltphase.deployment.manifest import Manifest
from voltphase.deployment.proof.compare import Check
from voltphase.deployment.propagation import kernel_bytes
from voltphase.deployment.targets import Shown
from voltphase.optics import FocalPlane, FresnelPixels, ImageSource, Method
from voltphase.optics.gap import Gap
from voltphase.optics.grid import Grid
from voltphase.optics.masks import Mask
from voltphase.optics.propagator import Propagator
from voltphase.tasks import WindowReadout

NAME: Final = "own pixels"
# About as long as a person waits for a figure, by the cost that maps are chosen by.
_NANOSECONDS: Final = 10e9
# Of fewer images no accuracy can be told.
_FEWEST: Final = 20
# Of the answers, or of outputs (root mean square): where more of them differ, the panel does not show the design.
_TOLERATED: Final = 0.05
# Samples of a batch of fields, 32 MB of complex64.
_BATCH_SAMPLES: Final = 2**22


class OwnPixels:
    """A deployed system whose layers are what their own pixels make of light.

    Around a layer's pixels light meets a plane without end that multiplies it by ``around``. By Babinet's principle
    what passes is ``around`` times all that arrived, as if there were no layer, and what the pixels add to it.

    Args:
        emulator: The system on the design's grid, with its source, its readout and its methods.
        shown: What each layer is on its own pixels.

    Raises:
        GeometryError: if light cannot be computed on these pixels.
    """

    def __init__(self, emulator: Emulator, shown: Sequence[Shown]) -> None:
        self.emulator, self.shown, manifest = emulator, shown, emulator.manifest
        first, *_, last = manifest.grids
        self.grids = [_refined(first, shown[0].grid), *(one.grid for one in shown), _refined(last, shown[-1].grid)]
        self.gaps = {
            (start, end): self._gap(start, end)
            for end in range(1, len(self.grids))
            for start in range(end)
            if self._passing(start, end) != 0
        }

    @property
    def nanoseconds(self) -> float:
        """The time expected for one image."""
        return sum(gap.way().cost.nanoseconds for gap in self.gaps.values())

    @property
    def needed_bytes(self) -> float:
        """The memory that kernels take, and the fields of a batch."""
        kernels = {gap: kernel_bytes(gap.method, gap.geometry) for gap in self.gaps.values()}
        largest = max(math.prod(grid.shape) for grid in self.grids)
        return sum(kernels.values()) + 8.0 * (len(self.grids) + 3) * max(largest, _BATCH_SAMPLES)

    @torch.no_grad()
    def logits(self, images: Tensor) -> Tensor:
        """Return logits, a ``batch x classes`` tensor, of images as the emulator takes them."""
        largest = max(math.prod(grid.shape) for grid in self.grids)
        parts = images.split(max(1, _BATCH_SAMPLES // largest))
        return torch.cat([self.emulator.logits(self._on_detector(part)) for part in parts])

    def _on_detector(self, images: Tensor) -> Tensor:
        """Return the field of each pixel of the design's detector: of the mean intensity over it, as a camera has."""
        field = self._field(images)
        rows, columns = self.emulator.manifest.grids[-1].shape
        blocks = field.unflatten(-1, (columns, -1)).unflatten(-3, (rows, -1))
        readout = self.emulator.readout
        if isinstance(readout, WindowReadout) and readout.measure == "field":
            return blocks.mean((-1, -3))
        light = (blocks.real.square() + blocks.imag.square()).mean((-1, -3)).sqrt()
        return torch.complex(light, torch.zeros_like(light))

    def _field(self, images: Tensor) -> Tensor:
        waves = [self._source(images)]
        for end in range(1, len(self.grids)):
            arrived = sum(
                self._passing(start, end) * self._propagators[self.gaps[start, end]](wave)
                for start, wave in enumerate(waves)
                if (start, end) in self.gaps
            )
            if end < len(self.grids) - 1:
                waves.append(self._pixels[end - 1] * arrived)
        return arrived  # pyright: ignore[reportPossiblyUnboundVariable, reportReturnType] - there are planes

    @cached_property
    def _source(self) -> ImageSource:
        source = self.emulator.source
        light, fine = source.light, self.grids[0]
        if light.mask is not None:  # each of its samples is as many finer ones
            tiles = [many // one for many, one in zip(fine.shape, source.grid.shape, strict=True)]
            light = replace(light, mask=Mask(np.kron(light.mask.values, np.ones(tiles))))
        return ImageSource(fine, source.image_shape, light=light, dtype=source.dtype)

    @cached_property
    def _pixels(self) -> list[Tensor]:
        return [torch.from_numpy(one.states - one.around).to(self.emulator.source.dtype) for one in self.shown]

    @cached_property
    def _propagators(self) -> dict[Gap, Propagator]:
        return {gap: Propagator.of(gap, self.emulator.source.dtype) for gap in self.gaps.values()}

    def _passing(self, start: int, end: int) -> complex:
        """Return what light of one plane is multiplied by around the planes before another."""
        return math.prod((one.around for one in self.shown[start : end - 1]), start=1 + 0j)

    def _gap(self, start: int, end: int) -> Gap:
        manifest = self.emulator.manifest
        methods = [record.method for record in manifest.propagation.methods[start:end]]
        if len(methods) > 1 and any(isinstance(method, FocalPlane) for method in methods):
            raise GeometryError("light around a layer passes a lens, which is not followed")
        distance = sum(manifest.propagation.distances_m[start:end])
        planes = {"wavelength": manifest.wavelength_m, "distance": distance}
        source, target = self.grids[start], self.grids[end]
        with warnings.catch_warnings():  # of the method at its limits: the design has warned of it already
            warnings.simplefilter("ignore", VoltphaseWarning)
            try:
                return Gap.between(source, target, method=_on_pixels(methods), **planes)
            except GeometryError:
                return Gap.between(source, target, method="auto", **planes)


def measure(emulator: Emulator, shown: Sequence[Shown], images: Tensor, targets: Tensor | None, what: str) -> Check:
    """Return what the answers are on the pixels of what shows the system, beside those on the design's grid.

    Args:
        emulator: The system on the design's grid.
        shown: What each layer is on its own pixels.
        images: Images to answer, of which the first are taken that there is time for.
        targets: What is wanted of each, where that is known.
        what: What the images are, in words.
    """
    if (here := _not_followed(emulator.manifest)) is not None:
        followed = (
            "one coherent wave through the layers of one network, with free space between them, is followed there"
        )
        return Check(NAME, None, f"not measured on {_sizes(shown)}: {followed}, and here {here}")
    dark = [replace(one, around=0j) for one in shown]
    fewest, reason = min(_FEWEST, len(images)), ""
    for layers in (shown, dark) if any(one.around for one in shown) else (dark,):
        try:
            system = OwnPixels(emulator, layers)
            count = min(len(images), int(_NANOSECONDS / system.nanoseconds))
            if count < fewest:
                reason = f"one image is expected to take {system.nanoseconds / 1e9:.2g} s"
            elif system.needed_bytes > CLOSE * available_memory():
                reason = f"it takes {gigabytes(system.needed_bytes)} of memory"
            else:
                border = "without the light around the layers" if layers is dark and shown is not dark else ""
                return _figures(system, images[:count], None if targets is None else targets[:count], what, border)
        except VoltphaseError as error:
            reason = str(error)
    return Check(NAME, None, f"not measured on {_sizes(shown)}: {reason}")


def _not_followed(manifest: Manifest) -> str | None:
    """Return what a system has that its light is not followed through on pixels of its own, None if nothing."""
    if manifest.light is not None:
        return f"light is {manifest.light.words()}"
    if manifest.beams is not None:
        return f"{len(manifest.beams)} networks stand side by side"
    if manifest.detectors is not None:
        return f"{len(manifest.detectors)} detectors share the light"
    if manifest.skips is not None:
        return "beam splitters lead light past layers"
    return "lenses or other elements stand between the planes" if manifest.propagation.elements else None


def _figures(system: OwnPixels, images: Tensor, targets: Tensor | None, what: str, border: str) -> Check:
    emulator = system.emulator
    task, metric = emulator.manifest.readout.task_object, emulator.manifest.readout.metric
    found, expected = system.logits(images), emulator(images)
    answers, wanted = task.predict(found), task.predict(expected)
    parts = []
    if targets is not None:
        values = (metric.number(metric.of(logits, targets)) for logits in (found, expected))
        parts.append("{} {}, {} on the design's grid".format(metric.name, *values))
    if wanted.is_floating_point():
        off = float((found - expected).square().mean().sqrt() / expected.square().mean().sqrt().clamp_min(1e-30))
        differs = off > _TOLERATED
        parts.append(f"outputs differ by {off:.1%} (root mean square)")
    else:
        equal = int((answers == wanted).flatten(1).all(1).sum()) if wanted.ndim > 1 else int((answers == wanted).sum())
        differs = equal < (1 - _TOLERATED) * len(images)
        parts.append(f"{equal} of {len(images)} predictions equal")
    parts.append(f"on {_sizes(system.shown)}{f', {border}' if border else ''} ({what})")
    parts += [_advice(emulator.manifest)] if differs else []
    return Check(NAME, True, "; ".join(parts), differs)


def _advice(manifest: Manifest) -> str:
    """Return what to change where the panel's pixels do not show the design: docs/panels.md says why."""
    each = zip(manifest.grids[1:-1], manifest.propagation.distances_m[1:], strict=True)
    short = [
        (distance, needed)
        for grid, distance in each
        if distance
        < (needed := 2 * max(map(math.prod, zip(grid.extent, grid.pitch, strict=True))) / manifest.wavelength_m)
    ]
    if not short:
        return "this is of the border, the space between pixels, or corrected or resampled states, not of the tiles"
    distance, needed = max(short, key=lambda pair: pair[1] / pair[0])
    return (
        f"pixels as tiles send light into higher orders on the next plane: train with {metres(needed)} or more behind "
        f"each layer (2 * width * pitch / wavelength) in place of {metres(distance)}, or with fewer panel pixels for "
        "one of the design"
    )


def _sizes(shown: Sequence[Shown]) -> str:
    return " and ".join(dict.fromkeys(f"{one.grid.rows} x {one.grid.columns} pixels" for one in shown))


def _on_pixels(methods: Sequence[Method]) -> Method | str:
    """Return the method for a way over several gaps: theirs if it is one, of pixels without dead space."""
    first = methods[0]
    if any(method != first for method in methods) or not first.free_space:
        return first if isinstance(first, FocalPlane) else "auto"
    return FresnelPixels() if isinstance(first, FresnelPixels) else first


def _refined(grid: Grid, pixels: Grid) -> Grid:
    """Return a grid whose samples are about as fine as pixels, a whole number of them in place of each."""
    rows, columns = (max(1, round(coarse / fine)) for coarse, fine in zip(grid.pitch, pixels.pitch, strict=True))
    pitch = (grid.pitch[0] / rows, grid.pitch[1] / columns)
    return Grid((grid.rows * rows, grid.columns * columns), pitch, grid.offset)
