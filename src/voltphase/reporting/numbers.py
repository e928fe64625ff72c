"""What a report shows of answers that are numbers or bits."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from voltphase.network.donn import DONN
from voltphase.optics.grid import Grid
from voltphase.reporting import style
from voltphase.reporting.answers import Example, TaskPictures, draw_regions, pictures_of, region_light
from voltphase.tasks import Logic, Regions, Regression, require_regions

if TYPE_CHECKING:
    from voltphase.data import ImageDataset
    from voltphase.training import Evaluation

_MOST_DRAWN = 9


class PairPictures(TaskPictures):
    """Pairs of regions on the detector, and the contrast of each."""

    detector_note = " On the detector, + is the region for more of a number or for 1, and − that for less or for 0."

    def __init__(self, regions: Regions) -> None:
        self._regions = regions

    def caption(self, example: Example) -> str:
        wanted, answered = (", ".join(f"{x:.4g}" for x in np.ravel(of)) for of in (example.target, example.prediction))
        return f"Test image {example.index}: {wanted} is wanted, and {answered} was answered."

    def draw_on_detector(self, axes: Axes, grid: Grid, example: Example) -> None:
        draw_regions(axes, self._regions, grid, -1, -1)

    def draw_output(self, axes: Axes, example: Example) -> None:
        axes.barh(range(len(example.output)), example.output, color=style.ACCENT, height=0.78)
        axes.set_yticks(range(len(example.output)))
        axes.invert_yaxis()
        axes.axvline(0, color=style.INK, lw=0.6)
        axes.set_xlabel("contrast × scale")

    def light_shares(self, intensity: Tensor, targets: Tensor) -> dict[str, Tensor]:
        return {"in any region": region_light(intensity, self._regions).sum(-1)}


class NumberPictures(PairPictures):
    """Numbers answered against numbers wanted."""

    def drawings(self, evaluation: Evaluation) -> list[tuple[Figure, str, str]]:
        predictions = evaluation.predictions.numpy()
        wanted = evaluation.targets.reshape(predictions.shape).numpy()
        count = min(predictions.shape[1], _MOST_DRAWN)
        figure = style.new_figure(2.9 * count + 0.4, 3.1)
        for index, axes in enumerate(figure.subplots(1, count, squeeze=False)[0]):
            ends = [f(part[:, index].min() if f is min else part[:, index].max() for part in (wanted, predictions))
                    for f in (min, max)]  # fmt: skip
            axes.plot(ends, ends, color=style.RULE, lw=1)
            axes.plot(wanted[:, index], predictions[:, index], ".", ms=3, color=style.ACCENT)
            axes.set(xlabel=f"number {index} wanted", ylabel="answered" if index == 0 else "")
        caption = f"{len(wanted)} test images, a dot each; on the line the answer is right."
        return [(figure, "Numbers answered and wanted", caption)]


class BitPictures(PairPictures):
    """How clear each bit is."""

    def drawings(self, evaluation: Evaluation) -> list[tuple[Figure, str, str]]:
        outputs = evaluation.outputs.numpy()
        wanted = evaluation.targets.reshape(outputs.shape).numpy() > 0
        figure = style.new_figure(4.2, 2.6)
        axes = figure.subplots()
        for value, colour in ((False, style.SECOND), (True, style.ACCENT)):
            rows, bits = np.nonzero(wanted == value)
            axes.plot(outputs[rows, bits], bits + 0.08 * (2 * value - 1), "o", ms=4, color=colour, label=f"{value:d}")
        axes.axvline(0, color=style.INK, lw=0.6)
        axes.set_yticks(range(outputs.shape[1]), [f"bit {index}" for index in range(outputs.shape[1])])
        axes.invert_yaxis()
        axes.set_xlabel("contrast × scale")
        axes.legend(title="wanted")
        right = int((wanted == (outputs > 0)).all(1).sum())
        caption = f"Right of the line a bit is read as 1: every bit is right for {right} of {len(outputs)} test images."
        return [(figure, "Bits", caption)]


@pictures_of.register(Regression)
def _(task: Regression, model: DONN, test: ImageDataset) -> TaskPictures:
    return NumberPictures(require_regions(model.readout).regions)


@pictures_of.register(Logic)
def _(task: Logic, model: DONN, test: ImageDataset) -> TaskPictures:
    return BitPictures(require_regions(model.readout).regions)
