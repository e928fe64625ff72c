"""Logic by light: bits of a truth table from pairs of regions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Annotated

from annotated_types import Ge, Gt
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from voltphase.core import checks
from voltphase.core.errors import DataError
from voltphase.tasks.base import TASKS, Metric
from voltphase.tasks.regions import Boxes, Layout, require_count
from voltphase.tasks.regression import PairTask


@TASKS.register("logic")
@dataclass(frozen=True)
class Logic(PairTask):
    """Bits for each image, such as those of a logic gate whose inputs are lit ports, each read from a pair of regions.

    A bit is 1 where the first region of its pair is brighter than the second.

    Args:
        regions: ``grid``, pairs evenly spaced in rows; ``rings``, pairs around the axis; or a list of [row, column,
            height, width] in whole samples, of each bit the region for 1 and the region for 0.
        bits: Number of bits; null for as many as the data have.
        scale: Factor that makes a logit of a contrast; the larger it is, the sooner a bit counts as learned.

    Raises:
        ConfigError: if a setting is none of these.

    Examples:
        >>> import torch
        >>> Logic(bits=2).predict(torch.tensor([[0.3, -0.2]])).tolist()
        [[1, 0]]
    """

    regions: Layout | Boxes = "grid"
    bits: Annotated[int, Ge(1)] | None = None
    scale: Annotated[float, Gt(0)] = 5.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.bits is not None:
            checks.whole(self.bits, "a number of bits", least=1)
        require_count(self.regions, self.count, "bit", paired=True)

    @property
    def count(self) -> int | None:
        """Number of bits."""
        return self.bits

    def compute_loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Return the mean binary cross-entropy of the bits."""
        return binary_cross_entropy_with_logits(outputs, targets.reshape(outputs.shape).to(outputs.dtype))

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """The share of images of which every bit is right."""
        return (Metric("accuracy", _all_right, percent=True),)

    def predict(self, outputs: Tensor) -> Tensor:
        return (outputs > 0).long()

    def contrast_margin(self, measured: Tensor) -> Tensor:
        """Return the contrast of the bit that is least clear."""
        return measured.abs().amin(-1)

    @property
    def answer(self) -> str:
        return "A class stands for a bit here: it is 1 where its logit is above 0, else 0."

    def check_data(self, name: str, classes: Sequence[str], targets: Tensor) -> None:
        super().check_data(name, classes, targets)
        if bool(((targets != 0) & (targets != 1)).any()):
            raise DataError(f"expected bits, 0 or 1, as the targets of {name} for the task logic, but some are others")

    def for_data(self, classes: Sequence[str], targets: Tensor) -> Logic:
        return replace(self, bits=targets[0].numel())


def _all_right(outputs: Tensor, targets: Tensor) -> Tensor:
    return ((outputs > 0) == (targets.reshape(outputs.shape) > 0.5)).all(1)
