"""A batch of fields through a row of planes and back, in micro-batches that stay in the caches."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial

import torch
from torch import Tensor

from voltphase.core.buffers import borrow
from voltphase.optics.backends.base import checkpoint_stride
from voltphase.optics.backends.cpu.packed_map import PackedMap, Step

# The way back to a modulated plane: the steps that bring the gradient there, the gradient, the plane's modulation, and
# where to write the gradient so that it goes on to the plane before, or None if nothing there is wanted.
_Return = tuple[list[Step], Tensor, Tensor, Tensor | None]


class MicroBatches:
    """Forward and backward through ``maps``, with a packed modulation before every map but the first.

    Gradients travel as their conjugates: then the adjoint of a kernel is its transpose, which ``transposes`` hold,
    that of a modulation is the modulation, and nothing is conjugated on the way.

    With ``checkpointed`` the fields of one plane of ``stride`` are kept, and the others are computed again.
    """

    def __init__(
        self,
        maps: Sequence[PackedMap],
        transposes: Sequence[PackedMap],
        modulations: Sequence[Tensor],
        batch: int,
        *,
        checkpointed: bool = False,
    ) -> None:
        self.maps, self.transposes, self.modulations, self.batch = maps, transposes, modulations, batch
        self.layouts = [each.target for each in maps]
        self.dtype, self.device = modulations[0].dtype, modulations[0].device
        self.scratch = max(each.scratch for each in (*maps, *transposes))
        limit = min(each.micro_batch for each in maps)
        pieces = max(1, round(batch * self.scratch / limit))
        # The last one may be smaller.
        self.step = -(-batch // pieces)
        self.stride = checkpoint_stride(len(maps), pieces) if checkpointed else 1
        # Of planes that are not kept, the detector is always one.
        last = len(maps) - (self.stride > 1)
        self.kept = [index for index in range(last) if (index + 1) % self.stride == 0]

    def forward(self, images: Tensor, kept: list[Tensor] | None) -> Iterator[tuple[slice, Tensor, Tensor]]:
        """Yield the packed detector field of each micro-batch and a free buffer, valid until the next one.

        Args:
            images: Fields, or amplitudes, to start from, ``batch x rows x columns``.
            kept: Where to append the fields that are kept of those before each modulation and on the detector, one
                tensor for each micro-batch; None to keep none.
        """
        work, third = self._buffers()
        for part in self._parts():
            batch = part.stop - part.start
            if kept is not None:
                kept.append(self._borrow(batch * sum(self.layouts[index].numel for index in self.kept)))
            fields = self._fields(batch, kept[-1] if kept else None, third[None])
            self._walk(images[part], fields, work, range(len(fields)))
            yield part, fields[-1], work[0]

    def backward(
        self,
        images: Tensor | None,
        kept: Sequence[Tensor],
        seed: Callable[[slice, Tensor, Tensor], None],
        wanted: Sequence[bool],
    ) -> tuple[Tensor | None, list[Tensor | None]]:
        """Return the gradients of the images, complex, and of each packed modulation.

        Args:
            images: What :meth:`forward` started from; None where fields of all planes were kept.
            kept: What :meth:`forward` kept.
            seed: Called with a micro-batch, its packed detector field, and where to write the conjugate of that
                field's gradient, packed.
            wanted: Whether the gradient is wanted of the images, and of each modulation.
        """
        slopes = self._borrow(self.batch, *self.maps[0].source.shape) if wanted[0] else None
        totals = [
            self._borrow(*layout.sizes(self.step)) if of_plane else None
            for layout, of_plane in zip(self.layouts, wanted[1:], strict=False)
        ]
        work, third = self._buffers()
        largest = max(layout.numel for layout in self.layouts)
        again = self._borrow(self.stride, self.step * largest) if self.stride > 1 else third[None]
        ways: dict[int, list[_Return]] = {}
        for part, flat in zip(self._parts(), kept, strict=True):
            batch = part.stop - part.start
            if batch not in ways:
                ways[batch] = self._ways_back(work, third, batch, wanted)
            fields = self._fields(batch, flat, again)
            if images is not None:
                start = self.kept[-1] + 1 if self.kept else 0
                self._walk(images[part], fields, work, range(start, len(fields)))
            seed(part, fields[-1], self.transposes[-1].inlet(work, batch))
            for index, total in reversed(list(enumerate(totals))):
                steps, arrived, modulation, onward = ways[batch][index]
                field = fields[index]
                for step in steps:
                    step()
                if images is not None and index in self.kept:
                    # The gradient is outside of the workspace now.
                    self._walk(images[part], fields, work, range(index + 1 - self.stride, index))
                if total is not None and part.start == 0:  # no micro-batch is larger than the first
                    torch.mul(field, arrived, out=total)
                elif total is not None:
                    total[..., :batch, :].addcmul_(field, arrived)
                if onward is None:
                    break
                torch.mul(arrived, modulation, out=onward)
            if slopes is not None:
                source = self.maps[0].source
                arrived = source.view(third, batch)
                for step in self.transposes[0].steps(work, arrived):
                    step()
                slopes[part] = source.unpack(arrived).conj()
        return slopes, [
            None if total is None else layout.unpack(total.sum(3, keepdim=True))[0].conj_physical()
            for total, layout in zip(totals, self.layouts, strict=False)
        ]

    def _walk(self, images: Tensor, fields: Sequence[Tensor], work: Tensor, planes: range) -> None:
        """Take a micro-batch to some planes in a row, from the images or the fields on the plane before."""
        batch, steps = len(images), []
        for index in planes:
            inlet = self.maps[index].inlet(work, batch)
            if index == 0:
                steps.append(partial(inlet.copy_, self.maps[0].source.pack(images)))
            else:
                steps.append(partial(torch.mul, fields[index - 1], self.modulations[index - 1], out=inlet))
            steps += self.maps[index].steps(work, fields[index])
        for step in steps:
            step()

    def _ways_back(self, work: Tensor, third: Tensor, batch: int, wanted: Sequence[bool]) -> list[_Return]:
        ways = []
        for index, modulation in enumerate(self.modulations):
            arrived = self.layouts[index].view(third, batch)
            steps = self.transposes[index + 1].steps(work, arrived)
            # Nothing before the first thing wanted needs light.
            onward = self.transposes[index].inlet(work, batch) if any(wanted[: index + 1]) else None
            ways.append((steps, arrived, modulation, onward))
        return ways

    def _parts(self) -> Iterator[slice]:
        return (slice(start, min(start + self.step, self.batch)) for start in range(0, self.batch, max(self.step, 1)))

    def _fields(self, batch: int, kept: Tensor | None, spare: Tensor) -> list[Tensor]:
        """Return the field on each plane: in what is kept, if it is one of those, else in one of spare flat tensors."""
        places = {}
        if kept is not None:
            parts = kept.split([batch * self.layouts[index].numel for index in self.kept])
            places = dict(zip(self.kept, parts, strict=True))
        return [
            layout.view(places[index] if index in places else spare[index % len(spare)], batch)
            for index, layout in enumerate(self.layouts)
        ]

    def _buffers(self) -> tuple[Tensor, Tensor]:
        flat = self._borrow(3, self.step * self.scratch)
        return flat[:2], flat[2]

    def _borrow(self, *sizes: int) -> Tensor:
        return borrow(sizes, self.dtype, self.device)
