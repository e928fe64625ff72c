"""Test inputs that travel in a deployed folder, and what the model gives for them and for its test set."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import torch
from torch import Tensor

from voltphase.core.errors import DeploymentError
from voltphase.deployment.folder import write_array
from voltphase.deployment.records import ReferenceRecord, SamplesRecord, data_digest
from voltphase.tasks import Measure, Metric, RegionReadout, Regions, WindowReadout, require_regions
from voltphase.tasks.background_light import with_background
from voltphase.tasks.hybrid import ElectronicReadout

if TYPE_CHECKING:
    from voltphase.data import ImageDataset
    from voltphase.network.donn import DONN

REFERENCE_NAME: Final = "expected-logits.npy"
# Test inputs that travel in the folder.
_SAMPLES: Final = 20
# Samples of a plane's fields that are kept at a time.
_KEPT: Final = 2**18


def write_reference(
    folder: Path,
    metric: Metric,
    dataset: ImageDataset | None,
    split: str,
    logits: Tensor | None,
    rebuilt_from: dict[str, Any] | None,
) -> ReferenceRecord | None:
    """Return the record of the test set that a system is judged by, and write what the model gives for it."""
    if dataset is None or logits is None:
        return None
    return ReferenceRecord(
        data=dataset.name,
        data_settings=None if rebuilt_from == {"name": dataset.name} else rebuilt_from,
        split=split,
        images=len(dataset),
        data_sha256=data_digest(dataset.images, dataset.labels),
        metric=metric.name,
        expected=metric.of(logits, dataset.labels),
        logits=write_array(folder / REFERENCE_NAME, logits.numpy()),
    )


def write_samples(
    folder: Path, model: DONN, dataset: ImageDataset | None, split: str, *, labelled: bool
) -> SamplesRecord:
    """Write test inputs, what is wanted of them where that is told, and readings; return the record of them.

    Args:
        folder: Folder to write into.
        model: Trained network.
        dataset: Data set whose first images they are; they are noise without one.
        split: Name of the part of the data set that is used.
        labelled: Whether to write what is wanted of each.
    """
    if dataset is None:
        shape = (_SAMPLES, *model.source.image_shape)
        images = torch.from_numpy(np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8))
        labels, origin = None, f"{_SAMPLES} images of noise"
    else:
        images, labels = dataset[:_SAMPLES]
        if isinstance(readout := readout_of_light(model), WindowReadout) and readout.measure == "field":
            labels = torch.view_as_real(labels.to(torch.complex128))
        labels = labels if dataset.classes else labels.reshape(len(labels), -1).double()
        origin = f"the first {len(images)} {split} images of {dataset.name}"
    return SamplesRecord(
        origin=origin,
        count=len(images),
        images=write_array(folder / "sample-images.npy", images.cpu().numpy()),
        labels=None
        if labels is None or not labelled
        else write_array(folder / "sample-labels.npy", labels.cpu().numpy()),
        readings=write_array(folder / "sample-readings.npy", _readings(model, images).numpy()),
    )


def readout_of_light(model: DONN) -> RegionReadout | WindowReadout:
    """Return the readout of a model, with a DeploymentError if it reads regions in a way of its own."""
    if type(model.readout) is WindowReadout:
        return model.readout
    readout = require_regions(model.readout)
    if isinstance(readout, ElectronicReadout):
        return readout.of_light()
    if type(readout) is not RegionReadout:
        raise DeploymentError(
            f"expected a readout that the folder can describe, voltphase.tasks.RegionReadout, but got {readout!r:.80}: "
            "what a readout of your own computes cannot be rebuilt from files"
        )
    return readout


@torch.no_grad()
def _readings(model: DONN, images: Tensor) -> Tensor:
    """Return the reading of each region, ``images x regions``, as a bench has it: of the light without gain.

    Where the detector tells two wavelengths apart, each region has two in turn.
    """
    trained, background = readout_of_light(model), model.background_light
    readout = trained
    if isinstance(trained, RegionReadout):
        readout = RegionReadout(Regions(trained.regions.boxes, trained.regions.shape), measure_of(trained), 1.0)
    device, training = next(model.buffers()).device, model.training
    model.eval()
    try:
        # A few at a time, as every plane is kept; what takes light across the gaps is made for each few anew.
        few = images.split(max(1, _KEPT // max(math.prod(grid.shape) for grid in model.grids)))
        fields = (model.detector_field(some.to(device)).cpu() / model.gain for some in few)
        each = [readout.read(readout.window(with_background(field, background))) for field in fields]
        return by_region(torch.cat(each), trained.channels)
    finally:
        model.train(training)


def measure_of(readout: RegionReadout) -> Measure:
    """Return the measure of a region that a folder names: of contrasts of wavelengths, a share is a sum."""
    return "sum" if readout.channels > 1 and readout.measure == "fraction" else readout.measure


def by_region(readings: Tensor, channels: int) -> Tensor:
    """Return readings with those of a region at two wavelengths in turn, from ``images x channels x regions``."""
    return readings.transpose(-1, -2).flatten(1) if channels > 1 else readings
