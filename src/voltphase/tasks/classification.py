"""Telling classes apart by the detector region that gets the most light."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any, Final, Literal, get_args

import torch
from annotated_types import Ge, Gt
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy, mse_loss

from voltphase.core import checks
from voltphase.core.errors import ConfigError, DataError, GeometryError
from voltphase.tasks.base import CLASS_ANSWER, TASKS, Loss, Metric, Task
from voltphase.tasks.region_readout import Measure, RegionReadout, checked_scale, share
from voltphase.tasks.regions import PAPER_CLASSES, Boxes, Layout, Regions, checked_regions, regions_of, require_count

LossName = Literal["cross-entropy", "mse", "one-vs-rest"]

ACCURACY: Final = Metric("accuracy", lambda logits, labels: logits.argmax(1) == labels, percent=True)


def softmax_mse(logits: Tensor, labels: Tensor) -> Tensor:
    """Return the mean squared error between ``softmax(logits)`` and the one-hot labels, the paper's loss.

    Args:
        logits: Logits, a ``batch x classes`` tensor.
        labels: Right classes, an int64 tensor of ``batch``.
    """
    return mse_loss(torch.softmax(logits, dim=1), _one_hot(logits, labels))


def one_vs_rest(logits: Tensor, labels: Tensor) -> Tensor:
    """Return the mean binary cross-entropy of each class against all others, told by the sign of its own logit.

    Args:
        logits: Logits, a ``batch x classes`` tensor.
        labels: Right classes, an int64 tensor of ``batch``.
    """
    return binary_cross_entropy_with_logits(logits, _one_hot(logits, labels))


def _one_hot(logits: Tensor, labels: Tensor) -> Tensor:
    # Not by torch's one_hot, which reads the labels to look at them.
    return torch.zeros_like(logits).scatter_(1, labels[:, None], 1.0)


# Where training starts best, by the test accuracy after 5 epochs of MNIST (64 x 64, 8 states). The paper's recipe at
# depths 1, 3 and 5: 0.331, 0.889, 0.869 from 3 and learned, 0.565, 0.897, 0.901 from 20 and left there. Cross-entropy
# on mean intensities, depth 5: 0.969 from 3, 0.961 from 20.
CALIBRATED_LOGIT: Final[dict[str, float]] = {"cross-entropy": 3.0, "mse": 20.0, "one-vs-rest": 3.0}

LOSSES: Final[dict[str, Loss]] = {"cross-entropy": cross_entropy, "mse": softmax_mse, "one-vs-rest": one_vs_rest}


@TASKS.register("classification")
@dataclass(frozen=True)
class Classification(Task):
    """Classes told apart by light in regions of the detector.

    Args:
        regions: ``paper``, ten squares scaled to the detector, in rows of 3, 4 and 3 or, if differential, ten pairs in
            four rows of five; for another number of classes or a detector that is not square it is ``grid``, squares
            evenly spaced in rows. Or ``rings``, squares at one distance from the axis; or a list of [row, column,
            height, width] in whole samples, one region for each class.
        differential: Whether each class has two regions, one for and one against it, read by their contrast (Li et
            al. 2019); a list then holds the two of each class in turn. Unset it is true for a layout and false for a
            list. Or ``wavelength``: each class has one region, and is read by the contrast of the light's two
            wavelengths there, the first for the class and the second against it.
        measure: What is measured of the light in a region: its summed or mean intensity, its mean amplitude, or its
            fraction of all light on the detector.
        scale: Number above 0 that the measure is multiplied by to give a logit; or ``calibrated``, which sets it on
            the first batch as suits the loss, and learns it from there.
        loss: Loss to learn by: cross-entropy; the mean squared error between the softmax and the one-hot label
            (``mse``, the paper's); or ``one-vs-rest``, class-specific: each pair learns to tell its class from all
            others by itself, whatever the other pairs read.
        classes: Number of classes; null for as many as the data have, or ten without data.

    Raises:
        ConfigError: if a setting is none of these.

    Examples:
        >>> Classification().make_readout((64, 64)).regions.paired
        True
        >>> Classification.paper().make_readout((200, 200)).regions.boxes[0]
        (40, 40, 20, 20)
        >>> len(Classification("rings", differential=False, classes=7).make_readout((64, 64)).regions)
        7
        >>> [metric.name for metric in Classification().metrics]
        ['accuracy']
    """

    regions: Literal["paper"] | Layout | Boxes = "paper"
    differential: bool | Literal["wavelength"] | None = None
    measure: Measure = "fraction"
    scale: Annotated[float, Gt(0)] | Literal["calibrated"] = "calibrated"
    loss: LossName = "cross-entropy"
    classes: Annotated[int, Ge(2)] | None = None

    def __post_init__(self) -> None:
        regions = checked_regions(self.regions, ("paper", *get_args(Layout)))
        if self.classes is not None:
            checks.whole(self.classes, "a number of classes", least=2)
            regions = "grid" if regions == "paper" and self.classes != PAPER_CLASSES else regions
        object.__setattr__(self, "regions", regions)
        if not isinstance(self.differential, str) or self.differential != "wavelength":
            paired = isinstance(regions, str) if self.differential is None else self.differential
            object.__setattr__(self, "differential", checks.flag(paired, "differential"))
        checks.word(self.measure, "a measure", get_args(Measure))
        checks.word(self.loss, "a loss", get_args(LossName))
        if self.loss == "one-vs-rest" and not self.differential:
            raise ConfigError(
                "expected pairs of regions for the loss one-vs-rest, of a contrast above 0 for a class and below 0 for "
                "the rest, but got single ones: set differential to true, or take the loss cross-entropy"
            )
        checked_scale(self.scale)
        require_count(regions, self.classes, "class", paired=self._paired)

    @property
    def _paired(self) -> bool:
        return self.differential is True

    @classmethod
    def paper(cls) -> Classification:
        """Return the paper's reading: one region for each class, mean amplitudes as logits, squared error."""
        return cls(differential=False, measure="amplitude", scale=1.0, loss="mse")

    def make_readout(self, shape: tuple[int, int]) -> RegionReadout:
        if self.regions == "paper" and shape[0] == shape[1]:
            regions = Regions.paper_pairs(shape[0]) if self._paired else Regions.paper(shape[0])
        else:
            asked: Any = "grid" if self.regions == "paper" else self.regions
            regions = regions_of(asked, shape, self.classes or PAPER_CLASSES, paired=self._paired)
        if regions.classes < 2:
            raise GeometryError(
                f"expected regions of at least two classes, but got those of {regions.classes}: list those of each "
                "class in turn"
            )
        apart = self.differential == "wavelength"
        return RegionReadout(regions, self.measure, self.scale, CALIBRATED_LOGIT[self.loss], by_wavelength=apart)

    def compute_loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        return LOSSES[self.loss](outputs, targets)

    @property
    def metrics(self) -> tuple[Metric, ...]:
        return (ACCURACY,)

    def predict(self, outputs: Tensor) -> Tensor:
        return outputs.argmax(-1)

    def contrast_margin(self, measured: Tensor) -> Tensor:
        """Return (a - b) / (a + b) of the two brightest regions, and (a - b) / 2 of the two largest contrasts."""
        first, second = measured.topk(2, dim=-1).values.unbind(-1)
        return (first - second) / 2 if self.differential else share(first - second, first + second)

    @property
    def answer(self) -> str:
        return CLASS_ANSWER

    def check_data(self, name: str, classes: Sequence[str], targets: Tensor) -> None:
        if not classes:
            raise DataError(
                f"expected a label for each image, a whole number that counts classes from 0, for the task "
                f"classification, but {name} has targets of {' x '.join(map(str, targets.shape))} numbers of "
                f"{str(targets.dtype).removeprefix('torch.')}: store labels as whole numbers, one for each image"
            )
        if len(classes) < 2:
            raise DataError(
                f"expected images of at least two classes for the task classification, but those of {name} are all of "
                "one: add another, or check how they are labelled"
            )
        if self.classes not in (None, len(classes)):
            raise ConfigError(
                f"expected task.classes to be {len(classes)}, the number of classes of {name}, but got {self.classes}: "
                "leave it out"
            )
        count, each = (2 * len(classes), "two") if self._paired else (len(classes), "one")
        if not isinstance(self.regions, str) and len(self.regions) != count:
            raise ConfigError(
                f"expected task.regions to list {count} regions, {each} for each class of {name}, but got "
                f"{len(self.regions)}: correct it, or take grid, which is laid out for any number"
            )

    def for_data(self, classes: Sequence[str], targets: Tensor) -> Classification:
        papers = self.regions == "paper" and len(classes) == PAPER_CLASSES
        return self if papers else replace(self, classes=len(classes))
