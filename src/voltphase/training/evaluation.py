"""How well a task is done: by the deployed states, and by what light sees while a network trains."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor

from voltphase.core import checks
from voltphase.data import ImageDataset, Images, dataset_of
from voltphase.network.donn import DONN
from voltphase.tasks import Metric, Task
from voltphase.tasks.base import naming, require_values
from voltphase.training.processes.ranks import ALONE, Ranks
from voltphase.training.watching.profile import spending


@dataclass(frozen=True, eq=False)
class Evaluation:
    """Outputs for the images of a data set, and what they are worth.

    Attributes:
        task: Task that the network does.
        outputs: Outputs of the readout, one for each image, on the CPU.
        targets: What was wanted of each image, on the CPU.
        light_share: Part of each image's light that arrives where the readout counts it, where that was looked at.
        margin: How far each image's brightest answer is ahead of the second, where the task has such a figure.
    """

    task: Task
    outputs: Tensor
    targets: Tensor
    light_share: Tensor | None = None
    margin: Tensor | None = None

    @property
    def predictions(self) -> Tensor:
        """The answers that the outputs stand for: for classification the class of the highest logit."""
        return self.task.predict(self.outputs)

    @property
    def metrics(self) -> dict[str, float]:
        """The value of each of the task's metrics, by its name."""
        with naming(self.task):
            return {metric.name: metric.of(self.outputs, self.targets) for metric in self.task.metrics}

    def columns(self, split: str) -> dict[str, float]:
        """Return the value of each metric by the name of its column for ``"train"`` or ``"test"``."""
        return {f"{split}_{name}": value for name, value in self.metrics.items()}

    def light(self, split: str) -> dict[str, float]:
        """Return means over the images: the share of light that counts, and the contrast margin where there is one."""
        figures = {"light_share": self.light_share, "contrast_margin": self.margin}
        return {f"{split}_{name}": float(of.double().mean()) for name, of in figures.items() if of is not None}


def evaluate(model: DONN, dataset: Images, batch_size: int = 250) -> Evaluation:
    """Return what the deployed states answer to the images of a data set.

    The network is used in evaluation mode, and left in the mode it was in.

    Args:
        model: Trained network.
        dataset: Images, and what is wanted of each: a data set, or ``(images, targets)``.
        batch_size: Number of images to take at a time; a matter of memory only.
    """
    dataset = dataset_of(dataset)
    outputs, light, margins = [], [], []
    with _deployed(model) as modulations:
        for part in dataset.images.split(checks.whole(batch_size, "a batch size", least=1)):
            read = model.read(part.to(modulations[0].device), modulations)
            outputs.append(read.outputs.cpu())
            light.append(read.light_share.cpu())
            margins.append(model.task.contrast_margin(read.measured))
    margin = None if margins[0] is None else torch.cat(margins).cpu()
    return Evaluation(model.task, torch.cat(outputs), dataset.targets.cpu(), torch.cat(light), margin)


def final_figures(
    model: DONN, datasets: Mapping[str, ImageDataset], batch_size: int, ranks: Ranks = ALONE
) -> tuple[dict[str, float], dict[str, float]]:
    """Return the metrics on each split by the names of their columns, and what light does with the test images.

    Args:
        model: Trained network.
        datasets: All images of each split.
        batch_size: Number of images to take at a time.
        ranks: Processes that share the images.

    Raises:
        TrainingError: if a metric has a value that cannot be kept.
    """
    metrics, light = {}, {}
    for split in sorted(datasets):
        with spending("evaluation"):
            columns, means = _shared_figures(model, datasets[split], split, batch_size, ranks)
        require_values(model.task, columns, split)
        metrics |= columns
        light |= means if split == "test" else {}
    return metrics, light


def _shared_figures(
    model: DONN, dataset: ImageDataset, split: str, batch_size: int, ranks: Ranks
) -> tuple[dict[str, float], dict[str, float]]:
    """Return the metrics and what light does, of images that several processes share."""
    if ranks.count == 1:
        found = evaluate(model, dataset, batch_size)
        return found.columns(split), found.light(split)
    tally, part = Tally(model.task.metrics, model.task), ranks.part(len(dataset))
    own: tuple[int, dict[str, float]] = (0, {})
    if part.start < part.stop:
        found = evaluate(model, dataset.select(part), batch_size)
        tally.add(found.outputs, found.targets)
        own = (len(found.targets), found.light(split))
    parts = ranks.gathered(own)
    means = {name: sum(count * light[name] for count, light in parts if light) / len(dataset) for name in parts[0][1]}
    return tally.of_all(ranks).columns(split), means


def tally_of(model: DONN, batches: Iterable[tuple[Tensor, Tensor]], ranks: Ranks = ALONE) -> Tally:
    """Return the means of the metrics of what the deployed states answer to batches of images and targets.

    Args:
        model: Trained network.
        batches: This process's part of each batch.
        ranks: Processes that share the batches.
    """
    tally = Tally(model.task.metrics, model.task)
    with _deployed(model) as modulations:
        for images, targets in batches:
            if len(targets) == 0:
                continue
            images = images.to(modulations[0].device)
            tally.add(model.readout.outputs(model.measure(images, modulations)), targets)
    return tally.of_all(ranks)


@contextmanager
def _deployed(model: DONN) -> Iterator[list[Tensor]]:
    """Yield the deployed states of each layer, looked up once for all images."""
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        with torch.no_grad():
            yield [layer.modulation() for layer in model.layers]
    finally:
        for module, training in modes:
            module.training = training


class Tally:
    """Means of loss and metrics over the examples of an epoch so far.

    They are summed up where the outputs are, in tensors that stay the same ones: reading a number back after every step
    would make a GPU wait, and a recorded step adds to where it added when it was recorded.

    Args:
        metrics: Metrics to sum up.
        task: Task that they are of, for sentences to name it.

    Attributes:
        examples: Number of examples so far.
    """

    def __init__(self, metrics: Sequence[Metric], task: Task | None = None) -> None:
        self._metrics, self._task = metrics, task
        self._sums: dict[str | None, Tensor] = {}
        self.examples = 0

    def clear(self) -> None:
        """Begin anew."""
        self.examples = 0
        for total in self._sums.values():
            total.zero_()

    def add(self, outputs: Tensor, targets: Tensor, loss: Tensor | None = None) -> None:
        """Add a batch, with its mean loss."""
        self.examples += len(targets)
        self.add_sums(outputs, targets, loss)

    def add_sums(self, outputs: Tensor, targets: Tensor, loss: Tensor | None = None) -> None:
        """Add a batch but for the number of its examples, which a recorded step would not count."""
        if loss is not None:
            self._add(None, loss * len(targets))
        with naming(self._task):
            for metric in self._metrics:
                self._add(metric.name, metric.each(outputs, targets).sum(0))

    def of_all(self, ranks: Ranks) -> Tally:
        """Return what all processes have summed up, where several share the examples."""
        if ranks.count == 1:
            return self
        whole = Tally(self._metrics, self._task)
        for examples, sums in ranks.gathered((self.examples, {of: total.cpu() for of, total in self._sums.items()})):
            whole.examples += examples
            for of, total in sums.items():
                whole._add(of, total)
        return whole

    @property
    def loss(self) -> float:
        """The mean loss."""
        return float(self._mean(None))

    def columns(self, split: str) -> dict[str, float]:
        """Return the mean of each metric by the name of its column for ``"train"`` or ``"test"``."""
        with naming(self._task):
            return {metric.column(split): metric.value(self._mean(metric.name)) for metric in self._metrics}

    def _add(self, of: str | None, value: Tensor) -> None:
        if of in self._sums:
            self._sums[of] += value
        else:
            self._sums[of] = value

    def _mean(self, of: str | None) -> Tensor:
        return self._sums[of] / self.examples if of in self._sums else torch.zeros(())
