"""What a deployed folder says about itself: ``manifest.json``, written and read back strictly."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from itertools import accumulate
from os import PathLike
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self

import numpy as np
from pydantic import (
    Field,
    SerializerFunctionWrapHandler,
    ValidationError,
    model_serializer,
    model_validator,
)

from voltphase.core import checks
from voltphase.core.errors import DeploymentError, VoltphaseError
from voltphase.core.files import checked_path, read_errors, read_json
from voltphase.core.limits import require_memory
from voltphase.core.units import LONGEST_WAVELENGTH, SHORTEST_WAVELENGTH
from voltphase.deployment import old_formats
from voltphase.deployment.folder import CHECKSUM, MANIFEST_NAME, dump, manifest_digest
from voltphase.deployment.formulas import (
    CONVENTIONS,
    CONVENTIONS_2,
    CONVENTIONS_4,
    DETECTORS,
    reading_factor,
)
from voltphase.deployment.parts.beams import (
    BeamRecord,
    BeamRecords,
    DetectorRecord,
    DetectorRecords,
    SkipRecords,
    areas_of,
    check_areas,
    check_beams,
    part_of,
)
from voltphase.deployment.parts.elements import files_of, read_spans
from voltphase.deployment.parts.light import LightRecord
from voltphase.deployment.parts.readout import MOST_REGIONS, ReadoutRecord
from voltphase.deployment.propagation import MOST_LAYERS, InputRecord, PropagationRecord, kernel_bytes
from voltphase.deployment.records import (
    ArrayRecord,
    Chosen,
    Digest,
    Factor,
    FileRecord,
    GridRecord,
    Record,
    ReferenceRecord,
    SamplesRecord,
    refusal,
    refuse,
    refusing,
)
from voltphase.deployment.targets.base import Written
from voltphase.optics.grid import Grid
from voltphase.optics.methods.auto import find_method
from voltphase.optics.methods.geometry import Geometry
from voltphase.optics.paths import Steps, length_of, planes_of
from voltphase.optics.skips import checked_skips

FORMAT: Final = "voltphase-deployment"
#: What folders are written in: the first of one beam in free space, the last of several, or with elements in between.
FORMAT_VERSIONS: Final = (3, 4)
_CONVENTIONS: Final = {2: CONVENTIONS_2, 3: CONVENTIONS, 4: CONVENTIONS_4}

# Bytes a sample of a layer takes while it is read: its level, the table it follows, its state and what these come from.
_BYTES_A_PIXEL: Final = 48


class LayerFiles(Record):
    """What the target wrote for a layer; several layers may share a file."""

    files: Annotated[list[FileRecord], Field(min_length=1, max_length=MOST_REGIONS)]
    details: dict[str, Any]


class LayerRecord(Record):
    """One layer of the system and the files that hold its map.

    The device is as `voltphase.devices.record.to_json` writes it. Its regions, of a panel, are the table that each
    pixel follows. The digital gain is the layer's in emulation; the light itself is never multiplied by it.
    """

    grid: GridRecord
    device: dict[str, Any]
    regions: ArrayRecord | None
    levels: ArrayRecord
    digital_gain: Factor
    target: LayerFiles

    @property
    def written(self) -> Written:
        """What the target wrote, as it returned it."""
        return Written([file.file for file in self.target.files], self.target.details)


class Manifest(Record):
    """Everything needed to rebuild a deployed system.

    Whoever writes a checksum that fits can change what emulation does not use, such as names, orientations in words or
    a device's control values: the checksum shows accidents, and an edited file, but no forgery.
    """

    format: Literal["voltphase-deployment"]
    format_version: Literal[3, 4]
    voltphase_version: str
    conventions: dict[str, Any]
    wavelength_m: Annotated[float, Field(ge=SHORTEST_WAVELENGTH, le=LONGEST_WAVELENGTH)]
    propagation: PropagationRecord
    input: InputRecord
    target: Chosen
    layers: Annotated[list[LayerRecord], Field(min_length=1, max_length=MOST_LAYERS)]
    light: LightRecord | None = None
    beams: BeamRecords | None = None
    detectors: DetectorRecords | None = None
    skips: SkipRecords | None = None
    readout: ReadoutRecord
    reference: ReferenceRecord | None
    samples: SamplesRecord | None
    note: FileRecord | None
    manifest_sha256: Digest | None = None

    @model_validator(mode="after")
    def _check(self) -> Self:
        distances, layers, elements = len(self.propagation.distances_m), len(self.layers), self.propagation.elements
        several = self.beams, self.detectors, self.light, self.skips
        later = any(part is not None for part in several) or bool(elements)
        if later != (self.format_version > FORMAT_VERSIONS[0]):
            raise refuse(
                "expected several detectors, beams, skips, light or elements in format version 4 alone, but got some "
                "in another, or none in it"
            )
        ends = len(self.all_detectors)
        depth = distances - ends - len(elements)
        if self.light is not None:
            self.light.check(self.wavelength_m, distances, len(self.skips or ()))
        apart = self.light is not None and self.light.channels == "wavelengths"
        if apart != (self.readout.differential == "wavelength"):
            raise refuse("expected a detector that tells wavelengths apart for readings of their contrast alone")
        with refusing():
            checked_skips([record.skip for record in self.skips or ()], depth, ends)
        if self.skips is not None and any(layer.digital_gain != 1 for layer in self.layers):
            raise refuse("expected a digital_gain of 1 where there are skips, but got others")
        if self.beams is not None:
            check_beams(self.beams, self.grids[1:-1], depth)
        elif depth != layers:
            between = f" and {len(elements)} elements" if elements else ""
            raise refuse(
                f"expected {layers + ends + len(elements)} distances for {layers} layers{between}, but got {distances}"
            )
        check_areas(self.all_beams, self.all_detectors, self.grids[-1])
        if elements and elements[-1].behind > depth + ends - 1:
            raise refuse("expected elements behind planes that there are, but one is behind another")
        if not np.isclose(self.readout.digital_factor, self.reading_factor, rtol=1e-9, atol=0):
            raise refuse("expected readout.digital_factor to follow from the layers' digital_gain, but it does not")
        if (reference := self.reference) is not None:
            metric = self.readout.metric
            if reference.metric != metric.name:
                raise refuse(f"expected {metric.name} as reference.metric, but got {checks.shown(reference.metric)}")
            if metric.percent and not 0 <= reference.expected <= 1:
                raise refuse(f"expected reference.expected from 0 to 1, but got {reference.expected:g}")
        return self

    @property
    def grids(self) -> list[Grid]:
        """The samples of each plane: source, layers, detector."""
        return [self.input.grid.grid, *(layer.grid.grid for layer in self.layers), self.readout.grid.grid]

    def spans(self, folder: Path | None = None) -> list[Steps]:
        """Return what is between the planes, with the arrays of elements that a folder has, or without.

        Last are the ways to further detectors.
        """
        propagation, count = self.propagation, self.depth + len(self.all_detectors)
        return read_spans(folder, count, propagation.distances_m, propagation.elements)

    @property
    def depth(self) -> int:
        """Number of layers that a beam passes."""
        return len(self.all_beams[0].layers)

    @property
    def all_beams(self) -> list[BeamRecord]:
        """The beams, a single one if no others are named."""
        alone = BeamRecord(layers=list(range(1, len(self.layers) + 1)), weight=1.0, area=0)
        return [alone] if self.beams is None else self.beams

    @property
    def all_detectors(self) -> list[DetectorRecord]:
        """The detectors, a single one if no others are named."""
        return self.detectors or [DetectorRecord(share=1.0, area=0)]

    @property
    def part(self) -> Grid:
        """The samples of the part of the detector that a beam falls on, about its axis."""
        return part_of(self.grids[-1], areas_of(self.all_beams, self.all_detectors))

    @property
    def way(self) -> list[Grid]:
        """The samples of each plane that a beam meets, on the detector of its part of it; they are the same for all."""
        grids = self.grids
        return [grids[0], *(grids[number] for number in self.all_beams[0].layers), self.part]

    @property
    def positions(self) -> list[tuple[str, float, Grid]]:
        """The name of each plane, how far it is from the source in metres, and its samples: source, layers, detectors.

        Of several detectors each has its own samples.
        """
        lengths, found = list(map(length_of, self.spans())), {}
        *along, last = accumulate(lengths[: self.depth], initial=0.0)
        for beam in self.all_beams:
            found |= dict(zip(beam.layers, [*along[1:], last], strict=True))
        source, *layers, detector = self.grids
        planes = [(f"layer {number}", found[number], grid) for number, grid in enumerate(layers, start=1)]
        ends = [(f"detector {number}", last + way, self.part) for number, way in enumerate(lengths[self.depth :], 1)]
        alone = [("detector", last + lengths[-1], detector)]
        return [("source", 0.0, source), *planes, *(alone if self.detectors is None else ends)]

    def seen(self, box: Sequence[int]) -> tuple[str, Sequence[int], Grid]:
        """Return which of several detectors a region of the whole one is on, where there, and its samples."""
        row, column, *size = box
        if self.detectors is None or self.part == self.grids[-1]:
            return "", box, self.grids[-1]
        area, column = divmod(column, self.part.columns)
        return f"{area + 1}", (row, column, *size), self.part

    @property
    def geometries(self) -> list[Geometry]:
        """The planes and the light on both sides of each distance."""
        gaps = zip(planes_of(self.way, self.spans()), self.propagation.distances_m, strict=True)
        return [Geometry(*sides, self.wavelength_m, distance) for sides, distance in gaps]

    @property
    def past(self) -> list[Geometry]:
        """The planes and the light at both ends of each skip."""
        return [
            Geometry(self.way[record.start], self.way[record.end], self.wavelength_m, record.distance_m)
            for record in self.skips or ()
        ]

    @property
    def reading_factor(self) -> float:
        """What the gains of all layers of a beam amount to on a measure: a digital factor."""
        gains = [self.layers[number - 1].digital_gain for number in self.all_beams[0].layers]
        return reading_factor(
            gains, self.readout.measure, relative=bool(self.readout.differential) or self.readout.pixels is not None
        )

    @property
    def file_records(self) -> list[FileRecord]:
        """The record of every file of the folder but the manifest."""
        mask = self.input.mask
        records: list[FileRecord | None] = [] if mask is None else [mask.amplitude, mask.phase]
        records += files_of(self.propagation.elements)
        for layer in self.layers:
            records += [*layer.target.files, layer.levels, layer.regions]
        if self.reference is not None:
            records.append(self.reference.logits)
        if self.samples is not None:
            records += [self.samples.images, self.samples.labels, self.samples.readings]
        unique = {record.file: record for record in (*records, self.note) if record is not None}
        return list(unique.values())

    @model_serializer(mode="wrap")
    def _serialize(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        given = {"beams": self.beams, "detectors": self.detectors, "skips": self.skips, "light": self.light}
        return {key: value for key, value in handler(self).items() if given.get(key, self) is not None}

    def require_memory(self) -> None:
        """Refuse, with a DeploymentError, a system that this machine has no memory for, before any is allocated."""
        methods = [record.method for record in (*self.propagation.methods, *(one.method for one in self.skips or ()))]
        distinct = {
            (geometry, method): kernel_bytes(method, geometry)
            for geometry, method in zip((*self.geometries, *self.past), methods, strict=True)
        }
        kernels = sum(distinct.values()) * (1 if self.light is None else len(self.light.lines))
        coherence = None if self.light is None else self.light.coherence
        screens = 0.0 if coherence is None else coherence.coherence.screens_bytes(self.grids[0])
        sizes = [math.prod(grid.shape) for grid in self.grids]
        sizes += [4 * math.prod(element.grid.shape) for element in self.propagation.elements]  # the plane of a relay
        regions = len(self.readout.regions) * sum(self.grids[-1].shape)
        needed = kernels + screens + _BYTES_A_PIXEL * sum(sizes) + 64 * max(sizes) + 16 * regions
        rows, columns = self.grids[0].shape
        what = f"the system of {rows} x {columns} samples and {len(self.layers)} layers in {MANIFEST_NAME}"
        advice = "verify on a larger machine, or restore the folder if it never was that large"
        require_memory(needed, what, DeploymentError, advice)

    def write(self, folder: Path) -> None:
        """Write ``manifest.json`` with its checksum, every list of numbers on a line of its own."""
        content = self.model_dump()
        content[CHECKSUM] = manifest_digest(content)
        try:
            encoded = dump(content).encode("utf-8")
        except UnicodeEncodeError:  # a name may hold what no UTF-8 can, half of a pair
            encoded = json.dumps(content).encode("ascii")
        (folder / MANIFEST_NAME).write_bytes(encoded + b"\n")

    @classmethod
    def read(cls, folder: str | PathLike[str]) -> Manifest:
        """Read ``manifest.json`` of a deployed folder, of this version of the format or an earlier one.

        Raises:
            DeploymentError: if the folder or its manifest is missing, is not JSON, is of a later format version, was
                changed, any part of it is missing, of the wrong type, out of bounds or contradicts another, or the
                system needs more memory than there is.
        """
        path = checked_path(folder, DeploymentError) / MANIFEST_NAME
        with read_errors(path, DeploymentError):
            found = path.is_file()
        if not found:
            raise DeploymentError(
                f"expected a deployed folder, but {path} cannot be read (no such file or directory): make one "
                "with `voltphase deploy`"
            )
        content = read_json(path, DeploymentError)
        version = _checked_version(path, content)
        try:
            method = None
            if version < FORMAT_VERSIONS[0]:
                content, method = old_formats.upgrade(path, content, version)
            manifest = cls.model_validate(content)
            manifest.require_memory()
        except ValidationError as error:
            raise refusal(path, error) from error
        if method is not None:
            manifest = manifest._with_method(path, method)
        if version > 1 and (manifest.samples is None or manifest.note is None):
            raise DeploymentError(f"{path}: expected samples and a note, but got null: restore the file")
        _check_strangers(path.parent, manifest)
        return manifest

    def _with_method(self, path: Path, name: str) -> Manifest:
        try:
            methods = [find_method(name, geometry)[0] for geometry in self.geometries]
        except VoltphaseError as error:
            raise DeploymentError(f"{path}, propagation: {error}") from error
        record = PropagationRecord.of(self.propagation.precision, self.propagation.distances_m, methods)
        manifest = self.model_copy(update={"propagation": record})
        manifest.require_memory()
        return manifest


def _checked_version(path: Path, content: Any) -> int:
    """Return the version of the format, once it is one of ours and the content fits its checksum."""
    if not isinstance(content, dict):
        raise DeploymentError(f"expected a JSON object in {path}, but got {checks.shown(content)}: deploy again")
    for key in ("format", "format_version"):
        if key not in content:
            raise DeploymentError(f"{path}: expected the key {key}, but it is missing: deploy again")
    if content["format"] != FORMAT:
        raise DeploymentError(f"{path}: expected the format {FORMAT!r}, but got {checks.shown(content['format'])}")
    version = content["format_version"]
    if version not in (1, 2, *FORMAT_VERSIONS) or type(version) is not int:
        raise DeploymentError(
            f"{path}: expected format version 1 to {FORMAT_VERSIONS[-1]}, but got {checks.shown(version)}: read the "
            f"folder with the voltphase that wrote it ({content.get('voltphase_version')!s:.40})"
        )
    if version == 1:
        return version
    if content.get(CHECKSUM) != manifest_digest(content):
        raise DeploymentError(
            f"{path}: {MANIFEST_NAME} was changed after deployment: its content does not fit its {CHECKSUM}; restore "
            "the file or deploy again"
        )
    if content.get("conventions", {}) != _CONVENTIONS[version] | (DETECTORS if "detectors" in content else {}):
        raise DeploymentError(
            f"{path}: expected conventions as this version means them, but got others: read the folder with the "
            "voltphase that wrote it"
        )
    return version


def _check_strangers(folder: Path, manifest: Manifest) -> None:
    """Refuse files named like those of a layer that the manifest does not name: somebody may load them."""
    named = {record.file for record in manifest.file_records}
    with read_errors(folder, DeploymentError):
        strangers = sorted(path.name for path in folder.glob("layer-*") if path.name not in named)
    if strangers:
        raise DeploymentError(
            f"expected no maps in {folder} but those that its {MANIFEST_NAME} names, but got {strangers[0]:.80}: "
            "remove it, so that nobody loads it"
        )
