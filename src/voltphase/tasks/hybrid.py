"""Classes told apart by an electronic layer behind the light."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Final, get_args

import torch
from annotated_types import Ge
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, linear

from voltphase.core import checks
from voltphase.core.errors import DataError
from voltphase.tasks.base import TASKS, Metric, Task
from voltphase.tasks.classification import ACCURACY
from voltphase.tasks.region_readout import Measure, RegionReadout
from voltphase.tasks.regions import Boxes, Layout, Regions, checked_regions, regions_of

#: What the light gives, as deployed folders say it.
READINGS_ANSWER: Final = (
    "The logits are what the electronics take, which the run keeps and this folder does not: in Python "
    "load_run(run).model.readout.electronics makes the logits of classes of them."
)


@TASKS.register("hybrid")
@dataclass(frozen=True)
class Hybrid(Task):
    """Classes told apart by one layer of ordinary electronics, which weighs the light in regions of the detector.

    Light and electronics are trained as one. What is deployed is the light; a folder says what the electronics take.

    Args:
        regions: ``grid``, squares evenly spaced in rows; ``rings``, squares at one distance from the axis; or a list of
            [row, column, height, width] in whole samples.
        readings: Number of regions that a layout has.
        measure: What is measured of the light in a region; see the task ``classification``.
        classes: Number of classes; null for as many as the data have, or ten without data.

    Raises:
        ConfigError: if a setting is none of these.

    Examples:
        >>> readout = Hybrid(readings=16).make_readout((64, 64))
        >>> len(readout.regions), readout.electronics
        (16, Linear(in_features=16, out_features=10, bias=True))
    """

    regions: Layout | Boxes = "grid"
    readings: Annotated[int, Ge(1)] = 16
    measure: Measure = "fraction"
    classes: Annotated[int, Ge(2)] | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "regions", checked_regions(self.regions, get_args(Layout)))
        checks.word(self.measure, "a measure", get_args(Measure))
        checks.whole(self.readings, "a number of readings", least=1)
        if self.classes is not None:
            checks.whole(self.classes, "a number of classes", least=2)

    def make_readout(self, shape: tuple[int, int]) -> ElectronicReadout:
        regions = regions_of(self.regions, shape, self.readings, paired=False)  # pyright: ignore[reportArgumentType]
        return ElectronicReadout(regions, self.measure, self.classes or 10)

    def compute_loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        return cross_entropy(outputs, targets)

    @property
    def metrics(self) -> tuple[Metric, ...]:
        return (ACCURACY,)

    @property
    def answer(self) -> str:
        return READINGS_ANSWER

    def check_data(self, name: str, classes: Sequence[str], targets: Tensor) -> None:
        if len(classes) < 2 or self.classes not in (None, len(classes)):
            wanted = f"{self.classes} classes" if self.classes else "two classes or more"
            raise DataError(f"expected images of {wanted} for the task hybrid, but {name} has {len(classes)}")

    def for_data(self, classes: Sequence[str], targets: Tensor) -> Hybrid:
        return replace(self, classes=len(classes))


class ElectronicReadout(RegionReadout):
    """Light in regions of the detector, and behind it one layer of electronics that makes logits of classes of it.

    Args:
        regions: Regions that are read.
        measure: Measure of the light in a region.
        classes: Number of classes.

    Attributes:
        electronics: The layer, which takes what a RegionReadout with a calibrated scale gives.
    """

    def __init__(self, regions: Regions, measure: Measure, classes: int) -> None:
        super().__init__(regions, measure)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)  # the same network for the same settings
            self.electronics = nn.Linear(len(regions), classes)

    def outputs(self, measured: Tensor) -> Tensor:
        """Return logits, ``batch x classes``."""
        taken = super().outputs(measured)
        return linear(taken, self.electronics.weight.to(taken.dtype), self.electronics.bias.to(taken.dtype))

    def of_light(self) -> RegionReadout:
        """Return the readout of the light alone, which gives what the electronics take."""
        return RegionReadout(self.regions, self.measure, self.scale)
