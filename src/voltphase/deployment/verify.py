"""Checking that a deployed folder gives what the model gave when it was deployed."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
import torch
from torch import Tensor

from voltphase.core.errors import DataError, DeploymentError
from voltphase.core.files import checked_path
from voltphase.deployment.emulator import Emulator
from voltphase.deployment.folder import read_array, read_file
from voltphase.deployment.manifest import Manifest, ReferenceRecord, SamplesRecord, data_digest
from voltphase.deployment.records import ArrayRecord
from voltphase.tasks import RegionReadout, Regions

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
# Accuracies of one and the same list of predictions differ by no more.
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
    """

    what: str
    passed: bool | None
    figures: str

    @property
    def verdict(self) -> str:
        """``"passed"``, ``"FAILED"`` or ``"not checked"``."""
        return {True: "passed", False: "FAILED", None: "not checked"}[self.passed]


@dataclass(frozen=True)
class VerifyResult:
    """How a deployed folder fares against the model it came from.

    Where the test set was not at hand, the figures are of the test inputs in the folder.

    Args:
        checks: Everything that was checked, in turn.
        accuracy: Accuracy of the system rebuilt from the files, a fraction of ``images``; NaN of inputs without labels.
        expected_accuracy: Accuracy of the model when it was deployed, on the same images.
        images: Number of images.
        predictions_equal: For how many of them both name the same class.
        max_logit_difference: The largest difference between two logits; where the test set was not at hand, between two
            readings as parts of the light on the detector.
        logits_different: How many logits, or readings, differ by more than rounding explains.
    """

    checks: tuple[Check, ...]
    accuracy: float
    expected_accuracy: float
    images: int
    predictions_equal: int
    max_logit_difference: float
    logits_different: int

    @property
    def passed(self) -> bool:
        """Whether everything that could be checked is as it should be."""
        return all(check.passed is not False for check in self.checks)

    @property
    def verdict(self) -> str:
        """All of it in a word, or a sentence."""
        left = ", ".join(check.what for check in self.checks if check.passed is None)
        if self.passed and left:
            return f"passed, but for what was not checked: {left}"
        return "passed" if self.passed else "FAILED: the files do not give what the model gave when it was deployed"

    def __str__(self) -> str:
        width = max(len(check.what) for check in self.checks)
        lines = [f"{check.what:<{width}}  {check.verdict:<11}  {check.figures}" for check in self.checks]
        return "\n".join([*lines, self.verdict])


@dataclass(frozen=True)
class Comparison:
    """Predictions and numbers beside those expected.

    Args:
        numbers: What was compared: ``"logits"``, or ``"readings"`` as parts of the light on the detector.
        images: Number of images.
        difference: The largest difference.
        different: How many numbers differ by more than rounding explains.
        equal: How many predictions are equal.
        unexplained: How many of the others are of classes that rounding does not bring together.
        accuracy: Accuracy now, NaN without labels.
        expected_accuracy: Accuracy when deployed, NaN without labels.
        recorded_accuracy: Accuracy when deployed as the manifest says it, None where it does not.
    """

    numbers: str
    images: int
    difference: float
    different: int
    equal: int
    unexplained: int
    accuracy: float
    expected_accuracy: float
    recorded_accuracy: float | None

    def checks(self) -> tuple[Check, ...]:
        """What is told from it: the numbers, the predictions and, where there are labels, the accuracy."""
        most_ties, told = max(1.0, _TIES * self.images), self.images - self.equal
        ties = f" ({told - self.unexplained} ties within rounding)" if told else ""
        of_what = " of the light on the detector" if self.numbers == "readings" else ""
        checks = [
            Check(
                self.numbers,
                self.different == 0,
                f"{self.numbers} differ by at most {self.difference:.1e}{of_what}, {self.different} by more than "
                "rounding explains",
            ),
            Check(
                "predictions",
                self.unexplained == 0 and told <= most_ties,
                f"{self.equal} of {self.images} predictions equal{ties}",
            ),
        ]
        if not math.isnan(self.expected_accuracy):
            recorded = self.expected_accuracy if self.recorded_accuracy is None else self.recorded_accuracy
            agree = abs(self.accuracy - self.expected_accuracy) <= most_ties / self.images + _EQUAL
            figures = f"accuracy {self.accuracy:.4f} from the files, {recorded:.4f} expected"
            if abs(recorded - self.expected_accuracy) > _EQUAL:
                agree, figures = False, f"{figures}, but the expected logits give {self.expected_accuracy:.4f}"
            checks.append(Check("accuracy", agree, figures))
        return tuple(checks)


def verify(
    folder: str | PathLike[str],
    dataset: ImageDataset | None = None,
    *,
    data_dir: str | PathLike[str] | None = None,
) -> VerifyResult:
    """Rebuild the system of a deployed folder from its files and compare its answers with those of the model.

    The test inputs in the folder are answered in any case, and the whole test set where it is at hand.

    Args:
        folder: Folder as :func:`voltphase.deployment.deploy` wrote it.
        dataset: Test set; looked for by the name in the manifest by default.
        data_dir: Folder where data sets lie, if ``dataset`` is not given: what is missing there is downloaded. Without
            it a test set that is not where data are by default is left out, and the result says so.

    Raises:
        DeploymentError: if a file is missing, changed or contradicts another, the data are not those the folder was
            judged by, or there is nothing at hand to compare.
        DataError: if the data set cannot be loaded from ``data_dir``, or is damaged.
    """
    folder = checked_path(folder, DeploymentError)
    emulator = Emulator.from_folder(folder)
    manifest = emulator.manifest
    if manifest.note is not None:
        read_file(folder, manifest.note)
    checks = [
        Check(
            "files", True, f"{len(manifest.file_records)} files have the SHA-256 that {folder.name} was written with"
        ),
        Check("manifest", True, "fits its checksum; every value is within its bounds")
        if manifest.manifest_sha256 is not None
        else Check("manifest", None, "has no checksum: folders of format version 1 hold none; deploy again to get one"),
    ]
    compared: list[Comparison] = []
    if manifest.samples is not None:
        compared.append(_compare_samples(folder, emulator, manifest.samples))
        what = f"of {manifest.samples.origin}"
        checks += [replace(check, figures=f"{check.figures} ({what})") for check in compared[-1].checks()]
    missing = ""
    if (reference := manifest.reference) is None:
        missing = "the folder was deployed without one"
        if dataset is not None:
            raise DeploymentError(
                f"expected no data set, as {folder} was deployed without one, but got {dataset.name}: leave it out, or "
                "deploy again with it"
            )
    else:
        expected = _finite(folder, reference.logits, (reference.images, manifest.readout.on_detector.classes), "logits")
        if dataset is None:
            dataset, missing = _find_dataset(reference, data_dir)
        if dataset is not None:
            _check_data(folder, manifest, reference, dataset)
        if dataset is not None and not all(check.passed is not False for check in checks):
            missing = "left out, as the test inputs in the folder fail already"
        elif dataset is not None:
            compared.append(_compare_all(emulator, dataset, expected, reference.expected))
            checks += compared[-1].checks()
    if missing:
        checks.append(Check("test set", None, missing))
    if not compared:
        raise DeploymentError(
            f"expected a test set for {folder}, which holds no test inputs of its own, but {missing}: pass the data "
            "set, or deploy again"
        )
    last = compared[-1]
    return VerifyResult(
        checks=tuple(checks),
        accuracy=last.accuracy,
        expected_accuracy=last.expected_accuracy,
        images=last.images,
        predictions_equal=last.equal,
        max_logit_difference=last.difference,
        logits_different=last.different,
    )


def compare(
    logits: Tensor,
    expected: Tensor,
    labels: Tensor | None,
    tolerance: Tensor | float,
    recorded_accuracy: float | None = None,
) -> Comparison:
    """Compare ``images x classes`` logits, and the classes they name, with those expected.

    Args:
        logits: Logits of the rebuilt system.
        expected: Logits of the model.
        labels: The class of each image, if there are any.
        tolerance: Largest difference that rounding explains, of all logits or of each.
        recorded_accuracy: Accuracy that the manifest says the model has, a fraction, if it does.
    """
    found, wanted = logits.argmax(-1, keepdim=True), expected.argmax(-1, keepdim=True)
    difference = (logits - expected).abs()
    tolerance = torch.as_tensor(tolerance, dtype=difference.dtype).expand_as(difference)
    # A class that was ahead by no more than both logits may be off has lost a tie.
    ahead = expected.gather(-1, wanted) - expected.gather(-1, found)
    off = tolerance.gather(-1, wanted) + tolerance.gather(-1, found)
    accuracies = [
        math.nan if labels is None else float((classes.squeeze(-1) == labels).double().mean())
        for classes in (found, wanted)
    ]
    return Comparison(
        numbers="logits",
        images=len(logits),
        difference=float(difference.max()),
        different=int((~(difference <= tolerance)).sum()),  # one that is no number differs
        equal=int((found == wanted).sum()),
        unexplained=int(((found != wanted) & ~(ahead <= off)).sum()),
        accuracy=accuracies[0],
        expected_accuracy=accuracies[1],
        recorded_accuracy=recorded_accuracy,
    )


@torch.no_grad()
def _compare_samples(folder: Path, emulator: Emulator, samples: SamplesRecord) -> Comparison:
    """Compare the readings of the test inputs in the folder, as parts of the light on the detector, and predictions."""
    manifest, regions = emulator.manifest, emulator.readout.regions
    images = read_array(folder, samples.images, (samples.count, *manifest.input.image_shape), "u", "bytes")
    if images.dtype != np.uint8:
        raise DeploymentError(
            f"expected bytes in {folder / samples.images.file}, but got {images.dtype}: restore the file or "
            "deploy again"
        )
    labels = None
    if samples.labels is not None:
        labels = torch.from_numpy(read_array(folder, samples.labels, (samples.count,), "i", "whole numbers"))
    readings = _finite(folder, samples.readings, (samples.count, len(regions)), "readings")
    unpaired = Regions((*regions.boxes, (0, 0, *regions.shape)), regions.shape)
    meter = RegionReadout(unpaired, emulator.readout.measure, 1.0)
    parts = []
    for part in torch.from_numpy(images).split(_batch(manifest)):
        field = emulator.detector_field(part)
        parts.append((emulator.logits(field), _sensitivity(emulator.readout, field), meter.read(field)))
    logits, sensitivity, measured = (torch.cat(part) for part in zip(*parts, strict=True))
    expected = emulator.readout.outputs(manifest.reading_factor * _classes(readings, paired=regions.paired))
    comparison = compare(logits, expected, labels, _tolerance(emulator, sensitivity, expected))
    # The field of a region is off by a part of the field of the whole detector, however dark the region is.
    light, rounding = measured[:, -1:], _ROUNDING[manifest.propagation.precision]
    of_field = (
        light if manifest.readout.measure == "amplitude" else (light * (readings.abs() + rounding * light)).sqrt()
    )
    difference = (measured[:, :-1] - readings).abs()
    relative = difference / light.clamp_min(torch.finfo(light.dtype).tiny)
    return replace(
        comparison,
        numbers="readings",
        difference=float(relative.max()),
        different=int((~(difference <= rounding * of_field)).sum()),
    )


@torch.no_grad()
def _compare_all(emulator: Emulator, dataset: ImageDataset, expected: Tensor, recorded_accuracy: float) -> Comparison:
    """Compare the logits of all images of a test set, and predictions."""
    logits, sensitivity = [], []
    for part in dataset.images.split(_batch(emulator.manifest)):
        field = emulator.detector_field(part)
        logits.append(emulator.logits(field))
        sensitivity.append(_sensitivity(emulator.readout, field))
    tolerance = _tolerance(emulator, torch.cat(sensitivity), expected)
    return compare(torch.cat(logits), expected, dataset.labels, tolerance, recorded_accuracy)


def _classes(readings: Tensor, *, paired: bool) -> Tensor:
    """What is compared to name a class, from the readings of regions: themselves, or contrasts of pairs."""
    if not paired:
        return readings
    first, second = readings[:, 0::2], readings[:, 1::2]
    return (first - second) / (first + second).clamp_min(torch.finfo(readings.dtype).tiny)


def _batch(manifest: Manifest) -> int:
    """How many images go through the system at a time."""
    largest = max(math.prod(grid.shape) for grid in manifest.grids)
    return max(1, min(_BATCH, _BATCH_SAMPLES // largest))


def _tolerance(emulator: Emulator, sensitivity: Tensor, expected: Tensor) -> Tensor:
    """How far each logit may be off by rounding, ``images x classes``: bounded, however dark a pair is."""
    largest = float(expected.abs().max())
    bound = _LARGEST_TOLERANCE * max(largest, emulator.readout.scale if emulator.readout.regions.paired else 0.0)
    return (_ROUNDING[emulator.manifest.propagation.precision] * sensitivity.clamp_min(largest)).clamp_max(bound)


def _sensitivity(readout: RegionReadout, field: Tensor) -> Tensor:
    """How far a unit of relative rounding of ``field`` moves each logit, ``batch x classes``; 0 without contrasts.

    A field's rounding is as large in the dark as in the light, and moves the contrast of a dark pair by as much more as
    the pair is darker in amplitude: by ``sqrt(I / I_pair)``, of the mean intensities of the detector and of the pair.
    Where that is 1 and where it is 12,000, contrasts of a model and its emulator were found to differ by 3 to 6 units
    in the last place of it.
    """
    regions = readout.regions
    if not regions.paired:
        return field.new_zeros(len(field), regions.classes, dtype=field.real.dtype)
    light = RegionReadout(Regions((*regions.boxes, (0, 0, *regions.shape)), regions.shape), "mean", 1.0).read(field)
    pairs = light[:, :-1].unflatten(1, (-1, 2)).mean(2)
    return readout.scale * (light[:, -1:] / pairs.clamp_min(torch.finfo(pairs.dtype).tiny)).sqrt()


def _finite(folder: Path, record: ArrayRecord, shape: tuple[int, ...], what: str) -> Tensor:
    values = read_array(folder, record, shape, "f", f"finite {what}")
    if not np.isfinite(values).all():
        raise DeploymentError(
            f"expected finite {what} of shape {shape} in {folder / record.file}, but some are not: restore the file or "
            "deploy again"
        )
    return torch.from_numpy(values)


def _check_data(folder: Path, manifest: Manifest, reference: ReferenceRecord, dataset: ImageDataset) -> None:
    if data_digest(dataset.images, dataset.labels) != reference.data_sha256:
        raise DeploymentError(
            f"expected the {reference.images} images of {reference.data} ({reference.split}) that {folder} "
            f"was deployed with, but got others ({len(dataset)} images): point to the same data set or "
            "deploy again"
        )
    rows, columns = manifest.input.image_shape
    if dataset.image_shape != (rows, columns):
        raise DeploymentError(
            f"expected images of {rows} x {columns} for {folder}, but those of "
            f"{dataset.name} are {dataset.image_shape[0]} x {dataset.image_shape[1]}: restore the folder or "
            "deploy again"
        )
    if list(dataset.classes) != manifest.readout.classes:
        raise DeploymentError(
            f"expected the classes {', '.join(manifest.readout.classes)} of {folder}, but {dataset.name} has "
            f"{', '.join(dataset.classes)}: point to the same data set or deploy again"
        )


def _find_dataset(reference: ReferenceRecord, data_dir: str | PathLike[str] | None) -> tuple[ImageDataset | None, str]:
    """The test set by its name, or None and why there is none."""
    from voltphase.config import Config
    from voltphase.training import build_dataset

    try:
        config = Config.model_validate({"data": {"name": reference.data}})
    except ValueError:
        return None, f"the folder was deployed with {reference.data!r:.80}, no data set known by name: pass it"
    try:
        # Whoever names a folder wants the data there; nobody else is made to wait for a download.
        dataset = build_dataset(config, reference.split, data_dir, download=data_dir is not None)
    except DataError as error:
        if data_dir is not None:
            raise
        return None, str(error)
    return (dataset.take(reference.images) if reference.images < len(dataset) else dataset), ""
