"""A step of training, of one network or of several at once: as it is written, or recorded and replayed."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor

from voltphase.core.advice import advise
from voltphase.core.errors import VoltphaseError, VoltphaseWarning
from voltphase.training.steps.graphs import Graphs, graphs_of
from voltphase.training.steps.learner import Learner

#: Steps of a batch size that run as they are written before one is recorded: they make what is made when it is first
#: needed (the optimiser's state, plans, compiled kernels), and the last of them tells what makes the host wait.
WARM_UP: Final = 3
#: Images, what is wanted of each, and the temperature of the relaxations.
Batch = tuple[Tensor, Tensor, float]


class StepWarning(VoltphaseWarning):
    """A step that cannot be recorded as a CUDA graph, and so runs kernel by kernel."""


@dataclass(eq=False)
class _Recorded:
    """Steps of batches of some sizes: how many there were, and what replays one once it is recorded."""

    steps: int = 0
    replay: Callable[[], None] | None = None
    drawing: list[list[bool]] | None = None  # of each network's layers, whether a replay draws for them


class TrainingStep:
    """Trains networks by a batch each at each call, and adds what light saw to their tallies.

    On a CPU the step runs as it is written. On a CUDA GPU all of it (draws, forward, backward, optimiser, tally) is
    recorded as one CUDA graph for each size of batch, after :data:`WARM_UP` steps that ran as they are written; these
    are steps of the training as any other, so that there is nothing to undo. What changes from step to step lies in
    tensors and generators that a replay reads: the batch, the temperature, the learning rates, the seeds of the draws.
    So the results do not depend on which steps were replayed. Where something in the step waits for the GPU, as a task
    of one's own may, nothing is recorded, and a :class:`StepWarning` says what waits.

    Nor is a step recorded that several processes share, whose sums over the processes are made between its parts.

    Several networks are trained by one graph in which each has a branch of its own. They share no tensor that is
    written, and each branch launches the kernels that the network would have alone, so that each comes to the bits that
    it would come to alone, while the GPU runs the branches side by side.

    Args:
        learners: The networks, on one device.
        graphs: What records the step; by default that of the device, a CUDA GPU's or none.

    Attributes:
        obstacle: Why the step is not recorded, or None.
        failures: By their numbers, which of several networks could not take the step, and why; the others took it.
    """

    def __init__(self, learners: Sequence[Learner], *, graphs: Graphs | None = None) -> None:
        self.learners = tuple(learners)
        device = self.learners[0].device
        self._graphs = graphs_of(device) if graphs is None else graphs
        self.obstacle: str | None = None
        if self._graphs is not None and self.learners[0].ranks.count > 1:
            self._graphs = None
            self._note_obstacle("several processes share it")
        self.failures: dict[int, VoltphaseError] = {}
        self._recorded: dict[tuple[int, ...], _Recorded] = {}
        if self._graphs is not None:
            self._counts = [len(learner.numbers(1.0)) for learner in self.learners]
            self._numbers = torch.empty(sum(self._counts), dtype=torch.float64, device=device)
            self._make_places()

    @property
    def recorded(self) -> bool:
        """Whether a step has been recorded, and is replayed from now on."""
        return any(recorded.replay is not None for recorded in self._recorded.values())

    def __call__(self, batches: Sequence[Batch]) -> None:
        """Take one step.

        Args:
            batches: For each network its batch: a ``batch x height x width`` tensor where the network is, uint8 or real
                in 0 to 1; what is wanted of each image; and the temperature of the relaxations.

        Raises:
            VoltphaseError: if a network that is trained alone cannot take it.
        """
        if self._graphs is None:
            for number, (learner, (images, targets, temperature)) in enumerate(
                zip(self.learners, batches, strict=True)
            ):
                learner.model.set_temperature(temperature)
                self._attempt(number, functools.partial(learner.advance, images, targets))
        else:
            with self._graphs.running():
                self._through_places(self._graphs, batches)
        for learner, (_, targets, _) in zip(self.learners, batches, strict=True):
            learner.tally.examples += len(targets)

    def _through_places(self, graphs: Graphs, batches: Sequence[Batch]) -> None:
        sizes = tuple(len(targets) for _, targets, _ in batches)
        recorded = self._recorded.setdefault(sizes, _Recorded())
        numbers: list[float] = []
        for number, (learner, (images, targets, temperature)) in enumerate(zip(self.learners, batches, strict=True)):
            learner.place(images, targets)
            learner.seed(None if recorded.drawing is None else recorded.drawing[number])
            numbers += learner.numbers(temperature)
        # From pinned memory, which PyTorch does not use again before it has been read: the host does not wait.
        pinned = torch.tensor(numbers, dtype=torch.float64, pin_memory=self._numbers.is_cuda)
        self._numbers.copy_(pinned, non_blocking=True)
        if recorded.replay is None and self.obstacle is None and recorded.steps == WARM_UP:
            self._record(graphs, recorded, sizes)
        if recorded.replay is not None:
            self._replay(recorded, recorded.replay)
            return
        for learner, (_, _, temperature) in zip(self.learners, batches, strict=True):
            learner.model.set_temperature(temperature)
        settled = all(learner.settled for learner in self.learners)
        recorded.steps += settled
        if settled and self.obstacle is None and recorded.steps == WARM_UP:
            self._note_obstacle(graphs.waiting(lambda: self._run(graphs, sizes)))
        else:
            self._run(graphs, sizes)

    def _run(self, graphs: Graphs, sizes: tuple[int, ...], *, recording: bool = False) -> None:
        runs = [
            functools.partial(learner.advance_placed, size, recording=recording)
            for learner, size in zip(self.learners, sizes, strict=True)
        ]
        graphs.side_by_side([functools.partial(self._attempt, *one) for one in enumerate(runs)])

    def _attempt(self, number: int, run: Callable[[], None]) -> None:
        try:
            run()
        except VoltphaseError as error:
            if len(self.learners) == 1:
                raise
            self.failures[number] = error

    def _replay(self, recorded: _Recorded, replay: Callable[[], None]) -> None:
        if recorded.drawing is not None:
            replay()
            return
        # The first replay shows which generators it draws with: a seed takes the host longer than all else.
        before = self._generator_states()
        replay()
        after = self._generator_states()
        recorded.drawing = [
            [not torch.equal(*states) for states in zip(*of_learner, strict=True)]
            for of_learner in zip(before, after, strict=True)
        ]

    def _generator_states(self) -> list[list[Tensor]]:
        return [[generator.get_state() for generator in learner.generators] for learner in self.learners]

    def _record(self, graphs: Graphs, recorded: _Recorded, sizes: tuple[int, ...]) -> None:
        generators = [generator for learner in self.learners for generator in learner.generators]
        try:
            recorded.replay = graphs.record(lambda: self._run(graphs, sizes, recording=True), generators)
        except RuntimeError as error:
            self._note_obstacle(" ".join(str(error).split("\n")[0].split()) or type(error).__name__)
            # Those that took part in a recording that failed may refuse to draw outside it.
            seeds = [generator.initial_seed() for generator in generators]
            self._make_places()
            fresh = (generator for learner in self.learners for generator in learner.generators)
            for generator, seed in zip(fresh, seeds, strict=True):
                generator.manual_seed(seed)

    def _note_obstacle(self, obstacle: str | None) -> None:
        self.obstacle = obstacle
        if obstacle is not None:
            advise(
                f"a step of training runs kernel by kernel, slower than recorded as a CUDA graph, because {obstacle}",
                StepWarning,
            )

    def _make_places(self) -> None:
        for learner, numbers in zip(self.learners, self._numbers.split(self._counts), strict=True):
            learner.make_places(numbers)
