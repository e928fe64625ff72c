"""The gradients of a batch that is computed in parts: one after another, in several processes, or both.

They are those of the whole batch. Light is linear in nothing here, but a batch's loss is a mean over its images, and so
is its gradient with respect to what the layers do to light. States are drawn once for all parts, and the design's
gradient follows from the sum of the parts' gradients with respect to the modulations, two numbers a pixel whatever the
number of levels: that is all that processes exchange. What is no mean over images (the logarithm of the mean share of
light, the scale that the first batch settles) takes the light of the whole batch before any gradient.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from voltphase.codesign.roughness import roughness
from voltphase.network.donn import DONN
from voltphase.tasks import loss_of
from voltphase.training.evaluation import Tally
from voltphase.training.processes.ranks import Ranks
from voltphase.training.watching.profile import spending_in_step

#: Images and what is wanted of each.
Part = tuple[Tensor, Tensor]


@dataclass(frozen=True)
class Weights:
    """Weights of what is added to a task's loss; see :class:`voltphase.training.steps.Learner`."""

    efficiency: float = 0.0
    roughness: float = 0.0


def split(images: Tensor, targets: Tensor, count: int) -> list[Part]:
    """Return images and targets in at most so many parts, as even as can be, of which none is empty."""
    if len(targets) == 0:
        return []
    count = min(count, len(targets))
    return list(zip(images.tensor_split(count), targets.tensor_split(count), strict=True))


def add_gradients(model: DONN, parts: Sequence[Part], weights: Weights, tally: Tally, ranks: Ranks) -> None:
    """Add the gradients of a batch's mean loss to the parameters' own.

    Args:
        model: Network in training mode. Its layers draw once, in a process without images too.
        parts: This process's images and targets, in parts that are computed one after another.
        weights: Weights of what is added to the task's loss.
        tally: Where loss and metrics of this process's images are summed up.
        ranks: Processes that share the batch.

    Raises:
        VoltphaseError: as :meth:`DONN.forward`, or what another process failed with.
    """
    device = model.layers[0].design.device
    with spending_in_step("forward", device):
        drawn = [layer.modulation() for layer in model.layers]
    held = [modulation.detach().requires_grad_() for modulation in drawn]
    if not model.readout.calibrated:
        _settle(model, parts, held, ranks)
    mean_light = _mean_light(model, parts, held, ranks) if weights.efficiency else None
    added = weights.roughness * torch.stack([roughness(one) for one in drawn]).mean() if weights.roughness else None
    constant = torch.zeros((), device=device) if added is None else added.detach()
    if mean_light is not None:
        constant = constant - weights.efficiency * mean_light.log()
    for images, targets in parts:
        with spending_in_step("forward", device):
            if mean_light is None:
                outputs = model.outputs_of(images, held)
                loss = loss_of(model.task, outputs, targets)
                total = loss * len(targets)
            else:
                outputs, _, light = model.read(images, held)
                loss = loss_of(model.task, outputs, targets)
                # The slope of the logarithm is one over the whole batch's mean; below what counts as light it is 0.
                slope = torch.where(mean_light > torch.finfo(light.dtype).tiny, weights.efficiency / mean_light, 0)
                total = loss * len(targets) - slope * light.sum()
        with spending_in_step("backward", device):
            total.backward()
        tally.add_sums(outputs.detach(), targets, loss.detach() + constant)
    designs = {id(layer.design) for layer in model.layers}
    others = [one for one in model.parameters() if id(one) not in designs and one.requires_grad]
    sums = [_gradient(one) for one in (*held, *others)]
    count = torch.full((), sum(len(targets) for _, targets in parts), dtype=sums[0].real.dtype, device=device)
    with spending_in_step("exchange", device):
        ranks.sum_over([*sums, count])
    means = [one / count.to(one.real.dtype) for one in sums]  # a scale is in single precision in double light, too
    for parameter, mean in zip(others, means[len(held) :], strict=True):
        parameter.grad = mean
    ends = [drawn[number] for number in range(len(drawn)) if drawn[number].requires_grad]
    slopes: list[Tensor | None] = [mean for end, mean in zip(drawn, means, strict=False) if end.requires_grad]
    with spending_in_step("backward", device):
        torch.autograd.backward(
            [*ends, *([] if added is None else [added])], [*slopes, *([] if added is None else [None])]
        )


def _gradient(tensor: Tensor) -> Tensor:
    return torch.zeros_like(tensor) if tensor.grad is None else tensor.grad


@torch.no_grad()
def _settle(model: DONN, parts: Sequence[Part], modulations: Sequence[Tensor], ranks: Ranks) -> None:
    """Let the light of the whole batch settle what the first batch in training settles of the readout."""
    own = [(model.unsettled_by(images), model.measure(images, modulations).cpu()) for images, _ in parts]
    found = [one for each in ranks.gathered(own) for one in each]
    if not all(dark for dark, _ in found):
        model.readout.outputs(torch.cat([measured for _, measured in found]).to(modulations[0].device))


@torch.no_grad()
def _mean_light(model: DONN, parts: Sequence[Part], modulations: Sequence[Tensor], ranks: Ranks) -> Tensor:
    """Return the mean share of light over the whole batch, at least the smallest number; light is sent once more."""
    shares = [model.read(images, modulations).light_share for images, _ in parts]
    light = torch.cat(shares) if shares else modulations[0].real.new_zeros(0)
    total, count = light.sum(), torch.full((), len(light), dtype=light.dtype, device=light.device)
    ranks.sum_over([total, count])
    return (total / count).clamp_min(torch.finfo(light.dtype).tiny)
