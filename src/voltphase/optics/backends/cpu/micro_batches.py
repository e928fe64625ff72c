"""A batch of fields through a row of planes and back, in micro-batches that stay in the caches."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from voltphase.core.buffers import borrow
from voltphase.optics.backends.cpu.layout import FieldLayout
from voltphase.optics.backends.cpu.packed_map import PackedMap

# Complex numbers per buffer of a micro-batch. On two cores with 2 MB of level-2 cache each, a step at 200 x 200 takes
# 3.9 ms per image at 40,000, 3.5 at 80,000, 3.4 at 160,000, 3.3 from 400,000 to a million, and transforms take half as
# long again from a million on. A GPU wants enough to fill it.
_MICRO_BATCH = {"cpu": 400_000, "cuda": 1 << 24}


class _Way(NamedTuple):
    """A modulated plane on the way back.

    Attributes:
        layout: Layout of the plane.
        arrive: Map that brings the gradient to the plane.
        modulation: Modulation of the plane.
        total: Where the gradient of the modulation is summed up, or None if it is not wanted.
        onward: Map that takes the gradient on to the plane before, or None if nothing there is wanted.
    """

    layout: FieldLayout
    arrive: PackedMap
    modulation: Tensor
    total: Tensor | None
    onward: PackedMap | None


class MicroBatches:
    """Forward and backward through ``maps``, with a modulation before every map but the first.

    Args:
        maps: One more than there are modulations.
        transposes: Transposed maps for the backward pass, in the order of ``maps``. Gradients travel conjugated, so no
            conjugate is needed.
        modulations: Packed modulations.
        batch: Number of images.
    """

    def __init__(
        self, maps: Sequence[PackedMap], transposes: Sequence[PackedMap], modulations: Sequence[Tensor], batch: int
    ) -> None:
        self.maps, self.transposes, self.modulations, self.batch = maps, transposes, modulations, batch
        self.layouts = [each.target for each in maps]
        self.dtype, self.device = modulations[0].dtype, modulations[0].device
        self.scratch = max(each.scratch for each in (*maps, *transposes))
        limit = _MICRO_BATCH["cpu" if self.device.type == "cpu" else "cuda"]
        pieces = max(1, round(batch * self.scratch / limit))
        # The last one may be smaller.
        self.step = -(-batch // pieces)

    def forward(self, images: Tensor, kept: list[Tensor] | None) -> Iterator[tuple[slice, Tensor, Tensor]]:
        """Yield the packed detector field of each micro-batch and a free buffer, valid until the next one.

        Args:
            images: Fields, or amplitudes, to start from, ``batch x rows x columns``.
            kept: Where to append the fields before each modulation and on the detector, one tensor for each
                micro-batch; None to keep none.
        """
        work, third = self._buffers()
        first, *others = self.maps
        for part in self._parts():
            batch = part.stop - part.start
            if kept is None:
                fields = [layout.view(third, batch) for layout in self.layouts]
            else:
                kept.append(self._borrow(batch * sum(layout.numel for layout in self.layouts)))
                fields = self._fields(kept[-1], batch)
            first.inlet(work, batch).copy_(first.source.pack(images[part]))
            first.run(work, fields[0])
            for arrived, modulation, following, field in zip(
                fields, self.modulations, others, fields[1:], strict=False
            ):
                torch.mul(arrived, modulation, out=following.inlet(work, batch))
                following.run(work, field)
            yield part, fields[-1], work[0]

    def backward(
        self, kept: Sequence[Tensor], seed: Callable[[slice, Tensor, Tensor], None], wanted: Sequence[bool]
    ) -> tuple[Tensor | None, list[Tensor | None]]:
        """Return the gradients of the images, complex, and of each packed modulation.

        Gradients travel as their conjugates: then the adjoint of a kernel is its transpose, that of a modulation is
        the modulation, and nothing is conjugated on the way.

        Args:
            kept: What :meth:`forward` kept.
            seed: Called with a micro-batch, its packed detector field, and where to write the conjugate of that
                field's gradient, packed.
            wanted: Whether the gradient is wanted of the images, and of each modulation.
        """
        source = self.maps[0].source
        images = self._borrow(self.batch, *source.shape) if wanted[0] else None
        ways: list[_Way] = []
        for index, (layout, modulation) in enumerate(zip(self.layouts, self.modulations, strict=False)):
            total = self._borrow(*layout.sizes(self.step)) if wanted[index + 1] else None
            # Nothing before the first thing wanted needs light.
            onward = self.transposes[index] if any(wanted[: index + 1]) else None
            ways.append(_Way(layout, self.transposes[index + 1], modulation, total, onward))
        work, third = self._buffers()
        for part, flat in zip(self._parts(), kept, strict=True):
            batch = part.stop - part.start
            fields = self._fields(flat, batch)
            seed(part, fields[-1], self.transposes[-1].inlet(work, batch))
            for way, field in reversed(list(zip(ways, fields, strict=False))):
                arrived = way.layout.view(third, batch)
                way.arrive.run(work, arrived)
                if way.total is not None and part.start == 0:  # no micro-batch is larger than the first
                    torch.mul(field, arrived, out=way.total)
                elif way.total is not None:
                    way.total[..., :batch, :].addcmul_(field, arrived)
                if way.onward is None:
                    break
                torch.mul(arrived, way.modulation, out=way.onward.inlet(work, batch))
            if images is not None:
                arrived = source.view(third, batch)
                self.transposes[0].run(work, arrived)
                images[part] = source.unpack(arrived).conj()
        return images, [
            None if way.total is None else way.layout.unpack(way.total.sum(3, keepdim=True))[0].conj_physical()
            for way in ways
        ]

    def _parts(self) -> Iterator[slice]:
        return (slice(start, min(start + self.step, self.batch)) for start in range(0, self.batch, max(self.step, 1)))

    def _fields(self, flat: Tensor, batch: int) -> list[Tensor]:
        parts = flat.split([batch * layout.numel for layout in self.layouts])
        return [layout.view(part, batch) for layout, part in zip(self.layouts, parts, strict=True)]

    def _buffers(self) -> tuple[Tensor, Tensor]:
        flat = self._borrow(3, self.step * self.scratch)
        return flat[:2], flat[2]

    def _borrow(self, *sizes: int) -> Tensor:
        return borrow(sizes, self.dtype, self.device)
