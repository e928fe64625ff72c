"""Linear maps between planes, on packed fields."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn

from voltphase.optics.backends.cpu.layout import FieldLayout


class PackedMap(nn.Module, ABC):
    """A linear map from the fields on one plane to those on another, both packed in a layout.

    A workspace is two flat complex buffers of at least ``scratch`` numbers for each field of the micro-batch.

    Attributes:
        source: Layout of the fields it takes.
        target: Layout of the fields it gives.
        scratch: Complex numbers it needs in each buffer of the workspace for each field.
    """

    source: FieldLayout
    target: FieldLayout
    scratch: int

    def inlet(self, work: Tensor, batch: int) -> Tensor:
        """Return the part of a workspace into which to write packed fields before calling :meth:`run`."""
        return self.source.view(work[0], batch)

    @abstractmethod
    def run(self, work: Tensor, out: Tensor) -> None:
        """Map the fields in the inlet, whose contents are lost.

        Args:
            work: Workspace whose inlet holds the fields.
            out: Packed fields of the target to write to, outside of the workspace.
        """

    @abstractmethod
    def transposed(self) -> PackedMap:
        """Return the transpose of this map, not conjugated, from its target to its source."""


class DiagonalMap(PackedMap):
    """A factor for each sample of a plane.

    Args:
        factor: Complex factors, rows x columns.
        layout: Layout of the fields.
        dtype: Complex type to compute in.
    """

    factor: Tensor

    def __init__(self, factor: Tensor, layout: FieldLayout, dtype: torch.dtype) -> None:
        super().__init__()
        self.source = self.target = layout
        self.scratch = layout.numel
        self.register_buffer("factor", layout.pack(factor[None]).to(dtype).contiguous(), persistent=False)

    def run(self, work: Tensor, out: Tensor) -> None:
        torch.mul(self.inlet(work, out.shape[3]), self.factor, out=out)

    def transposed(self) -> PackedMap:
        return self


class Composition(PackedMap):
    """Two maps, one straight after the other.

    Args:
        first: Map that the fields meet first.
        second: Map that starts where the first one leads.
    """

    def __init__(self, first: PackedMap, second: PackedMap) -> None:
        super().__init__()
        self.first, self.second = first, second
        self.source, self.target = first.source, second.target
        self.scratch = max(first.scratch, second.scratch)

    def inlet(self, work: Tensor, batch: int) -> Tensor:
        return self.first.inlet(work, batch)

    def run(self, work: Tensor, out: Tensor) -> None:
        between = work.new_empty(self.first.target.sizes(out.shape[3]))
        self.first.run(work, between)
        self.second.inlet(work, out.shape[3]).copy_(between)
        self.second.run(work, out)

    def transposed(self) -> PackedMap:
        return Composition(self.second.transposed(), self.first.transposed())
