"""What a deployed folder says about itself: ``manifest.json``, written and read back strictly."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from voltphase.deployment.reading import Reader
from voltphase.deployment.records import MANIFEST_NAME, FileRecord
from voltphase.deployment.tables import code_is_control, device_json, in_manifest, parse_device
from voltphase.devices import Device
from voltphase.errors import DeploymentError, VoltphaseError
from voltphase.grid import Grid
from voltphase.readout import RegionReadout, Regions

FORMAT = "voltphase-deployment"
FORMAT_VERSION = 1

#: Names of the complex types the light may be computed in.
PRECISIONS: dict[str, torch.dtype] = {"complex64": torch.complex64, "complex128": torch.complex128}

# Pixels a side: to make the matrix that interpolates images takes memory as their square, here 128 MiB.
_LARGEST_IMAGE = 4096

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


@dataclass(frozen=True, eq=False)
class Manifest:
    """Everything needed to rebuild a deployed system, lengths in metres.

    Args:
        wavelength: Of the light.
        distances: Source to first layer, between layers, and last layer to detector: one more than layers.
        method: Of propagation, see :class:`voltphase.optics.Propagator`.
        precision: ``"complex64"`` or ``"complex128"``.
        image_shape: (rows, columns) of the images.
        source: Where the samples of the source lie.
        detector: Where the samples of the detector lie.
        layers: In the order light meets them.
        regions: Of the detector, one or a pair per class.
        measure: Of the light in a region, see :class:`voltphase.readout.RegionReadout`.
        scale: What a measure is multiplied by to give a logit.
        classes: A name for each class, or nothing.
        reference: The test set to verify with, or None.
        version: The voltphase that wrote the folder.
    """

    wavelength: float
    distances: tuple[float, ...]
    method: str
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

    @property
    def reading_factor(self) -> float:
        """What the gains of all layers amount to on a measure: a digital factor."""
        gain = float(np.prod([layer.digital_gain for layer in self.layers]))
        return gain ** (0 if self.regions.paired else _POWER_OF_FIELD[self.measure])

    def to_json(self) -> dict[str, Any]:
        """The content of ``manifest.json``."""
        reference = self.reference
        return {
            "format": FORMAT,
            "format_version": FORMAT_VERSION,
            "voltphase_version": self.version,
            "wavelength_m": self.wavelength,
            "propagation": {
                "method": self.method,
                "precision": self.precision,
                "distances_m": list(self.distances),
            },
            "input": {
                "image_shape": list(self.image_shape),
                "encoding": "amplitude",
                "interpolation": "bilinear",
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
        }

    @classmethod
    def read(cls, folder: str | Path) -> Manifest:
        """Read ``manifest.json`` of a deployed folder, and the maps of the panels in it.

        Raises:
            DeploymentError: if the folder, its manifest or a map is missing, is not JSON, is of another format version,
                was changed, or any part of it is missing, of the wrong type or contradicts another.
        """
        path = Path(folder) / MANIFEST_NAME
        return cls._parse(Reader.of(path, _load(path)))

    @classmethod
    def _parse(cls, root: Reader) -> Manifest:
        if root.text("format") != FORMAT:
            raise root.error(f"expected the format {FORMAT!r}, but got {root.text('format')!r}")
        version = root.integer("format_version")
        if version != FORMAT_VERSION:
            raise root.error(
                f"expected format version {FORMAT_VERSION}, but got {version}: read the folder with the "
                f"voltphase that wrote it ({root.text('voltphase_version')})"
            )
        propagation, source, readout = root.child("propagation"), root.child("input"), root.child("readout")
        if source.text("encoding") != "amplitude" or source.text("interpolation") != "bilinear":
            raise root.error("expected an input encoded as bilinear amplitude, the one this version knows")
        layers = tuple(_parse_layer(layer) for layer in root.children("layers"))
        if not layers:
            raise root.error("expected at least one layer, but got none")
        distances = propagation.numbers("distances_m")
        if len(distances) != len(layers) + 1:
            raise root.error(f"expected {len(layers) + 1} distances for {len(layers)} layers, but got {len(distances)}")
        precision = propagation.one_of("precision", PRECISIONS)
        detector = _parse_grid(readout.child("grid"))
        try:
            boxes = tuple(readout.integers("regions", 4, of=entry) for entry in readout.entries("regions"))
            regions = Regions(boxes, detector.shape, readout.boolean("differential"))  # pyright: ignore[reportArgumentType]
        except VoltphaseError as error:
            raise in_manifest(readout, error) from error
        classes = readout.texts("classes")
        if len(classes) not in (0, regions.classes):
            raise root.error(
                f"expected names of {regions.classes} classes for {len(regions)} regions, but got {len(classes)}"
            )
        manifest = cls(
            wavelength=root.positive("wavelength_m"),
            distances=distances,
            method=propagation.text("method"),
            precision=precision,
            image_shape=_parse_image_shape(source),
            source=_parse_grid(source.child("grid")),
            detector=detector,
            layers=layers,
            regions=regions,
            measure=readout.one_of("measure", _POWER_OF_FIELD),
            scale=readout.positive("scale"),
            classes=classes,
            reference=_parse_reference(root),
            version=root.text("voltphase_version"),
        )
        if not np.isclose(readout.positive("digital_factor"), manifest.reading_factor, rtol=1e-9):
            raise root.error("expected readout.digital_factor to follow from the layers' digital_gain, but it does not")
        return manifest

    def make_readout(self) -> RegionReadout:
        """The readout, its scale fixed at the value it was deployed with."""
        return RegionReadout(self.regions, self.measure, self.scale)  # pyright: ignore[reportArgumentType]


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write ``manifest.json``, one line for each row of a device table."""
    (folder / MANIFEST_NAME).write_text(_dump(manifest.to_json()) + "\n", encoding="utf-8")


def data_digest(images: torch.Tensor, labels: torch.Tensor) -> str:
    """SHA-256, in hexadecimal, of ``images x height x width`` images and their ``images`` labels."""
    digest = hashlib.sha256(repr((tuple(images.shape), str(images.dtype))).encode())
    digest.update(images.contiguous().cpu().numpy().data)
    digest.update(labels.to(torch.int64).contiguous().cpu().numpy().data)
    return digest.hexdigest()


def _load(path: Path) -> Any:
    def refuse(constant: str) -> None:
        raise ValueError(f"{constant} is not a number")

    try:
        return json.loads(path.read_text(encoding="utf-8"), parse_constant=refuse)
    except OSError as error:
        raise DeploymentError(
            f"expected a deployed folder, but {path} cannot be read "
            f"({(error.strerror or 'no reason').lower()}): make one with `voltphase deploy`"
        ) from error
    except (ValueError, RecursionError) as error:
        raise DeploymentError(f"expected JSON in {path}, but it is not ({error}): deploy again") from error


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
    return {"file": record.name, "sha256": record.sha256}


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
        pitch, offset = grid.numbers("pitch_m", 2), grid.numbers("offset_m", 2)
        return Grid(grid.pair("shape"), (pitch[0], pitch[1]), (offset[0], offset[1]))
    except VoltphaseError as error:
        raise in_manifest(grid, error) from error


def _parse_image_shape(source: Reader) -> tuple[int, int]:
    shape = source.pair("image_shape")
    if max(shape) > _LARGEST_IMAGE:
        raise source.error(f"expected image_shape of at most {_LARGEST_IMAGE} a side, but got {max(shape)}")
    return shape


def _parse_file(file: Reader) -> FileRecord:
    return FileRecord(file.file_name("file"), file.text("sha256"))


def _parse_layer(layer: Reader) -> LayerRecord:
    panel = layer.content.get("panel") is not None
    device = layer.child("panel" if panel else "device")
    grid, regions = _parse_grid(layer.child("grid")), _parse_file(device.child("regions")) if panel else None
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
        levels=_parse_file(layer.child("levels")),
        regions=regions,
        digital_gain=layer.positive("digital_gain"),
    )


def _parse_reference(root: Reader) -> ReferenceRecord | None:
    reference = root.optional_child("reference")
    if reference is None:
        return None
    accuracy = reference.number("expected_accuracy")
    if not 0 <= accuracy <= 1:
        raise reference.error(f"expected an accuracy from 0 to 1, but got {accuracy:g}")
    return ReferenceRecord(
        data=reference.text("data"),
        split=reference.text("split"),
        images=reference.integer("images"),
        digest=reference.text("data_sha256"),
        accuracy=accuracy,
        logits=_parse_file(reference.child("logits")),
    )
