"""Checking that a deployed folder gives what the model gave when it was deployed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

from voltphase.core.errors import DataError, DeploymentError, VoltphaseError
from voltphase.core.files import checked_path
from voltphase.deployment.emulator import Emulator
from voltphase.deployment.export import given_dataset
from voltphase.deployment.folder import read_file
from voltphase.deployment.layers import has_own_pixels, read_shown
from voltphase.deployment.manifest import Manifest
from voltphase.deployment.proof.compare import (
    Check,
    Comparison,
    compare_all,
    compare_samples,
    read_finite,
    read_samples,
)
from voltphase.deployment.proof.own_pixels import measure
from voltphase.deployment.records import ReferenceRecord, data_digest

if TYPE_CHECKING:
    from voltphase.data import ImageDataset, Images


@dataclass(frozen=True)
class VerifyResult(Comparison):
    """How a deployed folder fares against the model it came from.

    Where the test set was not at hand, the figures are of the test inputs in the folder.

    Args:
        checks: Everything that was checked, in turn.
    """

    checks: tuple[Check, ...]

    @property
    def accuracy(self) -> float:
        """The value, which is an accuracy where the task is classification."""
        return self.value

    @property
    def expected_accuracy(self) -> float:
        """The value expected, which is an accuracy where the task is classification."""
        return self.expected_value

    @property
    def passed(self) -> bool:
        """Whether everything that could be checked is as it should be."""
        return all(check.passed is not False for check in self.checks)

    @property
    def verdict(self) -> str:
        """All of it in a word, or a sentence."""
        left = ", ".join(check.what for check in self.checks if check.passed is None)
        differs = ", ".join(check.what for check in self.checks if check.differs)
        if self.passed and (left or differs):
            parts = (
                f"for what was not checked: {left}" if left else "",
                f"for {differs}, see above" if differs else "",
            )
            return f"passed, but {' and '.join(filter(None, parts))}"
        return "passed" if self.passed else "FAILED: the files do not give what the model gave when it was deployed"

    def __str__(self) -> str:
        width = max(len(check.what) for check in self.checks)
        lines = [f"{check.what:<{width}}  {check.verdict:<11}  {check.figures}" for check in self.checks]
        return "\n".join([*lines, self.verdict])


def verify(
    folder: str | PathLike[str],
    dataset: Images | None = None,
    *,
    data_dir: str | PathLike[str] | None = None,
) -> VerifyResult:
    """Rebuild the system of a deployed folder from its files and compare its answers with those of the model.

    The test inputs in the folder are answered in any case, and the whole test set where it is at hand.

    Args:
        folder: Folder as :func:`voltphase.deployment.deploy` wrote it.
        dataset: Test set, or its ``(images, labels)``; looked for by the name in the manifest by default.
        data_dir: Folder where data sets lie, if ``dataset`` is not given: what is missing there is downloaded. Without
            it a test set that is not where data are by default is left out, and the result says so.

    Raises:
        DeploymentError: if a file is missing, changed or contradicts another, the data are not those the folder was
            judged by, or there is nothing at hand to compare.
        DataError: if the data set cannot be loaded from ``data_dir``, or is damaged.

    Examples:
        >>> import tempfile, voltphase as vp
        >>> model = vp.DONN(
        ...     grid=vp.Grid(20, 36e-6), wavelength=532e-9, distances=0.01, devices=[vp.devices.tn_slm().pick(8)]
        ... )
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     result = verify(vp.deployment.deploy(model.eval(), f"{folder}/bench"))
        >>> result.verdict
        'passed, but for what was not checked: test set'
    """
    folder = checked_path(folder, DeploymentError)
    emulator = Emulator.from_folder(folder)
    manifest = emulator.manifest
    checks, compared = _check_files(folder, manifest), None
    if (samples := manifest.samples) is not None:
        compared = compare_samples(folder, emulator, samples)
        checks += [replace(check, figures=f"{check.figures} (of {samples.origin})") for check in compared.told()]
    missing = ""
    dataset = given_dataset(dataset, manifest.readout.classes)
    if (reference := manifest.reference) is None and dataset is not None:
        raise DeploymentError(
            f"expected no data set, as {folder} was deployed without one, but got {dataset.name}: leave it out, or "
            "deploy again with it"
        )
    if reference is None:
        missing = "the folder was deployed without one"
    else:
        shape = (reference.images, *manifest.readout.output_shape)
        expected = read_finite(folder, reference.logits, shape, "logits")
        if dataset is None:
            dataset, missing = _find_dataset(reference, data_dir)
        if dataset is not None:
            _check_data(folder, manifest, reference, dataset)
            if any(check.passed is False for check in checks):
                missing = "left out, as the test inputs in the folder fail already"
            else:
                compared = compare_all(emulator, dataset, expected, reference.expected)
                checks += compared.told()
    if missing:
        checks.append(Check("test set", None, missing))
    if not any(check.passed is False for check in checks):
        checks += _own_pixels(folder, emulator, dataset)
    if compared is None:
        raise DeploymentError(
            f"expected a test set for {folder}, which holds no test inputs of its own, but {missing}: pass the data "
            "set, or deploy again"
        )
    return VerifyResult(**vars(compared), checks=tuple(checks))


def on_own_pixels(folder: str | PathLike[str], *, data_dir: str | PathLike[str] | None = None) -> tuple[Check, ...]:
    """Return what becomes of the answers on the pixels of what shows the layers; nothing where these are the design's.

    Args:
        folder: Deployed folder.
        data_dir: Folder where data sets lie, as for :func:`verify`; of a test set that is not at hand the test inputs
            in the folder are answered.
    """
    folder = checked_path(folder, DeploymentError)
    manifest = Manifest.read(folder)
    if not has_own_pixels(manifest):
        return ()
    dataset = None if manifest.reference is None else _find_dataset(manifest.reference, data_dir)[0]
    return _own_pixels(folder, Emulator.from_folder(folder), dataset)


def _own_pixels(folder: Path, emulator: Emulator, dataset: ImageDataset | None) -> tuple[Check, ...]:
    if not has_own_pixels(emulator.manifest):
        return ()
    shown, samples = read_shown(folder, emulator.manifest), emulator.manifest.samples
    if shown is None:
        return ()
    if dataset is not None:
        return (measure(emulator, shown, dataset.images, dataset.targets, f"images of {dataset.name}"),)
    if samples is None:
        return ()
    images, targets = read_samples(folder, emulator.manifest, samples)
    return (measure(emulator, shown, images, targets, f"of {samples.origin}"),)


def _check_files(folder: Path, manifest: Manifest) -> list[Check]:
    if manifest.note is not None:
        read_file(folder, manifest.note)
    count, sealed = len(manifest.file_records), manifest.manifest_sha256 is not None
    words = "fits its checksum; every value is within its bounds"
    if not sealed:
        words = "has no checksum: folders of format version 1 hold none; deploy again to get one"
    return [
        Check("files", True, f"{count} files have the SHA-256 that {folder.name} was written with"),
        Check("manifest", True if sealed else None, words),
    ]


def _check_data(folder: Path, manifest: Manifest, reference: ReferenceRecord, dataset: ImageDataset) -> None:
    if data_digest(dataset.images, dataset.labels) != reference.data_sha256:
        raise DeploymentError(
            f"expected the {reference.images} images of {reference.data} ({reference.split}) that {folder} was "
            f"deployed with, but got others ({len(dataset)} images): point to the same data set or deploy again"
        )
    rows, columns = manifest.input.image_shape
    if dataset.image_shape != (rows, columns):
        raise DeploymentError(
            f"expected images of {rows} x {columns} for {folder}, but those of {dataset.name} are "
            f"{dataset.image_shape[0]} x {dataset.image_shape[1]}: restore the folder or deploy again"
        )
    if list(dataset.classes) != manifest.readout.classes:
        raise DeploymentError(
            f"expected the classes {', '.join(manifest.readout.classes)} of {folder}, but {dataset.name} has "
            f"{', '.join(dataset.classes)}: point to the same data set or deploy again"
        )


def _find_dataset(reference: ReferenceRecord, data_dir: str | PathLike[str] | None) -> tuple[ImageDataset | None, str]:
    """Return the test set by its name, or None and why there is none."""
    from voltphase.config import Config
    from voltphase.training import build_dataset

    try:
        config = Config.model_validate({"data": reference.data_settings or {"name": reference.data}})
    except (ValueError, VoltphaseError):
        if reference.data_settings is not None:
            return None, f"{reference.data!r:.80} cannot be made here by its name and settings in the folder: pass it"
        return None, f"the folder was deployed with {reference.data!r:.80}, no data set known by name: pass it"
    try:
        # Whoever names a folder wants the data there; nobody else is made to wait for a download.
        dataset = build_dataset(config, reference.split, data_dir, download=data_dir is not None)
    except DataError as error:
        if data_dir is not None:
            raise
        return None, str(error)
    return (dataset.take(reference.images) if reference.images < len(dataset) else dataset), ""
