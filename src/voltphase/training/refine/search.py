"""A search over levels after training, with the exact loss of the discrete system, that only ever lowers it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from voltphase.codesign import CodesignLayer
from voltphase.core.errors import ConfigError
from voltphase.network.donn import DONN
from voltphase.tasks.base import Loss

# Of all pixels, how many to change at first. With a block of n pixels the loss falls by a part of what the gradient
# alone predicts; where that part is above the one bound the next block grows, where it is below the other it halves.
_FIRST_BLOCK = 0.02
_GROWS_ABOVE, _HALVES_BELOW = 0.5, 0.25
_GROWTH = 1.5
# The way there and back takes about 2.2 times as long as the way there alone.
_GRADIENTS_COST = 2


@dataclass(frozen=True)
class Refinement:
    """What a search over levels achieved.

    Attributes:
        loss_before: Loss of the states it started from.
        loss_after: Loss of the states it ended with; never higher.
        changed: Number of pixels that ended at another level.
        evaluations: Number of passes of the batch through the system; one with gradients counts twice.
        converged: Whether no change of a single pixel to an attainable level lowers the loss any more; otherwise the
            evaluations ran out, or it was interrupted.
    """

    loss_before: float
    loss_after: float
    changed: int
    evaluations: int
    converged: bool


def refine(
    model: DONN,
    images: Tensor,
    labels: Tensor,
    *,
    loss: Loss,
    evaluations: int,
    batch_size: int = 500,
    watch: Callable[[int, float], None] = lambda evaluations, loss: None,
) -> Refinement:
    """Change the levels of a trained network, a block of pixels at a time, wherever that lowers its loss.

    With the gradient ``g`` of the loss with respect to the states ``s`` of all pixels, going to the states ``t`` is
    predicted to change the loss by ``sum(Re(conj(g) (t - s)) + c/2 abs(t - s)**2)``. The curvature ``c`` is the
    largest at which as many pixels as the block holds gain by it, and each of these goes where its term is lowest. The
    block is kept only if the loss of the discrete system, computed anew, has fallen; otherwise half as many pixels
    are tried. Where no block helps, single pixels are tried one by one, every level of each, the most promising
    first. Levels that are not attainable (:meth:`CodesignLayer.attainable`) are left out. Nothing is drawn at random:
    the same call gives the same levels. Interrupted, it ends with the lowest loss so far.

    Args:
        model: The trained network, whose levels the search starts from and replaces. The readout's scale stays.
        images: A ``batch x height x width`` tensor, uint8 or real in 0 to 1.
        labels: The classes of ``images``, an int64 tensor of ``batch``.
        loss: Function of logits and labels that gives their mean loss over the batch.
        evaluations: Largest number of passes of the batch through the system; one with gradients counts twice.
        batch_size: Number of images that go through the system at a time; a matter of memory only.
        watch: Function that is told, after each evaluation, how many there have been and the lowest loss so far.

    Raises:
        ConfigError: if there are too few evaluations, no images, or a layer without levels.
    """
    if evaluations <= _GRADIENTS_COST:
        raise ConfigError(f"expected more than {_GRADIENTS_COST} evaluations to refine with, but got {evaluations}")
    if len(labels) == 0 or len(images) != len(labels):
        raise ConfigError(
            f"expected images to refine with and a label for each, but got {len(images)} and {len(labels)}"
        )
    if not all(layer.relaxation.discrete for layer in model.layers):
        raise ConfigError(
            "expected layers whose pixels have levels to refine, but got one of unconstrained pixels: there is nothing "
            "to choose among"
        )
    training = model.training
    model.eval()
    try:
        device = model.layers[0].design.device
        batches = list(zip(*(given.to(device).split(batch_size) for given in (images, labels)), strict=True))
        return _Search(model, batches, loss, evaluations, watch).run()
    finally:
        model.train(training)


@dataclass(frozen=True, eq=False)
class _Point:
    """Levels of all layers and their loss; and, where asked for, its gradient with respect to each modulation."""

    levels: list[Tensor]
    loss: float
    gradients: list[Tensor] | None


@dataclass(frozen=True, eq=False)
class _Proposal:
    """Levels of all layers to try, how many pixels differ, and the change of the loss that the gradient predicts."""

    levels: list[Tensor]
    size: int
    slope: float


@dataclass(eq=False)
class _Search:
    _model: DONN
    _batches: list[tuple[Tensor, Tensor]]
    _loss: Loss
    _left: int
    _watch: Callable[[int, float], None]
    _spent: int = 0

    def run(self) -> Refinement:
        start = self._measure(self._model.levels(), gradients=True)
        self._watch(self._spent, start.loss)
        best, converged = start, False
        with suppress(KeyboardInterrupt):
            for found in self._descend(start):
                best, converged = found
        for layer, levels in zip(self._model.layers, best.levels, strict=True):
            layer.set_levels(levels)
        changed = sum(int((a != b).sum()) for a, b in zip(start.levels, best.levels, strict=True))
        return Refinement(start.loss, best.loss, changed, self._spent, converged)

    def _descend(self, point: _Point) -> Iterator[tuple[_Point, bool]]:
        """Yield each point of a lower loss; the last one again, with True, if no single pixel lowers it further."""
        block = max(1, round(_FIRST_BLOCK * sum(levels.numel() for levels in point.levels)))
        promising = True
        while True:
            if point.gradients is None:
                if self._left <= _GRADIENTS_COST:
                    return
                point = replace(point, gradients=self._measure(point.levels, gradients=True).gradients)
            for proposal in self._proposals(point, block):
                if self._left == 0:
                    return
                # Where the last proposal was good this one likely is too, and its gradient will be needed next.
                found = self._measure(proposal.levels, gradients=promising and self._left >= _GRADIENTS_COST)
                promising = found.loss < point.loss
                self._watch(self._spent, found.loss if promising else point.loss)
                if promising:
                    block = _next_block(proposal, found.loss - point.loss)
                    point = found
                    yield point, False
                    break
            else:
                yield point, True
                return

    def _measure(self, levels: list[Tensor], *, gradients: bool) -> _Point:
        cost = _GRADIENTS_COST if gradients else 1
        self._spent, self._left = self._spent + cost, self._left - cost
        modulations = [
            _states(layer, chosen).requires_grad_(gradients)
            for layer, chosen in zip(self._model.layers, levels, strict=True)
        ]
        images_in_all = sum(len(labels) for _, labels in self._batches)
        # Read once at the end: a GPU would be waited for after every batch.
        total = torch.zeros((), dtype=torch.float64, device=levels[0].device)
        sums = [torch.zeros_like(modulation) for modulation in modulations]
        for images, labels in self._batches:
            with torch.set_grad_enabled(gradients):
                logits = self._model.readout.outputs(self._model.measure(images, modulations))
                loss = self._loss(logits, labels) * (len(labels) / images_in_all)
            total += loss.detach().double()
            if gradients:
                for gathered, gradient in zip(sums, torch.autograd.grad(loss, modulations), strict=True):
                    gathered += gradient
        return _Point(levels, float(total), sums if gradients else None)

    def _proposals(self, point: _Point, block: int) -> Iterator[_Proposal]:
        """Yield blocks of half the size each time, then single pixels."""
        assert point.gradients is not None
        changes = [_Changes(*layer) for layer in zip(self._model.layers, point.levels, point.gradients, strict=True)]
        paying = torch.cat([layer.paying.flatten() for layer in changes]).sort(descending=True).values
        size = min(block, int((paying > 0).sum()))
        while size > 0:
            moves = [layer.best(float(paying[size - 1])) for layer in changes]
            yield _Proposal([levels for levels, _ in moves], size, sum(slope for _, slope in moves))
            size //= 2
        yield from self._singles(point.levels, [layer.slope for layer in changes])

    def _singles(self, levels: list[Tensor], slopes: list[Tensor]) -> Iterator[_Proposal]:
        # One more than can still be tried, so that running out of them means that there are no others.
        lowest = [layer.flatten().topk(min(self._left + 1, layer.numel()), largest=False) for layer in slopes]
        ordered = sorted(
            (slope, layer, place)
            for layer, (values, indices) in enumerate(lowest)
            for slope, place in zip(values.tolist(), indices.tolist(), strict=True)
            if math.isfinite(slope)
        )
        for slope, layer, place in ordered:
            level, pixel = divmod(place, levels[layer].numel())
            changed = levels[layer].clone()
            changed.view(-1)[pixel] = level
            yield _Proposal([*levels[:layer], changed, *levels[layer + 1 :]], 1, slope)


class _Changes:
    """What becomes of the loss if a pixel of a layer goes to another level, by its second-order model.

    Attributes:
        slope: Change that the gradient alone predicts, ``levels x rows x columns``; infinite where the state stays the
            same or the level is not attainable.
        squared: Squared distance to the other state, infinite likewise.
        paying: Largest curvature at which a pixel still has a change that pays, ``rows x columns``; none pays at zero.
    """

    def __init__(self, layer: CodesignLayer, levels: Tensor, gradient: Tensor) -> None:
        attainable = layer.attainable()
        every_level = torch.arange(len(attainable), device=levels.device)[:, None, None]
        # Several wavelengths are a first axis, and what a level changes at each adds up.
        change = _states(layer, every_level) - _states(layer, levels).unsqueeze(-3)
        slope, squared = (gradient.unsqueeze(-3).conj() * change).real, change.abs().square_()
        if change.ndim > 3:
            slope, squared = slope.sum(0), squared.sum(0)
        barred = (squared == 0) | ~attainable
        self._levels = levels
        self.slope = slope.masked_fill(barred, math.inf)
        self.squared = squared.masked_fill_(barred, math.inf)
        self.paying = (-2 * self.slope).div_(self.squared).nan_to_num_(nan=0.0).amax(0)

    def best(self, curvature: float) -> tuple[Tensor, float]:
        """Return the levels after each pixel to which a change pays went to its best, and the predicted slope."""
        moving = (self.paying >= curvature) & (self.paying > 0)
        chosen = (curvature / 2 * self.squared).add_(self.slope).min(0).indices
        slope = self.slope.gather(0, chosen[None])[0].where(moving, 0.0)
        return torch.where(moving, chosen, self._levels), float(slope.double().sum())


def _states(layer: CodesignLayer, levels: Tensor) -> Tensor:
    return layer.gain * layer.states_at(levels)


def _next_block(proposal: _Proposal, fall: float) -> int:
    part = fall / proposal.slope if proposal.slope < 0 else 0.0
    if part > _GROWS_ABOVE:
        return max(int(_GROWTH * proposal.size), proposal.size + 1)
    return max(1, proposal.size // 2) if part < _HALVES_BELOW else proposal.size
