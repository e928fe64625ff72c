"""How much memory a network takes, estimated before any of it is asked for."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import torch

from voltphase.codesign import Relaxation
from voltphase.codesign.state_table import StateTable
from voltphase.core.advice import advise
from voltphase.core.errors import ConfigError, VoltphaseWarning
from voltphase.core.limits import CLOSE, available_memory, for_whom, gigabytes
from voltphase.core.words import counted
from voltphase.devices import Device
from voltphase.devices.spectrum import parts_of
from voltphase.optics.backends.base import Options, checkpoint_stride
from voltphase.optics.backends.cpu.packed_map import MICRO_BATCH
from voltphase.optics.grid import Grid
from voltphase.optics.skips import BranchedStack
from voltphase.optics.stack import Stack

# Numbers of a design that are held while training, besides itself: its gradient and Adam's two means.
_OF_DESIGN: Final = 3
# Those of a checkpoint that is being written in the memory of the CPU, when a step's modulations are given back: all of
# the design but the gradient once more, and what a growing file takes.
_OF_CHECKPOINT: Final = 4
# What libraries take when they are used for the first time.
_AT_LEAST: Final = 8_000_000


class MemoryWarning(VoltphaseWarning):
    """What is asked for needs nearly all the memory there is."""


@dataclass(frozen=True)
class Footprint:
    """Estimated bytes of a network.

    Held against peaks measured at 64, 200 and 400 samples a side, see ``tests/network/test_footprint.py``.
    """

    planes: tuple[int, ...]  # samples of each plane that light arrives on, from the first layer to the detector
    kernels: tuple[int, ...]  # complex numbers of each kernel between them; gaps that are alike share theirs
    numbers: tuple[int, ...]  # real numbers that are learned of each layer, all its pixels together
    scores: tuple[int, ...]  # real numbers that drawing a state keeps of each layer until its gradient is known
    itemsize: int  # bytes of one complex number
    walks: int = 1  # fields that are kept of each plane while training
    checkpointed: bool = False  # whether training keeps fields of few planes, and computes the others again

    @classmethod
    def of(
        cls,
        stacks: Sequence[Stack | BranchedStack],
        numbers: Sequence[int],
        scores: Sequence[int],
        options: Options,
        walks: int = 1,
    ) -> Footprint:
        """Return the footprint of a network; of the kernels in its stacks, one a beam, no array need be made.

        Args:
            stacks: Stack of each beam.
            numbers: Real numbers that are learned of each layer.
            scores: Real numbers that drawing keeps of each.
            options: Precision, and whether fields are kept.
            walks: How many times light goes through the layers.
        """
        planes = tuple(math.prod(shape) for shape in stacks[0].shapes)
        kernels = tuple(gap[0].numbers for gap in dict.fromkeys(gap for stack in stacks for gap in stack.gaps))
        itemsize, checkpointed = options.dtype.itemsize, options.checkpoint_fields
        return cls(planes, kernels, tuple(numbers), tuple(scores), itemsize, walks, checkpointed)

    @property
    def network(self) -> float:
        """The peak while the network is built, which holds it ready for evaluation."""
        # All kernels are made in double precision first, and one of them takes as much again, twice, for what it is
        # made from.
        return self._held + 16 * sum(self.kernels) + 32 * max(self.kernels) + _AT_LEAST

    @property
    def _held(self) -> float:
        # Each kernel is kept for the way there and the way back.
        return 2 * self.itemsize * sum(self.kernels) + sum(self.numbers) * self.itemsize / 2

    def evaluation(self, batch_size: int, device: str = "cpu") -> float:
        """Return the peak while images are evaluated, so many at a time, on ``"cpu"`` or ``"cuda"``."""
        return self.network + self._buffers(batch_size, device)

    def _buffers(self, batch_size: int, device: str) -> float:
        # Three buffers of a micro-batch of at least one image, and what transforms make besides.
        return 5 * self.itemsize * _at_once(max(*self.planes, *self.kernels), batch_size, device)

    def training(self, batch_size: int, device: str = "cpu") -> float:
        """Return the peak of training in batches of so many images, on ``"cpu"`` or ``"cuda"``."""
        number = self.itemsize / 2
        held = self._held + _OF_DESIGN * number * sum(self.numbers) + _AT_LEAST
        modulations = 6 * sum(self.planes[:-1])
        # On a GPU no sum over images is longer than the field that is kept of each.
        sums = sum(_at_once(points, batch_size, device) for points in self.planes[:-1]) if device == "cpu" else 0
        fields = self.itemsize * (self.kept_fields(batch_size, device) + sums) + self._buffers(batch_size, device)
        step = fields + self.itemsize * modulations + number * sum(self.scores)
        written = _OF_CHECKPOINT * number * sum(self.numbers) if device == "cpu" else 0
        return max(self.network, held + max(step, fields + written))

    def kept_fields(self, batch_size: int, device: str = "cpu") -> int:
        """Return how many complex numbers of fields training holds for the way back, on ``"cpu"`` or ``"cuda"``."""
        if not self.checkpointed:
            return batch_size * sum(self.planes) * self.walks
        at_once = _at_once(max(self.planes), batch_size, device)
        stride = checkpoint_stride(len(self.planes), round(batch_size * max(self.planes) / at_once))
        return batch_size * sum(self.planes[stride - 1 : -1 : stride]) * self.walks + stride * at_once


def _at_once(points: int, batch_size: int, device: str) -> int:
    """Return how many numbers of a batch are in work: a micro-batch of them on a CPU, all on a GPU."""
    return max(points, min(MICRO_BATCH, batch_size * points)) if device == "cpu" else batch_size * points


def require(needed: float, what: str, advice: str, *, on_gpu: bool = False) -> None:
    """Refuse what there is not the memory for, and warn of what takes more than 70 % of it."""
    available = gpu_memory() if on_gpu else available_memory()
    place, each = ("the GPU", "") if on_gpu else ("this machine", for_whom())
    advice = f"set a lower training.devices, {advice}" if each else advice
    if needed > available:
        raise ConfigError(
            f"{what} needs about {gigabytes(needed)}, but {place} has {gigabytes(available)} free{each}: {advice}"
        )
    if needed > CLOSE * available:
        advise(
            f"{what} needs about {gigabytes(needed)} of the {gigabytes(available)} that are free{each}: if it is slow "
            f"or is killed, {advice}",
            MemoryWarning,
        )


def gpu_memory() -> int:
    """Return the bytes that are free on the current CUDA GPU."""
    return torch.cuda.mem_get_info()[0] + torch.cuda.memory_reserved() - torch.cuda.memory_allocated()


def checked(
    stacks: Sequence[Stack | BranchedStack],
    walks: int,
    grids: Sequence[Grid],
    devices: Sequence[Device],
    relaxation: Relaxation,
    options: Options,
) -> Footprint:
    """Return how much memory a network will take, before it does; for the first arguments see :meth:`Footprint.of`.

    Raises:
        ConfigError: if there is not as much.
    """
    # What is learned of one pixel, by its table.
    tables = [tuple(part.tables[0] for part in parts_of(device)) for device in devices]
    one = {
        each: relaxation.initial(StateTable.of(each[0], options.dtype, each[1:]), (1, 1), torch.Generator()).numel()
        for each in dict.fromkeys(tables)
    }
    pixels = [math.prod(plane.shape) for plane in grids[1:-1]]
    # A draw in closed form keeps one number of each score, autograd two to four.
    kept = 1 if getattr(relaxation, "hard", False) else 3
    numbers = [one[table] * count for table, count in zip(tables, pixels, strict=True)]
    # At several wavelengths nearness, too, keeps a number of each level, but on a GPU with Triton.
    least = [3 if len(each) == 1 else len(each[0]) for each in tables]
    scores = [max(low, kept * one[each]) * n for low, each, n in zip(least, tables, pixels, strict=True)]
    needed = Footprint.of(stacks, numbers, scores, options, walks)
    rows, columns = max(plane.shape for plane in grids)
    require(
        needed.network,
        f"a network of {counted(len(devices), 'layer')} on planes of up to {rows} x {columns} samples",
        "take fewer samples or layers",
    )
    return needed
