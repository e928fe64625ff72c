"""What a task is: a readout for the light on the detector, a loss to learn by, and metrics to judge by."""

from __future__ import annotations

import abc
import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from typing import Final

import torch
from torch import Tensor, nn

from voltphase.core import checks
from voltphase.core.errors import ConfigError, DataError, GeometryError, TrainingError
from voltphase.core.registry import Registry

Loss = Callable[[Tensor, Tensor], Tensor]

# What other columns of metrics.csv and figures of summary.json are called after the split, or by themselves.
_TAKEN: Final = (
    *("contrast_margin", "epoch", "images", "images_per_second", "light_share", "loss", "seconds", "temperature"),
)
_NAME: Final = re.compile("[a-z0-9]+([_-][a-z0-9]+)*")

#: How classes are named, as deployed folders say it.
CLASS_ANSWER: Final = "The class with the highest logit is the prediction."


@dataclass(frozen=True)
class Metric:
    """A figure that says how well a task is done: the mean of one number for each example, or made of several means.

    Everything that is written or shown of a metric follows from this class.

    Args:
        name: Name in files and in text, lower-case words of letters and digits with ``_`` or ``-`` between:
            ``"accuracy"``.
        of_each: Function of a batch's outputs and targets that returns one number for each example, or a row of them.
        higher_is_better: Whether a larger value is a better one.
        percent: Whether people read the value as a percentage; it is a fraction from 0 to 1 then.
        of_means: Function that makes the value of the mean over all examples, or of the row of means; their root, say.

    Examples:
        >>> error = Metric("error", lambda outputs, targets: (outputs - targets).abs(), higher_is_better=False)
        >>> error.of(torch.tensor([1.0, 2.0]), torch.tensor([1.0, 4.0]))
        1.0
        >>> error.column("test")
        'test_error'
        >>> Metric("rms", lambda outputs, _: outputs.square(), of_means=lambda mean: float(mean) ** 0.5).of(
        ...     torch.tensor([1.0, 7.0]), torch.zeros(2)
        ... )
        5.0
    """

    name: str
    of_each: Loss
    higher_is_better: bool = True
    percent: bool = False
    of_means: Callable[[Tensor], float] = float

    def of(self, outputs: Tensor, targets: Tensor) -> float:
        """Return the value for all outputs and targets of a data set."""
        return self.value(self.each(outputs, targets).mean(0))

    def each(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Return the number of each example, or its row of them, with a ConfigError if they are none."""
        found = self.of_each(outputs, targets)
        if isinstance(found, Tensor) and found.ndim > 0 and len(found) == len(targets) and not found.is_complex():
            return found.double()
        shape = f"a tensor of {found.dtype} and shape {tuple(found.shape)}" if isinstance(found, Tensor) else None
        raise ConfigError(
            f"expected one real number for each of {len(targets)} examples from the metric {self.name}, but got "
            f"{shape or checks.shown(found)}: return a tensor of them from its of_each"
        )

    def value(self, means: Tensor) -> float:
        """Return the value for the means over all examples, with a ConfigError if it is no number."""
        try:
            return float(self.of_means(means))
        except (TypeError, ValueError, RuntimeError) as cause:
            raise ConfigError(
                f"expected a number as the value of the metric {self.name}, but its of_means makes none of "
                f"{checks.shown(means)}: return one from it, or one for each example from its of_each"
            ) from cause

    def column(self, split: str) -> str:
        """Return the key in ``summary.json`` and ``metrics.csv`` of the value for ``"train"`` or ``"test"``."""
        return f"{split}_{self.name}"

    def number(self, value: float) -> str:
        """Return a value as tables and terminals show it, such as ``0.9790``."""
        return f"{value:.4f}" if self.percent else f"{value:.4g}"

    def text(self, value: float) -> str:
        """Return a value as a text has it, such as ``97.9%``."""
        if not self.percent:
            return self.number(value)
        return f"{value:.1%}" if value < 0.9995 else f"{value:.2%}"


class Readout(nn.Module, abc.ABC):
    """The way from light on the detector to outputs, made for one shape of detector.

    Light is read in two steps, so that a network can measure it without ever holding the whole field: :meth:`read`
    measures the field on the window, and :meth:`outputs` makes outputs, such as logits, of what was measured.

    Attributes:
        shape: (rows, columns) of the detector.
        calibrated: Whether everything that the first batch in training settles is settled.
        channels: Number of wavelengths that the detector tells apart, 1 if it adds all light. Of several, what is read
            has them as an axis behind that of the images.
        window_rows: Indices of the detector's rows that are needed, an int64 tensor.
        window_columns: Indices of the detector's columns that are needed, an int64 tensor.
    """

    shape: tuple[int, int]
    calibrated: bool = True
    channels: int = 1
    window_rows: Tensor
    window_columns: Tensor

    def window(self, field: Tensor) -> Tensor:
        """Return the part of a ``... x rows x columns`` detector field that :meth:`read` needs.

        Raises:
            ConfigError: if it is no complex tensor.
            GeometryError: if it has another shape than the detector.
        """
        require_complex_field(field)
        if tuple(field.shape[-2:]) != self.shape:
            raise GeometryError(
                f"expected a field of {self.shape[0]} x {self.shape[1]} samples on the detector, but got "
                f"{' x '.join(map(str, field.shape))}"
            )
        return field.index_select(-2, self.window_rows).index_select(-1, self.window_columns)

    @abc.abstractmethod
    def read(self, window: Tensor) -> Tensor:
        """Return what is measured of the :meth:`window` of a field: a real ``batch x ...`` tensor."""

    @abc.abstractmethod
    def outputs(self, measured: Tensor) -> Tensor:
        """Return the outputs for what :meth:`read` measured: a real ``batch x ...`` tensor."""

    @abc.abstractmethod
    def counted(self) -> Tensor:
        """Return where on the window light counts: a ``rows x columns`` tensor of ones and zeros."""

    def measured(self, detected: Tensor) -> Tensor:
        """Return what :meth:`read` measures of what a network gives it: the field on the whole detector."""
        return self.read(detected)

    def collected(self, detected: Tensor) -> Tensor:
        """Return the light that counts of what a network gives, one summed intensity for each image."""
        light = detected.real.square() + detected.imag.square()
        return (light * self.counted().to(light.dtype)).sum((-2, -1))

    def figures(self) -> dict[str, float]:
        """Return numbers of a trained readout that a run's summary should hold, by their keys."""
        return {}

    def forward(self, field: Tensor) -> Tensor:
        """Return the outputs for a complex ``batch x rows x columns`` field on the detector."""
        return self.outputs(self.read(self.window(field)))


class RegionSums(Readout):
    """A readout that needs only the light summed over rectangles, which a network may compute without the field.

    Attributes:
        row_masks: Weights of the window's rows in each sum, a ``rows x sums`` tensor.
        column_masks: Weights of the window's columns in each sum, a ``columns x sums`` tensor.
    """

    row_masks: Tensor
    column_masks: Tensor

    @property
    @abc.abstractmethod
    def uses_intensity(self) -> bool:
        """Whether the sums are those of the intensity; they are those of the amplitude otherwise."""

    @abc.abstractmethod
    def from_region_sums(self, sums: Tensor) -> Tensor:
        """Return what :meth:`Readout.read` measures, from ``batch x sums`` sums of light times both masks."""

    def measured(self, detected: Tensor) -> Tensor:
        # Of amplitudes of light that has no field, what stands for it comes here.
        return self.read(detected) if detected.is_complex() else self.from_region_sums(detected)

    def collected(self, detected: Tensor) -> Tensor:
        return detected.sum(-1)


class Task(abc.ABC):
    """What is asked of the light. A subclass is a frozen dataclass whose fields are the settings of ``task:``.

    A task of one's own needs three things: :meth:`make_readout`, :meth:`compute_loss` and :attr:`metrics`.
    """

    @abc.abstractmethod
    def make_readout(self, shape: tuple[int, int]) -> Readout:
        """Return a new readout.

        Args:
            shape: (rows, columns) of the detector.

        Raises:
            GeometryError: if the task does not fit a detector of this shape.
        """

    @abc.abstractmethod
    def compute_loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Return the mean loss over a batch.

        Args:
            outputs: Outputs of the readout, one for each example.
            targets: What is wanted of each example.
        """

    @property
    @abc.abstractmethod
    def metrics(self) -> tuple[Metric, ...]:
        """Figures to judge by; the first is the one that a headline names."""

    def predict(self, outputs: Tensor) -> Tensor:
        """Return the answers that outputs stand for; they are the outputs themselves unless a task says otherwise.

        Args:
            outputs: Outputs of the readout, one for each example.
        """
        return outputs

    def contrast_margin(self, measured: Tensor) -> Tensor | None:
        """Return the contrast margin of each image, from 0 to 1: how far the brightest is ahead, where it can be said.

        Args:
            measured: What the readout measured of the light.
        """
        return None

    @property
    def answer(self) -> str:
        """A sentence for the files of a deployment: how the answer follows from the outputs, which it calls logits."""
        return "The logits are the answer."

    def check_data(self, name: str, classes: Sequence[str], targets: Tensor) -> None:  # noqa: B027 - may stay empty
        """Refuse data that the task cannot be done on.

        Args:
            name: Name of the data set.
            classes: Name of each class; none where the data have no classes.
            targets: What is wanted of each example.

        Raises:
            VoltphaseError: if the data do not fit.
        """

    def for_data(self, classes: Sequence[str], targets: Tensor) -> Task:
        """Return the task with the settings filled in that it leaves to the data, such as the number of classes.

        Args:
            classes: Name of each class; none where the data have no classes.
            targets: What is wanted of each training example, checked by :meth:`check_data`.
        """
        return self


TASKS: Registry[type[Task]] = Registry("a task", "voltphase.tasks", kind=Task)


def readout_of(task: Task, shape: tuple[int, int]) -> Readout:
    """Return a new readout of a task for a detector's (rows, columns), with a ConfigError if the task makes none."""
    name, metrics = _name_of(task), task.metrics
    if not isinstance(metrics, tuple) or not metrics or not all(isinstance(metric, Metric) for metric in metrics):
        raise ConfigError(f"expected one Metric or more of the task {name}, but got {checks.shown(metrics)}")
    taken = list(_TAKEN)
    for metric in metrics:
        if not isinstance(metric.name, str) or not _NAME.fullmatch(metric.name) or metric.name in taken:
            raise ConfigError(
                "expected lower-case words of letters and digits with _ or - between as the name of each metric, "
                f"another for each and none of {', '.join(_TAKEN)}, but a metric of the task {name} is called "
                f"{checks.shown(metric.name)}: rename it"
            )
        taken.append(metric.name)
    advice = "return one from its make_readout"
    return checks.instance(task.make_readout(shape), Readout, f"a readout from the task {name}", advice=advice)


def loss_of(task: Task, outputs: Tensor, targets: Tensor) -> Tensor:
    """Return the loss of a task over a batch, with a ConfigError if it is not one real number."""
    loss = task.compute_loss(outputs, targets)
    if isinstance(loss, Tensor) and loss.ndim == 0 and loss.is_floating_point():
        return loss
    got = f"a tensor of {loss.dtype} and shape {tuple(loss.shape)}" if isinstance(loss, Tensor) else checks.shown(loss)
    raise ConfigError(
        f"expected one real number as the loss of the task {_name_of(task)}, but got {got}: return the mean over the "
        "batch from its compute_loss"
    )


@contextmanager
def naming(task: Task | None) -> Iterator[None]:
    """Say in a ConfigError of the block, which computes metrics, what task they are of."""
    try:
        yield
    except ConfigError as error:
        raise ConfigError(f"the task {_name_of(task)}: {error}" if task is not None else str(error)) from error


def require_values(task: Task, figures: Mapping[str, float], split: str) -> None:
    """Refuse values of a task's metrics, by the names of their columns, that cannot be kept.

    Raises:
        TrainingError: if one is not finite, or a percentage is no fraction from 0 to 1.
    """
    for metric in task.metrics:
        value = figures[metric.column(split)]
        if not math.isfinite(value) or (metric.percent and not 0 <= value <= 1):
            wanted = "a fraction from 0 to 1" if metric.percent else "a finite number"
            raise TrainingError(
                f"expected {wanted} as the metric {metric.name} of the task {_name_of(task)}, but it is {value:g} on "
                f"the {split} images: correct it; a training goes on with --resume from the last epoch that is kept"
            )


def _name_of(task: Task) -> str:
    return TASKS.name_of(type(task)) or type(task).__name__


def require_complex_field(field: object) -> None:
    """Refuse what is no complex tensor with a ConfigError."""
    if not isinstance(field, Tensor) or not field.is_complex():
        given = field.dtype if isinstance(field, Tensor) else checks.shown(field)
        raise ConfigError(
            f"expected the complex field on the detector as a tensor, but got {given}: of an intensity i, such as a "
            "camera's, give i.sqrt().to(torch.complex64), as the phase does not matter here"
        )


@torch.no_grad()
def all_outputs(network: nn.Module, images: Tensor, batch_size: int = 64) -> Tensor:
    """Return the outputs for all images, on the CPU, a batch at a time.

    The network is used in evaluation mode where it is, and each of its parts left in the mode it was in.

    Args:
        network: Network, or anything else that makes outputs of images.
        images: Images, a ``count x rows x columns`` tensor.
        batch_size: Number of images to take at a time; a matter of memory only.

    Raises:
        ConfigError: if ``batch_size`` is not a whole number of at least 1.
        DataError: if there are no images.
    """
    images = checks.array(images, "images", error=DataError)
    if images.ndim == 0 or len(images) == 0:
        raise DataError(f"expected at least one image, but got a tensor of shape {tuple(images.shape)}")
    device = next(chain(network.parameters(), network.buffers())).device
    modes = [(module, module.training) for module in network.modules()]
    network.eval()
    try:
        parts = images.split(checks.whole(batch_size, "a batch size", least=1))
        return torch.cat([network(part.to(device)).cpu() for part in parts])
    finally:
        for module, training in modes:
            module.training = training
