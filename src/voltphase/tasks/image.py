"""Light in the shape of a picture: beam shaping, holograms, and pictures of pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Literal, get_args

from annotated_types import Len
from torch import Tensor

from voltphase.core import checks
from voltphase.core.errors import ConfigError, DataError
from voltphase.tasks.base import TASKS, Metric, Task
from voltphase.tasks.picture_metrics import LOSSES, alike, metrics_of
from voltphase.tasks.window_readout import Picture, WindowReadout, checked_pixels, checked_window


@TASKS.register("image")
@dataclass(frozen=True)
class Image(Task):
    """A picture for each image, of the light on the detector or in a window of it.

    Targets are pictures of what is measured. What is compared has no unit: a picture of the light is in parts of all
    light on the detector, and brought to the brightness where it is nearest to its target.

    Args:
        window: The part of the detector that the picture is of, as [row, column, height, width] in whole samples; null
            for the whole detector. What light does beside the window is left free.
        pixels: Size of the picture as [rows, columns], each pixel the light of a block of samples; null for that of the
            targets in training, and otherwise for a pixel each sample.
        measure: What the targets are pictures of: the ``intensity`` of the light, its root the ``amplitude``, or the
            complex ``field``, but for a common phase.
        loss: Loss to learn by: ``mse``, the squared error at the brightness where it is least, over the square of the
            target; or ``correlation``, by how much Pearson's coefficient is below 1, which lets an even background be.

    Raises:
        ConfigError: if a setting is none of these.

    Examples:
        >>> task = Image(window=(16, 16, 32, 32), pixels=(8, 8))
        >>> task.make_readout((64, 64)).output_shape
        (8, 8)
        >>> [metric.name for metric in task.metrics]
        ['correlation', 'efficiency', 'psnr', 'ssim', 'nonuniformity']
    """

    window: Annotated[Sequence[int], Len(4, 4)] | None = None
    pixels: Annotated[Sequence[int], Len(2, 2)] | None = None
    measure: Picture = "intensity"
    loss: Literal["mse", "correlation"] = "mse"

    def __post_init__(self) -> None:
        if self.window is not None:
            object.__setattr__(self, "window", checked_window(self.window, ConfigError))
        if self.pixels is not None:
            object.__setattr__(self, "pixels", checked_pixels(self.pixels))
        checks.word(self.measure, "a measure", get_args(Picture))
        checks.word(self.loss, "a loss", tuple(LOSSES))

    def make_readout(self, shape: tuple[int, int]) -> WindowReadout:
        return WindowReadout(shape, self.window, self.pixels, self.measure)

    def compute_loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        found, wanted = alike(outputs, targets)
        if found.shape != wanted.shape:
            _refuse_size(wanted, found.shape[1:])
        return LOSSES[self.loss](found, wanted)

    @property
    def metrics(self) -> tuple[Metric, ...]:
        return metrics_of(self.measure)

    def check_data(self, name: str, classes: Sequence[str], targets: Tensor) -> None:
        if classes or targets.ndim != 3:
            got = f"labels of {len(classes)} classes" if classes else f"targets of {_sizes(targets.shape)}"
            raise DataError(
                f"expected a picture as the target of each image for the task image, a tensor of count x rows x "
                f"columns, but {name} has {got}"
            )
        if self.pixels is not None and tuple(targets.shape[1:]) != self.pixels:
            _refuse_size(targets, self.pixels)
        if targets.is_complex() and self.measure != "field":
            raise DataError(
                f"expected real targets for pictures of the {self.measure}, but those of {name} are complex: set "
                "task.measure to field, or give their absolute values"
            )
        if not bool(targets.isfinite().all()):
            raise DataError(f"expected finite targets in {name}, but some are not: correct them")
        if self.measure != "field" and bool((wrong := (targets < 0).flatten(1).any(1)).any()):
            raise DataError(
                f"expected targets of at least 0, as light is, but that of image {int(wrong.nonzero()[0])} of {name} "
                "has values below: add an offset, or take their absolute values"
            )
        self._check_dark(name, ~(targets != 0).flatten(1).any(1))

    def _check_dark(self, name: str, dark: Tensor) -> None:
        """Refuse dark targets, of which ``dark`` is a mask."""
        if bool(dark.any()):
            raise DataError(
                f"expected light in every target, but that of image {int(dark.nonzero()[0])} of {name} is dark, which "
                "light cannot be compared with whatever its brightness: leave such images out"
            )

    def for_data(self, classes: Sequence[str], targets: Tensor) -> Image:
        return self if self.pixels is not None else replace(self, pixels=tuple(targets.shape[1:]))


def _refuse_size(targets: Tensor, size: Sequence[int]) -> None:
    rows, columns = size
    raise DataError(
        f"expected targets of {rows} x {columns} pixels, as the picture of the light has, but got "
        f"{_sizes(targets.shape[1:])}: bring them to that size, or set task.pixels to theirs, of which each is a "
        "whole number of samples of task.window"
    )


def _sizes(shape: Sequence[int]) -> str:
    return " x ".join(map(str, shape))
