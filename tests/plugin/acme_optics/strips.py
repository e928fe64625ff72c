"""Classes told apart by strips of the detector."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from annotated_types import Ge, Gt
from torch import Tensor
from torch.nn.functional import multi_margin_loss

from voltphase.core.errors import ConfigError
from voltphase.tasks import Metric, RegionReadout, Regions, Task


@dataclass(frozen=True)
class Strips(Task):
    """Classes told apart by equal strips, one below the other, and learned by a margin.

    Args:
        classes: Number of classes.
        margin: How far the logit of the right class is to be above the others.
    """

    classes: Annotated[int, Ge(2)] = 10
    margin: Annotated[float, Gt(0)] = 1.0

    def make_readout(self, shape: tuple[int, int]) -> RegionReadout:
        """Return a readout of the strips; see :meth:`Task.make_readout`."""
        height = shape[0] // self.classes
        boxes = tuple((number * height, 0, height, shape[1]) for number in range(self.classes))
        return RegionReadout(Regions(boxes, shape), "fraction")

    def compute_loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Return the mean hinge loss."""
        return multi_margin_loss(outputs, targets, margin=self.margin)

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """The fraction of images whose class is among the two most likely."""
        return (Metric("top_two", lambda o, t: (o.topk(2).indices == t[:, None]).any(1), percent=True),)

    def check_data(self, name: str, classes: Sequence[str], targets: Tensor) -> None:
        """Refuse data of another number of classes."""
        if len(classes) != self.classes:
            raise ConfigError(f"expected task.classes to be {len(classes)}, those of {name}, but got {self.classes}")
