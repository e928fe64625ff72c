"""The settings of a training run, their defaults and their bounds.

Keys are the words of the Python interface, lengths are in metres. The defaults are the recipe ``default``, so that a
file needs to say only what differs.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Discriminator, Field, Tag, model_validator
from pydantic_core import PydanticCustomError, PydanticKnownError

from voltphase.codesign import Mix, Nearest
from voltphase.codesign.layer import FACTORS
from voltphase.config.yaml_io import write_yaml
from voltphase.core.checks import TEMPERATURES
from voltphase.core.units import (
    LARGEST_PITCH,
    LONGEST_DISTANCE,
    LONGEST_WAVELENGTH,
    SHORTEST_WAVELENGTH,
    SMALLEST_PITCH,
)
from voltphase.devices.models import MODELS
from voltphase.devices.states import Pick
from voltphase.optics.backends.base import Engine
from voltphase.optics.precision import Precision
from voltphase.optics.propagator import METHODS
from voltphase.tasks import Measure

DEFAULT_DEVICE_MODEL = "tn-slm"


def _kind(value: Any) -> str:
    return "each" if isinstance(value, list | tuple) else "word" if isinstance(value, str) else "one"


_DISTANCES = "a distance in metres above 0 and at most 1000, or a list of them"
_GAIN = "a number from 1e-6 to 1e6, or a list of them"
_SCALE = "calibrated or a number above 0"
_LEVELS = "a whole number from 2, or null for all"
_BORDER = "a whole number of pixels, or [top, bottom, left, right]"
_REGIONS = "paper or a list of [row, column, height, width] in whole samples"


def _one_of(names: Iterable[str]) -> AfterValidator:
    def check(value: str) -> str:
        if value not in names:
            raise PydanticKnownError("literal_error", {"expected": ", ".join(repr(name) for name in names)})
        return value

    return AfterValidator(check)


# A field's description is what an error says was expected. A tag per alternative, so that a wrong value gives
# one message about the alternative meant, not one about each.
_Positive = Annotated[float, Field(gt=0)]
_Factor = Annotated[float, Field(ge=FACTORS[0], le=FACTORS[1])]
_Temperature = Annotated[float, Field(ge=TEMPERATURES[0], le=TEMPERATURES[1])]
_Distance = Annotated[float, Field(gt=0, le=LONGEST_DISTANCE)]
_OneOrEachDistance = Annotated[
    Annotated[_Distance, Tag("one")] | Annotated[_Distance, Tag("word")] | Annotated[list[_Distance], Tag("each")],
    Discriminator(_kind),
]
_OneOrEachGain = Annotated[
    Annotated[_Factor, Tag("one")] | Annotated[_Factor, Tag("word")] | Annotated[list[_Factor], Tag("each")],
    Discriminator(_kind),
]
_Size = Annotated[int, Field(ge=10, le=8192)]
_OneOrEachSize = Annotated[
    Annotated[_Size, Tag("one")] | Annotated[_Size, Tag("word")] | Annotated[list[_Size], Tag("each")],
    Discriminator(_kind),
]
_Pitch = Annotated[float, Field(ge=SMALLEST_PITCH, lt=LARGEST_PITCH)]
_OneOrEachPitch = Annotated[
    Annotated[_Pitch, Tag("one")] | Annotated[_Pitch, Tag("word")] | Annotated[list[_Pitch], Tag("each")],
    Discriminator(_kind),
]
_Side = Annotated[int, Field(ge=0)]
_Border = Annotated[
    Annotated[_Side, Tag("one")]
    | Annotated[_Side, Tag("word")]
    | Annotated[Annotated[list[_Side], Field(min_length=4, max_length=4)], Tag("each")],
    Discriminator(_kind),
]
_Scale = Annotated[
    Annotated[_Positive, Tag("one")]
    | Annotated[Literal["calibrated"], Tag("word")]
    | Annotated[_Positive, Tag("each")],
    Discriminator(_kind),
]
_Method = Annotated[str, _one_of(METHODS)]
_DeviceModel = Annotated[str, _one_of(MODELS)]
_Box = Annotated[list[int], Field(min_length=4, max_length=4)]
_RegionLayout = Annotated[
    Annotated[Literal["paper"], Tag("one")]
    | Annotated[Literal["paper"], Tag("word")]
    | Annotated[list[_Box], Tag("each")],
    Discriminator(_kind),
]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False, validate_default=True)


class DataConfig(_Section):
    """Which images to learn.

    Attributes:
        name: The data set.
        dir: Folder that holds it in torchvision's layout; without it ``VOLTPHASE_DATA``, else the user's
            cache.
        train_limit: Use only the first so many training images.
        test_limit: Use only the first so many test images.
    """

    name: Literal["digits", "mnist", "fashion-mnist"] = "digits"
    dir: str | None = None
    train_limit: int | None = Field(default=None, ge=1)
    test_limit: int | None = Field(default=None, ge=1)


class OpticsConfig(_Section):
    """The bench: planes and the space between them.

    Attributes:
        size: Samples along each side of every plane; or a list, one for each plane in the order light meets them:
            source, layers, detector.
        pitch: Distance between samples, in metres; one for all planes or one for each, likewise.
        wavelength: In metres.
        distances: Source to first layer, between layers and last layer to detector, in metres: one number for
            all, or one more than there are layers.
        depth: Number of layers.
        method: How light is propagated.
        engine: What applies the kernels: ``matrix``, ``fft``, or ``auto``, the cheapest by estimate; the result is the
            same to rounding.
        precision: ``single`` (complex64), ``double`` (complex128), or ``tf32``: training on a CUDA GPU rounds what it
            multiplies to 10 bits, evaluation does not.
    """

    size: _OneOrEachSize = 64
    pitch: _OneOrEachPitch = Field(default=36e-6, description="a length in metres from 1e-10 to below 0.1, as 36e-6")
    wavelength: float = Field(
        default=532e-9,
        ge=SHORTEST_WAVELENGTH,
        le=LONGEST_WAVELENGTH,
        description="a length in metres between 1e-9 and 1e-2, such as 532e-9",
    )
    distances: _OneOrEachDistance = Field(default=0.096, description=_DISTANCES)
    depth: int = Field(default=5, ge=1, le=1000)
    method: _Method = "fresnel"
    engine: Engine = "auto"
    precision: Precision = "single"

    @property
    def sizes(self) -> list[int]:
        """The size of each plane: source, layers, detector."""
        return self.size if isinstance(self.size, list) else [self.size] * (self.depth + 2)

    @property
    def pitches(self) -> list[float]:
        """The pitch of each plane: source, layers, detector."""
        return self.pitch if isinstance(self.pitch, list) else [self.pitch] * (self.depth + 2)


class DeviceConfig(_Section):
    """The states a layer's pixels can take.

    Attributes:
        file: A measured table, or the folder of a panel, see ``voltphase device check``.
        model: A modelled device, see ``voltphase device list``; used where ``file`` is null.
        parameters: Of the model by their names, such as ``{index: 1.6, wavelength: 633e-9}`` of ``printed``; a complex
            index may be ``[n, kappa]``.
        levels: How many of the device's states to use; null for all. ``printed`` and ``phase-change`` are computed for
            that many.
        pick: How they are chosen: ``spread`` over the complex plane, ``even``ly by level, or evenly by ``control``
            value.
        border: Width in pixels of a dark border, inactive on all sides alike or by ``[top, bottom, left, right]``, of a
            device that covers less than its plane.
    """

    file: str | None = None
    model: _DeviceModel | None = None
    parameters: dict[str, float | list[float]] = {}
    levels: int | None = Field(default=8, ge=2, description=_LEVELS)
    pick: Pick = "spread"
    border: _Border = Field(default=0, description=_BORDER)

    @model_validator(mode="before")
    @classmethod
    def _settle_source(cls, values: Any) -> Any:
        if not isinstance(values, dict):
            return values
        if values.get("file") is not None:
            return {**values, "model": None}
        return values if values.get("model") is not None else {**values, "model": DEFAULT_DEVICE_MODEL}

    @model_validator(mode="after")
    def _fit_together(self) -> DeviceConfig:
        if self.file is not None and self.parameters:
            raise _misfit(
                f"expected no device.parameters for a measured table, but got {', '.join(self.parameters)}: they are "
                "for device.model"
            )
        return self


class RelaxationConfig(_Section):
    """How one state per pixel is chosen differentiably.

    Attributes:
        name: The relaxation; ``proximity`` learns a point of the complex plane for each pixel, the others a score for
            each level, of which ``softmax`` is without noise. Three are baselines: ``ptq`` learns a continuous control
            value for each pixel and rounds it after training, ``qat`` rounds it in every step, ``unconstrained`` learns
            free phases with amplitude 1, which no device can be set to.
        hard: Whether light sees the chosen state itself (the paper) or the weighted mix of all; if not given it does
            where the state is drawn. ``reinmax`` is always hard, baselines do not ask.
        mix: What the soft weights mix: complex states, or amplitudes and phases apart (``polar``, the paper).
        nearest: What ``ptq`` and ``qat`` round to: the state nearest in control value (the paper), or on the complex
            plane.
        spread: Whether the spread of a state's repeated readings counts against it, for ``proximity`` and devices whose
            tables have it.
        order: Of the polynomials that ``ptq`` and ``qat`` fit to the states; null chooses it by cross-validation.
    """

    name: Literal["gumbel-softmax", "softmax", "reinmax", "proximity", "ptq", "qat", "unconstrained"] = "proximity"
    hard: bool = False
    mix: Mix = "complex"
    nearest: Nearest = "control"
    order: int | None = Field(default=None, ge=1)
    spread: bool = False

    @model_validator(mode="before")
    @classmethod
    def _settle_hard(cls, values: Any) -> Any:
        if isinstance(values, dict) and "hard" not in values and values.get("name") in ("gumbel-softmax", "reinmax"):
            return {**values, "hard": True}
        return values

    @model_validator(mode="after")
    def _fit_together(self) -> RelaxationConfig:
        if self.name == "reinmax" and not self.hard:
            raise _misfit(
                "expected codesign.relaxation.hard to be true for reinmax, which is always hard, but got false"
            )
        if self.name == "proximity" and self.mix != "complex":
            raise _misfit(
                "expected codesign.relaxation.mix to be complex for proximity, whose points lie on the complex plane, "
                f"but got {self.mix}"
            )
        if self.name != "proximity" and self.spread:
            raise _misfit(f"expected no codesign.relaxation.spread for {self.name}, but got true: it is for proximity")
        if self.name not in ("ptq", "qat") and (self.nearest != "control" or self.order is not None):
            key, value = ("nearest", self.nearest) if self.nearest != "control" else ("order", self.order)
            raise _misfit(
                f"expected no codesign.relaxation.{key} for {self.name}, but got {value}: it is for ptq and qat"
            )
        return self


class ScheduleConfig(_Section):
    """How the temperature moves from the start of training to its end.

    Attributes:
        name: The curve from ``start`` to ``end``: ``linear``, ``exponential`` or ``cosine``; ``static`` stays at
            ``start``; ``piecewise`` takes ``temperatures`` one after another; ``paper-cosine`` and ``paper-step``
            are two such lists of the paper.
        start: First temperature.
        end: Last temperature.
        temperatures: Of ``piecewise``, in their order.
        shares: How long each of them holds, in any unit: epochs, say.
        per: Whether the temperature moves with every step or stays for an epoch.
    """

    name: Literal["linear", "exponential", "cosine", "static", "piecewise", "paper-cosine", "paper-step"] = (
        "exponential"
    )
    start: _Temperature = 10.0
    end: _Temperature = 0.1
    temperatures: list[_Temperature] | None = None
    shares: list[_Positive] | None = None
    per: Literal["step", "epoch"] = "step"

    @model_validator(mode="after")
    def _fit_together(self) -> ScheduleConfig:
        temperatures, shares = len(self.temperatures or ()), len(self.shares or ())
        if self.name == "piecewise" and (temperatures == 0 or temperatures != shares):
            raise _misfit(
                "expected codesign.schedule.temperatures and as many shares for the schedule piecewise, but got "
                f"{temperatures} and {shares}"
            )
        if self.name != "piecewise" and temperatures + shares > 0:
            raise _misfit(
                f"expected no codesign.schedule.temperatures and shares for the schedule {self.name}, but got "
                f"{temperatures} and {shares}: they are for piecewise"
            )
        return self


class CodesignConfig(_Section):
    """How states are chosen in training.

    Attributes:
        relaxation: The differentiable stand-in for the choice.
        schedule: Of its temperature.
        gain: The paper's lambda, one for all layers or one each.
        amplitude_grad_scale: The other reading of lambda, as a factor on the amplitude's part of the gradient: one for
            all layers or one each.
    """

    relaxation: RelaxationConfig = RelaxationConfig()
    schedule: ScheduleConfig = ScheduleConfig()
    gain: _OneOrEachGain = Field(default=1.0, description=_GAIN)
    amplitude_grad_scale: _OneOrEachGain = Field(default=1.0, description=_GAIN)


class ReadoutConfig(_Section):
    """How light on the detector becomes logits.

    Attributes:
        regions: ``paper`` (ten squares in rows of 3, 4, 3, scaled to the detector), or a list of
            ``[row, column, height, width]`` in samples, one per class.
        differential: Two regions per class, one for and one against it, read by their contrast (Li et al. 2019);
            ``paper`` then means ten pairs in four rows of five, a list holds the two of each class in turn. If not
            given it is so with ``paper``, and not with a list.
        measure: Summed or mean intensity, mean amplitude, or the region's fraction of all light.
        scale: What the measure is multiplied by; ``calibrated`` sets it on the first batch, as suits the loss, and
            learns it.
    """

    regions: _RegionLayout = Field(default="paper", description=_REGIONS)
    differential: bool = True
    measure: Measure = "fraction"
    scale: _Scale = Field(default="calibrated", description=_SCALE)

    @model_validator(mode="before")
    @classmethod
    def _settle_differential(cls, values: Any) -> Any:
        if isinstance(values, dict) and "differential" not in values and isinstance(values.get("regions"), list):
            return {**values, "differential": False}
        return values


class TrainingConfig(_Section):
    """How the design is learned.

    Attributes:
        epochs: Passes over the training images.
        batch_size: Images per step.
        learning_rate: Of the designs, what is learned for each pixel (Adam). Its unit is the spacing of the device's
            states for ``proximity``, a score's 1 for the others, half the control range for ``ptq`` and ``qat``, a
            radian for ``unconstrained``.
        scale_learning_rate: Of the readout scale where it is learned. 0 leaves it as calibrated, which loss ``mse``
            wants: the scale learns to shrink before the design has learned anything.
        learning_rate_decay: Whether both learning rates fall to 0 over all steps, along half a ``cosine``, or stay.
        loss: Cross-entropy, or mean squared error between the softmax and the one-hot label (the paper).
        threads: CPU threads; null leaves PyTorch's choice. They wait for one another at every product: where other work
            wants the same cores, one thread is faster than two.
        accelerator: ``auto`` takes a CUDA GPU if there is one.
    """

    epochs: int = Field(default=10, ge=1)
    batch_size: int = Field(default=500, ge=1)
    # What single precision holds.
    learning_rate: float = Field(default=0.25, gt=0, le=1e38)
    scale_learning_rate: float = Field(default=0.02, ge=0, le=1e38)
    learning_rate_decay: Literal["cosine", "none"] = "cosine"
    loss: Literal["cross-entropy", "mse"] = "cross-entropy"
    threads: int | None = Field(default=None, ge=1, le=1024)
    accelerator: Literal["auto", "cpu", "gpu"] = "auto"


class Config(_Section):
    """Everything a training run depends on.

    Attributes:
        seed: Of initial designs, draws and shuffling.
        data: Which images.
        optics: The bench.
        device: One device for all layers; or
        devices: one per layer.
        codesign: How states are chosen.
        readout: How light becomes logits.
        training: How the design is learned.
    """

    seed: int = Field(default=0, ge=0, lt=2**31)
    data: DataConfig = DataConfig()
    optics: OpticsConfig = OpticsConfig()
    device: DeviceConfig | None = None
    devices: list[DeviceConfig] | None = None
    codesign: CodesignConfig = CodesignConfig()
    readout: ReadoutConfig = ReadoutConfig()
    training: TrainingConfig = TrainingConfig()

    @model_validator(mode="before")
    @classmethod
    def _default_device(cls, values: Any) -> Any:
        if isinstance(values, dict) and values.get("device") is None and values.get("devices") is None:
            return {**values, "device": {}, "devices": None}
        return values

    @model_validator(mode="after")
    def _fit_together(self) -> Config:
        depth, distances = self.optics.depth, self.optics.distances
        if self.device is not None and self.devices is not None:
            raise _misfit("expected either device (for all layers) or devices (one per layer), but got both")
        if self.devices is not None and len(self.devices) != depth:
            raise _misfit(
                f"expected devices to list {depth} devices, one for each of optics.depth layers, "
                f"but got {len(self.devices)}"
            )
        if isinstance(distances, list) and len(distances) != depth + 1:
            raise _misfit(
                f"expected optics.distances to be a number or {depth + 1} numbers (source to first layer, between "
                f"the {depth} layers of optics.depth, last layer to detector), but got {len(distances)}"
            )
        for key in ("size", "pitch"):
            each = getattr(self.optics, key)
            if isinstance(each, list) and len(each) != depth + 2:
                raise _misfit(
                    f"expected optics.{key} to be a number or {depth + 2} numbers (source, the {depth} layers of "
                    f"optics.depth, detector), but got {len(each)}"
                )
        for key in ("gain", "amplitude_grad_scale"):
            each = getattr(self.codesign, key)
            if isinstance(each, list) and len(each) != depth:
                raise _misfit(
                    f"expected codesign.{key} to be a number or {depth} numbers, one for each of optics.depth layers, "
                    f"but got {len(each)}"
                )
        return self

    @property
    def layer_devices(self) -> list[DeviceConfig]:
        """The device of each layer."""
        return self.devices if self.devices is not None else [self.device or DeviceConfig()] * self.optics.depth

    def to_yaml(self) -> str:
        """Every setting, as YAML that loads back to an equal configuration."""
        content = self.model_dump()
        for absent in ("device", "devices"):
            if content[absent] is None:
                del content[absent]
        return write_yaml(content)


def _misfit(message: str) -> PydanticCustomError:
    return PydanticCustomError("misfit", "{message}", {"message": message})
