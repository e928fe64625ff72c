"""A stack with skip connections, as segments between its beam splitters that a back end runs as it runs any stack."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import cast

from torch import Tensor, nn

from voltphase.core.dtypes import exact_linear, with_standard_torch
from voltphase.optics.backends.base import Executor, Options
from voltphase.optics.backends.reference import summed
from voltphase.optics.backends.select import AUTO, Selected, compiled, select
from voltphase.optics.kernels.kernel import Kernel
from voltphase.optics.kernels.map_choice import cheapest
from voltphase.optics.skips import BranchedStack, Splitters
from voltphase.optics.stack import Stack


class Crossing(nn.Module):
    """A gap by itself, with gradients for the field."""

    def __init__(self, kernels: tuple[Kernel, ...], options: Options) -> None:
        super().__init__()
        way = cheapest(kernels, options.engine)
        self.engines, self.dtype, self.map = (way.name,), options.dtype, way.build(options.dtype)

    def forward(self, field: Tensor, modulations: Sequence[Tensor] = ()) -> Tensor:
        """Return the field on the next plane; there is nothing to modulate on the way."""
        return exact_linear(self.map, self.map.adjoint, field.to(self.dtype))


class ComposedExecutor(Executor):
    """Segments of a stack one after the other, and the ways past them.

    A segment lies between two planes at which a splitter stands. Planes with a splitter are modulated here, those in
    a segment by the back end that runs it.
    """

    @with_standard_torch
    def __init__(self, branched: BranchedStack, options: Options, name: str) -> None:
        super().__init__(branched.stack, options)
        gaps, self.skips = branched.stack.gaps, branched.skips
        ends = {end for skip in self.skips for end in (skip.start, skip.end)}
        self.cuts = sorted({0, len(gaps), *ends})
        found: list[Selected] = []

        def segment(kernels: tuple[tuple[Kernel, ...], ...]) -> nn.Module:
            if len(kernels) == 1:
                return Crossing(kernels[0], options)
            selected, executor = compiled(Stack(kernels), options, name)
            found.append(selected)
            return executor

        self.segments = nn.ModuleList(segment(gaps[start:end]) for start, end in pairwise(self.cuts))
        self.past = nn.ModuleList(Crossing(kernels, options) for kernels in branched.past)
        # Of a stack that has splitters at each plane, no segment is of any back end but the reference's maps.
        self.selected = found[0] if found else select(branched.stack, options, "reference")
        runs = cast("list[Executor]", [*self.segments, *self.past])
        self.engines = tuple(engine for one in runs for engine in one.engines)

    def _until_last(self, images: Tensor, modulations: tuple[Tensor, ...]) -> tuple[Tensor, Splitters]:
        """Return the field that goes into the last segment, and the splitters with what is under way past it."""
        splitters = Splitters(self.skips, list(self.past))
        field = splitters.behind(0, images)
        for (start, end), segment in zip(pairwise(self.cuts[:-1]), self.segments, strict=False):
            arrived = splitters.before(end, segment(field, modulations[start : end - 1]))
            field = splitters.behind(end, modulations[end - 1] * arrived)
        return field, splitters

    def _field(self, images: Tensor, modulations: tuple[Tensor, ...]) -> Tensor:
        field, splitters = self._until_last(images, modulations)
        last = self.segments[-1](field, modulations[self.cuts[-2] :])
        return splitters.before(self.cuts[-1], last)

    def _sums(
        self, images: Tensor, modulations: tuple[Tensor, ...], masks: tuple[Tensor, Tensor], *, amplitude: bool
    ) -> Tensor:
        last = self.segments[-1]
        if any(skip.end == self.cuts[-1] for skip in self.skips) or not isinstance(last, Executor):
            return summed(self._field(images, modulations), masks, amplitude=amplitude)
        field, _ = self._until_last(images, modulations)
        return last.sums(field, modulations[self.cuts[-2] :], *masks, amplitude=amplitude)


def made_ready(stack: Stack | BranchedStack, options: Options, name: str = AUTO) -> tuple[Selected, Executor]:
    """Return the back end for a stack, and what runs it, whether or not there are skips; see :func:`compiled`."""
    if isinstance(stack, Stack):
        return compiled(stack, options, name)
    executor = ComposedExecutor(stack, options, name)
    return executor.selected, executor
