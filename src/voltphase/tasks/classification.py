"""Telling classes apart by the detector region that gets the most light."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Final, Literal, get_args

from annotated_types import Gt, Len
from torch import Tensor

from voltphase.core import checks
from voltphase.core.errors import ConfigError, DataError, GeometryError
from voltphase.tasks.base import TASKS, Metric, Task
from voltphase.tasks.losses import CALIBRATED_LOGIT, LOSSES, LossName
from voltphase.tasks.region_readout import Measure, RegionReadout, checked_scale
from voltphase.tasks.regions import PAPER_CLASSES, Regions, checked_box

ACCURACY: Final = Metric("accuracy", lambda logits, labels: logits.argmax(1) == labels, percent=True)


@TASKS.register("classification")
@dataclass(frozen=True)
class Classification(Task):
    """Classes told apart by light in regions of the detector.

    Args:
        regions: ``paper``, ten squares scaled to the detector, in rows of 3, 4 and 3 or, if differential, ten pairs in
            four rows of five; or a list of [row, column, height, width] in whole samples, one region for each class.
        differential: Whether each class has two regions, one for and one against it, read by their contrast (Li et
            al. 2019); a list then holds the two of each class in turn. Unset it is true for ``paper`` and false for a
            list.
        measure: What is measured of the light in a region: its summed or mean intensity, its mean amplitude, or its
            fraction of all light on the detector.
        scale: Number above 0 that the measure is multiplied by to give a logit; or ``calibrated``, which sets it on
            the first batch as suits the loss, and learns it from there.
        loss: Loss to learn by: cross-entropy, or the mean squared error between the softmax and the one-hot label
            (``mse``, the paper's).

    Raises:
        ConfigError: if a setting is none of these.

    Examples:
        >>> Classification().make_readout((64, 64)).regions.paired
        True
        >>> Classification.paper().make_readout((200, 200)).regions.boxes[0]
        (40, 40, 20, 20)
        >>> [metric.name for metric in Classification().metrics]
        ['accuracy']
    """

    regions: Literal["paper"] | Sequence[Annotated[Sequence[int], Len(4, 4)]] = "paper"
    differential: bool | None = None
    measure: Measure = "fraction"
    scale: Annotated[float, Gt(0)] | Literal["calibrated"] = "calibrated"
    loss: LossName = "cross-entropy"

    def __post_init__(self) -> None:
        if not (isinstance(self.regions, str) and self.regions == "paper"):
            what, advice = "'paper' or a list of detector regions", "give (row, column, height, width) of each"
            boxes = checks.items(self.regions, what, advice=advice)
            object.__setattr__(self, "regions", tuple(checked_box(box, i, ConfigError) for i, box in enumerate(boxes)))
        paired = self.regions == "paper" if self.differential is None else self.differential
        object.__setattr__(self, "differential", checks.flag(paired, "differential"))
        checks.word(self.measure, "a measure", get_args(Measure))
        checks.word(self.loss, "a loss", get_args(LossName))
        checked_scale(self.scale)

    @classmethod
    def paper(cls) -> Classification:
        """Return the paper's reading: one region for each class, mean amplitudes as logits, squared error."""
        return cls(differential=False, measure="amplitude", scale=1.0, loss="mse")

    def make_readout(self, shape: tuple[int, int]) -> RegionReadout:
        if not isinstance(self.regions, str):
            regions = Regions(self.regions, shape, bool(self.differential))  # pyright: ignore[reportArgumentType]
        elif shape[0] != shape[1]:
            raise GeometryError(
                f"expected a square detector for the regions 'paper', but got {shape[0]} x {shape[1]}: list regions as "
                "(row, column, height, width)"
            )
        else:
            regions = Regions.paper_pairs(shape[0]) if self.differential else Regions.paper(shape[0])
        return RegionReadout(regions, self.measure, self.scale, CALIBRATED_LOGIT[self.loss])

    def compute_loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        return LOSSES[self.loss](outputs, targets)

    @property
    def metrics(self) -> tuple[Metric, ...]:
        return (ACCURACY,)

    def predict(self, outputs: Tensor) -> Tensor:
        return outputs.argmax(-1)

    def check_data(self, name: str, classes: Sequence[str], targets: Tensor) -> None:
        if not classes:
            raise DataError(
                f"expected a label for each image, a whole number that counts classes from 0, for the task "
                f"classification, but {name} has targets of {' x '.join(map(str, targets.shape))} {targets.dtype}"
            )
        count, each = (2 * len(classes), "two") if self.differential else (len(classes), "one")
        if not isinstance(self.regions, str) and len(self.regions) != count:
            raise ConfigError(
                f"expected task.regions to list {count} regions, {each} for each class of {name}, but got "
                f"{len(self.regions)}"
            )
        if isinstance(self.regions, str) and len(classes) > PAPER_CLASSES:
            raise ConfigError(
                f"expected at most {PAPER_CLASSES} classes for the regions paper, but got {len(classes)} of {name}: "
                "list a region for each class in task.regions"
            )
