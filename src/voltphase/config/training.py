"""The section ``training`` of a configuration."""

from __future__ import annotations

import math
from typing import Annotated, Final, Literal

from annotated_types import Ge, Gt, Le
from pydantic import field_validator

from voltphase.loggers import LOGGERS
from voltphase.settings.fields import Choices, Section, Settings, misfit

Count = Annotated[int, Ge(1)]
# What single precision holds.
_Rate = Annotated[float, Le(1e38)]


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


#: Settings of training that say how the machine is used and who looks on: they change what is learned by rounding.
HOW_IT_RUNS: Final = ("checkpoint_fields", "threads", "accelerator", "accumulate", "devices", "nodes", "loggers")


class TrainingConfig(Section):
    """How the design is learned.

    Attributes:
        epochs: Passes over the training images.
        augmentation: Random changes of the training images.
        batch_size: Images per step, of all processes together.
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
        threads: CPU threads of each process; null leaves PyTorch's choice, shared by the processes of a machine. They
            wait for one another at every product: where other work wants the same cores, one thread is faster than two.
        accelerator: Machine to train on; ``auto`` takes a CUDA GPU if there is one.
        loggers: Where each epoch is logged beside the run's own ``metrics.csv``, in a folder of the run by default; a
            name alone will do, such as ``tensorboard``.
        accumulate: Parts that a process computes its images of a step in, one after another, which takes less memory
            and comes to the same gradients; the batch size stays.
        devices: Processes on each machine that train together, each on a GPU of its own or with CPU threads of its own.
            They share the images of each step; ``voltphase train`` starts them unless torchrun or srun has.
        nodes: Machines that train together; torchrun or srun starts the processes on each.
    """

    epochs: Count = 10
    augmentation: AugmentationConfig = AugmentationConfig()
    batch_size: Count = 500
    learning_rate: Annotated[_Rate, Gt(0)] = 0.25
    scale_learning_rate: Annotated[_Rate, Ge(0)] = 0.02
    learning_rate_decay: Literal["cosine", "none"] = "cosine"
    efficiency_weight: Annotated[_Rate, Ge(0)] = 0.0
    roughness_weight: Annotated[_Rate, Ge(0)] = 0.0
    checkpoint_fields: bool = False
    threads: Annotated[int, Ge(1), Le(1024)] | None = None
    accelerator: Literal["auto", "cpu", "gpu"] = "auto"
    accumulate: Annotated[int, Ge(1), Le(1_000_000)] = 1
    devices: Annotated[int, Ge(1), Le(1024)] = 1
    nodes: Annotated[int, Ge(1), Le(65_536)] = 1
    loggers: Annotated[list[Settings], Choices(LOGGERS, Settings)] = []  # noqa: RUF012 - pydantic copies it

    @field_validator("loggers")
    @classmethod
    def _are_different(cls, value: list[Settings]) -> list[Settings]:
        names = [one.name for one in value]
        if twice := [name for name in names if names.count(name) > 1]:
            raise misfit(f"expected each of training.loggers once, but got {twice[0]} twice: leave one out")
        return value
