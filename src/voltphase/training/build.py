"""From a configuration to what it describes: devices, readout, model and data sets."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import fields, is_dataclass, replace
from os import PathLike
from pathlib import Path
from typing import Any

from voltphase.config import Config, DeviceConfig
from voltphase.core import checks
from voltphase.core.advice import once
from voltphase.core.errors import ConfigError, DataError, DeviceError, VoltphaseError
from voltphase.data import (
    Data,
    DataSource,
    ImageDataset,
    Images,
    check_together,
    dataset_of,
    given_datasets,
    held_out,
    splits_of,
)
from voltphase.data.base import load_split
from voltphase.devices import MODELS, Device, DevicePanel, DeviceSpectrum, model
from voltphase.devices import load as load_device
from voltphase.devices.spectrum import at_wavelengths, parts_of, spectrum_of_model
from voltphase.network.donn import DONN
from voltphase.optics.grid import Grid
from voltphase.optics.masks import Mask
from voltphase.optics.precision import complex_dtype
from voltphase.optics.sources import SourceLight
from voltphase.tasks import Task
from voltphase.training.run_folder import RunFolder

# Images that are looked at together, until one of them is not black.
_SOME = 4096


def build_devices(config: Config) -> list[Device]:
    """Return the states of each layer's device, or its panel, the chosen ones only.

    Raises:
        DeviceError: if a table is missing or malformed, a model unknown, more levels asked for than there are, or a
            border leaves no pixel active.
    """
    made: dict[tuple[str, tuple[int, int]], Device] = {}
    sizes = config.optics.sizes[1:-1] * config.optics.networks.count
    wanted = list(zip(config.layer_devices, sizes, strict=True))
    for device, size in wanted:
        if (repr(device), size) not in made:
            made[repr(device), size] = _build_device(device, size, config.optics.wavelengths)
    return [made[repr(device), size] for device, size in wanted]


def file_digests(config: Config, digests: Sequence[str]) -> list[str | None]:
    """Return which digests of the devices of a configuration tell whether these are what they were; None for a model.

    The last digits of a model's figures depend on the processor, and with them its digest: a model is what its settings
    say, and only the table of a file can have changed.
    """
    files = [device.file is not None for device in config.layer_devices]
    return [digest if file else None for file, digest in zip(files, digests, strict=False)]


def as_started(config: Config, digests: Sequence[str], where: object, *, old: bool) -> Config:
    """Return the configuration of a run that goes on, with the devices that it was started with.

    Version 0.1.0 computed a model for a wavelength of its own where none was given, not for that of the light. Where
    both can be, the digests tell which it was.

    Args:
        config: Settings of the run.
        digests: Digests of its devices, as it was started.
        where: Folder of the run, for the sentence that refuses it.
        old: Whether version 0.1.0 may have started it, for models whose digest tells nothing.

    Returns:
        ``config``, or the same with wavelengths given to models.

    Raises:
        ConfigError: if a device's table has changed since.
        DeviceError: if a device cannot be had either way.
    """
    pinned = [_with_own_wavelength(device) for device in config.layer_devices]
    candidates = [config, config.model_copy(update={"device": None, "devices": pinned})]
    found: list[tuple[Config, list[str]]] = []
    for candidate in candidates:
        with suppress(DeviceError):
            found.append((candidate, [device.digest for device in build_devices(candidate)]))
        if found and found[-1][1] == list(digests):
            break
    if not found:
        build_devices(config)  # says what is wrong
    chosen, now = found[-1] if old or found[-1][1] == list(digests) else found[0]
    if file_digests(config, digests) != file_digests(config, now):
        raise ConfigError(
            f"expected the devices that {where} was started with, but a device's table has changed since: "
            "restore it, or start again with --overwrite"
        )
    return chosen


def _with_own_wavelength(device: DeviceConfig) -> DeviceConfig:
    known = {} if device.file is not None else inspect.signature(MODELS[str(device.model)]).parameters
    if "wavelength" not in known:
        return device
    return device.model_copy(update={"parameters": {"wavelength": known["wavelength"].default, **device.parameters}})


@once()
def build_model(
    config: Config,
    devices: Sequence[Device],
    image_shape: tuple[int, int],
    *,
    task: Task | None = None,
    light: SourceLight | None = None,
    masks: Sequence[Mask] | None = None,
    for_gpu: bool = False,
) -> DONN:
    """Return an untrained network.

    Args:
        config: Settings of the network.
        devices: States of each layer's device, or its panel.
        image_shape: (rows, columns) of the images it will see.
        task: The configuration's task with what it leaves to the data settled; as configured by default.
        light: How light carries an image; as configured by default, with a mask read from its file.
        masks: Masks between the planes in the order light meets them; read from their files by default.
        for_gpu: Whether a CUDA GPU will train it, for which the precision ``auto`` is TF32.

    Raises:
        GeometryError: if the detector regions do not fit the detector, or light cannot be propagated as asked.
        ConfigError: if a part is not configured as it can be, or a panel has another size than its layer.
    """
    optics = config.optics
    spans = optics.spans_with(optics.read_masks() if masks is None else masks)
    return DONN(
        grid=[Grid(size, pitch) for size, pitch in zip(optics.sizes, optics.pitches, strict=True)],
        wavelength=optics.light,
        distances=spans[: optics.gaps],
        devices=devices,
        task=config.task.build() if task is None else task,
        image_shape=image_shape,
        source=optics.source.build() if light is None else light,
        coherence=optics.coherence.build(),
        background_light=optics.background_light,
        networks=optics.networks.build(),
        detectors=optics.detectors.build(spans[optics.gaps :]),
        skips=[skip.build() for skip in optics.skips],
        method=optics.method,
        relaxation=config.codesign.relaxation.build(),
        gain=config.codesign.gain,
        amplitude_grad_scale=config.codesign.amplitude_grad_scale,
        seed=config.seed,
        dtype=complex_dtype(optics.precision),
        backend=optics.backend,
        engine=optics.engine,
        tf32=optics.precision == "tf32" or (for_gpu and optics.precision == "auto"),
        checkpoint_fields=config.training.checkpoint_fields,
    )


def build_datasets(config: Config, data_dir: str | PathLike[str] | None = None) -> dict[str, ImageDataset]:
    """Return the images to train with, ``train``, to test with, ``test``, and, if there are some, to validate, ``val``.

    Args:
        config: Settings that say which images, and how many of them.
        data_dir: Folder of the data; overrides the configuration's.

    Raises:
        DataError: if they are missing and cannot be had, are damaged, are fewer than asked for, or do not fit together.
        ConfigError: if the task does not fit the data, such as a list of regions the classes.
    """
    source, task = _source(config, data_dir), config.task.build()
    with _where_they_are():
        whole = {split: load_split(config.data.name, source, split) for split in splits_of(source)}
    for dataset in whole.values():
        task.check_data(dataset.name, dataset.classes, dataset.targets)
    check_together(whole)
    return split_validation(config, {split: _limited(config, split, dataset) for split, dataset in whole.items()})


def split_validation(config: Config, datasets: Mapping[str, ImageDataset]) -> dict[str, ImageDataset]:
    """Return data sets with what of the training images is kept to validate with, if any, as ``val``.

    Raises:
        DataError: if nothing is kept, nothing left, or there are images to validate with already.
    """
    fraction, train = config.data.val_fraction, datasets["train"]
    if fraction == 0:
        return dict(datasets)
    if "val" in datasets:
        raise DataError(
            f"expected data.val_fraction 0, since there are images to validate with by themselves, but got {fraction:g}"
        )
    kept = held_out(train.targets, fraction, config.seed, by_class=bool(train.classes))
    if not 0 < (count := int(kept.sum())) < len(train):
        raise DataError(
            f"expected images to train and to validate with, but of {len(train)} of {train.name} data.val_fraction "
            f"{fraction:g} keeps {count} to validate with"
        )
    note = f"{count} of the {len(train)} images to train on are kept to validate with, drawn by the seed {config.seed}"
    return {**datasets, "train": train.select(~kept, note), "val": train.select(kept, note)}


def load_datasets(config: Config, data: Data | None) -> dict[str, ImageDataset]:
    """Return the images to train, to test and, if there are some, to validate with; given ones, if there are.

    Raises:
        DataError: as :func:`build_datasets`, or if all images to train on are black, where black is no light.
        ConfigError: as :func:`build_datasets`.
    """
    if data is None:
        found = build_datasets(config)
    else:
        given = given_datasets(data, config.seed)
        config.task.build().check_data(given["train"].name, given["train"].classes, given["train"].targets)
        found = split_validation(config, given)
    train, source = found["train"], config.optics.source
    if (
        source.encoding != "phase"
        and source.background == 0
        and not any(bool(some.any()) for some in train.images.split(_SOME))
    ):
        raise DataError(
            f"expected light to learn from, but all {len(train)} images to train on of {train.name} are black: correct "
            "how they were made, or set optics.source.background to the amplitude of a black pixel"
        )
    return found


def build_dataset(
    config: Config, split: str, data_dir: str | PathLike[str] | None = None, *, download: bool = True
) -> ImageDataset:
    """Return one split, ``train``, ``val`` or ``test``, of the data set, downloaded if it may be.

    Raises:
        DataError: as :func:`build_datasets`, or if there is no ``val``.
        ConfigError: as :func:`build_datasets`.
    """
    source = _source(config, data_dir)
    with _where_they_are():
        own = split in splits_of(source)
    if not own and config.data.val_fraction == 0:
        raise DataError("expected images to validate with, but data.val_fraction is 0: use those to train or test")
    name = split if own else "train"
    with _where_they_are():
        dataset = _limited(config, name, load_split(config.data.name, source, name, download=download))
    return dataset if name != "train" else split_validation(config, {"train": dataset})[split]


def may_validate(config: Config) -> bool:
    """Return whether there are images to validate with, as far as can be known before they are loaded."""
    try:
        return config.data.val_fraction > 0 or "val" in splits_of(config.data.build())
    except VoltphaseError:  # which is for a training to say
        return True


@contextmanager
def _where_they_are() -> Iterator[None]:
    """Say of data that are not there, as of a run whose data have moved, how to name their folder."""
    try:
        yield
    except DataError as error:
        if not isinstance(error.__cause__, FileNotFoundError):
            raise
        raise DataError(f"{error}, or name the folder that the data are in with --data-dir, or data.dir") from error


def _source(config: Config, data_dir: str | PathLike[str] | None) -> DataSource:
    data = config.data if data_dir is None else config.data.model_copy(update={"dir": str(data_dir)})
    return data.build()


def _limited(config: Config, split: str, dataset: ImageDataset) -> ImageDataset:
    limit = {"train": config.data.train_limit, "test": config.data.test_limit}.get(split)
    if limit is not None and limit > len(dataset):
        raise DataError(
            f"expected data.{split}_limit to be at most {len(dataset)}, or null for all images of "
            f"{config.data.name}, but got {limit}"
        )
    return dataset if limit is None else dataset.take(limit)


def settled_by_data(task: Task, asked: Task) -> dict[str, Any]:
    """Return the settings of a task that were left to the data, as these settled them, by name."""
    names = [] if task is asked or not is_dataclass(task) else [field.name for field in fields(task)]
    return {name: getattr(task, name) for name in names if getattr(task, name) != getattr(asked, name)}


def as_settled(asked: Task, settled: dict[str, Any], path: Path) -> Task:
    """Return a task with settings as `settled_by_data` gave them, with a DataError that names ``path`` if none fit."""
    try:
        return replace(asked, **settled) if settled and is_dataclass(asked) else asked
    except (TypeError, ValueError, VoltphaseError) as error:
        raise DataError(
            f"expected settings of the task as training writes them in {path}, but got {checks.shown(settled)}: "
            "restore the file, or train again"
        ) from error


def run_test_set(
    folder: RunFolder,
    config: Config,
    summary: dict[str, Any],
    data_dir: str | PathLike[str] | None = None,
    given: Images | None = None,
) -> ImageDataset:
    """Return the test images of a run: those that its configuration names, or those that are given in Python.

    Raises:
        DataError: if they cannot be had, or are not as many as the run was judged by; see `RunFolder.require_data`.
    """
    dataset = None if given is None else dataset_of(test_images_of(given, config, summary))
    folder.require_data(summary, **({} if dataset is None else {"test": dataset}))
    return build_dataset(config, "test", data_dir) if dataset is None else dataset


def test_images_of(given: Images, config: Config, summary: dict[str, Any]) -> Images:
    """Return what a run holds out to test with of all images that it was given in one piece in Python.

    Images of another number than all of them are returned as they are.

    Args:
        given: Images of the test, or all that were given to train.
        config: Configuration of the run.
        summary: Content of its summary.

    Raises:
        DataError: if they are no images with targets.
    """
    images = dataset_of(given)
    counts = [summary.get(f"{split}_images") or 0 for split in ("train", "val", "test")]
    whole = len(images) == sum(counts) and len(images) > counts[-1] and not images.alone
    return given_datasets(images, config.seed)["test"] if whole and summary.get("data_given") else given


def whole_device(device: DeviceConfig, wavelengths: Sequence[float]) -> Device:
    """Return a layer's device with all its states at the wavelengths of the light, before some are chosen.

    A model whose parameters name no wavelength is computed for these, or without any for its own.

    Raises:
        DeviceError: if a table is missing or malformed, or a parameter of a model does not fit.
    """
    if device.file is not None:
        whole = load_device(device.file)
        try:
            return at_wavelengths(whole, wavelengths)
        except DeviceError as error:
            raise DeviceError(f"optics.wavelength: {error}") from error
    try:
        if len(wavelengths) > 1:
            return spectrum_of_model(str(device.model), device.levels, wavelengths, device.parameters)
        wavelength = wavelengths[0] if wavelengths else None
        return model(str(device.model), device.levels, wavelength=wavelength, parameters=device.parameters)
    except DeviceError as error:
        # A model knows no keys of a configuration: it names a parameter in words.
        named = (key for key in device.parameters if key.replace("_", " ") in str(error))
        if (key := next(named, None)) is None:
            raise DeviceError(f"device.model: {error}") from error
        raise DeviceError(f"device.parameters.{key}: {error}") from error


def _build_device(device: DeviceConfig, size: tuple[int, int], wavelengths: Sequence[float]) -> Device:
    whole = whole_device(device, wavelengths)
    if whole.regions is not None and device.border != 0:
        raise ConfigError(
            f"expected no device.border for {device.file}, a panel whose map says which pixels are inactive, but "
            f"got {device.border}"
        )
    if device.levels is not None and device.levels > len(whole):
        raise DeviceError(
            f"expected device.levels to be at most {len(whole)}, or null for all states of {whole.name}, but got "
            f"{device.levels}"
        )
    states = whole if device.levels is None else whole.pick(device.levels, device.pick)
    if states.regions is not None or device.border == 0:
        return states
    top, bottom, left, right = [device.border] * 4 if isinstance(device.border, int) else device.border
    panels = [DevicePanel.uniform(part.tables[0], size, border=(top, bottom, left, right)) for part in parts_of(states)]
    return panels[0] if len(panels) == 1 else DeviceSpectrum(tuple(panels))
