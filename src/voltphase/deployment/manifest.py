"""What a deployed folder says about itself: ``manifest.json``, written and read back strictly."""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch

from voltphase.core.errors import DeploymentError, VoltphaseError
from voltphase.core.files import checked_path, read_errors, read_json
from voltphase.core.limits import require_memory
from voltphase.core.units import LARGEST_PITCH, LONGEST_DISTANCE, LONGEST_WAVELENGTH, SHORTEST_WAVELENGTH
from voltphase.deployment.formulas import CONVENTIONS, FORMULAS, readout_formula
from voltphase.deployment.propagation import check_sampling, kernel_bytes, method_json, parse_method
from voltphase.deployment.reading import Reader
from voltphase.deployment.records import MANIFEST_NAME, FileRecord
from voltphase.deployment.tables import code_is_control, device_json, in_manifest, parse_device
from voltphase.devices import Device
from voltphase.optics import Method
from voltphase.optics.grid import Grid
from voltphase.optics.methods.auto import find_method
from voltphase.optics.methods.geometry import Geometry
from voltphase.tasks import RegionReadout, Regions

FORMAT: Final = "voltphase-deployment"
FORMAT_VERSION: Final = 2
# Of voltphase 0.1.0: a method's name only, no checksum of its own, no conventions and no test inputs.
_FIRST_VERSION: Final = 1
_CHECKSUM: Final = "manifest_sha256"

#: Names of the complex types the light may be computed in.
PRECISIONS: dict[str, torch.dtype] = {"complex64": torch.complex64, "complex128": torch.complex128}

# Bounds of what is read, far beyond any system, so that nothing is allocated or computed for a number that was made up.
_LARGEST_IMAGE: Final = 4096  # pixels a side: the matrix that interpolates takes memory as their square, here 128 MiB
_MOST_LAYERS: Final = 1000
_MOST_REGIONS: Final = 4096
_MOST_SAMPLES: Final = 1000
_PITCHES: Final = (1e-10, LARGEST_PITCH)
_FACTORS: Final = (1e-30, 1e30)
_MOST_IMAGES: Final = 10**9
# Bytes a sample of a layer takes while it is read: its level, the table it follows, its state and what these come from.
_BYTES_A_PIXEL: Final = 48

# The gain multiplies the field of every layer; a reading goes with this power of the field.
_POWER_OF_FIELD = {"sum": 2, "mean": 2, "amplitude": 1, "fraction": 0}


@dataclass(frozen=True, eq=False)
class LayerRecord:
    """One layer of the system and the files that hold its map.

    Args:
        grid: Where its pixels lie.
        device: The states a pixel can take, or a panel, which says it of each pixel.
        codes: The grey value of each level in the image, in the order of the levels.
        image_bits: 8 or 16, of the image's grey values.
        image: The image to load on the device.
        levels: The integer level of each pixel.
        regions: Of a panel, the table that each pixel follows; None where all pixels are alike.
        digital_gain: The layer's gain in emulation; the light itself is never multiplied by it.
    """

    grid: Grid
    device: Device
    codes: tuple[int, ...]
    image_bits: int
    image: FileRecord
    levels: FileRecord
    regions: FileRecord | None
    digital_gain: float

    @property
    def code_is_control(self) -> bool:
        """Whether the image's grey values are the control values to send."""
        return code_is_control(self.device, self.codes)


@dataclass(frozen=True)
class ReferenceRecord:
    """The test set the deployed system was judged by, and where the logits it gave are kept.

    ``digest`` is that of the images and labels (:func:`data_digest`), ``accuracy`` a fraction of ``images``.
    """

    data: str
    split: str
    images: int
    digest: str
    accuracy: float
    logits: FileRecord


@dataclass(frozen=True)
class SamplesRecord:
    """Test inputs that travel in the folder, and what the detector reads for each.

    Args:
        origin: What the inputs are, in words.
        count: How many there are.
        images: The file of the inputs, ``count x height x width`` bytes.
        labels: The file of their classes, ``count`` whole numbers; None of inputs that belong to no class.
        readings: The file of the reading of each region, ``count x regions`` numbers, without gain.
    """

    origin: str
    count: int
    images: FileRecord
    labels: FileRecord | None
    readings: FileRecord


@dataclass(frozen=True, eq=False)
class Manifest:
    """Everything needed to rebuild a deployed system, lengths in metres.

    Args:
        wavelength: Of the light.
        distances: Source to first layer, between layers, and last layer to detector: one more than layers.
        methods: Method of propagation over each of the distances.
        precision: ``"complex64"`` or ``"complex128"``.
        image_shape: (rows, columns) of the images.
        source: Where the samples of the source lie.
        detector: Where the samples of the detector lie.
        layers: In the order light meets them.
        regions: Of the detector, one or a pair per class.
        measure: Of the light in a region, see :class:`voltphase.tasks.RegionReadout`.
        scale: What a measure is multiplied by to give a logit.
        classes: A name for each class, or nothing.
        reference: The test set to verify with, or None.
        version: The voltphase that wrote the folder.
        samples: The test inputs in the folder; None in a folder of format version 1.
        note: The file README.txt; None in a folder of format version 1.
        has_checksum: Whether the manifest held a checksum of itself, and fits it; False in format version 1.

    Raises:
        DeploymentError: if the gains of the layers amount to no finite factor.
    """

    wavelength: float
    distances: tuple[float, ...]
    methods: tuple[Method, ...]
    precision: str
    image_shape: tuple[int, int]
    source: Grid
    detector: Grid
    layers: tuple[LayerRecord, ...]
    regions: Regions
    measure: str
    scale: float
    classes: tuple[str, ...]
    reference: ReferenceRecord | None
    version: str
    samples: SamplesRecord | None = None
    note: FileRecord | None = None
    has_checksum: bool = True

    def __post_init__(self) -> None:
        if not 0 < self.reading_factor < math.inf:
            raise DeploymentError(
                f"expected gains whose effect on the readings is a finite factor, but got {self.reading_factor:g}"
            )

    @property
    def grids(self) -> list[Grid]:
        """Where the samples of each plane lie: source, layers, detector."""
        return [self.source, *(layer.grid for layer in self.layers), self.detector]

    @property
    def geometries(self) -> list[Geometry]:
        """The planes and the light on both sides of each gap."""
        gaps = zip(self.grids[:-1], self.grids[1:], self.distances, strict=True)
        return [Geometry(source, target, self.wavelength, distance) for source, target, distance in gaps]

    @property
    def gain(self) -> float:
        """The product of the layers' gains, by which a field is larger in emulation than on the bench."""
        return math.prod(layer.digital_gain for layer in self.layers)

    @property
    def reading_factor(self) -> float:
        """What the gains of all layers amount to on a measure: a digital factor."""
        with np.errstate(over="ignore", under="ignore"):
            return float(np.float64(self.gain) ** (0 if self.regions.paired else _POWER_OF_FIELD[self.measure]))

    @property
    def file_records(self) -> list[FileRecord]:
        """The record of every file of the folder but the manifest."""
        records = [record for layer in self.layers for record in (layer.image, layer.levels, layer.regions)]
        if self.reference is not None:
            records.append(self.reference.logits)
        if self.samples is not None:
            records += [self.samples.images, self.samples.labels, self.samples.readings]
        return [record for record in (*records, self.note) if record is not None]

    def require_memory(self) -> None:
        """Refuse a system that this machine has no memory to rebuild, before anything of it is allocated.

        Raises:
            DeploymentError: if it has not.
        """
        distinct = {
            (geometry, method): kernel_bytes(method, geometry)
            for geometry, method in zip(self.geometries, self.methods, strict=True)
        }
        sizes = [math.prod(grid.shape) for grid in self.grids]
        regions = len(self.regions) * sum(self.detector.shape)
        needed = sum(distinct.values()) + _BYTES_A_PIXEL * sum(sizes) + 64 * max(sizes) + 16 * regions
        advice = "verify on a larger machine, or restore the folder if it never was that large"
        require_memory(
            needed,
            f"the system of {self.grids[0].rows} x {self.grids[0].columns} samples and "
            f"{len(self.layers)} layers in {MANIFEST_NAME}",
            DeploymentError,
            advice,
        )

    def to_json(self) -> dict[str, Any]:
        """The content of ``manifest.json``."""
        content = self._content()
        return {**content, _CHECKSUM: manifest_digest(content)}

    def _content(self) -> dict[str, Any]:
        reference, samples = self.reference, self.samples
        return {
            "format": FORMAT,
            "format_version": FORMAT_VERSION,
            "voltphase_version": self.version,
            "conventions": dict(CONVENTIONS),
            "wavelength_m": self.wavelength,
            "propagation": {
                "precision": self.precision,
                "distances_m": list(self.distances),
                "methods": [
                    {**method_json(method), "sampling": {}}
                    for method, geometry in zip(self.methods, self.geometries, strict=True)
                ],
                "formulas": _formulas(self.methods),
            },
            "input": {
                "image_shape": list(self.image_shape),
                "encoding": "amplitude",
                "interpolation": "bilinear",
                "align_corners": False,
                "grid": _grid_json(self.source),
            },
            "layers": [_layer_json(layer) for layer in self.layers],
            "readout": {
                "grid": _grid_json(self.detector),
                "measure": self.measure,
                "scale": self.scale,
                "digital_factor": self.reading_factor,
                "differential": self.regions.paired,
                "regions": [list(box) for box in self.regions.boxes],
                "classes": list(self.classes),
                "formula": readout_formula(self.measure, differential=self.regions.paired),
            },
            "reference": None
            if reference is None
            else {
                "data": reference.data,
                "split": reference.split,
                "images": reference.images,
                "data_sha256": reference.digest,
                "expected_accuracy": reference.accuracy,
                "logits": _file_json(reference.logits),
            },
            "samples": None
            if samples is None
            else {
                "origin": samples.origin,
                "count": samples.count,
                "images": _file_json(samples.images),
                "labels": None if samples.labels is None else _file_json(samples.labels),
                "readings": _file_json(samples.readings),
            },
            "note": None if self.note is None else _file_json(self.note),
        }

    @classmethod
    def read(cls, folder: str | PathLike[str]) -> Manifest:
        """Read ``manifest.json`` of a deployed folder, and the maps of the panels in it.

        Raises:
            DeploymentError: if the folder, its manifest or a map is missing, is not JSON, is of another format version,
                was changed, or any part of it is missing, of the wrong type, out of bounds or contradicts another.
        """
        path = checked_path(folder, DeploymentError) / MANIFEST_NAME
        with read_errors(path, DeploymentError):
            found = path.is_file()
        if not found:
            raise DeploymentError(
                f"expected a deployed folder, but {path} cannot be read (no such file or directory): make one "
                "with `voltphase deploy`"
            )
        root = Reader.of(path, read_json(path, DeploymentError))
        manifest = cls._parse(root)
        if root.content.get("format_version") != _FIRST_VERSION:
            unknown = _unknown_key(root.content, {**manifest.to_json(), _CHECKSUM: ""})
            if unknown is not None:
                raise root.error(
                    f"expected no key but those that this version knows, but got {unknown:.80}: restore the file, or "
                    "read the folder with the voltphase that wrote it"
                )
        _check_strangers(path.parent, manifest)
        return manifest

    @classmethod
    def _parse(cls, root: Reader) -> Manifest:
        if root.text("format") != FORMAT:
            raise root.error(f"expected the format {FORMAT!r}, but got {root.text('format')!r:.80}")
        version = root.integer("format_version")
        if version not in (_FIRST_VERSION, FORMAT_VERSION):
            raise root.error(
                f"expected format version {_FIRST_VERSION} or {FORMAT_VERSION}, but got {version!r:.40}: read the "
                f"folder with the voltphase that wrote it ({root.text('voltphase_version'):.40})"
            )
        first = version == _FIRST_VERSION
        if not first:
            _check_checksum(root)
            _check_fixed(root, "conventions", CONVENTIONS)
        propagation, source, readout = root.child("propagation"), root.child("input"), root.child("readout")
        if source.text("encoding") != "amplitude" or source.text("interpolation") != "bilinear":
            raise root.error("expected an input encoded as bilinear amplitude, the one this version knows")
        if not first and source.boolean("align_corners"):
            raise source.error("expected align_corners to be false, the one way of interpolation this version knows")
        entries = root.children("layers")
        if not 1 <= len(entries) <= _MOST_LAYERS:
            raise root.error(f"expected 1 to {_MOST_LAYERS} layers, but got {len(entries)}")
        distances = propagation.numbers("distances_m", low=0.0, high=LONGEST_DISTANCE)
        if len(distances) != len(entries) + 1:
            raise root.error(
                f"expected {len(entries) + 1} distances for {len(entries)} layers, but got {len(distances)}"
            )
        detector, grids = _parse_grid(readout.child("grid")), [_parse_grid(entry.child("grid")) for entry in entries]
        samples = sum(math.prod(grid.shape) for grid in grids)
        require_memory(
            _BYTES_A_PIXEL * samples,
            f"{root.path}, which promises {len(entries)} layers of {samples} samples altogether,",
            DeploymentError,
            "read it on a larger machine, or restore it if it never was that large",
        )
        try:
            boxes = tuple(readout.integers("regions", 4, of=entry) for entry in readout.entries("regions"))
            if len(boxes) > _MOST_REGIONS:
                raise readout.error(f"expected at most {_MOST_REGIONS} regions, but got {len(boxes)}")
            regions = Regions(boxes, detector.shape, readout.boolean("differential"))  # pyright: ignore[reportArgumentType]
        except VoltphaseError as error:
            raise in_manifest(readout, error) from error
        classes = readout.texts("classes")
        if len(classes) not in (0, regions.classes):
            raise root.error(
                f"expected names of {regions.classes} classes for {len(regions)} regions, but got {len(classes)}"
            )
        measure = readout.one_of("measure", _POWER_OF_FIELD)
        if not first and readout.text("formula") != readout_formula(measure, differential=regions.paired):
            raise readout.error("expected the formula of this measure as this version computes it, but got another")
        manifest = cls(
            wavelength=root.within("wavelength_m", SHORTEST_WAVELENGTH, LONGEST_WAVELENGTH),
            distances=distances,
            methods=(),
            precision=propagation.one_of("precision", PRECISIONS),
            image_shape=_parse_image_shape(source),
            source=_parse_grid(source.child("grid")),
            detector=detector,
            layers=tuple(_parse_layer(entry, grid, first=first) for entry, grid in zip(entries, grids, strict=True)),
            regions=regions,
            measure=measure,
            scale=readout.within("scale", *_FACTORS),
            classes=classes,
            reference=_parse_reference(root, first=first),
            version=root.text("voltphase_version"),
            samples=None if first else _parse_samples(root),
            note=None if first else _parse_file(root.child("note")),
            has_checksum=not first,
        )
        if not np.isclose(readout.within("digital_factor", 0.0, math.inf), manifest.reading_factor, rtol=1e-9, atol=0):
            raise root.error("expected readout.digital_factor to follow from the layers' digital_gain, but it does not")
        return replace(manifest, methods=_parse_methods(propagation, manifest, first=first))

    def make_readout(self) -> RegionReadout:
        """The readout, its scale fixed at the value it was deployed with."""
        return RegionReadout(self.regions, self.measure, self.scale)  # pyright: ignore[reportArgumentType]


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write ``manifest.json``, one line for each row of a device table."""
    content = manifest.to_json()
    text = _dump(content)
    if not _is_unicode(text):  # a name may hold what no UTF-8 can, half of a pair
        text = json.dumps(content)
    (folder / MANIFEST_NAME).write_text(text + "\n", encoding="utf-8")


def manifest_digest(content: dict[str, Any]) -> str:
    """SHA-256 of a manifest without its checksum, as its conventions say."""
    rest = {key: value for key, value in content.items() if key != _CHECKSUM}
    return hashlib.sha256(json.dumps(rest, sort_keys=True, separators=(",", ":")).encode("ascii")).hexdigest()


def data_digest(images: torch.Tensor, labels: torch.Tensor) -> str:
    """SHA-256, in hexadecimal, of ``images x height x width`` images and their ``images`` labels."""
    digest = hashlib.sha256(repr((tuple(images.shape), str(images.dtype))).encode())
    digest.update(images.contiguous().cpu().numpy().data)
    digest.update(labels.contiguous().cpu().numpy().astype("<i8").data)
    return digest.hexdigest()


def _is_unicode(text: str) -> bool:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _formulas(methods: tuple[Method, ...]) -> dict[str, str]:
    return {name: FORMULAS[name] for name in dict.fromkeys(method.name for method in methods)}


def _unknown_key(content: Any, known: Any, place: str = "") -> str | None:
    """The first key of nested objects that stands in ``content`` but not in ``known``, or None."""
    pairs: list[tuple[Any, Any, str]] = []
    if isinstance(content, dict) and isinstance(known, dict):
        for key, value in content.items():
            where = f"{place}.{key}" if place else key
            if key not in known:
                return where
            pairs.append((value, known[key], where))
    elif isinstance(content, list) and isinstance(known, list):
        pairs = [(one, other, f"{place}[{i}]") for i, (one, other) in enumerate(zip(content, known, strict=False))]
    return next(filter(None, (_unknown_key(*pair) for pair in pairs)), None)


def _check_strangers(folder: Path, manifest: Manifest) -> None:
    """Refuse files named like those of a layer that the manifest does not name: somebody may load them."""
    named = {
        record.name
        for layer in manifest.layers
        for record in (layer.image, layer.levels, layer.regions)
        if record is not None
    }
    with read_errors(folder, DeploymentError):
        strangers = sorted(path.name for path in folder.glob("layer-*") if path.name not in named)
    if strangers:
        raise DeploymentError(
            f"expected no maps in {folder} but those that its {MANIFEST_NAME} names, but got {strangers[0]:.80}: "
            "remove it, so that nobody loads it"
        )


def _check_checksum(root: Reader) -> None:
    if root.digest(_CHECKSUM) != manifest_digest(root.content):
        raise root.error(
            f"{MANIFEST_NAME} was changed after deployment: its content does not fit its {_CHECKSUM}; restore the file "
            "or deploy again"
        )


def _check_fixed(parent: Reader, key: str, expected: dict[str, str]) -> None:
    if parent.child(key).content != expected:
        raise parent.error(
            f"expected {key} as this version means them, but got others: read the folder with the voltphase that "
            "wrote it"
        )


def _dump(value: Any, indent: str = "") -> str:
    """JSON with every list or object that holds no further one on a line of its own."""
    children = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    if not any(isinstance(child, dict | list) for child in children):
        return json.dumps(value, allow_nan=False, ensure_ascii=False)
    inner = indent + "  "
    if isinstance(value, dict):
        lines = [f"{inner}{json.dumps(key)}: {_dump(child, inner)}" for key, child in value.items()]
        return "{\n" + ",\n".join(lines) + f"\n{indent}}}"
    return "[\n" + ",\n".join(inner + _dump(child, inner) for child in value) + f"\n{indent}]"


def _grid_json(grid: Grid) -> dict[str, Any]:
    return {"shape": list(grid.shape), "pitch_m": list(grid.pitch), "offset_m": list(grid.offset)}


def _file_json(record: FileRecord) -> dict[str, Any]:
    return {"file": record.name, "sha256": record.sha256} | ({} if record.dtype is None else {"dtype": record.dtype})


def _layer_json(layer: LayerRecord) -> dict[str, Any]:
    states = device_json(layer.device, layer.codes)
    if layer.regions is not None:
        states["regions"] = _file_json(layer.regions)
    return {
        "grid": _grid_json(layer.grid),
        "image": {**_file_json(layer.image), "bits": layer.image_bits},
        "levels": _file_json(layer.levels),
        "digital_gain": layer.digital_gain,
        "device" if layer.regions is None else "panel": states,
    }


def _parse_grid(grid: Reader) -> Grid:
    try:
        pitch, offset = (
            grid.numbers("pitch_m", 2, *_PITCHES),
            grid.numbers("offset_m", 2, -LONGEST_DISTANCE, LONGEST_DISTANCE),
        )
        return Grid(grid.pair("shape"), (pitch[0], pitch[1]), (offset[0], offset[1]))
    except VoltphaseError as error:
        raise in_manifest(grid, error) from error


def _parse_image_shape(source: Reader) -> tuple[int, int]:
    shape = source.pair("image_shape")
    if max(shape) > _LARGEST_IMAGE:
        raise source.error(f"expected image_shape of at most {_LARGEST_IMAGE} a side, but got {max(shape)}")
    return shape


def _parse_file(file: Reader, *, typed: bool = False) -> FileRecord:
    dtype = file.text("dtype") if typed else None
    return FileRecord(file.file_name("file"), file.digest("sha256"), dtype)


def _parse_methods(propagation: Reader, manifest: Manifest, *, first: bool) -> tuple[Method, ...]:
    geometries = manifest.geometries
    if first:
        name = propagation.text("method")
        try:
            return tuple(find_method(name, geometry)[0] for geometry in geometries)
        except VoltphaseError as error:
            raise in_manifest(propagation, error) from error
    entries = propagation.children("methods")
    if len(entries) != len(geometries):
        raise propagation.error(f"expected methods for {len(geometries)} distances, but got {len(entries)}")
    methods = tuple(parse_method(entry) for entry in entries)
    _check_fixed(propagation, "formulas", _formulas(methods))
    replace(manifest, methods=methods).require_memory()
    for entry in entries:
        check_sampling(entry)
    return methods


def _parse_layer(layer: Reader, grid: Grid, *, first: bool) -> LayerRecord:
    panel = layer.content.get("panel") is not None
    device = layer.child("panel" if panel else "device")
    regions = _parse_file(device.child("regions"), typed=not first) if panel else None
    states, codes = parse_device(device, grid.shape, regions)
    bits = layer.child("image").integer("bits")
    if bits not in (8, 16):
        raise layer.error(f"expected an image of 8 or 16 bits, but got {bits}")
    if len(set(codes)) != len(codes) or not all(0 <= code < 2**bits for code in codes):
        raise device.error(f"expected a different code from 0 to {2**bits - 1} for each level")
    return LayerRecord(
        grid=grid,
        device=states,
        codes=codes,
        image_bits=bits,
        image=_parse_file(layer.child("image")),
        levels=_parse_file(layer.child("levels"), typed=not first),
        regions=regions,
        digital_gain=layer.within("digital_gain", *_FACTORS),
    )


def _parse_reference(root: Reader, *, first: bool) -> ReferenceRecord | None:
    reference = root.optional_child("reference")
    if reference is None:
        return None
    return ReferenceRecord(
        data=reference.text("data"),
        split=reference.text("split"),
        images=reference.count("images", _MOST_IMAGES),
        digest=reference.digest("data_sha256"),
        accuracy=reference.within("expected_accuracy", 0.0, 1.0),
        logits=_parse_file(reference.child("logits"), typed=not first),
    )


def _parse_samples(root: Reader) -> SamplesRecord:
    samples = root.child("samples")
    labels = samples.optional_child("labels")
    return SamplesRecord(
        origin=samples.text("origin"),
        count=samples.count("count", _MOST_SAMPLES),
        images=_parse_file(samples.child("images"), typed=True),
        labels=None if labels is None else _parse_file(labels, typed=True),
        readings=_parse_file(samples.child("readings"), typed=True),
    )
