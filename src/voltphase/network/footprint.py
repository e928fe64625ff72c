"""How much memory a network takes, estimated before any of it is asked for."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import torch

from voltphase.core.advice import advise
from voltphase.core.errors import ConfigError, VoltphaseWarning
from voltphase.core.limits import CLOSE, available_memory, gigabytes
from voltphase.optics.common_grid import good_size
from voltphase.optics.grid import Grid
from voltphase.optics.methods.auto import best_plan, find_method
from voltphase.optics.methods.base import Method
from voltphase.optics.methods.geometry import Geometry

# Complex numbers of one buffer of a micro-batch, see `voltphase.optics.backends.cpu.executor`.
_MICRO_BATCH: Final = {"cpu": 400_000, "cuda": 1 << 24}
# Numbers of a design that are held while training, besides itself: its gradient, Adam's two means, and all but the
# gradient once more in a checkpoint that is being written.
_OF_DESIGN: Final = 7
# What libraries take when they are used for the first time.
_AT_LEAST: Final = 8_000_000

Shape = tuple[int, int]


class MemoryWarning(VoltphaseWarning):
    """What is asked for needs nearly all the memory there is."""


@dataclass(frozen=True)
class Gap:
    """One step of light, from a plane of shape ``source`` to one of shape ``target``.

    Args:
        source: (rows, columns) that light starts from.
        target: (rows, columns) that it arrives on.
        transfer: Points of the padded transfer function that is applied; 0 where the kernel separates into matrices.
        fused: Whether it is applied as a part of one function for the whole network.
    """

    source: Shape
    target: Shape
    transfer: int
    fused: bool


@dataclass(frozen=True)
class Footprint:
    """Estimated bytes of a network.

    Held against peaks measured at 64, 200 and 400 samples a side, see ``tests/test_footprint.py``.

    Args:
        gaps: What light goes through, from the images to the detector.
        numbers: Real numbers that are learned of each layer, all its pixels together.
        scores: Real numbers that drawing a state for each pixel keeps of each layer until its gradient is known.
        itemsize: Bytes of one complex number.
        choosing: Whether the cheaper of two engines is chosen: both are made.
    """

    gaps: tuple[Gap, ...]
    numbers: tuple[int, ...]
    scores: tuple[int, ...]
    itemsize: int
    choosing: bool

    @property
    def network(self) -> float:
        """The peak while the network is built, which holds it ready for evaluation."""
        indices = [32 * (_points(gap.source) + _points(gap.target)) for gap in self.gaps]
        kernels = [2 * self.itemsize * _kernel_numbers(gap) for gap in self.gaps]
        # In double precision, with as much again for what they are made from.
        making = max(3 * 16 * _kernel_numbers(gap) for gap in self.gaps)
        fused = all(gap.fused for gap in self.gaps)
        copies = (2 if self.choosing else 1) if fused else 0
        return (
            copies * (sum(indices) + sum(kernels))
            + max(kernels)
            + making
            + sum(self.numbers) * self.itemsize / 2
            + _AT_LEAST
        )

    def evaluation(self, batch_size: int, device: str = "cpu") -> float:
        """The peak while ``batch_size`` images are evaluated."""
        return self.network + self._work(batch_size, device)

    def training(self, batch_size: int, device: str = "cpu") -> float:
        """The peak of training with batches of so many images."""
        real = self.itemsize // 2
        planes = [_points(gap.target) for gap in self.gaps]
        # Where no function with an adjoint of its own does it all, what comes before and after each modulation is kept.
        kept = batch_size * sum(planes) * (1 if all(gap.fused for gap in self.gaps) else 3)
        designs = _OF_DESIGN * sum(self.numbers) + sum(self.scores)
        modulations = 6 * sum(planes[:-1])
        sums = sum(max(points, min(_MICRO_BATCH[device], batch_size * points)) for points in planes[:-1])
        return (
            self.network + self._work(batch_size, device) + self.itemsize * (kept + modulations + sums) + real * designs
        )

    def _work(self, batch_size: int, device: str) -> float:
        largest = max(max(_points(gap.source), _points(gap.target), gap.transfer) for gap in self.gaps)
        # Three buffers of a micro-batch of at least one image, and what transforms make besides.
        return 5 * self.itemsize * max(largest, min(_MICRO_BATCH[device], batch_size * largest))


def gaps_between(
    grids: Sequence[Grid],
    distances: Sequence[float],
    *,
    wavelength: float,
    method: str | Method,
    engine: str,
    image_shape: Shape,
    window: Shape,
) -> tuple[Gap, ...]:
    """What light goes through from images of ``image_shape`` to the part ``window`` of the detector.

    Raises:
        VoltphaseError: if the method or the engine does not exist or cannot be used here.
    """
    found = []
    last = len(grids) - 2
    for index, ((source, target), distance) in enumerate(zip(pairwise(grids), distances, strict=True)):
        geometry = Geometry(source, target, float(wavelength), float(distance))
        chosen, _ = find_method(method, geometry)
        if type(chosen).matrices is not Method.matrices:
            # Interpolation is a part of the first pair of matrices, and the last leads to the window alone.
            start, end = image_shape if index == 0 else source.shape, window if index == last else target.shape
            found.append(Gap(start, end, 0, fused=True))
            continue
        padded = [good_size(a + b - 1) for a, b in zip(source.shape, target.shape, strict=True)]
        transforms = best_plan(chosen.plans(geometry), engine, chosen).engine == "fft"
        found.append(
            Gap(source.shape, target.shape, math.prod(padded), fused=transforms and source.pitch == target.pitch)
        )
    return tuple(found)


def require(needed: float, what: str, advice: str, *, on_gpu: bool = False) -> None:
    """Refuse what there is not the memory for, and warn of what takes nearly all of it.

    Args:
        needed: Estimated bytes.
        what: What needs them, as the subject of a sentence.
        advice: What the user can do.
        on_gpu: Whether it is the memory of the CUDA GPU.

    Raises:
        ConfigError: if it needs more than there is.

    Warns:
        MemoryWarning: if it needs more than 70 % of it.
    """
    available = gpu_memory() if on_gpu else available_memory()
    if needed > available:
        place = "the GPU" if on_gpu else "this machine"
        raise ConfigError(
            f"{what} needs about {gigabytes(needed)}, but {place} has {gigabytes(available)} free: {advice}"
        )
    if needed > CLOSE * available:
        advise(
            f"{what} needs about {gigabytes(needed)} of the {gigabytes(available)} that are free: if it is slow or is "
            f"killed, {advice}",
            MemoryWarning,
        )


def gpu_memory() -> int:
    """Return the bytes that are free on the current CUDA GPU."""
    return torch.cuda.mem_get_info()[0] + torch.cuda.memory_reserved() - torch.cuda.memory_allocated()


def _points(shape: Iterable[int]) -> int:
    return math.prod(shape)


def _kernel_numbers(gap: Gap) -> int:
    separable = sum(a * b for a, b in zip(gap.source, gap.target, strict=True))
    return gap.transfer or separable
