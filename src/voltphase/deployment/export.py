"""Writing what the bench needs: an image per device, and everything to know about the system around them."""

from __future__ import annotations

import math
from dataclasses import replace
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Final, cast

import numpy as np
import torch
from PIL import Image

from voltphase.core.errors import DataError, DeploymentError, OutputError
from voltphase.core.files import atomic_directory, checked_path
from voltphase.core.installed import package_version
from voltphase.deployment.manifest import (
    PRECISIONS,
    LayerRecord,
    Manifest,
    ReferenceRecord,
    SamplesRecord,
    data_digest,
    write_manifest,
)
from voltphase.deployment.note import bench_note
from voltphase.deployment.reading import LARGEST_PLANE
from voltphase.deployment.records import FileRecord, write_array
from voltphase.devices import Device
from voltphase.tasks import RegionReadout, Regions, all_outputs, require_regions

if TYPE_CHECKING:
    from voltphase.codesign import CodesignLayer
    from voltphase.data import ImageDataset
    from voltphase.network.donn import DONN

REFERENCE_NAME: Final = "expected-logits.npy"
NOTE_NAME: Final = "README.txt"
# Test inputs that travel in the folder.
_SAMPLES: Final = 20

# A tie between two regions may fall the other way on another machine; more than this is another network.
_ACCURACY_TOLERANCE = 0.002


def deploy(
    model: DONN,
    out: str | PathLike[str],
    *,
    dataset: ImageDataset | None = None,
    split: str = "test",
    expected_accuracy: float | None = None,
) -> Path:
    """Write the maps to load on the devices of a trained model, and all that is needed to rebuild the system.

    The folder holds, per layer, ``layer-N.png`` (the grey value of each pixel) and ``layer-N-levels.npy`` (its
    level), where it is a panel ``layer-N-regions.npy`` (the table each pixel follows, -1 where it is inactive; the
    image holds level 0 there). ``manifest.json`` and ``README.txt`` say all about the system around them, formulas and
    conventions included. ``sample-images.npy``, ``sample-labels.npy`` and ``sample-readings.npy`` are 20 inputs, the
    first of the data set or noise without one, and what the detector reads for each. With a data set
    ``expected-logits.npy`` holds what the model gives for every image, to verify against.

    Args:
        model: Trained network; its argmax states are deployed, those it is evaluated with.
        out: Folder to make.
        dataset: Test set to judge the deployed system by.
        split: Which part of the data set that is.
        expected_accuracy: Accuracy that the model is known to reach on ``dataset``, a fraction.

    Returns:
        ``out`` as a path.

    Raises:
        OutputError: if ``out`` exists already or cannot be written.
        DeploymentError: if ``dataset`` has other classes than the detector tells apart, the model does not reach
            ``expected_accuracy``, a device has too many levels, a plane too many samples, or the model holds what
            cannot be rebuilt from files, such as a method of propagation of its own.
        ConfigError: if the model's relaxation has no levels to deploy.
    """
    out = checked_path(out, OutputError)
    model.levels()  # a network that has none is refused before the work
    for grid in model.grids:
        if grid.rows * grid.columns > LARGEST_PLANE:
            raise DeploymentError(
                f"expected planes of at most {LARGEST_PLANE} samples, as many as are read again, but got "
                f"{grid.rows} x {grid.columns}"
            )
    logits = accuracy = None
    if dataset is not None:
        classes = require_regions(model.readout).regions.classes
        if len(dataset.classes) != classes:
            raise DeploymentError(
                f"expected a data set of {classes} classes, those the detector tells apart, but {dataset.name} has "
                f"{len(dataset.classes)}: deploy with data as the model was trained on"
            )
        logits = all_outputs(model, dataset.images)
        accuracy = float((logits.argmax(-1) == dataset.labels).double().mean())
        if expected_accuracy is not None and abs(accuracy - expected_accuracy) > _ACCURACY_TOLERANCE:
            raise DeploymentError(
                f"expected the model to reach an accuracy of {expected_accuracy:.4f} on {dataset.name}, "
                f"but it reaches {accuracy:.4f}: the weights or the data are not those it was judged by"
            )
    with atomic_directory(out) as folder:
        layers = tuple(
            _write_layer(folder, number, layer, model) for number, layer in enumerate(_layers(model), start=1)
        )
        reference = None
        if dataset is not None and logits is not None and accuracy is not None:
            reference = ReferenceRecord(
                data=dataset.name,
                split=split,
                images=len(dataset),
                digest=data_digest(dataset.images, dataset.labels),
                accuracy=accuracy,
                logits=write_array(folder / REFERENCE_NAME, logits.numpy()),
            )
        samples = _write_samples(folder, model, dataset, split)
        manifest = _describe(model, layers, reference, samples, tuple(dataset.classes) if dataset is not None else ())
        # A name may hold what no UTF-8 can, half of a pair.
        (folder / NOTE_NAME).write_bytes(bench_note(manifest).encode("utf-8", "backslashreplace"))
        write_manifest(folder, replace(manifest, note=FileRecord.of(folder / NOTE_NAME)))
        # What cannot be read again is refused now, not on the bench.
        Manifest.read(folder)
    return out


def deploy_run(
    run: str | PathLike[str], out: str | PathLike[str], *, data_dir: str | PathLike[str] | None = None
) -> Path:
    """Deploy the model of a run folder, with the test set and the accuracy of that run.

    Args:
        run: Folder of a run, as training left it.
        out: Folder to make.
        data_dir: Folder where data sets lie; where the run's configuration says by default.

    Returns:
        ``out`` as a path.

    Raises:
        OutputError: if ``out`` exists already or cannot be written.
        DeploymentError: if the model does not reach the accuracy in the run's summary.
        DataError: if the run folder or its data set cannot be read.
    """
    from voltphase.training import build_dataset, load_run

    out, run = checked_path(out, OutputError), checked_path(run, DataError)
    if data_dir is not None:
        data_dir = checked_path(data_dir, DataError)
    if out.exists():
        raise OutputError(f"expected a new folder, but {out} exists already: choose another or remove it")
    model, config, summary = load_run(run)
    dataset = build_dataset(config, "test", data_dir)
    return deploy(model, out, dataset=dataset, expected_accuracy=summary["test_accuracy"])


def image_codes(states: Device) -> tuple[tuple[int, ...], int]:
    """The grey value that stands for each level in the image, and the image's bits, 8 or 16.

    A device driven by integer grey levels is sent the image as it is: its codes are its control values. Any
    other (volts, or fractions) has codes spread over the range of the image, which its table translates.

    Raises:
        DeploymentError: if the device has more than 65536 levels.
    """
    count, control = len(states), states.control
    if states.control_unit.lower().startswith(("grey", "gray")) and (control == np.round(control)).all():
        for bits in (8, 16):
            if control.min() >= 0 and control.max() < 2**bits:
                return tuple(int(value) for value in control), bits
    for bits in (8, 16):
        if count <= 2**bits:
            return tuple(level * (2**bits - 1) // (count - 1) for level in range(count)), bits
    raise DeploymentError(f"expected a device of at most {2**16} levels, but {states.name} has {count}")


def _write_layer(folder: Path, number: int, layer: CodesignLayer, model: DONN) -> LayerRecord:
    levels = layer.levels().cpu().numpy()
    codes, bits = image_codes(layer.device_states)
    image_path, levels_path = folder / f"layer-{number}.png", folder / f"layer-{number}-levels.npy"
    image = np.array(codes, dtype=np.uint8 if bits == 8 else np.uint16)[levels]
    Image.fromarray(image).save(image_path, format="PNG", optimize=True)
    levels_record = write_array(levels_path, levels.astype(np.min_scalar_type(len(codes) - 1)))
    return LayerRecord(
        grid=model.grids[number],
        device=layer.device_states,
        regions=_write_regions(folder, number, layer.device_states),
        codes=codes,
        image_bits=bits,
        image=FileRecord.of(image_path),
        levels=levels_record,
        digital_gain=layer.gain,
    )


def _write_regions(folder: Path, number: int, device: Device) -> FileRecord | None:
    if device.regions is None:
        return None
    return write_array(folder / f"layer-{number}-regions.npy", device.regions.astype(np.int32))


def _write_samples(folder: Path, model: DONN, dataset: ImageDataset | None, split: str) -> SamplesRecord:
    if dataset is None:
        shape = (_SAMPLES, *model.source.image_shape)
        images = torch.from_numpy(np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8))
        labels, origin = None, f"{_SAMPLES} images of noise"
    else:
        images, labels = dataset[:_SAMPLES]
        origin = f"the first {len(images)} {split} images of {dataset.name}"
    return SamplesRecord(
        origin=origin,
        count=len(images),
        images=write_array(folder / "sample-images.npy", images.cpu().numpy()),
        labels=None if labels is None else write_array(folder / "sample-labels.npy", labels.cpu().numpy()),
        readings=write_array(folder / "sample-readings.npy", _readings(model, images).numpy()),
    )


@torch.no_grad()
def _readings(model: DONN, images: torch.Tensor) -> torch.Tensor:
    """The reading of each region, ``images x regions``, as a bench has it: of the light without gain."""
    regions = require_regions(model.readout).regions
    readout = RegionReadout(Regions(regions.boxes, regions.shape), require_regions(model.readout).measure, 1.0)
    gain = math.prod(layer.gain for layer in _layers(model))
    device, training = next(model.buffers()).device, model.training
    model.eval()
    try:
        # One at a time: every plane is kept.
        fields = (model.planes(image[None].to(device))["detector"].cpu() / gain for image in images)
        return torch.cat([readout.read(readout.window(field)) for field in fields])
    finally:
        model.train(training)


def _layers(model: DONN) -> list[CodesignLayer]:
    return cast("list[CodesignLayer]", list(model.layers))


def _describe(
    model: DONN,
    layers: tuple[LayerRecord, ...],
    reference: ReferenceRecord | None,
    samples: SamplesRecord,
    classes: tuple[str, ...],
) -> Manifest:
    dtype = _layers(model)[0].table.values.dtype
    return Manifest(
        wavelength=model.wavelength,
        distances=tuple(model.distances),
        methods=tuple(propagator.method for propagator in model.propagators),
        precision=next(name for name, kind in PRECISIONS.items() if kind == dtype),
        image_shape=model.source.image_shape,
        source=model.grids[0],
        detector=model.grids[-1],
        layers=layers,
        regions=require_regions(model.readout).regions,
        measure=require_regions(model.readout).measure,
        scale=require_regions(model.readout).scale,
        classes=classes,
        reference=reference,
        version=package_version(),
        samples=samples,
    )
