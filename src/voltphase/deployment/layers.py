"""What is in the beam of a deployed folder: its mask, and its layers, which states their pixels can take and take."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from voltphase.core.errors import DeploymentError, VoltphaseError
from voltphase.deployment.folder import MANIFEST_NAME, check_content, read_array, read_files, was_changed, write_array
from voltphase.deployment.manifest import LayerRecord, Manifest
from voltphase.deployment.propagation import MaskRecord
from voltphase.deployment.targets import TARGETS, Layer, Shown, Target
from voltphase.devices.record import from_json
from voltphase.optics.masks import Mask


def read_layers(folder: Path, manifest: Manifest) -> list[Layer]:
    """Return the layers of a folder with their devices and, of panels, the maps of their regions, all checked."""
    return [
        _layer(folder, number, record, manifest.wavelength_m) for number, record in enumerate(manifest.layers, start=1)
    ]


def read_levels(folder: Path, manifest: Manifest, layers: list[Layer]) -> list[NDArray[np.integer]]:
    """Return the level of each pixel of each layer, from the files that the target wrote.

    Raises:
        DeploymentError: if the target is not known here, a file is missing, cannot be read, was changed since it was
            written, or holds other levels than the array of levels beside it.
    """
    target: Target = manifest.target.make(TARGETS, Path(MANIFEST_NAME), "target")
    files = [file for record in manifest.layers for file in record.target.files]
    contents = read_files(folder, files, target.largest_file(layers))
    written = [record.written for record in manifest.layers]
    with _reading(folder, manifest):
        levels = target.read(layers, written, contents)
    for layer, record, found in zip(layers, manifest.layers, levels, strict=True):
        _check_levels(folder, layer, record, found, contents)
    for record in files:  # last, as all that has been found before says more
        check_content(folder, record, contents[record.file])
    return levels


def has_own_pixels(manifest: Manifest) -> bool:
    """Return whether the target may show a layer on other pixels than the design's."""
    return TARGETS[manifest.target.name].shown is not Target.shown


def read_shown(folder: Path, manifest: Manifest) -> list[Shown] | None:
    """Return what the layers of a folder are on the pixels of what shows them, or None where these are the design's.

    That the files are right is what :func:`read_levels` finds out.
    """
    target: Target = manifest.target.make(TARGETS, Path(MANIFEST_NAME), "target")
    layers = read_layers(folder, manifest)
    files = [file for record in manifest.layers for file in record.target.files]
    contents = read_files(folder, files, target.largest_file(layers))
    with _reading(folder, manifest):
        return target.shown(layers, [record.written for record in manifest.layers], contents)


@contextmanager
def _reading(folder: Path, manifest: Manifest) -> Iterator[None]:
    try:
        yield
    except DeploymentError as error:
        raise DeploymentError(f"{folder}: {error}") from error
    except Exception as error:  # whatever another package's code makes of files that are not its own
        reason = f"{type(error).__name__}: {' '.join(str(error).split()):.200}"
        raise DeploymentError(
            f"{folder}: expected files that the target {manifest.target.name} can read, but it fails with {reason}: "
            "restore them or deploy again"
        ) from error


def write_mask(folder: Path, mask: Mask | None) -> MaskRecord | None:
    """Write the arrays of a mask in front of the source, and return their record; None where there is none."""
    if mask is None:
        return None
    parts = {"amplitude": np.abs(mask.values), "phase": np.angle(mask.values)}
    return MaskRecord(**{key: write_array(folder / f"source-mask-{key}.npy", part) for key, part in parts.items()})


def read_mask(folder: Path, manifest: Manifest) -> Mask | None:
    """Return the mask in front of the source, if there is one, from the arrays of its amplitude and phase.

    Raises:
        DeploymentError: if a file is missing, was changed, or together they are no mask.
    """
    if (record := manifest.input.mask) is None:
        return None
    shape, what = manifest.grids[0].shape, "the numbers of a mask"
    amplitude, phase = (read_array(folder, one, shape, "f", what) for one in (record.amplitude, record.phase))
    try:
        with np.errstate(invalid="ignore"):
            return Mask(amplitude * np.exp(1j * phase))
    except VoltphaseError as error:
        raise DeploymentError(f"{folder / MANIFEST_NAME}, input.mask: {error}: deploy again") from error


def summaries(folder: Path) -> list[str]:
    """Return a line about each layer of a folder that its target has something to say of."""
    manifest = Manifest.read(folder)
    target = manifest.target.make(TARGETS, Path(MANIFEST_NAME), "target")
    lines = [
        (record.target.files[0].file, target.summary(layer, record.written))
        for layer, record in zip(read_layers(folder, manifest), manifest.layers, strict=True)
    ]
    return [f"{file}: {words}" for file, words in lines if words]


def _layer(folder: Path, number: int, record: LayerRecord, wavelength: float) -> Layer:
    grid, regions = record.grid.grid, None
    if record.regions is not None:
        regions = read_array(folder, record.regions, grid.shape, "i", "whole numbers")
    try:
        return Layer(number, grid, from_json(record.device, regions), wavelength)
    except VoltphaseError as error:
        raise DeploymentError(f"{folder / MANIFEST_NAME}, layers[{number - 1}].device: {error}") from error


def _check_levels(
    folder: Path, layer: Layer, record: LayerRecord, found: NDArray[np.integer], contents: Mapping[str, bytes]
) -> None:
    stored = read_array(folder, record.levels, layer.grid.shape, "u", "unsigned integers")
    if found.shape != stored.shape or found.dtype.kind not in "iu":
        raise DeploymentError(
            f"expected levels of shape {stored.shape} from {record.target.files[0].file}, but got {found.dtype} of "
            f"shape {found.shape}"
        )
    if (different := stored != found).any():
        row, column = np.argwhere(different)[0]
        for file in record.target.files:
            if was_changed(file, contents[file.file]):
                raise DeploymentError(
                    f"expected {folder / file.file} as it was deployed, but at row {row}, column {column} it shows "
                    f"level {found[row, column]} in place of {stored[row, column]}: restore the file or deploy again"
                )
        raise DeploymentError(
            f"expected the same levels in {folder / record.target.files[0].file} and {record.levels.file}, but at row "
            f"{row}, column {column} they are {found[row, column]} and {stored[row, column]}: restore "
            "both or deploy again"
        )
    if not 0 <= int(found.min()) <= int(found.max()) < len(layer.device):
        raise DeploymentError(
            f"expected levels from 0 to {len(layer.device) - 1} in {folder / record.levels.file}, but got some from "
            f"{found.min()} to {found.max()}: deploy again"
        )
