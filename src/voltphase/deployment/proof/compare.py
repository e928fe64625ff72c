"""Comparing what a system rebuilt from files gives with what the model gave, and what rounding explains."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
import torch
from torch import Tensor

from voltphase.core.errors import DeploymentError
from voltphase.deployment.emulator import Emulator
from voltphase.deployment.folder import read_array
from voltphase.deployment.manifest import Manifest
from voltphase.deployment.proof.samples import by_region
from voltphase.deployment.records import ArrayRecord, SamplesRecord
from voltphase.tasks import Metric, RegionReadout, Regions, Task, WindowReadout

if TYPE_CHECKING:
    from voltphase.data import ImageDataset

# Largest difference of logits, relative to the largest logit of the set, that rounding explains: the model
# and the emulator add the same terms in another order.
_ROUNDING: Final = {"complex64": 2e-5, "complex128": 1e-12}
# Whatever the light, no logit may differ by more than this part of the largest that the readout can give, or that the
# model gave: of a pair so dark that rounding alone moves its contrast further, nothing can be told.
_LARGEST_TOLERANCE: Final = 0.01
# A tie between two regions may fall the other way, for so many of the images or one of them.
_TIES: Final = 0.002
# Values of a metric for one and the same list of predictions differ by no more.
_EQUAL: Final = 1e-9
_BATCH: Final = 64
# Samples of a batch of fields, 64 MB of complex64.
_BATCH_SAMPLES: Final = 2**23


@dataclass(frozen=True)
class Check:
    """One thing that was checked.

    Args:
        what: Name of what was checked.
        passed: Whether it is as it should be; None if it could not be checked.
        figures: What was found, in words and figures.
        differs: Whether answers differ for a reason that is no fault of the files.
    """

    what: str
    passed: bool | None
    figures: str
    differs: bool = False

    @property
    def verdict(self) -> str:
        """One of ``"passed"``, ``"FAILED"``, ``"not checked"`` and ``"differs"``."""
        return "differs" if self.differs else {True: "passed", False: "FAILED", None: "not checked"}[self.passed]


@dataclass(frozen=True)
class Comparison:
    """Predictions and numbers beside those expected.

    Args:
        metric: Figure that says how well the task is done.
        value: Value of it for the system rebuilt from the files; NaN of inputs without labels.
        expected_value: Value of it for the model when it was deployed, on the same images.
        images: Number of images.
        predictions_equal: For how many of them both give the same answer; of numbers, the same to rounding.
        max_logit_difference: Largest difference between two logits; where the test set was not at hand, between two
            readings as parts of the light on the detector.
        logits_different: How many logits, or readings, differ by more than rounding explains.
        unexplained: How many answers are others that rounding does not bring together.
        of_readings: Whether readings were compared in place of logits.
        recorded_value: Value of the metric when deployed as the manifest says it, None where it does not.
    """

    metric: Metric
    value: float
    expected_value: float
    images: int
    predictions_equal: int
    max_logit_difference: float
    logits_different: int
    unexplained: int
    of_readings: bool
    recorded_value: float | None

    def told(self) -> tuple[Check, ...]:
        """Return what is told from it: the numbers, the predictions and, where there are labels, the metric."""
        most_ties, other = max(1.0, _TIES * self.images), self.images - self.predictions_equal
        ties = f" ({other - self.unexplained} ties within rounding)" if other else ""
        numbers, of_what = ("readings", " of the light on the detector") if self.of_readings else ("logits", "")
        checks = [
            Check(
                numbers,
                self.logits_different == 0,
                f"{numbers} differ by at most {self.max_logit_difference:.1e}{of_what}, "
                f"{self.logits_different or 'none'} of them by more than rounding explains",
            ),
            Check(
                "predictions",
                self.unexplained == 0 and other <= most_ties,
                f"{self.predictions_equal} of {self.images} predictions equal{ties}",
            ),
        ]
        if not math.isnan(self.expected_value):
            name, number = self.metric.name, self.metric.number
            recorded = self.expected_value if self.recorded_value is None else self.recorded_value
            # One tie more or less is one answer; a mean of numbers moves by no more than they may.
            off = most_ties / self.images if self.metric.percent else _LARGEST_TOLERANCE * abs(self.expected_value)
            agree = abs(self.value - self.expected_value) <= off + _EQUAL
            figures = f"{name} {number(self.value)} from the files, {number(recorded)} expected"
            if abs(recorded - self.expected_value) > _EQUAL:
                agree, figures = False, f"{figures}, but the expected logits give {number(self.expected_value)}"
            checks.append(Check(name, agree, figures))
        return tuple(checks)


def compare(
    logits: Tensor,
    expected: Tensor,
    labels: Tensor | None,
    tolerance: Tensor | float,
    task: Task,
    recorded_value: float | None = None,
    readings: tuple[Tensor, Tensor] | None = None,
) -> Comparison:
    """Compare ``images x classes`` logits of the rebuilt system, and the answers they stand for, with those expected.

    Args:
        logits: Logits of the rebuilt system.
        expected: Logits of the model.
        labels: Class of each image, or what else is wanted of it, if that is known.
        tolerance: Largest difference that rounding explains, of all logits or of each.
        task: Task that says what logits stand for, and by its first metric how well it is done.
        recorded_value: Value of the metric that the manifest says the model has, if it does.
        readings: Difference of each reading and how much of it rounding explains, told in place of those of logits.
    """
    difference = (logits - expected).abs()
    tolerance = torch.as_tensor(tolerance, dtype=difference.dtype).expand_as(difference)
    equal, explained_answers = _answers_equal(task, logits, expected, difference, tolerance)
    metric = task.metrics[0]
    value, expected_value = (
        math.nan if labels is None else metric.of(outputs, labels) for outputs in (logits, expected)
    )
    told, explained = (difference, tolerance) if readings is None else readings
    return Comparison(
        metric=metric,
        value=value,
        expected_value=expected_value,
        images=len(logits),
        predictions_equal=int(equal.sum()),
        max_logit_difference=float(told.max()),
        logits_different=int((~(told <= explained)).sum()),  # one that is no number differs
        unexplained=int((~equal & ~explained_answers).sum()),
        of_readings=readings is not None,
        recorded_value=recorded_value,
    )


def _answers_equal(
    task: Task, logits: Tensor, expected: Tensor, difference: Tensor, tolerance: Tensor
) -> tuple[Tensor, Tensor]:
    """Return which images have the same answer, and of which rounding explains another one."""
    found, wanted = task.predict(logits), task.predict(expected)
    within = difference <= tolerance
    if wanted.is_floating_point():
        return within.flatten(1).all(1), torch.zeros(len(logits), dtype=torch.bool)
    same = found == wanted
    if wanted.ndim > 1:  # bits, each told by a logit of its own
        return same.flatten(1).all(1), (same | within).flatten(1).all(1)
    # A class that was ahead by no more than both logits may be off has lost a tie.
    (found, wanted) = (answer[:, None] for answer in (found, wanted))
    ahead = expected.gather(-1, wanted) - expected.gather(-1, found)
    off = tolerance.gather(-1, wanted) + tolerance.gather(-1, found)
    return same, (ahead <= off).squeeze(-1)


@torch.no_grad()
def compare_samples(folder: Path, emulator: Emulator, samples: SamplesRecord) -> Comparison:
    """Compare the readings of the test inputs in the folder, whose files are checked, and predictions."""
    manifest, readout = emulator.manifest, emulator.readout
    task, output_shape = manifest.readout.task_object, manifest.readout.output_shape
    images, labels = read_samples(folder, manifest, samples)
    if isinstance(readout, WindowReadout):
        pictures = read_finite(folder, samples.readings, (samples.count, *output_shape), "readings")
        return _compare_pictures(emulator, images, pictures, labels)
    regions, channels = readout.regions, readout.channels
    readings = read_finite(folder, samples.readings, (samples.count, channels * len(regions)), "readings")
    meter = RegionReadout(_with_detector(regions), readout.measure, 1.0)
    logits, sensitivity, measured = _answers(emulator, images, meter)
    expected = readout.outputs(manifest.reading_factor * _classes(readings, paired=readout.contrasts))
    # The field of a region is off by a part of the field of the whole detector, however dark the region is.
    light = measured[..., -1:].amax(1) if channels > 1 else measured[:, -1:]
    measured, rounding = by_region(measured[..., :-1], channels), _ROUNDING[manifest.propagation.precision]
    tiny = torch.finfo(light.dtype).tiny
    of_field = light if readout.measure == "amplitude" else (light * (readings.abs() + rounding * light)).sqrt()
    scale = light.clamp_min(tiny)
    parts = (measured - readings).abs() / scale, rounding * of_field / scale
    return compare(logits, expected, labels, _tolerance(emulator, sensitivity, expected), task, readings=parts)


def read_samples(folder: Path, manifest: Manifest, samples: SamplesRecord) -> tuple[Tensor, Tensor | None]:
    """Return the test inputs in the folder, ``images x height x width``, and what is wanted of each if known."""
    images = sample_images(folder, samples, (samples.count, *manifest.input.image_shape))
    if samples.labels is None:
        return images, None
    shape, output_shape = (samples.count,), manifest.readout.output_shape
    if manifest.readout.classes:
        return images, torch.from_numpy(read_array(folder, samples.labels, shape, "i", "whole numbers"))
    flat = read_array(folder, samples.labels, (*shape, math.prod(output_shape)), "f", "numbers")
    labels = torch.from_numpy(flat)
    return images, labels.view(*shape, *output_shape) if manifest.readout.pixels is not None else labels


def sample_images(folder: Path, samples: SamplesRecord, shape: tuple[int, ...]) -> Tensor:
    """Return the test inputs in a folder: bytes, or real numbers from 0 to 1."""
    real = (samples.images.dtype or "")[1:2] == "f"
    kind, what = ("f", "real numbers") if real else ("u", "bytes")
    images = torch.from_numpy(read_array(folder, samples.images, shape, kind, what))
    if not (bool(((images >= 0) & (images <= 1)).all()) if real else images.dtype == torch.uint8):
        raise DeploymentError(
            f"expected bytes, or real numbers from 0 to 1, in {folder / samples.images.file}, but got {images.dtype} "
            f"up to {float(images.double().max()):g}: restore the file or deploy again"
        )
    return images


@torch.no_grad()
def compare_all(emulator: Emulator, dataset: ImageDataset, expected: Tensor, recorded_value: float) -> Comparison:
    """Compare the logits of all images of a test set, and predictions."""
    if isinstance(emulator.readout, WindowReadout):
        return _compare_pictures(emulator, dataset.images, expected, dataset.targets, recorded_value)
    logits, sensitivity, _ = _answers(emulator, dataset.images, None)
    tolerance, task = _tolerance(emulator, sensitivity, expected), emulator.manifest.readout.task_object
    return compare(logits, expected, dataset.targets, tolerance, task, recorded_value)


def _compare_pictures(
    emulator: Emulator, images: Tensor, expected: Tensor, targets: Tensor | None, recorded_value: float | None = None
) -> Comparison:
    """Compare pictures, which are in parts of the light on the detector: readings and outputs are the same."""
    found, brightest, _ = _answers(emulator, images, None)
    tolerance = (_ROUNDING[emulator.manifest.propagation.precision] * brightest).expand_as(found)
    parts = (found - expected).abs(), tolerance
    task = emulator.manifest.readout.task_object
    return compare(found, expected, targets, tolerance, task, recorded_value, readings=parts)


def read_finite(folder: Path, record: ArrayRecord, shape: tuple[int, ...], what: str) -> Tensor:
    """Return an array of finite numbers of a shape.

    Raises:
        DeploymentError: if the file is missing, was changed, or is no such array.
    """
    values = read_array(folder, record, shape, "f", f"finite {what}")
    if not np.isfinite(values).all():
        raise DeploymentError(
            f"expected finite {what} of shape {shape} in {folder / record.file}, but some are not: restore the file or "
            "deploy again"
        )
    return torch.from_numpy(values)


def _answers(emulator: Emulator, images: Tensor, meter: RegionReadout | None) -> tuple[Tensor, Tensor, Tensor]:
    """Return logits, how rounding moves them, and what the meter measures of all images."""
    largest = max(math.prod(grid.shape) for grid in emulator.manifest.grids)
    parts = []
    for part in images.split(max(1, min(_BATCH, _BATCH_SAMPLES // largest))):
        field = emulator.detector_field(part)
        measured = field.new_zeros(len(field)) if meter is None else meter.read(meter.window(field))
        parts.append((emulator.logits(field), _sensitivity(emulator.readout, field), measured))
    logits, sensitivity, measured = map(torch.cat, zip(*parts, strict=True))
    return logits, sensitivity, measured


def _with_detector(regions: Regions) -> Regions:
    """Return the regions one by one, and the whole detector as one more."""
    return Regions((*regions.boxes, (0, 0, *regions.shape)), regions.shape)


def _classes(readings: Tensor, *, paired: bool) -> Tensor:
    """Return what is compared to name a class, from the readings of regions: themselves, or contrasts of pairs."""
    if not paired:
        return readings
    first, second = readings[:, 0::2], readings[:, 1::2]
    return (first - second) / (first + second).clamp_min(torch.finfo(readings.dtype).tiny)


def _tolerance(emulator: Emulator, sensitivity: Tensor, expected: Tensor) -> Tensor:
    """Return how far each logit may be off by rounding, ``images x classes``: bounded, however dark a pair is."""
    largest, record = float(expected.abs().max()), emulator.manifest.readout
    bound = _LARGEST_TOLERANCE * max(largest, record.scale if record.differential else 0.0)
    rounding = _ROUNDING[emulator.manifest.propagation.precision]
    return (rounding * sensitivity.clamp_min(largest)).clamp_max(bound)


def _sensitivity(readout: RegionReadout | WindowReadout, field: Tensor) -> Tensor:
    """Return how far a unit of relative rounding of ``field`` moves each logit, ``batch x classes``; 0 without pairs.

    It moves a pixel of a picture by no more than the brightest one that there can be, ``batch x 1 x 1``.

    A field's rounding is as large in the dark as in the light, and moves the contrast of a dark pair by as much more as
    the pair is darker in amplitude: by ``sqrt(I / I_pair)``, of the mean intensities of the detector and of the pair.
    Where that is 1 and where it is 12,000, contrasts of a model and its emulator were found to differ by 3 to 6 units
    in the last place of it.
    """
    if isinstance(readout, WindowReadout):
        light = field.abs().square().flatten(1)
        samples = math.prod(readout.box[2:]) / math.prod(readout.pixels)
        part = samples * light.amax(1) / light.sum(1).clamp_min(torch.finfo(light.dtype).tiny)
        part = part if readout.measure == "intensity" else part.sqrt()
        return part.view(-1, *[1] * len(readout.output_shape))
    regions = readout.regions
    if not readout.contrasts:
        return field.new_zeros(len(field), regions.classes, dtype=field.real.dtype)
    light = RegionReadout(_with_detector(regions), "mean", 1.0).read(field)
    if readout.channels > 1:
        pairs, light = light[..., :-1].mean(1), light.mean(1)
    else:
        pairs = light[:, :-1].unflatten(1, (-1, 2)).mean(2)
    return readout.scale * (light[:, -1:] / pairs.clamp_min(torch.finfo(pairs.dtype).tiny)).sqrt()
