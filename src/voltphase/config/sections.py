"""The settings of a training run, their defaults and their bounds.

Keys are the words of the Python interface, lengths are in metres. What is chosen by name (data set, relaxation,
schedule, task, device model) has the settings that its own class or function takes. The defaults are the recipe
``default``, so that a file needs to say only what differs.
"""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal

from annotated_types import Ge, Gt, Le, Len, Lt, Unit
from pydantic import Field, ValidationInfo, field_validator, model_validator

from voltphase.codesign.layer import FACTORS
from voltphase.codesign.relaxations import RELAXATIONS
from voltphase.codesign.schedules import SCHEDULES
from voltphase.config.masks import read_mask
from voltphase.config.panels import with_pitch_of_panel
from voltphase.core.errors import VoltphaseError
from voltphase.core.units import (
    LARGEST_PITCH,
    LONGEST_DISTANCE,
    LONGEST_WAVELENGTH,
    SHORTEST_WAVELENGTH,
    SMALLEST_PITCH,
)
from voltphase.data import DATASETS
from voltphase.devices.models import MODELS
from voltphase.devices.states import Pick
from voltphase.optics.backends.base import BACKENDS, Engine
from voltphase.optics.masks import Mask
from voltphase.optics.methods import METHODS
from voltphase.optics.precision import Precision
from voltphase.optics.sources import Encoding, SourceLight
from voltphase.settings.fields import Choice, Name, OneOrEach, Parameters, Section, Settings, misfit
from voltphase.settings.yaml_io import write_yaml
from voltphase.tasks import TASKS
from voltphase.tasks.background_light import BRIGHTEST

DEFAULT_DEVICE_MODEL = "tn-slm"

_Size = Annotated[int, Ge(10), Le(8192)]
_Pitch = Annotated[float, Unit("m"), Ge(SMALLEST_PITCH), Lt(LARGEST_PITCH)]
_Distance = Annotated[float, Unit("m"), Gt(0), Le(LONGEST_DISTANCE)]
_Wavelength = Annotated[float, Unit("m"), Ge(SHORTEST_WAVELENGTH), Le(LONGEST_WAVELENGTH)]
_Factor = Annotated[float, Ge(FACTORS[0]), Le(FACTORS[1])]
_Count = Annotated[int, Ge(1)]
# What single precision holds.
_Rate = Annotated[float, Le(1e38)]
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
    train_limit: _Count | None = None
    test_limit: _Count | None = None
    val_fraction: Annotated[float, Ge(0), Le(0.9)] = 0.0


class SourceConfig(Section):
    """How the light on the source carries an image.

    Attributes:
        encoding: Whether the image is the light's ``amplitude``, its ``phase``, or ``both``.
        phase_range: Phase of the brightest pixel in radians, where the phase carries the image; null for pi.
        waist: Radius at 1/e of the amplitude of a Gaussian beam that lights the source, in metres; null for a plane
            wave.
        background: Amplitude of a black pixel, where the amplitude carries the image: amplitudes are from there to 1.
        centre: Where the middle of the Gaussian beam is, [y, x] in metres from the axis.
        mask: File of a mask, a filter or a measured illumination in front of the source, a number for each of its
            samples that multiplies the field: amplitudes from a grey picture (PNG, TIFF, BMP; white is 1) or a table
            (CSV), or amplitudes or complex numbers from an array (NPY); null for none.
    """

    encoding: Encoding = "amplitude"
    phase_range: float | None = None
    waist: Annotated[float, Unit("m"), Gt(0), Le(1)] | None = None
    background: Annotated[float, Ge(0), Lt(1)] = 0.0
    centre: Annotated[list[Annotated[float, Unit("m")]], Len(2, 2)] = [0.0, 0.0]  # noqa: RUF012 - pydantic copies it
    mask: str | None = None

    def build(self, mask: Mask | None = None) -> SourceLight:
        """Return what the settings describe.

        Args:
            mask: What is in the file of the mask; it is read by default.

        Raises:
            DataError: if the file of the mask cannot be read, or holds none.
        """
        if mask is None and self.mask is not None:
            mask = read_mask(self.mask)
        return self._light(mask)

    @model_validator(mode="after")
    def _can_be_built(self) -> SourceConfig:
        try:
            self._light(None)  # the file of the mask is read when it is needed
        except VoltphaseError as error:
            raise misfit(str(error), named=False) from error
        return self

    def _light(self, mask: Mask | None) -> SourceLight:
        y, x = self.centre
        return SourceLight(self.encoding, self.phase_range, self.waist, self.background, (y, x), mask)


class OpticsConfig(Section):
    """The bench: planes and the space between them.

    Attributes:
        size: Samples along each side of every plane; or a list, one for each plane in the order light meets them:
            source, layers, detector.
        pitch: Distance between samples, in metres; one for all planes or one for each, likewise. A panel settles it.
        panel: Panel that is to show the layers, see ``voltphase panel list``, or a YAML file of your own; or null.
        panel_pixels: Pixels of the panel along each side of a sample.
        wavelength: Wavelength of the light in vacuum, in metres.
        distances: Source to first layer, between layers and last layer to detector, in metres: one number for
            all, or one more than there are layers.
        depth: Number of layers.
        source: How the light on the source carries an image.
        background_light: Intensity of even, incoherent light on each sample of the detector that is counted with the
            beam's, in parts of that of a white pixel on the source in a plane wave.
        method: How light is propagated.
        backend: What runs the network: the name of a back end, or ``auto``, the cheapest that can by estimate.
        engine: What applies the kernels: ``matrix``, ``fft``, or ``auto``, the cheapest by estimate; the result is the
            same to rounding.
        precision: ``single`` (complex64), ``double`` (complex128), or ``tf32``: training on a CUDA GPU rounds what it
            multiplies to 10 bits, evaluation does not. ``auto`` is ``tf32`` on a CUDA GPU and ``single`` on a CPU.
    """

    size: OneOrEach[_Size] = 64
    pitch: OneOrEach[_Pitch] = 36e-6
    panel: str | None = None
    panel_pixels: Annotated[int, Ge(1), Le(8192)] = 1
    wavelength: _Wavelength = 532e-9
    distances: OneOrEach[_Distance] = 0.096
    depth: Annotated[int, Ge(1), Le(1000)] = 5
    source: SourceConfig = SourceConfig()
    background_light: Annotated[float, Ge(0), Le(BRIGHTEST)] = 0.0
    method: Annotated[str, Name(METHODS, "auto")] = "fresnel"
    backend: Annotated[str, Name(BACKENDS, "auto")] = "auto"
    engine: Engine = "auto"
    precision: Precision = "single"

    @model_validator(mode="before")
    @classmethod
    def _settle_pitch(cls, values: Any) -> Any:
        return with_pitch_of_panel(values) if isinstance(values, dict) else values

    @property
    def sizes(self) -> list[int]:
        """The size of each plane: source, layers, detector."""
        return self.size if isinstance(self.size, list) else [self.size] * (self.depth + 2)

    @property
    def pitches(self) -> list[float]:
        """The pitch of each plane: source, layers, detector."""
        return self.pitch if isinstance(self.pitch, list) else [self.pitch] * (self.depth + 2)


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
        gain: The paper's lambda, one for all layers or one each.
        amplitude_grad_scale: The other reading of lambda, as a factor on the amplitude's part of the gradient: one for
            all layers or one each.
    """

    relaxation: Annotated[Settings, _RELAXATION] = _RELAXATION.make({})
    schedule: Annotated[ScheduleConfig, _SCHEDULE] = _SCHEDULE.make({})
    gain: OneOrEach[_Factor] = 1.0
    amplitude_grad_scale: OneOrEach[_Factor] = 1.0


class AugmentationConfig(Section):
    """Random changes of the training images, drawn anew for each image of each epoch; none by default.

    Attributes:
        shift: Largest shift along each axis, as a part of the image's side.
        rotation: Largest angle to turn by, in radians, either way.
        flip: Along which axes half of the images are mirrored: ``none``, ``horizontal``, ``vertical`` or ``both``.
        elastic: Largest displacement of a smooth deformation at its 4 x 4 control points, as a part of the image's
            side.
    """

    shift: Annotated[float, Ge(0), Le(0.5)] = 0.0
    rotation: Annotated[float, Ge(0), Le(math.pi)] = 0.0
    flip: Literal["none", "horizontal", "vertical", "both"] = "none"
    elastic: Annotated[float, Ge(0), Le(0.25)] = 0.0


class TrainingConfig(Section):
    """How the design is learned.

    Attributes:
        epochs: Passes over the training images.
        augmentation: Random changes of the training images.
        batch_size: Images per step.
        learning_rate: Learning rate of the designs, what is learned for each pixel (Adam). Its unit is the spacing of
            the device's states for ``proximity``, a score's 1 for the others, half the control range for ``ptq`` and
            ``qat``, a radian for ``unconstrained``.
        scale_learning_rate: Learning rate of the readout scale where it is learned. 0 leaves it as calibrated, which
            loss ``mse`` wants: the scale learns to shrink before the design has learned anything.
        learning_rate_decay: Whether both learning rates fall to 0 over all steps, along half a ``cosine``, or stay.
        efficiency_weight: How much light is worth: this times minus the natural logarithm of the share of the input's
            light that reaches the regions or the window is added to the loss of the task; 0 leaves it out.
        roughness_weight: How much even layers are worth, which are easier to fabricate and suffer less from crosstalk:
            this times the mean square difference between the states of neighbouring pixels, from 0 to about 1, is added
            to the loss; 0 leaves it out.
        checkpoint_fields: Whether the fields of few planes are kept for the backward pass, and the others computed
            again: about half more time for much less memory where batches are large or layers many; the result is the
            same.
        threads: CPU threads; null leaves PyTorch's choice. They wait for one another at every product: where other work
            wants the same cores, one thread is faster than two.
        accelerator: Machine to train on; ``auto`` takes a CUDA GPU if there is one.
    """

    epochs: _Count = 10
    augmentation: AugmentationConfig = AugmentationConfig()
    batch_size: _Count = 500
    learning_rate: Annotated[_Rate, Gt(0)] = 0.25
    scale_learning_rate: Annotated[_Rate, Ge(0)] = 0.02
    learning_rate_decay: Literal["cosine", "none"] = "cosine"
    efficiency_weight: Annotated[_Rate, Ge(0)] = 0.0
    roughness_weight: Annotated[_Rate, Ge(0)] = 0.0
    checkpoint_fields: bool = False
    threads: Annotated[int, Ge(1), Le(1024)] | None = None
    accelerator: Literal["auto", "cpu", "gpu"] = "auto"


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
        depth = self.optics.depth
        if self.device is not None and self.devices is not None:
            raise misfit("expected either device (for all layers) or devices (one per layer), but got both")
        if self.devices is not None and len(self.devices) != depth:
            raise misfit(
                f"expected devices to list {depth} devices, one for each of optics.depth layers, "
                f"but got {len(self.devices)}"
            )
        gaps = f"(source to first layer, between the {depth} layers of optics.depth, last layer to detector)"
        planes = f"(source, the {depth} layers of optics.depth, detector)"
        layers = "(one for each of optics.depth layers)"
        for each, key, count, which in (
            (self.optics.distances, "optics.distances", depth + 1, gaps),
            (self.optics.size, "optics.size", depth + 2, planes),
            (self.optics.pitch, "optics.pitch", depth + 2, planes),
            (self.codesign.gain, "codesign.gain", depth, layers),
            (self.codesign.amplitude_grad_scale, "codesign.amplitude_grad_scale", depth, layers),
        ):
            if isinstance(each, list) and len(each) != count:
                raise misfit(f"expected {key} to be a number or {count} numbers {which}, but got {len(each)}")
        return self

    @property
    def layer_devices(self) -> list[DeviceConfig]:
        """The device of each layer."""
        return self.devices if self.devices is not None else [self.device or DeviceConfig()] * self.optics.depth

    def to_yaml(self) -> str:
        """Return every setting, as YAML that loads back to an equal configuration."""
        return write_yaml({key: content for key, content in self.model_dump().items() if content is not None})
