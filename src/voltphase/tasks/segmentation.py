"""Masks of objects: pictures of the light whose bright part is the answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal, get_args

import torch
from torch import Tensor

from voltphase.core.advice import advise
from voltphase.core.errors import ConfigError, DataError, VoltphaseWarning
from voltphase.tasks.base import TASKS, Metric
from voltphase.tasks.image import Image
from voltphase.tasks.region_readout import share

#: What can be thresholded.
Brightness = Literal["intensity", "amplitude"]

#: How the mask follows from the light, as deployed folders say it.
MASK_ANSWER: Final = (
    "The logits are a picture; the mask is 1 where it is brighter than Otsu's threshold of that picture, which follows "
    "from nothing else."
)


class MaskWarning(VoltphaseWarning):
    """Masks that can be learned from, of which some say nothing."""


@TASKS.register("segmentation")
@dataclass(frozen=True)
class Segmentation(Image):
    """A mask of the objects in each image: where the light in a window of the detector is bright.

    Targets are masks of 0 and 1. The threshold is Otsu's, of each picture by itself: no brightness is calibrated. Of an
    image without an object, whose mask is empty, nothing is learned, and the overlap is 1 where no pixel is found and 0
    where any is, as Otsu's threshold does in every picture that is not even.

    Args:
        window: The part of the detector that the picture is of, as [row, column, height, width] in whole samples; null
            for the whole detector. What light does beside the window is left free.
        pixels: Size of the picture as [rows, columns], each pixel the light of a block of samples; null for that of the
            targets in training, and otherwise for a pixel each sample.
        measure: What is thresholded: the ``intensity`` of the light, or its root, the ``amplitude``.
        loss: Loss to learn by: ``mse``, the squared error at the brightness where it is least, over the square of the
            target; or ``correlation``, by how much Pearson's coefficient is below 1, which lets an even background be.

    Raises:
        ConfigError: if a setting is none of these.

    Examples:
        >>> [metric.name for metric in Segmentation().metrics]
        ['iou', 'dice', 'correlation', 'efficiency']
        >>> Segmentation().predict(torch.tensor([[[0.1, 0.2, 0.9], [0.0, 0.8, 0.9]]])).tolist()
        [[[0, 0, 1], [0, 1, 1]]]
    """

    measure: Brightness = "intensity"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.measure not in get_args(Brightness):
            raise ConfigError(
                "expected intensity or amplitude as task.measure of the task segmentation, but got field: a mask is "
                "where light is bright"
            )

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """Intersection over union, Dice's coefficient, and how near and how bright the picture is."""
        return Metric("iou", iou, percent=True), Metric("dice", dice, percent=True), *super().metrics[:2]

    def predict(self, outputs: Tensor) -> Tensor:
        """Return the masks, uint8 of 0 and 1, that pictures of the light stand for."""
        return bright(outputs).to(torch.uint8)

    @property
    def answer(self) -> str:
        return MASK_ANSWER

    def check_data(self, name: str, classes: Sequence[str], targets: Tensor) -> None:
        super().check_data(name, classes, targets)
        if bool((wrong := ((targets != 0) & (targets != 1)).flatten(1).any(1)).any()):
            raise DataError(
                f"expected masks of 0 and 1 as targets for the task segmentation, but that of image "
                f"{int(wrong.nonzero()[0])} of {name} has values between: threshold them, or take the task image"
            )

    def _check_dark(self, name: str, dark: Tensor) -> None:
        if bool(dark.all()):
            raise DataError(
                f"expected an object in some masks for the task segmentation, but all those of {name} are empty: check "
                "how they were made"
            )
        if count := int(dark.sum()):
            advise(
                f"{count} of the {len(dark)} masks of {name} are empty: nothing is learned of these images, and their "
                "overlap is 0 wherever a mask is found",
                MaskWarning,
            )


def bright(pictures: Tensor) -> Tensor:
    """Return where each picture is brighter than its threshold, a mask; nowhere in a picture that is even.

    The threshold is the one between two of its values that parts them into classes with the largest variance between
    them (Otsu, IEEE Transactions on Systems, Man, and Cybernetics 9(1), 1979, eq. 18), of all values and not of a
    histogram.

    Args:
        pictures: A real ``batch x rows x columns`` tensor.
    """
    values = pictures.flatten(1).sort(1).values
    count, levels = values.shape[1], values.double()
    below = torch.arange(1, count, dtype=levels.dtype, device=levels.device)
    sums = (levels - levels[:, :1]).cumsum(1)  # without a background that all share, whose digits would be lost
    lower, upper = sums[:, :-1] / below, (sums[:, -1:] - sums[:, :-1]) / (count - below)
    between = below * (count - below) * (upper - lower).square()
    return pictures > values.gather(1, between.argmax(1, keepdim=True))[:, :, None]


def iou(outputs: Tensor, targets: Tensor) -> Tensor:
    """Return the intersection over union of each picture's mask with its target, Jaccard's index; 1 of empty ones."""
    both, each = _overlap(outputs, targets)
    return torch.where(each > 0, share(both, each - both), 1)


def dice(outputs: Tensor, targets: Tensor) -> Tensor:
    """Return Dice's coefficient of each picture's mask with its target: twice the intersection over both areas.

    It is 1 of a mask and a target that are both empty.
    """
    both, each = _overlap(outputs, targets)
    return torch.where(each > 0, share(2 * both, each), 1)


def _overlap(outputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """Return the area that each two masks have in common, and the sum of their areas."""
    found, wanted = bright(outputs), targets.to(outputs.device) >= 0.5
    return (found & wanted).sum((1, 2)).double(), (found.sum((1, 2)) + wanted.sum((1, 2))).double()
