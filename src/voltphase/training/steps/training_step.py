"""A step of training: forward, loss, backward, optimiser, and the tally of what light saw."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor, optim

from voltphase.codesign.layer import DrawInputs
from voltphase.core.advice import advise
from voltphase.core.errors import VoltphaseWarning
from voltphase.network.donn import DONN
from voltphase.tasks import loss_of
from voltphase.training.evaluation import Tally
from voltphase.training.steps.graphs import CudaGraphs, Graphs

#: Steps of a batch size that run as they are written before one is recorded: they make what is made when it is first
#: needed (the optimiser's state, plans, compiled kernels), and the last of them tells what makes the host wait.
WARM_UP: Final = 3


class StepWarning(VoltphaseWarning):
    """A step that cannot be recorded as a CUDA graph, and so runs kernel by kernel."""


@dataclass(eq=False)
class _Batch:
    """The place of a batch that recorded kernels read, and what replays them once they are recorded."""

    images: Tensor
    targets: Tensor
    steps: int = 0
    replay: Callable[[], None] | None = None


class TrainingStep:
    """Trains a network by a batch at each call, and adds what light saw to a tally.

    On a CPU the step runs as it is written. On a CUDA GPU all of it (draws, forward, backward, optimiser, tally) is
    recorded as one CUDA graph for each size of batch, after :data:`WARM_UP` steps that ran as they are written; these
    are steps of the training as any other, so that there is nothing to undo. What changes from step to step lies in
    tensors and generators that a replay reads: the batch, the temperature, the learning rates, the seeds of the draws.
    So the results do not depend on which steps were replayed. Where something in the step waits for the GPU, as a task
    of one's own may, nothing is recorded, and a :class:`StepWarning` says what waits.

    Args:
        model: Network to train, in training mode, where it is to be trained.
        optimizer: Optimiser of the network's parameters, its state restored; see :func:`make_optimizer`. Its learning
            rates may be changed between steps.
        tally: Where loss and metrics are summed up.
        graphs: What records the step; by default that of the device, a CUDA GPU's or none.

    Attributes:
        obstacle: Why the step is not recorded, or None.
    """

    def __init__(self, model: DONN, optimizer: optim.Optimizer, tally: Tally, *, graphs: Graphs | None = None) -> None:
        self.model, self.optimizer, self.tally = model, optimizer, tally
        design = model.layers[0].design
        if graphs is None and design.device.type == "cuda":
            graphs = CudaGraphs(design.device)
        self._graphs = graphs
        self.obstacle: str | None = None
        self._batches: dict[int, _Batch] = {}
        if graphs is not None:
            self._temperature = design.new_empty(())
            self._rates = [design.new_empty((), dtype=torch.float32) for _ in optimizer.param_groups]
            self._new_generators()

    @property
    def recorded(self) -> bool:
        """Whether a step has been recorded, and is replayed from now on."""
        return any(batch.replay is not None for batch in self._batches.values())

    def __call__(self, images: Tensor, targets: Tensor, temperature: float) -> None:
        """Take one step.

        Args:
            images: A ``batch x height x width`` tensor where the network is, uint8 or real in 0 to 1.
            targets: What is wanted of each image.
            temperature: Temperature of the relaxations.
        """
        self.model.set_temperature(temperature)
        if self._graphs is None:
            self._advance(images, targets)
        else:
            with self._graphs.running():
                self._through_buffers(self._graphs, images, targets, temperature)
        self.tally.examples += len(targets)

    def _advance(self, images: Tensor, targets: Tensor) -> None:
        outputs = self.model(images)
        loss = loss_of(self.model.task, outputs, targets)
        self.tally.add_sums(outputs.detach(), targets, loss.detach())
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()

    def _through_buffers(self, graphs: Graphs, images: Tensor, targets: Tensor, temperature: float) -> None:
        batch = self._batches.get(len(targets))
        if batch is None:
            batch = self._batches[len(targets)] = _Batch(torch.empty_like(images), torch.empty_like(targets))
        batch.images.copy_(images)
        batch.targets.copy_(targets)
        self._temperature.fill_(temperature)
        for rate, group in zip(self._rates, self.optimizer.param_groups, strict=True):
            rate.fill_(group["lr"])
        for layer, inputs in zip(self.model.layers, self._inputs, strict=True):
            inputs.generator.manual_seed(layer.next_draw())
        if batch.replay is None and self.obstacle is None and batch.steps == WARM_UP:
            self._record(graphs, batch)
        if batch.replay is not None:
            batch.replay()
            return
        # The first batches of light may still settle something of the readout, by what they measure.
        settled = self.model.readout.calibrated
        batch.steps += settled
        if settled and self.obstacle is None and batch.steps == WARM_UP:
            self._note_obstacle(graphs.waiting(lambda: self._run(batch)))
        else:
            self._run(batch)

    def _run(self, batch: _Batch, *, recording: bool = False) -> None:
        with self._inputs_in_place(recording):
            self._advance(batch.images, batch.targets)

    def _record(self, graphs: Graphs, batch: _Batch) -> None:
        try:
            batch.replay = graphs.record(
                lambda: self._run(batch, recording=True), [inputs.generator for inputs in self._inputs]
            )
        except RuntimeError as error:
            self._note_obstacle(" ".join(str(error).split("\n")[0].split()) or type(error).__name__)
            # Those that took part in a recording that failed may refuse to draw outside it.
            seeds = [inputs.generator.initial_seed() for inputs in self._inputs]
            self._new_generators()
            for inputs, seed in zip(self._inputs, seeds, strict=True):
                inputs.generator.manual_seed(seed)

    def _note_obstacle(self, obstacle: str | None) -> None:
        self.obstacle = obstacle
        if obstacle is not None:
            advise(
                f"a step of training runs kernel by kernel, slower than recorded as a CUDA graph, because {obstacle}",
                StepWarning,
            )

    def _new_generators(self) -> None:
        self._inputs = [
            DrawInputs(self._temperature, torch.Generator(layer.design.device)) for layer in self.model.layers
        ]

    @contextmanager
    def _inputs_in_place(self, recording: bool) -> Iterator[None]:
        groups = self.optimizer.param_groups
        before = [(group["lr"], group["capturable"]) for group in groups]
        try:
            for layer, inputs in zip(self.model.layers, self._inputs, strict=True):
                layer.draw_inputs = inputs
            for group, rate in zip(groups, self._rates, strict=True):
                group["lr"], group["capturable"] = rate, recording
            yield
        finally:
            for layer in self.model.layers:
                layer.draw_inputs = None
            for group, (rate, capturable) in zip(groups, before, strict=True):
                group["lr"], group["capturable"] = rate, capturable
