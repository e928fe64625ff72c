"""From a configuration to what it describes: devices, readout, model and data sets."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from voltphase import devices as device_library
from voltphase.codesign import (
    PAPER_SCHEDULES,
    CosineSchedule,
    ExponentialSchedule,
    GumbelSoftmax,
    LinearSchedule,
    PiecewiseSchedule,
    Proximity,
    ReinMax,
    Relaxation,
    Schedule,
    Softmax,
    StaticSchedule,
)
from voltphase.config import Config, DeviceConfig, RelaxationConfig, ScheduleConfig
from voltphase.data import ImageDataset, load
from voltphase.devices import DeviceStates
from voltphase.errors import ConfigError
from voltphase.grid import Grid
from voltphase.model import DONN
from voltphase.readout import RegionReadout, Regions


def build_devices(config: Config) -> list[DeviceStates]:
    """The states of each layer's device, the chosen ones only.

    Raises:
        DeviceError: if a table is missing or malformed, a model unknown, or more levels asked for than there are.
    """
    made: dict[DeviceConfig, DeviceStates] = {}
    for device in config.layer_devices:
        if device not in made:
            made[device] = _build_device(device)
    return [made[device] for device in config.layer_devices]


def build_model(config: Config, devices: Sequence[DeviceStates], image_shape: tuple[int, int]) -> DONN:
    """An untrained network.

    Args:
        config: What it is made of.
        devices: The states of each layer's device.
        image_shape: (rows, columns) of the images it will see.

    Raises:
        GeometryError: if the detector regions do not fit the detector, or light cannot be propagated as asked.
        ConfigError: if a part is not configured as it can be.
    """
    optics = config.optics
    return DONN(
        grid=Grid((optics.size, optics.size), pitch=optics.pitch),
        wavelength=optics.wavelength,
        distances=optics.distances,
        devices=devices,
        readout=build_readout(config),
        image_shape=image_shape,
        method=optics.method,
        relaxation=build_relaxation(config.codesign.relaxation),
        gain=config.codesign.gain,
        amplitude_grad_scale=config.codesign.amplitude_grad_scale,
        seed=config.seed,
    )


def build_readout(config: Config) -> RegionReadout:
    """The detector's regions and how their light becomes logits.

    Raises:
        GeometryError: if a region is empty or reaches outside the detector, or one of a pair is missing.
    """
    size, readout = config.optics.size, config.readout
    if isinstance(readout.regions, list):
        boxes = tuple((box[0], box[1], box[2], box[3]) for box in readout.regions)
        regions = Regions(boxes, (size, size), paired=readout.differential)
    else:
        regions = Regions.paper_pairs(size) if readout.differential else Regions.paper(size)
    return RegionReadout(regions, readout.measure, readout.scale)


def build_relaxation(relaxation: RelaxationConfig) -> Relaxation:
    """The differentiable stand-in for the choice of a state."""
    if relaxation.name == "reinmax":
        return ReinMax(relaxation.mix)
    if relaxation.name == "proximity":
        return Proximity(hard=relaxation.hard)
    kind = {"gumbel-softmax": GumbelSoftmax, "softmax": Softmax}[relaxation.name]
    return kind(hard=relaxation.hard, mix=relaxation.mix)


def build_schedule(schedule: ScheduleConfig) -> Schedule:
    """The curve of the temperature over training."""
    curves = {"linear": LinearSchedule, "exponential": ExponentialSchedule, "cosine": CosineSchedule}
    if schedule.name in curves:
        return curves[schedule.name](schedule.start, schedule.end)
    if schedule.name == "static":
        return StaticSchedule(schedule.start)
    if schedule.name == "piecewise":
        return PiecewiseSchedule(schedule.temperatures or (), schedule.shares or ())
    return PAPER_SCHEDULES[schedule.name.removeprefix("paper-")]


def build_datasets(config: Config, data_dir: str | Path | None = None) -> tuple[ImageDataset, ImageDataset]:
    """The training and the test images.

    Args:
        config: Which images, and how many of them.
        data_dir: Where they are; overrides the configuration's folder.

    Raises:
        DataError: if they are missing and cannot be had, are damaged, or are fewer than asked for.
        ConfigError: if there are more classes than detector regions.
    """
    return build_dataset(config, "train", data_dir), build_dataset(config, "test", data_dir)


def build_dataset(config: Config, split: str, data_dir: str | Path | None = None) -> ImageDataset:
    """One split, ``train`` or ``test``, of the data set; see `build_datasets`."""
    data = config.data
    dataset = load(data.name, split, data_dir=data_dir or data.dir)
    limit = data.train_limit if split == "train" else data.test_limit
    regions, each = config.readout.regions, 2 if config.readout.differential else 1
    if isinstance(regions, list) and len(regions) != each * len(dataset.classes):
        raise ConfigError(
            f"expected readout.regions to list {each * len(dataset.classes)} regions, {'one' if each == 1 else 'two'} "
            f"for each class of {data.name}, but got {len(regions)}"
        )
    return dataset if limit is None else dataset.take(limit)


def _build_device(device: DeviceConfig) -> DeviceStates:
    if device.file is not None:
        states = device_library.load(device.file)
    else:
        states = device_library.models.MODELS[str(device.model)]()
    return states if device.levels is None else states.pick(device.levels, by=device.pick)
