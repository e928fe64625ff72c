"""Checking that a deployed folder gives what the model gave when it was deployed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from voltphase.deployment.emulator import Emulator
from voltphase.deployment.manifest import Manifest, ReferenceRecord, data_digest
from voltphase.deployment.records import check_unchanged, read_array
from voltphase.errors import DeploymentError
from voltphase.readout import all_logits

if TYPE_CHECKING:
    from voltphase.data import ImageDataset

# Largest difference of logits, relative to the largest logit of the set, that rounding explains: the model
# and the emulator add the same terms in another order.
_ROUNDING = {"complex64": 2e-5, "complex128": 1e-12}


@dataclass(frozen=True)
class VerifyResult:
    """How a deployed folder fares against the model it came from.

    Args:
        accuracy: Of the system rebuilt from the files, a fraction of ``images``.
        expected_accuracy: Of the model when it was deployed.
        images: Number of test images.
        predictions_equal: For how many of them both name the same class.
        max_logit_difference: The largest difference between two logits.
        tolerance: The largest difference that rounding explains.
        passed: Whether all logits agree within ``tolerance``, and all predictions that it leaves no doubt
            about.
    """

    accuracy: float
    expected_accuracy: float
    images: int
    predictions_equal: int
    max_logit_difference: float
    tolerance: float
    passed: bool

    def __str__(self) -> str:
        verdict = "passed" if self.passed else "FAILED"
        return (
            f"{verdict}: accuracy {self.accuracy:.4f} from the files, {self.expected_accuracy:.4f} expected; "
            f"{self.predictions_equal} of {self.images} predictions equal; logits differ by at most "
            f"{self.max_logit_difference:.1e} (rounding explains {self.tolerance:.1e})"
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
    logits = all_logits(emulator, dataset.images)
    return compare(logits, expected, dataset.labels, reference.accuracy, _ROUNDING[emulator.manifest.precision])


def compare(
    logits: torch.Tensor, expected: torch.Tensor, labels: torch.Tensor, expected_accuracy: float, rounding: float
) -> VerifyResult:
    """Compare ``images x regions`` logits with those expected, prediction by prediction.

    Args:
        logits: Of the rebuilt system.
        expected: Of the model.
        labels: The class of each image.
        expected_accuracy: Of the model.
        rounding: Largest difference that rounding explains, relative to the largest expected logit.
    """
    predictions, intended = logits.argmax(-1), expected.argmax(-1)
    difference = float((logits - expected).abs().max())
    tolerance = rounding * float(expected.abs().max())
    best, second = expected.topk(2, dim=-1).values.unbind(-1)
    undecided = best - second <= 2 * tolerance
    return VerifyResult(
        accuracy=float((predictions == labels).double().mean()),
        expected_accuracy=expected_accuracy,
        images=len(labels),
        predictions_equal=int((predictions == intended).sum()),
        max_logit_difference=difference,
        tolerance=tolerance,
        passed=difference <= tolerance and bool(((predictions == intended) | undecided).all()),
    )


def _expected_logits(folder: Path, manifest: Manifest, reference: ReferenceRecord) -> torch.Tensor:
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
