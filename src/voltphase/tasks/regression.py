"""Numbers from light in pairs of regions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Final, get_args

import torch
from annotated_types import Gt, Len
from torch import Tensor
from torch.nn.functional import mse_loss

from voltphase.core import checks
from voltphase.core.errors import ConfigError, DataError
from voltphase.tasks.base import TASKS, Metric, Task
from voltphase.tasks.region_readout import RegionReadout, fixed_scale
from voltphase.tasks.regions import Boxes, Layout, checked_regions, regions_of, require_count

# Numbers that data may ask for; a mistake such as pictures as targets asks for more.
_MOST: Final = 1000


class PairTask(Task):
    """A task whose outputs are one number for each pair of regions, its contrast times a fixed factor."""

    regions: Layout | Boxes
    scale: float

    def __post_init__(self) -> None:
        object.__setattr__(self, "regions", checked_regions(self.regions, get_args(Layout)))
        fixed_scale(self.scale, "a scale of contrasts")

    @property
    def count(self) -> int | None:
        """Number of outputs, where it is known."""
        raise NotImplementedError

    def make_readout(self, shape: tuple[int, int]) -> RegionReadout:
        regions = regions_of(self.regions, shape, self.count or 1, paired=True)  # pyright: ignore[reportArgumentType]
        return RegionReadout(regions, "fraction", self.scale)

    def check_data(self, name: str, classes: Sequence[str], targets: Tensor) -> None:
        kind = type(self).__name__.lower()
        if classes or targets.ndim > 2 or targets.is_complex() or targets[0].numel() > _MOST:
            got = f"labels of {len(classes)} classes" if classes else f"targets of {_sizes(targets.shape)}"
            raise DataError(
                f"expected one number or a few as the target of each image for the task {kind}, a tensor of count x "
                f"numbers, but {name} has {got}: give whole numbers that are no labels as floating-point ones"
            )
        pairs = None if isinstance(self.regions, str) else len(self.regions) / 2
        for key, count in (("regions to list two regions for", pairs), ("settings to be for", self.count)):
            if count not in (None, targets[0].numel()):
                raise ConfigError(
                    f"expected task {key} each of {targets[0].numel()} numbers of {name}, but got those of {count:g}"
                )


@TASKS.register("regression")
@dataclass(frozen=True)
class Regression(PairTask):
    """Numbers for each image, each read as the contrast of a pair of regions.

    The contrast ``(P - N) / (P + N)`` times ``scale`` is -1 for the lowest and 1 for the highest number of a range; so
    it does not depend on the brightness.

    Args:
        regions: ``grid``, pairs evenly spaced in rows; ``rings``, pairs around the axis; or a list of [row, column,
            height, width] in whole samples, of each number the region for more and the region for less.
        ranges: [lowest, highest] of each number; null for those of the training targets.
        scale: Factor of the contrast; with 2 a contrast of 0.5 stands for the highest number.

    Raises:
        ConfigError: if a setting is none of these.

    Examples:
        >>> task = Regression(ranges=[(0, 10)])
        >>> task.predict(torch.tensor([[-1.0], [0.0], [1.0]])).tolist()
        [[0.0], [5.0], [10.0]]
        >>> [metric.name for metric in task.metrics]
        ['mae', 'rmse', 'r2']
    """

    regions: Layout | Boxes = "grid"
    ranges: Sequence[Annotated[Sequence[float], Len(2, 2)]] | None = None
    scale: Annotated[float, Gt(0)] = 2.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.ranges is not None:
            advice = "give [lowest, highest] of each number"
            ranges = [checks.items(one, "a range", advice=advice) for one in checks.items(self.ranges, "ranges")]
            for one in ranges:
                if len(one) != 2 or not checks.number(one[0], "a range's end") < checks.number(one[1], "a range's end"):
                    raise ConfigError(f"expected a range as [lowest, highest], but got {checks.shown(one)}")
            if not ranges:
                raise ConfigError(f"expected the range of at least one number, but got none: {advice}")
            object.__setattr__(self, "ranges", tuple((float(low), float(high)) for low, high in ranges))
        require_count(self.regions, self.count, "number", paired=True)

    @property
    def count(self) -> int | None:
        """Number of numbers."""
        return None if self.ranges is None else len(self.ranges)

    def compute_loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Return the mean squared error, of each number in halves of its range."""
        return mse_loss(outputs, self._halves(targets, outputs))

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """The mean absolute and root mean square error in the targets' unit, and the share of variance explained."""
        return (
            Metric("mae", lambda outputs, targets: self._error(outputs, targets).abs().mean(1), higher_is_better=False),
            Metric(
                "rmse",
                lambda outputs, targets: self._error(outputs, targets).square().mean(1),
                higher_is_better=False,
                of_means=lambda mean: math.sqrt(float(mean)),
            ),
            Metric("r2", self._moments, of_means=_explained),
        )

    def predict(self, outputs: Tensor) -> Tensor:
        """Return the numbers themselves, in the targets' unit."""
        return torch.stack([low + (high - low) / 2 * (x + 1) for x, (low, high) in self._each(outputs)], 1)

    @property
    def answer(self) -> str:
        numbers = [f"number {c} is {low!r} + {(high - low) / 2!r} * (logit of class {c} + 1)" for c, (low, high) in
                   enumerate(self.ranges or [(-1.0, 1.0)])]  # fmt: skip
        return f"A class stands for a number here: {'; '.join(numbers)}."

    def check_data(self, name: str, classes: Sequence[str], targets: Tensor) -> None:
        super().check_data(name, classes, targets)
        low, high = targets.reshape(len(targets), -1).aminmax(dim=0)
        if self.ranges is None and bool((low == high).any()):
            raise DataError(
                f"expected targets of {name} that differ, but number {int((low == high).nonzero()[0])} is the same for "
                "all images: leave it out, or give task.ranges"
            )

    def for_data(self, classes: Sequence[str], targets: Tensor) -> Regression:
        if self.ranges is not None:
            return self
        low, high = targets.reshape(len(targets), -1).double().aminmax(dim=0)
        return replace(self, ranges=tuple(zip(low.tolist(), high.tolist(), strict=True)))

    def _each(self, columns: Tensor) -> list[tuple[Tensor, tuple[float, float]]]:
        # One by one with numbers of Python: a tensor of them would have to be copied to a GPU in every step.
        ranges: Sequence[tuple[float, float]] = self.ranges or [(-1.0, 1.0)] * columns.shape[1]  # pyright: ignore[reportAssignmentType]
        return list(zip(columns.unbind(1), ranges, strict=True))

    def _halves(self, targets: Tensor, outputs: Tensor) -> Tensor:
        columns = targets.reshape(outputs.shape).to(torch.float64 if targets.dtype == torch.float64 else outputs.dtype)
        halves = [(x - low) * (2 / (high - low)) - 1 for x, (low, high) in self._each(columns)]
        return torch.stack(halves, 1).to(outputs.dtype)

    def _error(self, outputs: Tensor, targets: Tensor) -> Tensor:
        return self.predict(outputs) - targets.reshape(outputs.shape)

    def _moments(self, outputs: Tensor, targets: Tensor) -> Tensor:
        wanted = self._halves(targets, outputs).double()
        return torch.stack([(outputs - wanted).square(), wanted, wanted.square()], 2)


def _explained(means: Tensor) -> float:
    """Return R squared, the mean over numbers: 0 for one that does not vary."""
    error, mean, square = means.reshape(-1, 3).unbind(1)
    spread = square - mean.square()
    return float(torch.where(spread > 0, 1 - error / spread.clamp_min(torch.finfo(spread.dtype).tiny), 0).mean())


def _sizes(shape: Sequence[int]) -> str:
    return " x ".join(map(str, shape))
