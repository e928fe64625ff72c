"""From the folder of a design to the folder of a finished run."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor

from voltphase.config import Config
from voltphase.core.advice import once
from voltphase.core.errors import ConfigError, DataError, OutputError
from voltphase.core.files import atomic_directory, checked_path
from voltphase.devices import Device
from voltphase.importing.design import Design, read_design
from voltphase.importing.finished import write_finished
from voltphase.importing.place import Placed, place_maps
from voltphase.importing.reference import reference_config, write_reference
from voltphase.importing.system import Source, configured
from voltphase.network.donn import DONN
from voltphase.training import RunFolder
from voltphase.training.build import build_datasets, build_devices, build_model
from voltphase.training.processes.machine import accelerator_of

_NOTE: Final = """\
# Imported from the maps of a design. Its settings are those below, but for training, the schedule of the temperature
# and augmentation, which nobody used: they stand at their defaults.
"""


@once()
def import_design(folder: str | Path, out: str | Path, overrides: Sequence[str] = ()) -> dict[str, Any]:
    """Make a finished run of a design that somebody else made, for all that is done with one.

    The folder holds the maps of the layers, or trained weights of LightRidge or TorchOptics, and ``design.yaml``: a
    configuration with one section more, ``maps``, see :class:`voltphase.importing.MapsConfig`. Each pixel is put into
    the state of its level or control value; or into the one that is nearest on the complex plane to the phase, the
    height or the factor that the map asks for. Without data the run is judged by how near its light is to that of the
    maps as they are given.

    Args:
        folder: Folder of the design.
        out: Run folder to make.
        overrides: Single settings in place of those in ``design.yaml``, such as ``"device.file=slm.csv"``.

    Returns:
        The content of ``summary.json``; its ``imported`` tells where the maps are from and how far states are off.

    Raises:
        OutputError: if ``out`` exists already or cannot be written.
        DataError: if a file of the design is missing, damaged, or holds what is no such map.
        ConfigError: if a setting does not fit, or the maps and the settings contradict each other.

    Warns:
        DesignWarning: if the device is far from showing the design.
        UnitWarning: if phases seem to be in another unit.

    Examples:
        >>> import numpy as np
        >>> Path("lens").mkdir()
        >>> y, x = np.mgrid[-31.5:32, -31.5:32] * 36e-6
        >>> np.save("lens/map.npy", -np.pi * (x**2 + y**2) / (532e-9 * 0.3) % (2 * np.pi))
        >>> said = "{optics: {wavelength: 532e-9, pitch: 36e-6, distances: [1e-3, 0.3]}, "
        >>> said += "maps: {files: [map.npy], kind: phase}}"
        >>> _ = Path("lens/design.yaml").write_text(said)
        >>> import_design("lens", "runs/lens")["test_correlation"] > 0.999
        True
    """
    folder, out = checked_path(folder, DataError), checked_path(out, OutputError)
    if out.exists():
        raise OutputError(f"expected a new folder, but {out} exists already: choose another or remove it")
    design = read_design(folder, tuple(overrides))
    source = Source.read(folder, design.maps)
    config, notes = configured(design, source)
    devices = build_devices(config)
    _require_scores(source, devices)
    with atomic_directory(out) as temporary:
        config, model, placed, datasets = _system(design, config, devices, source, RunFolder(temporary))
        model.to(accelerator_of(config))
        _settle(model, datasets["train"].images[: config.training.batch_size])
        each = zip(source.names, placed, strict=True)
        notes += [f"layer {number} ({name}): {one.note}" for number, (name, one) in enumerate(each, start=1)]
        imported = {
            "folder": folder.resolve().name,
            "files": {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in source.files},
            "kind": source.kind,
            "layers": [None if one.misfit is None else asdict(one.misfit) for one in placed],
            "notes": [*notes, model.explain().summary],
        }
        about = {"imported": imported}
        return write_finished(temporary, config, model, devices, datasets, note=_NOTE, about=about)


def _system(
    design: Design, config: Config, devices: Sequence[Device], source: Source, run: RunFolder
) -> tuple[Config, DONN, list[Placed], dict[str, Any]]:
    """Return the network of a design with its maps placed, and the data to judge it by, which a run folder may hold."""
    if "data" in design.model_fields_set:
        datasets = build_datasets(config)
        task = config.task.build().for_data(datasets["train"].classes, datasets["train"].targets)
        model = build_model(config, devices, datasets["train"].image_shape, task=task)
        return config, model, place_maps(model, config, design.maps, source), datasets
    model = build_model(config, devices, config.optics.sizes[0])
    placed = place_maps(model, config, design.maps, source)
    config = reference_config(config, model, run.reference_file.name)
    write_reference(run.reference_file, model, [one.wanted for one in placed])
    return config, model, placed, build_datasets(config, run.path)


def _require_scores(source: Source, devices: Sequence[Device]) -> None:
    """Refuse devices of another number of states than trained scores are for."""
    wanted = None if source.weights is None else source.weights.levels
    for device in devices if wanted is not None else ():
        if len(device) != wanted:
            raise ConfigError(
                f"expected a device of {wanted} states, as many as the weights have scores for, but {device.name} has "
                f"{len(device)}: name the table that was trained with in device.file"
            )


@torch.no_grad()
def _settle(model: DONN, images: Tensor) -> None:
    """Calibrate the scale of a readout that leaves it to the first images, as training would."""
    model.readout.train()
    model(images.to(next(model.buffers()).device))
    model.eval()
