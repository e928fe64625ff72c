"""What a network answers with every pixel in the state that would be loaded on the device."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from voltphase.data import ImageDataset
from voltphase.network.donn import DONN
from voltphase.tasks.base import all_outputs


@dataclass(frozen=True, eq=False)
class Evaluation:
    """Answers to the images of a data set.

    Attributes:
        logits: An ``images x classes`` tensor on the CPU.
        labels: The right answers, an int64 tensor of ``images``.
    """

    logits: Tensor
    labels: Tensor

    @property
    def predictions(self) -> Tensor:
        """The class of the highest logit of each image, int64."""
        return self.logits.argmax(1)

    @property
    def accuracy(self) -> float:
        """The fraction of images answered right."""
        return float((self.predictions == self.labels).double().mean())


def evaluate(model: DONN, dataset: ImageDataset, batch_size: int = 250) -> Evaluation:
    """The answers of the deployed states: ``model`` is used in evaluation mode, and left in the mode it was in."""
    return Evaluation(all_outputs(model, dataset.images, batch_size), dataset.labels.cpu())
