"""What a step of training does to one network: forward, loss, backward, optimiser, and the tally of what light saw."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, optim

from voltphase.codesign.layer import DrawInputs
from voltphase.codesign.roughness import roughness
from voltphase.config import TrainingConfig
from voltphase.network.donn import DONN
from voltphase.tasks import loss_of
from voltphase.training.evaluation import Tally
from voltphase.training.processes.ranks import ALONE, Ranks
from voltphase.training.steps.parts import Weights, add_gradients, split
from voltphase.training.watching.profile import spending_in_step


class Learner:
    """A network in training, and the places where a recorded step finds what changes from step to step.

    Args:
        model: Network to train, in training mode, where it is to be trained.
        optimizer: Optimiser of the network's parameters, its state restored; see :func:`make_optimizer`. Its learning
            rates may be changed between steps.
        tally: Where loss and metrics are summed up.
        efficiency_weight: Weight in the loss of minus the logarithm of the batch's mean share of light that counts.
        roughness_weight: Weight in the loss of the mean roughness of the layers, as they are drawn in the step.
        accumulate: Parts that a batch is computed in, one after another.
        ranks: Processes that train the network, each with its part of a batch.
    """

    def __init__(
        self,
        model: DONN,
        optimizer: optim.Optimizer,
        tally: Tally,
        *,
        efficiency_weight: float = 0.0,
        roughness_weight: float = 0.0,
        accumulate: int = 1,
        ranks: Ranks = ALONE,
    ) -> None:
        self.model, self.optimizer, self.tally, self.ranks = model, optimizer, tally, ranks
        self._efficiency_weight, self._roughness_weight = efficiency_weight, roughness_weight
        self._accumulate = accumulate
        self._places: dict[int, tuple[Tensor, Tensor]] = {}

    @classmethod
    def of(
        cls, model: DONN, optimizer: optim.Optimizer, tally: Tally, training: TrainingConfig, ranks: Ranks = ALONE
    ) -> Learner:
        """Return a learner with the weights of a configuration."""
        weights = {"efficiency_weight": training.efficiency_weight, "roughness_weight": training.roughness_weight}
        return cls(model, optimizer, tally, accumulate=training.accumulate, ranks=ranks, **weights)

    @property
    def device(self) -> torch.device:
        """Where the network is."""
        return self.model.layers[0].design.device

    @property
    def settled(self) -> bool:
        """Whether the first batches of light have settled all that they settle of the readout."""
        return self.model.readout.calibrated

    def advance(self, images: Tensor, targets: Tensor) -> None:
        """Take a step as it is written."""
        if self._accumulate > 1 or self.ranks.count > 1:
            weights = Weights(self._efficiency_weight, self._roughness_weight)
            parts = split(images, targets, self._accumulate)
            self.optimizer.zero_grad()
            add_gradients(self.model, parts, weights, self.tally, self.ranks)
            self._step()
            return
        with spending_in_step("forward", self.device):
            loss = self._loss(images, targets)
        with spending_in_step("backward", self.device):
            self.optimizer.zero_grad()
            loss.backward()
        self._step()

    def _step(self) -> None:
        with spending_in_step("optimiser", self.device):
            self.optimizer.step()

    def _loss(self, images: Tensor, targets: Tensor) -> Tensor:
        if self._efficiency_weight or self._roughness_weight:
            modulations = [layer.modulation() for layer in self.model.layers]
            outputs, _, light_share = self.model.read(images, modulations)
            loss = loss_of(self.model.task, outputs, targets)
            if self._efficiency_weight:
                faintest = torch.finfo(light_share.dtype).tiny
                loss = loss - self._efficiency_weight * light_share.mean().clamp_min(faintest).log()
            if self._roughness_weight:
                rough = torch.stack([roughness(modulation) for modulation in modulations]).mean()
                loss = loss + self._roughness_weight * rough
        else:
            outputs = self.model(images)
            loss = loss_of(self.model.task, outputs, targets)
        self.tally.add_sums(outputs.detach(), targets, loss.detach())
        return loss

    def numbers(self, temperature: float) -> list[float]:
        """Return the numbers that a step takes: the temperature and the learning rates."""
        return [temperature, *(group["lr"] for group in self.optimizer.param_groups)]

    def make_places(self, numbers: Tensor) -> None:
        """Take the place of the numbers, a double-precision tensor, and new generators for the draws."""
        self._numbers = numbers
        self.generators = [torch.Generator(layer.design.device) for layer in self.model.layers]

    def place(self, images: Tensor, targets: Tensor) -> None:
        """Put a batch where :meth:`advance_placed` finds it."""
        size = len(targets)
        if size not in self._places:
            self._places[size] = torch.empty_like(images), torch.empty_like(targets)
        for place, content in zip(self._places[size], (images, targets), strict=True):
            place.copy_(content)

    def seed(self, drawing: Sequence[bool] | None) -> None:
        """Count the draws of a step and seed their generators; those of layers that draw nothing need no seed."""
        for number, (layer, generator) in enumerate(zip(self.model.layers, self.generators, strict=True)):
            if drawing is None or drawing[number]:
                generator.manual_seed(layer.next_draw())
            else:
                layer.count_draw()

    def advance_placed(self, size: int, *, recording: bool = False) -> None:
        """Take a step that reads all that may change from its place, with the batch of this size."""
        with self._inputs_in_place(recording):
            self.advance(*self._places[size])

    @contextmanager
    def _inputs_in_place(self, recording: bool) -> Iterator[None]:
        groups = self.optimizer.param_groups
        before = [(group["lr"], group["capturable"]) for group in groups]
        temperature, rates = self._numbers[0].to(self.model.layers[0].design.dtype), self._numbers[1:].float()
        try:
            for layer, generator in zip(self.model.layers, self.generators, strict=True):
                layer.draw_inputs = DrawInputs(temperature, generator)
            for group, rate in zip(groups, rates.unbind(), strict=True):
                group["lr"], group["capturable"] = rate, recording
            yield
        finally:
            for layer in self.model.layers:
                layer.draw_inputs = None
            for group, (rate, capturable) in zip(groups, before, strict=True):
                group["lr"], group["capturable"] = rate, capturable
