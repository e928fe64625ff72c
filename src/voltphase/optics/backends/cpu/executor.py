"""A batch of fields through a row of planes and back, in micro-batches that stay in the caches."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor

from voltphase.core.buffers import borrow
from voltphase.optics.backends.cpu.layout import Held
from voltphase.optics.backends.cpu.matrix import Bound, Hop

# Complex numbers per buffer of a micro-batch. On two cores with 2 MB of level-2 cache each, a step at 200 x 200 takes
# 3.9 ms per image at 40,000, 3.5 at 80,000, 3.4 at 160,000, 3.3 from 400,000 to a million, and transforms take half as
# long again from a million on. A GPU wants enough to fill it.
_MICRO_BATCH = {"cpu": 400_000, "cuda": 1 << 24}


class Pass:
    """Forward and backward through ``hops``, with a modulation before every hop but the first.

    Args:
        hops: One more than there are modulations.
        adjoints: Their transposes (not conjugated).
        modulations: As the planes hold them.
        batch: Number of images.
    """

    def __init__(self, hops: Sequence[Hop], adjoints: Sequence[Hop], modulations: Sequence[Tensor], batch: int) -> None:
        self.hops, self.adjoints, self.modulations, self.batch = hops, adjoints, modulations, batch
        self.planes = [hop.target for hop in hops]
        self.numbers = [plane.numel for plane in self.planes]
        self.dtype, self.device = modulations[0].dtype, modulations[0].device
        self.scratch = max(hop.scratch for hop in (*hops, *adjoints))
        limit = _MICRO_BATCH["cpu" if self.device.type == "cpu" else "cuda"]
        pieces = max(1, round(batch * self.scratch / limit))
        # The last one may be smaller.
        self.step = max(1, -(-batch // pieces))

    def forward(self, images: Tensor, kept: list[Tensor] | None) -> Iterator[tuple[slice, Tensor, Tensor]]:
        """The detector field of each micro-batch as held and a free buffer, valid until the next is asked for.

        The fields before each modulation and on the detector are appended to ``kept``, one tensor per micro-batch.
        """
        work, third = self._buffers()
        bound: dict[int, list[Bound]] = {}
        for part in self._parts():
            batch = part.stop - part.start
            if batch not in bound:
                first = self.hops[0].bind(batch, work, real=not images.is_complex())
                bound[batch] = [first, *(hop.bind(batch, work) for hop in self.hops[1:])]
            hops = bound[batch]
            if kept is None:
                fields = [plane.lay(third, batch) for plane in self.planes]
            else:
                kept.append(self._borrow(batch * sum(self.numbers)))
                fields = self._lay(kept[-1], batch)
            hops[0].inlet.copy_(self.hops[0].source.hold(images[part]))
            for hop, held, modulation, following in zip(hops, fields, self.modulations, hops[1:], strict=False):
                hop.run(held)
                torch.mul(held.field, modulation, out=following.inlet)
            hops[-1].run(fields[-1])
            yield part, fields[-1].field, work[0]

    def backward(
        self, kept: Sequence[Tensor], seed: Callable[[slice, Tensor, Tensor], None], wanted: Sequence[bool]
    ) -> tuple[Tensor | None, list[Tensor | None]]:
        """Gradients of the images (complex), and of each modulation as held.

        Gradients travel as their conjugates: then the adjoint of a kernel is its transpose, that of a modulation is
        the modulation, and nothing is conjugated on the way.

        Args:
            kept: From :meth:`forward`.
            seed: Called with a micro-batch, its detector field as held, and where to write the conjugate of that
                field's gradient.
            wanted: Whether the gradient is wanted of the images, and of each modulation.
        """
        sums = [self._borrow(*plane.sizes(self.step)) for plane in self.planes[:-1]]
        if self.batch == 0:
            # There is no first micro-batch to write them.
            for total in sums:
                total.zero_()
        source = self.hops[0].source
        images = self._borrow(self.batch, *source.natural_shape) if wanted[0] else None
        # Nothing before the first thing wanted needs light.
        last = wanted.index(True)
        work, third = self._buffers()
        bound: dict[int, list[tuple[Bound, Held]]] = {}
        for part, flat in zip(self._parts(), kept, strict=True):
            batch = part.stop - part.start
            if batch not in bound:
                bound[batch] = [(hop.bind(batch, work), hop.target.lay(third, batch)) for hop in self.adjoints[last:]]
            hops = bound[batch]
            fields = self._lay(flat, batch)
            seed(part, fields[-1].field, hops[-1][0].inlet)
            for index in range(len(self.modulations), last - 1, -1):
                hop, arriving = hops[index - last]
                hop.run(arriving)
                if index > 0 and wanted[index]:
                    # The first micro-batch is none smaller than the others.
                    if part.start == 0:
                        torch.mul(fields[index - 1].field, arriving.field, out=sums[index - 1])
                    else:
                        sums[index - 1][..., :batch, :].addcmul_(fields[index - 1].field, arriving.field)
                if index > last:
                    torch.mul(arriving.field, self.modulations[index - 1], out=hops[index - last - 1][0].inlet)
            if images is not None:
                images[part] = source.release(hops[0][1].field).conj()
        return images, [
            plane.release(total.sum(3, keepdim=True))[0].conj_physical() if wanted[index] else None
            for index, (total, plane) in enumerate(zip(sums, self.planes, strict=False), start=1)
        ]

    def _parts(self) -> Iterator[slice]:
        return (slice(start, min(start + self.step, self.batch)) for start in range(0, self.batch, self.step))

    def _lay(self, flat: Tensor, batch: int) -> list[Held]:
        parts = flat.split([batch * n for n in self.numbers])
        return [plane.lay(part, batch) for plane, part in zip(self.planes, parts, strict=True)]

    def _buffers(self) -> tuple[Tensor, Tensor]:
        flat = self._borrow(3, self.step * self.scratch)
        return flat[:2], flat[2]

    def _borrow(self, *sizes: int) -> Tensor:
        return borrow(sizes, self.dtype, self.device)
