"""What a report shows of a task's answers: a class a task, found by the task's type."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import singledispatch
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from torch import Tensor

from voltphase.network.donn import DONN
from voltphase.optics.grid import Grid
from voltphase.reporting import style
from voltphase.tasks import Classification, Regions, require_regions

if TYPE_CHECKING:
    from voltphase.data import ImageDataset
    from voltphase.training import Evaluation

_EXAMPLES = 4
# Letters smaller than this, in points, are hard to read.
_READABLE = 4.0


@dataclass(frozen=True, eq=False)
class Example:
    """A test image on its way through the network.

    Args:
        index: Index in the test set.
        image: Image, a ``height x width`` uint8 array.
        target: What is wanted of the image; for classification the right class.
        output: Output of the readout; for classification a logit for each class.
        prediction: Answer that the output stands for; for classification the class of the highest logit.
        intensity: Intensity of the light that arrives on each plane, ``rows x columns`` arrays by the plane's name.
        phase: Phase of the light on the source in radians, from 0 to a turn, where that alone carries the image.
    """

    index: int
    image: np.ndarray
    target: Any
    output: np.ndarray
    prediction: Any
    intensity: dict[str, np.ndarray]
    phase: np.ndarray | None = None


class TaskPictures:
    """What a report shows of the answers of any task; a task of one's own may show more.

    Register a function that makes one for a task's class by ``@pictures_of.register(TheTask)``.
    """

    #: A sentence on what is drawn on the detector.
    detector_note = ""

    def headline(self, metric: str, images: int) -> str:
        """Return what stands beside the value of the first metric on the test images."""
        return f"{metric} of {images} test images with one device state per pixel, as it would be deployed"

    def choose(self, evaluation: Evaluation) -> list[int]:
        """Return the indices of test images to show."""
        return list(range(min(_EXAMPLES, len(evaluation.targets))))

    def caption(self, example: Example) -> str:
        """Return a sentence on a test image and its answer."""
        return f"Test image {example.index}."

    def draw_on_detector(self, axes: Axes, grid: Grid, example: Example) -> None:
        """Draw over the light on the detector what the readout looks at."""

    def draw_output(self, axes: Axes, example: Example) -> None:
        """Draw the output for a test image, beside its light."""
        axes.set_axis_off()

    def light_shares(self, intensity: Tensor, targets: Tensor) -> dict[str, Tensor]:
        """Return parts of the light on the detector that matter to the task, one number for each image.

        Args:
            intensity: Intensity on the detector, a ``batch x rows x columns`` tensor.
            targets: What is wanted of each image.

        Returns:
            The summed intensity of each part, by its name, such as ``in any region``.
        """
        return {}

    def drawings(self, evaluation: Evaluation) -> list[tuple[Figure, str, str]]:
        """Return more drawings of the answers to the test images, each with its name and caption."""
        return []


@singledispatch
def pictures_of(task: object, model: DONN, test: ImageDataset) -> TaskPictures:
    """Return what a report shows of a task's answers."""
    return TaskPictures()


@pictures_of.register(Classification)
def _(task: Classification, model: DONN, test: ImageDataset) -> TaskPictures:
    return ClassificationPictures(require_regions(model.readout).regions, test.classes)


class ClassificationPictures(TaskPictures):
    """Regions on the detector, logits as bars, and which classes are confused."""

    detector_note = " On the detector the region that won is drawn bright, and the right one dashed where it lost."

    def __init__(self, regions: Regions, classes: Sequence[str]) -> None:
        self._regions, self._classes = regions, classes

    def headline(self, metric: str, images: int) -> str:
        return f"of {images} test images answered right with one device state per pixel, as it would be deployed"

    def choose(self, evaluation: Evaluation) -> list[int]:
        return choose_examples(evaluation.predictions.numpy(), evaluation.targets.numpy())

    def caption(self, example: Example) -> str:
        shown, answered = self._classes[example.target], self._classes[example.prediction]
        right = example.prediction == example.target
        verdict = "and was answered right" if right else f"and was answered “{answered}”"
        return f"Test image {example.index} shows “{shown}” {verdict}."

    def draw_on_detector(self, axes: Axes, grid: Grid, example: Example) -> None:
        draw_regions(axes, self._regions, grid, example.prediction, example.target)

    def draw_output(self, axes: Axes, example: Example) -> None:
        count = len(example.output)
        colours = [style.RULE] * count
        colours[example.target] = style.SECOND
        colours[example.prediction] = style.ACCENT
        axes.barh(range(count), example.output, color=colours, height=0.78)
        axes.set_yticks(range(count), [class_label(self._classes, index) for index in range(count)], fontsize=7)
        axes.tick_params(axis="y", length=0)
        axes.invert_yaxis()
        axes.set_xlabel("logit")
        axes.locator_params(axis="x", nbins=3)
        axes.margins(y=0.02)

    def light_shares(self, intensity: Tensor, targets: Tensor) -> dict[str, Tensor]:
        sums, each = region_light(intensity, self._regions), 2 if self._regions.paired else 1
        # Of a pair the right region is the one for the class.
        return {
            "in any region": sums.sum(-1),
            "in the right one": sums.gather(-1, targets[:, None] * each).squeeze(-1),
        }

    def drawings(self, evaluation: Evaluation) -> list[tuple[Figure, str, str]]:
        predictions, labels = evaluation.predictions.numpy(), evaluation.targets.numpy()
        matrix = confusion_matrix(predictions, labels, len(self._classes))
        right = int((predictions == labels).sum())
        caption = f"Test images by what they show and what was answered: {right} of {len(labels)} right."
        return [(confusion_figure(matrix, self._classes), "Confusion matrix", caption)]


def region_light(intensity: Tensor, regions: Regions) -> Tensor:
    """Return the summed intensity in each region, a ``batch x regions`` tensor."""
    return torch.stack([intensity[:, r : r + h, c : c + w].sum((-2, -1)) for r, c, h, w in regions.boxes], -1)


def choose_examples(predictions: np.ndarray, labels: np.ndarray, count: int = _EXAMPLES) -> list[int]:
    """Return indices of images to show: the first right answers of classes far apart, then the first wrong one."""
    wrong = np.flatnonzero(predictions != labels)[:1].tolist()
    right = predictions == labels
    firsts = [int(np.flatnonzero(right & (labels == label))[0]) for label in np.unique(labels[right])]
    wanted = min(count - len(wrong), len(firsts))
    spread = np.linspace(0, len(firsts) - 1, wanted).round().astype(int) if wanted else []
    return [firsts[position] for position in spread] + wrong


def draw_regions(axes: Axes, regions: Regions, grid: Grid, prediction: int, label: int) -> None:
    """Draw the detector's regions over a plane: those of the answer bright, the right class's dashed if it is another.

    Of a pair, + is the region for its class and − the one against it.
    """
    left, right, bottom, top = style.extent(grid)
    height, width = (bottom - top) / grid.rows, (right - left) / grid.columns
    high = style.points_high(axes, grid)
    size, inside = _label_size(regions, high / grid.rows, high * width / (bottom - top))
    for index, (row, column, rows, columns) in enumerate(regions.boxes):
        number = regions.class_of(index)
        special = number in (prediction, label)
        colour = style.LIGHT_ON_DARK if number == prediction else "#ffb347" if number == label else "white"
        corner = (left + column * width, top + row * height)
        axes.add_patch(
            Rectangle(
                corner,
                columns * width,
                rows * height,
                fill=False,
                edgecolor=colour,
                linewidth=1.5 if special else 0.6,
                linestyle="--" if number == label != prediction else "-",
                alpha=1 if special else 0.75,
            )
        )
        # Above the box where there is room, so that the light in it stays to be seen.
        name = f"{number}{'−' if index % 2 else '+'}" if regions.paired else str(number)
        place = (corner[0] + columns * width / 2, corner[1] + (rows * height / 2 if inside else 0))
        told: dict[str, Any] = {"fontsize": size, "color": colour, "fontweight": "bold" if special else "normal"}
        style.annotate(axes, name, place, (0, 0 if inside else 1.3), va="center" if inside else "baseline", **told)


def _label_size(regions: Regions, down: float, across: float) -> tuple[float, bool]:
    """Return the size of letters in points, and whether they stand inside the regions, as there is no room above.

    Args:
        regions: The regions.
        down: Height of a row of the detector in points.
        across: Width of a column of it in points.
    """
    boxes = regions.boxes
    gaps = [
        row - (above + rows)
        for row, column, _, columns in boxes
        for above, other, rows, others in boxes
        if above + rows <= row and other < column + columns and column < other + others
    ]
    apart = [
        abs(column + columns / 2 - other - others / 2)
        for row, column, rows, columns in boxes
        for beside, other, high, others in boxes
        if column != other and row < beside + high and beside < row + rows
    ]
    # Digits are three quarters of their size high, and keep off the lines; with a sign they are one and a half wide.
    above = (down * min(gaps, default=math.inf) - 2.6) / 0.75
    within = min(min((rows * down - 2) / 0.75, columns * across / 1.5) for _, _, rows, columns in boxes)
    inside = above < _READABLE and within > above
    size = min(within if inside else above, across * min(apart, default=math.inf) / 1.6)
    return min(max(size, 2.5), 6.5), inside


def class_label(classes: Sequence[str], index: int) -> str:
    """Return the index of a class, and its name where that says more."""
    name = classes[index] if index < len(classes) else ""
    return name if name in ("", str(index)) else f"{name} {index}"


def confusion_matrix(predictions: np.ndarray, labels: np.ndarray, classes: int) -> np.ndarray:
    """Return how many images of each class (rows) were answered with each (columns): int64 ``classes x classes``."""
    return np.bincount(labels * classes + predictions, minlength=classes * classes).reshape(classes, classes)


def confusion_figure(matrix: np.ndarray, classes: Sequence[str]) -> Figure:
    """Draw how many images of each class were answered with each, shaded by the share of the class."""
    names = [class_label(classes, index) for index in range(len(matrix))]
    wordy = max(map(len, names)) > 3
    figure = style.new_figure(5.3 + 0.9 * wordy, 4.7 + 0.9 * wordy)
    axes = figure.subplots()
    shares = matrix / matrix.sum(1, keepdims=True).clip(min=1)
    # A root spreads the shades of the few mistakes, which are what one looks for.
    axes.imshow(np.where(matrix > 0, np.sqrt(shares), np.nan), cmap="GnBu", vmin=0, vmax=1.15)
    for (row, column), number in np.ndenumerate(matrix):
        if number:
            colour = "white" if shares[row, column] > 0.5 else style.INK
            weight = "bold" if row == column else "normal"
            axes.text(column, row, str(number), ha="center", va="center", fontsize=7.5, color=colour, fontweight=weight)
    axes.set_xticks(range(len(names)), names, rotation=40 if wordy else 0, ha="right" if wordy else "center")
    axes.set_yticks(range(len(names)), names)
    axes.tick_params(length=0)
    axes.set(xlabel="answered", ylabel="shown")
    for spine in axes.spines.values():
        spine.set(visible=True, color=style.RULE)
    return figure
