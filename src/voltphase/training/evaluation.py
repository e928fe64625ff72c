"""How well a task is done: by the deployed states, and by what light sees while a network trains."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from voltphase.data import Images, dataset_of
from voltphase.network.donn import DONN
from voltphase.tasks import Metric, Task, all_outputs


@dataclass(frozen=True, eq=False)
class Evaluation:
    """Outputs for the images of a data set, and what they are worth.

    Attributes:
        task: Task that the network does.
        outputs: Outputs of the readout, one for each image, on the CPU.
        targets: What was wanted of each image, on the CPU.
    """

    task: Task
    outputs: Tensor
    targets: Tensor

    @property
    def predictions(self) -> Tensor:
        """The answers that the outputs stand for: for classification the class of the highest logit."""
        return self.task.predict(self.outputs)

    @property
    def metrics(self) -> dict[str, float]:
        """The value of each of the task's metrics, by its name."""
        return {metric.name: metric.of(self.outputs, self.targets) for metric in self.task.metrics}

    def columns(self, split: str) -> dict[str, float]:
        """Return the value of each metric by the name of its column for ``"train"`` or ``"test"``."""
        return {metric.column(split): metric.of(self.outputs, self.targets) for metric in self.task.metrics}


def evaluate(model: DONN, dataset: Images, batch_size: int = 250) -> Evaluation:
    """Return what the deployed states answer to the images of a data set.

    The network is used in evaluation mode, and left in the mode it was in.

    Args:
        model: Trained network.
        dataset: Images, and what is wanted of each: a data set, or ``(images, targets)``.
        batch_size: Number of images to take at a time; a matter of memory only.
    """
    dataset = dataset_of(dataset)
    return Evaluation(model.task, all_outputs(model, dataset.images, batch_size), dataset.targets.cpu())


class Tally:
    """Means of loss and metrics over the examples of an epoch so far.

    They are summed where the outputs are: reading a number back after every step would make a GPU wait.
    """

    def __init__(self, metrics: Sequence[Metric]) -> None:
        self._metrics = metrics
        self.examples = 0
        self._loss: Tensor | float = 0.0
        self._sums: dict[str, Tensor | float] = {metric.name: 0.0 for metric in metrics}

    def add(self, outputs: Tensor, targets: Tensor, loss: Tensor | float = 0.0) -> None:
        """Add a batch, with its mean loss."""
        self.examples += len(targets)
        self._loss = self._loss + loss * len(targets)
        for metric in self._metrics:
            self._sums[metric.name] = self._sums[metric.name] + metric.of_each(outputs, targets).double().sum()

    @property
    def loss(self) -> float:
        """The mean loss."""
        return float(self._loss) / max(self.examples, 1)

    def columns(self, split: str) -> dict[str, float]:
        """Return the mean of each metric by the name of its column for ``"train"`` or ``"test"``."""
        return {m.column(split): float(self._sums[m.name]) / max(self.examples, 1) for m in self._metrics}
