"""What a report shows of the task ``image``: targets, pictures of the light, and by how much they differ."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from torch import Tensor

from voltphase.network.donn import DONN
from voltphase.network.gerchberg_saxton import gerchberg_saxton
from voltphase.optics.grid import Grid
from voltphase.reporting import style
from voltphase.reporting.answers import Example, TaskPictures, pictures_of
from voltphase.tasks import Image, Segmentation, WindowReadout
from voltphase.tasks.picture_metrics import alike
from voltphase.tasks.segmentation import bright

if TYPE_CHECKING:
    from voltphase.data import ImageDataset
    from voltphase.training import Evaluation


@pictures_of.register(Segmentation)
def _(task: Segmentation, model: DONN, test: ImageDataset) -> TaskPictures:
    assert isinstance(model.readout, WindowReadout)
    return MaskPictures(model, model.readout, test)


@pictures_of.register(Image)
def _(task: Image, model: DONN, test: ImageDataset) -> TaskPictures:
    assert isinstance(model.readout, WindowReadout)
    return ImagePictures(model, model.readout, test)


class ImagePictures(TaskPictures):
    """Pictures of the light beside their targets, and what Gerchberg and Saxton's way makes of the same states."""

    _difference = "difference"
    _what_differs = "the difference is in parts of the target's peak"

    def __init__(self, model: DONN, readout: WindowReadout, test: ImageDataset) -> None:
        self._model, self._readout, self._test = model, readout, test
        if readout.box != (0, 0, *readout.shape):
            self.detector_note = " On the detector the window is drawn that the picture is read of."

    def draw_on_detector(self, axes: Axes, grid: Grid, example: Example) -> None:
        left, right, bottom, top = style.extent(grid)
        down, across = (bottom - top) / grid.rows, (right - left) / grid.columns
        row, column, height, width = self._readout.box
        corner = left + column * across, top + row * down
        axes.add_patch(
            Rectangle(corner, width * across, height * down, fill=False, edgecolor=style.LIGHT_ON_DARK, linewidth=0.8)
        )

    def draw_output(self, axes: Axes, example: Example) -> None:
        _show(axes, _drawn(example.target, example.output)[1], "target")

    def light_shares(self, intensity: Tensor, targets: Tensor) -> dict[str, Tensor]:
        in_window = intensity * self._readout.counted().to(intensity)
        row, column, height, width = self._readout.box
        wanted = (targets != 0).to(intensity)
        for axis, samples, pixels in ((1, height, self._readout.pixels[0]), (2, width, self._readout.pixels[1])):
            wanted = wanted.repeat_interleave(samples // pixels, axis)
        signal = in_window[:, row : row + height, column : column + width] * wanted
        return {"in the window": in_window.sum((-2, -1)), "where it is wanted": signal.sum((-2, -1))}

    def drawings(self, evaluation: Evaluation) -> list[tuple[Figure, str, str]]:
        shown = self.choose(evaluation)
        figure = style.new_figure(5.4, 1.75 * len(shown) + 0.3)
        axes = np.asarray(figure.subplots(len(shown), 3, squeeze=False))
        for row, index in zip(axes, shown, strict=True):
            found, wanted = _drawn(evaluation.targets[index].numpy(), evaluation.outputs[index].numpy())
            title = index == shown[0]
            top = max(float(found.max()), float(wanted.max()))
            _show(row[0], wanted, "target" if title else "", top)
            _show(row[1], found, "light" if title else "", top)
            self._draw_difference(row[2], found, wanted)
            row[2].set_title(self._difference if title else "")
            row[2].set_axis_off()
        figures = self._figures(evaluation.outputs, evaluation.targets)
        caption = f"Test images {', '.join(map(str, shown))}" if len(evaluation.targets) > 1 else "The picture"
        caption += f", each as bright as its target; {self._what_differs}. {figures}."
        return [(figure, "Pictures of the light", f"{caption}{self._baseline(evaluation)}")]

    def _draw_difference(self, axes: Axes, found: np.ndarray, wanted: np.ndarray) -> None:
        largest = float(wanted.max())
        shown = axes.imshow(found - wanted, cmap="RdBu_r", vmin=-largest, vmax=largest, interpolation="nearest")
        bar = axes.figure.colorbar(shown, ax=axes, ticks=[-largest, 0, largest], fraction=0.05)
        bar.set_ticklabels(["−1", "0", "1"])

    def _figures(self, outputs: Tensor, targets: Tensor) -> str:
        metrics = self._model.task.metrics
        return ", ".join(f"{metric.name} {metric.text(metric.of(outputs, targets))}" for metric in metrics)

    def _baseline(self, evaluation: Evaluation) -> str:
        readout, targets = self._readout, evaluation.targets
        alone = len(targets) == len(self._model.layers) == 1 and self._model.beams.single
        if not alone or readout.measure == "field" or readout.pixels != readout.box[2:]:
            return ""
        found = [
            self._figures(gerchberg_saxton(self._model, self._test.images, targets, weighted=weighted).outputs, targets)
            for weighted in (False, True)
        ]
        return f" On the same states, Gerchberg and Saxton's way: {found[0]}; its weighted form: {found[1]}."


class MaskPictures(ImagePictures):
    """Pictures of the light beside the masks that are wanted, and where the masks that follow from them are wrong."""

    _difference = "mask"
    _what_differs = "of the masks white is right, green missing and orange too much"

    def _draw_difference(self, axes: Axes, found: np.ndarray, wanted: np.ndarray) -> None:
        mask = bright(torch.from_numpy(found[None]))[0].numpy()
        # 0 of neither, 1 of both, 2 of the target alone, 3 of the mask alone.
        kinds = np.select([mask & (wanted > 0), wanted > 0, mask], [1, 2, 3], 0)
        colours = ListedColormap(["black", "white", style.ACCENT, style.SECOND])
        axes.imshow(kinds, cmap=colours, vmin=0, vmax=3, interpolation="nearest")


def _drawn(target: np.ndarray, output: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return a picture of the light and its target as they are drawn: of a field the intensities."""
    found, wanted = (one[0].numpy() for one in alike(torch.from_numpy(output[None]), torch.from_numpy(target[None])))
    found, wanted = (np.abs(one) ** 2 if np.iscomplexobj(one) else one for one in (found, wanted))
    square = float((found * found).sum())
    return found * (float((found * wanted).sum()) / square if square else 0.0), wanted


def _show(axes: Axes, picture: np.ndarray, title: str, top: float | None = None) -> None:
    axes.imshow(picture, cmap=style.INTENSITY_MAP, vmin=0, vmax=top, interpolation="nearest")
    axes.set_title(title)
    axes.set_axis_off()
