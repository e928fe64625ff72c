"""The settings of a training run, their defaults and their bounds.

Keys are the words of the Python interface, lengths are in metres. What is chosen by name (data set, relaxation,
schedule, task, device model) has the settings that its own class or function takes. The defaults are the recipe
``default``, so that a file needs to say only what differs.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from annotated_types import Ge, Le, Lt
from pydantic import Field, ValidationInfo, field_validator, model_validator

from voltphase.codesign.layer import FACTORS
from voltphase.codesign.relaxations import RELAXATIONS
from voltphase.codesign.schedules import SCHEDULES
from voltphase.config.optics import OpticsConfig
from voltphase.config.training import Count, TrainingConfig
from voltphase.core.words import counted
from voltphase.data import DATASETS
from voltphase.devices.models import MODELS
from voltphase.devices.states import Pick
from voltphase.settings.fields import (
    Choice,
    Name,
    OneOrEach,
    Parameters,
    Section,
    Settings,
    misfit,
    which_planes,
)
from voltphase.settings.yaml_io import write_yaml
from voltphase.tasks import TASKS

DEFAULT_DEVICE_MODEL = "tn-slm"

_Factor = Annotated[float, Ge(FACTORS[0]), Le(FACTORS[1])]
_Side = Annotated[int, Ge(0)]


class DataConfig(Settings):
    """Which images to learn.

    Attributes:
        name: Name of the data set.
        dir: Folder that holds it in torchvision's layout, without it ``VOLTPHASE_DATA``, else the user's cache; or the
            one that files of your own are named from, without it the current one.
        train_limit: Number of training images to use, the first ones; null for all.
        test_limit: Number of test images to use, the first ones; null for all.
        val_fraction: Part of the training images, drawn by ``seed``, that is kept to validate with: they are watched in
            place of the test images, which then are answered at the end alone, so that choices may be made on them.
            0 for a data set that has images to validate with by themselves, which are used so.
    """

    dir: str | None = None
    train_limit: Count | None = None
    test_limit: Count | None = None
    val_fraction: Annotated[float, Ge(0), Le(0.9)] = 0.0


_PARAMETERS = Parameters(MODELS, DEFAULT_DEVICE_MODEL, left_out=("levels",))


class DeviceConfig(Section):
    """The states a layer's pixels can take.

    Attributes:
        file: A measured table, or the folder of a panel, see ``voltphase device check``.
        model: A modelled device, see ``voltphase device list``, in place of ``file``.
        parameters: Parameters of the model by their names, such as ``{index: 1.6}`` of ``printed``; a complex index may
            be ``[n, kappa]``.
        levels: Number of the device's states to use; null for all. Models of what is made to measure are computed for
            that many.
        pick: How states are chosen: ``spread`` over the complex plane, ``even``ly by level, or evenly by ``control``
            value.
        border: Width in pixels of a dark border, inactive on all sides alike or by ``[top, bottom, left, right]``, of a
            device that covers less than its plane.
    """

    file: str | None = None
    model: Annotated[str, Name(_PARAMETERS)] | None = None
    parameters: Annotated[dict[str, Any], _PARAMETERS] = Field(default_factory=dict)
    levels: Annotated[int, Ge(2)] | None = 8
    pick: Pick = "spread"
    border: OneOrEach[_Side] = 0

    @model_validator(mode="before")
    @classmethod
    def _settle_source(cls, values: Any) -> Any:
        if not isinstance(values, dict):
            return values
        if values.get("file") is not None:
            if values.get("model") is not None:
                raise misfit(
                    f"expected device.file or device.model, but got both, {values['file']!r} and {values['model']!r}: "
                    "set one of them to null"
                )
            return {**values, "model": None}
        return values if values.get("model") is not None else {**values, "model": DEFAULT_DEVICE_MODEL}

    @field_validator("parameters", mode="before")
    @classmethod
    def _are_of_the_model(cls, values: Any, info: ValidationInfo) -> Any:
        if values and info.data.get("file") is not None:
            raise misfit(
                f"expected no device.parameters for a measured table, but got {', '.join(values)}: they are for "
                "device.model"
            )
        return _PARAMETERS.checked(info.data.get("model"), values)

    @field_validator("border")
    @classmethod
    def _has_four_sides(cls, value: int | list[int]) -> int | list[int]:
        if isinstance(value, list) and len(value) != 4:
            raise misfit(
                f"expected device.border to be a whole number of pixels, or [top, bottom, left, right], but got {value}"
            )
        return value


class ScheduleConfig(Settings):
    """How the temperature moves from the start of training to its end.

    Attributes:
        name: Name of the curve.
        per: Whether the temperature moves with every step or stays for an epoch.
    """

    per: Literal["step", "epoch"] = "step"


_DATA = Choice(DATASETS, "digits", DataConfig)
_RELAXATION = Choice(RELAXATIONS, "proximity", Settings)
_SCHEDULE = Choice(SCHEDULES, "exponential", ScheduleConfig)
_TASK = Choice(TASKS, "classification", Settings)


class CodesignConfig(Section):
    """How states are chosen in training.

    Attributes:
        relaxation: The differentiable stand-in for the choice.
        schedule: How the temperature of the relaxation falls.
        gain: The paper's lambda, one for all layers or one each; it changes nothing where answers are contrasts or
            shares of light, as they are by default.
        amplitude_grad_scale: The other reading of lambda, as a factor on the amplitude's part of the gradient: one for
            all layers or one each.
    """

    relaxation: Annotated[Settings, _RELAXATION] = _RELAXATION.make({})
    schedule: Annotated[ScheduleConfig, _SCHEDULE] = _SCHEDULE.make({})
    gain: OneOrEach[_Factor] = 1.0
    amplitude_grad_scale: OneOrEach[_Factor] = 1.0


class Config(Section):
    """Everything a training run depends on.

    Attributes:
        seed: Seed of the initial designs, of every random draw and of shuffling.
        data: The images.
        optics: The bench.
        device: The device of all layers.
        devices: A device for each layer, in place of device.
        codesign: How states are chosen.
        task: What is asked of the light.
        training: How the design is learned.
    """

    seed: Annotated[int, Ge(0), Lt(2**31)] = 0
    data: Annotated[DataConfig, _DATA] = _DATA.make({})
    optics: OpticsConfig = OpticsConfig()
    device: DeviceConfig | None = None
    devices: list[DeviceConfig] | None = None
    codesign: CodesignConfig = CodesignConfig()
    task: Annotated[Settings, _TASK] = _TASK.make({})
    training: TrainingConfig = TrainingConfig()

    @model_validator(mode="before")
    @classmethod
    def _default_device(cls, values: Any) -> Any:
        if isinstance(values, dict) and values.get("device") is None and values.get("devices") is None:
            return {**values, "device": {}, "devices": None}
        return values

    @model_validator(mode="after")
    def _fit_together(self) -> Config:
        depth, all_layers = self.optics.depth, self.optics.layers
        if self.device is not None and self.devices is not None:
            raise misfit("expected either device (for all layers) or devices (one per layer), but got both")
        of = "optics.depth layers" + f" of {self.optics.networks.count} networks" * (all_layers > depth)
        if self.devices is not None and len(self.devices) != all_layers:
            raise misfit(
                f"expected devices to list {all_layers} devices, one for each of {of}, but got {len(self.devices)}"
            )
        several = self.optics.gaps == depth
        last = "; those behind it are in optics.detectors.distances" if several else ", last layer to detector"
        gaps = f"(source to first layer, between the {counted(depth, 'layer')} of optics.depth{last})"
        planes = f"(source, the {counted(depth, 'layer')} of optics.depth, detector)"
        layers = f"(one for each of {of})"
        for skip in self.optics.skips:
            if skip.end > self.optics.gaps:
                end = "last layer, behind which detectors share the light" if several else "detector behind all layers"
                raise misfit(
                    f"expected optics.skips to end at plane {self.optics.gaps} at most, the {end}, but got {skip.end}"
                )
        for each, key in ((self.optics.size, "optics.size"), (self.optics.pitch, "optics.pitch")):
            if isinstance(each, list) and which_planes(each) == "each" and len(each) != depth + 2:
                raise misfit(
                    f"expected {key} to be a number or a pair for all planes, or a list of {depth + 2}, one for each "
                    f"{planes}, but got {len(each)}"
                )
        for each, key, count, which in (
            (self.optics.distances, "optics.distances", self.optics.gaps, gaps),
            (self.codesign.gain, "codesign.gain", all_layers, layers),
            (self.codesign.amplitude_grad_scale, "codesign.amplitude_grad_scale", all_layers, layers),
        ):
            if isinstance(each, list) and len(each) != count:
                raise misfit(
                    f"expected {key} to be a number or {counted(count, 'number')} {which}, but got {len(each)}"
                )
        return self

    @property
    def layer_devices(self) -> list[DeviceConfig]:
        """The device of each layer."""
        return self.devices if self.devices is not None else [self.device or DeviceConfig()] * self.optics.layers

    def to_yaml(self) -> str:
        """Return every setting, as YAML that loads back to an equal configuration."""
        return write_yaml({key: content for key, content in self.model_dump().items() if content is not None})
