"""Stacks with beam splitters: segments between those of skips, and one walk to those before several detectors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import cast

from torch import Tensor, nn

from voltphase.core.dtypes import exact_linear, uncompiled, with_standard_torch
from voltphase.optics.backends.base import Executor, Options
from voltphase.optics.backends.reference import summed
from voltphase.optics.backends.select import AUTO, Selected, compiled, select
from voltphase.optics.kernels.kernel import Kernel
from voltphase.optics.kernels.map_choice import cheapest
from voltphase.optics.skips import BranchedStack, Splitters
from voltphase.optics.stack import Stack

_ONE_GAP = "what is before several detectors is one gap, a single product"


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


class ForkedExecutor(Executor):
    """Stacks that are alike up to their last gaps, with one walk to the last modulated plane.

    Args:
        stacks: The stacks.
        options: Precision and engine.
        name: Name of a back end, or ``"auto"``.

    Attributes:
        selected: Back end of the walk, and why it is that one.
        engines: What applies the kernels of the first stack, and then those of the other last gaps.
    """

    @with_standard_torch
    def __init__(self, stacks: Sequence[Stack | BranchedStack], options: Options, name: str) -> None:
        first, (*gaps, _) = stacks[0], plain(stacks[0]).gaps
        super().__init__(plain(first), options)
        if len(gaps) > 1:
            way = Stack(tuple(gaps))
            self.selected, self.trunk = made_ready(
                way if isinstance(first, Stack) else replace(first, stack=way), options, name
            )
        else:
            self.selected = select(plain(first), options, "reference")._replace(reason=_ONE_GAP)
            self.trunk = Crossing(gaps[0], options)
        ends = [Crossing(plain(stack).gaps[-1], options) for stack in stacks]
        self.ends = nn.ModuleList(ends)
        (last, *others), through = [way for end in ends for way in end.engines], self.trunk.engines
        self.engines = (*through[: len(gaps)], last, *through[len(gaps) :], *others)

    @uncompiled
    def fields(self, images: Tensor, modulations: Sequence[Tensor]) -> list[Tensor]:
        """Return the field on the detector of each stack; for the arguments see :meth:`Executor.forward`."""
        images, (*before, last) = self._checked(images, modulations)
        field = last * self.trunk(images, before)
        return [end(field) for end in self.ends]

    def _field(self, images: Tensor, modulations: tuple[Tensor, ...]) -> Tensor:
        return self.fields(images, modulations)[0]

    def _sums(
        self, images: Tensor, modulations: tuple[Tensor, ...], masks: tuple[Tensor, Tensor], *, amplitude: bool
    ) -> Tensor:
        return summed(self._field(images, modulations), masks, amplitude=amplitude)


def plain(stack: Stack | BranchedStack) -> Stack:
    """Return a stack without the ways past its planes."""
    return stack if isinstance(stack, Stack) else stack.stack


def made_ready(
    stack: Stack | BranchedStack,
    options: Options,
    name: str = AUTO,
    others: Sequence[Stack | BranchedStack] = (),
) -> tuple[Selected, Executor]:
    """Return the back end for a stack, and what runs it, whether or not there are skips; see :func:`compiled`.

    Args:
        stack: The stack.
        options: Precision and engine.
        name: Name of a back end, or ``"auto"``.
        others: Stacks that differ from it in their last gap alone, to be run with it by a :class:`ForkedExecutor`.
    """
    if others:
        executor = ForkedExecutor([stack, *others], options, name)
    elif isinstance(stack, Stack):
        return compiled(stack, options, name)
    else:
        executor = ComposedExecutor(stack, options, name)
    return executor.selected, executor
