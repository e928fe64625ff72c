"""Linear maps between planes, on packed fields."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn

from voltphase.optics.backends.cpu.layout import FieldLayout

Step = Callable[[], object]

# Complex numbers in each buffer of a micro-batch. On two cores with 2 MB of level-2 cache each, a step at 200 x 200
# takes 3.9 ms per image at 40,000, 3.5 at 80,000, 3.4 at 160,000, 3.3 from 400,000 to a million.
MICRO_BATCH = 400_000


class PackedMap(nn.Module, ABC):
    """A linear map from the fields on one plane to those on another, both packed in a layout.

    What it does to a micro-batch is a list of calls on fixed views of a workspace, two flat complex buffers of at least
    ``scratch`` numbers for each field. To make views between large products takes ten times as long as beforehand, one
    right after the other: at 64 x 64 that is a tenth of a training step.
    """

    source: FieldLayout  # layout of the fields it takes
    target: FieldLayout  # layout of the fields it gives
    scratch: int  # complex numbers it needs in each buffer of the workspace for each field
    micro_batch: int = MICRO_BATCH  # complex numbers in each buffer at which it is fastest on a CPU

    def __init__(self, source: FieldLayout, target: FieldLayout, scratch: int, **arrays: Tensor | None) -> None:
        super().__init__()
        self.source, self.target, self.scratch = source, target, scratch
        for name, array in arrays.items():
            self.register_buffer(name, array, persistent=False)

    def inlet(self, work: Tensor, batch: int) -> Tensor:
        """Return the part of a workspace into which to write packed fields before the steps are called."""
        return self.source.view(work[0], batch)

    @abstractmethod
    def steps(self, work: Tensor, out: Tensor) -> list[Step]:
        """Return what to call in turn to map the fields in the inlet, whose contents are lost.

        Packed fields of the target are written to ``out``, which is outside of the workspace.
        """

    @abstractmethod
    def transposed(self) -> PackedMap:
        """Return the transpose of this map, not conjugated, from its target to its source."""


class DiagonalMap(PackedMap):
    """A factor for each sample of a plane, rows x columns, in a complex type."""

    factor: Tensor

    def __init__(self, factor: Tensor, layout: FieldLayout, dtype: torch.dtype) -> None:
        super().__init__(layout, layout, layout.numel, factor=layout.pack(factor[None]).to(dtype).contiguous())

    def steps(self, work: Tensor, out: Tensor) -> list[Step]:
        return [partial(torch.mul, self.inlet(work, out.shape[3]), self.factor, out=out)]

    def transposed(self) -> PackedMap:
        return self


class Composition(PackedMap):
    """Two maps, one straight after the other."""

    def __init__(self, first: PackedMap, second: PackedMap) -> None:
        super().__init__(first.source, second.target, max(first.scratch, second.scratch))
        self.first, self.second = first, second
        self.micro_batch = min(first.micro_batch, second.micro_batch)

    def inlet(self, work: Tensor, batch: int) -> Tensor:
        return self.first.inlet(work, batch)

    def steps(self, work: Tensor, out: Tensor) -> list[Step]:
        between = work.new_empty(self.first.target.sizes(out.shape[3]))
        move = partial(self.second.inlet(work, out.shape[3]).copy_, between)
        return [*self.first.steps(work, between), move, *self.second.steps(work, out)]

    def transposed(self) -> PackedMap:
        return Composition(self.second.transposed(), self.first.transposed())
