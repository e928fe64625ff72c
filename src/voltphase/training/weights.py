"""A trained network in one safetensors file: its parameters and the tables of its devices."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from voltphase.codesign import CodesignLayer
from voltphase.devices import DeviceStates
from voltphase.errors import DataError, DeviceError
from voltphase.files import atomic_path
from voltphase.model import DONN

_FORMAT = "voltphase-model-1"
_DEVICE_KEY = "device {index} {column}"
_IMAGE_SHAPE = "image shape"
_COLUMNS = ("control", "amplitude", "phase")


def save_model(model: DONN, path: str | Path) -> None:
    """Write the parameters and the device tables of ``model``, whole or not at all.

    Raises:
        OutputError: if the file cannot be written.
    """
    tensors = {name: value.detach().cpu().contiguous() for name, value in model.state_dict().items()}
    tensors[_IMAGE_SHAPE] = torch.tensor(model.source.image_shape)
    about = []
    for index, layer in enumerate(model.layers):
        states = cast("CodesignLayer", layer).device_states
        for column in _COLUMNS:
            key = _DEVICE_KEY.format(index=index, column=column)
            tensors[key] = torch.tensor(getattr(states, column), dtype=torch.float64)
        about.append(
            {
                "name": states.name,
                "control_unit": states.control_unit,
                "source": states.source,
                "digest": states.digest,
            }
        )
    content = safetensors.torch.save(tensors, {"format": _FORMAT, "devices": json.dumps(about)})
    with atomic_path(path) as temporary:
        temporary.write_bytes(content)


@dataclass(frozen=True, eq=False)
class StoredModel:
    """What :func:`save_model` wrote.

    Attributes:
        devices: The states of each layer's device.
        image_shape: (rows, columns) of the images the model takes.
        parameters: Its state dict.
    """

    devices: list[DeviceStates]
    image_shape: tuple[int, int]
    parameters: dict[str, Tensor]


def read_model(path: str | Path) -> StoredModel:
    """What is in a file that :func:`save_model` wrote.

    Raises:
        DataError: if the file is damaged, or not one of ours.
    """
    try:
        with safetensors.safe_open(str(path), framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (OSError, safetensors.SafetensorError) as error:
        raise DataError(f"expected a trained model in {path}, but it cannot be read: {error}") from error
    if metadata.get("format") != _FORMAT:
        raise DataError(f"expected a model of the format {_FORMAT} in {path}, but got {metadata.get('format')!r}")
    try:
        about: Sequence[dict[str, Any]] = json.loads(metadata["devices"])
        devices = [_device(index, known, tensors) for index, known in enumerate(about)]
        rows, columns = tensors.pop(_IMAGE_SHAPE).tolist()
    except (KeyError, TypeError, ValueError, DeviceError) as error:
        raise DataError(
            f"expected device tables and the shape of images in {path}, but they are damaged: {error}"
        ) from error
    for index, (states, known) in enumerate(zip(devices, about, strict=True)):
        if states.digest != known.get("digest"):
            raise DataError(
                f"expected the device of layer {index + 1} in {path} to have the digest "
                f"{str(known.get('digest'))[:12]}, but it has {states.digest[:12]}: the file was altered"
            )
    return StoredModel(devices, (rows, columns), tensors)


def restore(model: DONN, parameters: dict[str, Tensor], path: str | Path) -> None:
    """Give ``model`` the parameters read from ``path``.

    Raises:
        DataError: if they are not those of such a model.
    """
    wanted = model.state_dict()
    for name in sorted(wanted.keys() | parameters.keys()):
        if name not in parameters or name not in wanted:
            raise DataError(
                f"expected {path} to fit its config.yaml, but {name} is {'missing' if name in wanted else 'too much'}: "
                "one of them is of another run"
            )
        if wanted[name].shape != parameters[name].shape:
            raise DataError(
                f"expected {path} to fit its config.yaml, but {name} is {_size(parameters[name])} instead of "
                f"{_size(wanted[name])}: one of them is of another run"
            )
    model.load_state_dict(parameters)


def _device(index: int, known: dict[str, Any], tensors: dict[str, Tensor]) -> DeviceStates:
    control, amplitude, phase = (
        tensors.pop(_DEVICE_KEY.format(index=index, column=column)).numpy() for column in _COLUMNS
    )
    return DeviceStates(
        control=control,
        amplitude=amplitude,
        phase=phase,
        name=known["name"],
        control_unit=known["control_unit"],
        source=known["source"],
    )


def _size(tensor: Tensor) -> str:
    return " x ".join(str(n) for n in tensor.shape) or "one number"
