"""A task of one's own: classes told apart by strips of the detector, judged by the two most likely ones, too."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Annotated

from annotated_types import Ge, Gt
from torch import Tensor
from torch.nn.functional import multi_margin_loss

from voltphase.tasks import TASKS, Metric, RegionReadout, Regions, Task


@TASKS.register("strips")
@dataclass(frozen=True)
class Strips(Task):
    """Classes told apart by upright strips of the detector side by side, and learned by a margin.

    Args:
        margin: How far the logit of the right class is to be above the others.
        classes: Number of classes; null for as many as the data have.
    """

    margin: Annotated[float, Gt(0)] = 1.0
    classes: Annotated[int, Ge(2)] | None = None

    def make_readout(self, shape: tuple[int, int]) -> RegionReadout:
        """Return a readout of the strips; see :meth:`Task.make_readout`."""
        count = self.classes or 10
        width = shape[1] // count
        return RegionReadout(Regions(tuple((0, index * width, shape[0], width) for index in range(count)), shape))

    def compute_loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Return the mean hinge loss."""
        return multi_margin_loss(outputs, targets, margin=self.margin)

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """The accuracy, and how often the class is among the two most likely ones."""
        return (
            Metric("accuracy", lambda outputs, targets: outputs.argmax(1) == targets, percent=True),
            Metric("top_two", lambda o, targets: (o.topk(2).indices == targets[:, None]).any(1), percent=True),
        )

    def for_data(self, classes: Sequence[str], targets: Tensor) -> Strips:
        """Return the task for as many classes as there are; see :meth:`Task.for_data`."""
        return replace(self, classes=len(classes))
