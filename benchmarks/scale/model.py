"""Memory, time and communication of a training, from the estimates that voltphase itself uses."""

from __future__ import annotations

import functools
import warnings
from dataclasses import dataclass
from typing import Final

from voltphase.network.footprint import Footprint
from voltphase.optics import ImageSource
from voltphase.optics.backends import BACKENDS, Options
from voltphase.optics.grid import Grid
from voltphase.optics.paths import paths_between, stack_of
from voltphase.optics.stack import Stack
from voltphase.tasks import Classification, readout_of

#: Measured on one NVIDIA H200 on 2026-11-26: bytes a second of a copy, operations a second in single precision; and at
#: 200 x 200, with five layers and batches of 500, the seconds of a training step with TF32 of a prototype, and of one
#: with 8 and with 256 levels before choosing states was one kernel.
COPY: Final = 3.8e12
SINGLE: Final = 50.5e12
PROTOTYPE_STEP: Final = 4.97e-3
STEP_OF_LEVELS: Final = {8: 24.1e-3, 256: 80e-3}
DRAWN_PIXELS: Final = 5 * 200**2
#: Bytes of an H200 and of an H100.
GPU_MEMORY: Final = {"H200": 141e9, "H100": 80e9}
#: Assumed, not measured: bytes a second each way between the GPUs of a node (NVLink 4), and for each GPU between nodes
#: (InfiniBand, 400 Gbit/s); GPUs in a node.
NVLINK: Final = 450e9
NETWORK: Final = 50e9
NODE: Final = 8


@dataclass(frozen=True)
class System:
    """A network, and how its states are chosen.

    Args:
        size: Samples along each side of every plane.
        depth: Number of layers.
        levels: States of a pixel.
        scores: Whether a score of each level is learned, as by Gumbel-Softmax, or a point in the complex plane.
    """

    size: int
    depth: int
    levels: int = 8
    scores: bool = False

    @property
    def pixels(self) -> int:
        """The pixels of all layers."""
        return self.depth * self.size**2

    @property
    def learned(self) -> int:
        """The real numbers that are learned."""
        return self.pixels * (self.levels if self.scores else 2)

    def footprint(self, *, checkpointed: bool = False) -> Footprint:
        """Return what voltphase estimates of its memory."""
        numbers = self.levels if self.scores else 2
        kept = max(3, numbers) if self.scores else 3 * numbers  # a draw in closed form keeps one number of each score
        each = self.size**2
        options = Options(checkpoint_fields=checkpointed)
        stack = stack_for(self.size, self.depth)
        return Footprint.of([stack], [numbers * each] * self.depth, [kept * each] * self.depth, options)

    def image_seconds(self, device: str, *, tf32: bool = False, checkpointed: bool = False) -> float:
        """Return the seconds of light for one image, there and back, as the back ends estimate them."""
        backend = BACKENDS["cuda" if device == "cuda" else "cpu"]()
        seconds = backend.cost(stack_for(self.size, self.depth), Options(device=device, tf32=tf32)) / 1e9
        return seconds * (1 + (self.depth + 1) / (2 * self.depth + 1) * checkpointed)

    def drawing_seconds(self) -> tuple[float, float]:
        """Return the seconds a step in which a GPU chooses states: at its own limits, and as was measured."""
        # Of each number: read and written in the draw, read and written in its gradient, and seven times by Adam. Of
        # each level: a distance or a score, its exponential, and the sums that it is part of, there and back.
        fastest = max(11 * 4 * self.learned / COPY, 20 * self.pixels * self.levels / SINGLE)
        a_level = (STEP_OF_LEVELS[256] - STEP_OF_LEVELS[8]) / (256 - 8) / DRAWN_PIXELS
        return fastest, max(fastest, a_level * self.pixels * self.levels)

    def exchange_seconds(self, gpus: int) -> float:
        """Return the seconds a step in which GPUs add up gradients, around a ring.

        They are those of the modulations, a complex number a pixel whatever is learned of it.
        """
        if gpus == 1:
            return 0.0
        return 2 * (gpus - 1) / gpus * 8 * self.pixels / (NVLINK if gpus <= NODE else NETWORK)

    def largest_batch(self, memory: float, device: str, *, checkpointed: bool = False) -> int:
        """Return the most images in a batch that fit; 0 if not even one does."""
        footprint = self.footprint(checkpointed=checkpointed)
        low, high = 0, 1 << 20
        while low < high:
            middle = (low + high + 1) // 2
            low, high = (middle, high) if footprint.training(middle, device) <= memory else (low, middle - 1)
        return low


@functools.cache
def stack_for(size: int, depth: int) -> Stack:
    """Return the kernels of a network on planes of so many samples a side; none of their arrays is made."""
    grids = [Grid(size, 8e-6)] * (depth + 2)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a paraxial kernel costs what any separable one does
        paths = paths_between(grids, [0.05] * (depth + 1), wavelength=532e-9, method="fresnel", engine="auto")
    readout = readout_of(Classification(), (size, size))
    window = readout.window_rows.tolist(), readout.window_columns.tolist()
    return stack_of(paths).onto(*window).behind(ImageSource(grids[0], (28, 28)).kernel())
