"""Checking that a deployed folder gives what the model gave when it was deployed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from voltphase.deployment.emulator import Emulator
from voltphase.deployment.manifest import Manifest, ReferenceRecord, data_digest
from voltphase.deployment.records import check_unchanged, read_array
from voltphase.errors import DeploymentError
from voltphase.readout import RegionReadout, Regions

if TYPE_CHECKING:
    from voltphase.data import ImageDataset

# Largest difference of logits, relative to the largest logit of the set, that rounding explains: the model
# and the emulator add the same terms in another order.
_ROUNDING = {"complex64": 2e-5, "complex128": 1e-12}
_BATCH = 64


@dataclass(frozen=True)
class VerifyResult:
    """How a deployed folder fares against the model it came from.

    Args:
        accuracy: Of the system rebuilt from the files, a fraction of ``images``.
        expected_accuracy: Of the model when it was deployed.
        images: Number of test images.
        predictions_equal: For how many of them both name the same class.
        max_logit_difference: The largest difference between two logits.
        logits_different: How many logits differ by more than rounding explains.
    """

    accuracy: float
    expected_accuracy: float
    images: int
    predictions_equal: int
    max_logit_difference: float
    logits_different: int

    @property
    def passed(self) -> bool:
        """Whether all logits agree but for rounding, and with them all predictions that it leaves no doubt about."""
        return self.logits_different == 0

    def __str__(self) -> str:
        verdict = "passed" if self.passed else "FAILED"
        return (
            f"{verdict}: accuracy {self.accuracy:.4f} from the files, {self.expected_accuracy:.4f} expected; "
            f"{self.predictions_equal} of {self.images} predictions equal; logits differ by at most "
            f"{self.max_logit_difference:.1e}, {self.logits_different} of them by more than rounding explains"
        )


def verify(
    folder: str | Path, dataset: ImageDataset | None = None, *, data_dir: str | Path | None = None
) -> VerifyResult:
    """Rebuild the system of a deployed folder from its files and run the whole test set through it.

    Args:
        folder: As :func:`voltphase.deployment.deploy` wrote it.
        dataset: The test set; loaded by the name in the manifest by default.
        data_dir: Where data sets lie, if ``dataset`` is not given.

    Raises:
        DeploymentError: if a file is missing, changed or contradicts another, no test set was deployed, or
            the data are not those the folder was judged by.
        DataError: if the data set cannot be loaded.
    """
    folder = Path(folder)
    emulator = Emulator.from_folder(folder)
    reference = emulator.manifest.reference
    if reference is None:
        raise DeploymentError(
            f"expected a test set in {folder}, but it was deployed without one: deploy again with a data set"
        )
    expected = _expected_logits(folder, emulator.manifest, reference)
    if dataset is None:
        dataset = _load_dataset(reference, data_dir)
    if data_digest(dataset.images, dataset.labels) != reference.digest:
        raise DeploymentError(
            f"expected the {reference.images} images of {reference.data} ({reference.split}) that {folder} "
            f"was deployed with, but got others ({len(dataset)} images): point to the same data set or "
            "deploy again"
        )
    logits, sensitivity = _answers(emulator, dataset.images)
    tolerance = _ROUNDING[emulator.manifest.precision] * sensitivity.clamp_min(float(expected.abs().max()))
    return compare(logits, expected, dataset.labels, reference.accuracy, tolerance)


def compare(
    logits: Tensor, expected: Tensor, labels: Tensor, expected_accuracy: float, tolerance: Tensor | float
) -> VerifyResult:
    """Compare ``images x classes`` logits with those expected.

    Args:
        logits: Of the rebuilt system.
        expected: Of the model.
        labels: The class of each image.
        expected_accuracy: Of the model.
        tolerance: Largest difference that rounding explains, of all logits or of each.
    """
    predictions, difference = logits.argmax(-1), (logits - expected).abs()
    return VerifyResult(
        accuracy=float((predictions == labels).double().mean()),
        expected_accuracy=expected_accuracy,
        images=len(labels),
        predictions_equal=int((predictions == expected.argmax(-1)).sum()),
        max_logit_difference=float(difference.max()),
        logits_different=int((~(difference <= tolerance)).sum()),  # one that is no number differs
    )


@torch.no_grad()
def _answers(emulator: Emulator, images: Tensor) -> tuple[Tensor, Tensor]:
    """The logits of all images and how sensitive to rounding they are, two ``images x classes`` tensors."""
    logits, sensitivity = [], []
    for part in images.split(_BATCH):
        field = emulator.detector_field(part)
        logits.append(emulator.logits(field))
        sensitivity.append(_sensitivity(emulator.readout, field))
    return torch.cat(logits), torch.cat(sensitivity)


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
    light = RegionReadout(Regions((*regions.boxes, (0, 0, *regions.shape)), regions.shape), "mean", 1.0).measured(field)
    pairs = light[:, :-1].unflatten(1, (-1, 2)).mean(2)
    return readout.scale * (light[:, -1:] / pairs.clamp_min(torch.finfo(pairs.dtype).tiny)).sqrt()


def _expected_logits(folder: Path, manifest: Manifest, reference: ReferenceRecord) -> Tensor:
    path, shape = folder / reference.logits.name, (reference.images, manifest.regions.classes)
    expected = read_array(path)
    if expected.dtype.kind != "f" or expected.shape != shape or not np.isfinite(expected).all():
        raise DeploymentError(
            f"expected finite logits of shape {shape} in {path}, but got {expected.dtype} of shape "
            f"{expected.shape}: restore the file or deploy again"
        )
    check_unchanged(folder, reference.logits)
    return torch.from_numpy(expected)


def _load_dataset(reference: ReferenceRecord, data_dir: str | Path | None) -> ImageDataset:
    from voltphase.config import Config
    from voltphase.training import build_dataset

    try:
        config = Config.model_validate({"data": {"name": reference.data}})
    except ValueError as error:
        raise DeploymentError(
            f"expected a data set known by name, but the folder was deployed with {reference.data!r}: pass the data set"
        ) from error
    dataset = build_dataset(config, reference.split, data_dir)
    return dataset.take(reference.images) if reference.images < len(dataset) else dataset
