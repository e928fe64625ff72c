"""A trained network in one safetensors file: its parameters and the tables of its devices."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, cast

import numpy as np
import safetensors
import safetensors.torch
import torch
from torch import Tensor

from voltphase.codesign import CodesignLayer
from voltphase.core.errors import DataError, VoltphaseError
from voltphase.core.files import read_errors, write_bytes
from voltphase.core.limits import require_memory
from voltphase.devices import Device
from voltphase.devices.record import COLUMNS, from_json, to_json
from voltphase.network.donn import DONN
from voltphase.optics.masks import Mask
from voltphase.optics.paths import masks_in

_FORMAT = "voltphase-model-1"
_REGIONS = "device {index} regions"
_IMAGE_SHAPE = "image shape"
_SOURCE_MASK = "source mask"
_MASK = "mask {index}"


def save_model(model: DONN, path: str | Path) -> None:
    """Write the parameters and the device tables of ``model``, whole or not at all.

    Raises:
        OutputError: if the file cannot be written.
    """
    tensors = {name: value.detach().cpu().contiguous() for name, value in model.state_dict().items()}
    tensors[_IMAGE_SHAPE] = torch.tensor(model.source.image_shape)
    masks = {_MASK.format(index=index): mask for index, mask in enumerate(masks_in(model.layout.every_span))}
    for name, mask in (masks | {_SOURCE_MASK: model.source.light.mask}).items():
        if mask is not None:
            tensors[name] = torch.view_as_real(torch.tensor(mask.values))  # the format has no numbers of complex128
    about = []
    for index, layer in enumerate(model.layers):
        device = cast("CodesignLayer", layer).device_states
        if device.regions is not None:
            tensors[_REGIONS.format(index=index)] = torch.tensor(device.regions)
        known = to_json(device)
        # Numbers are kept as tensors; of a table for all pixels, the rest stands among the words of the device.
        for key, table in _table_keys(index, known):
            for column in COLUMNS:
                if column in table:
                    numbers = np.array(table.pop(column), dtype=np.float64)
                    tensors[f"{key} {column}"] = torch.from_numpy(numbers)
        if device.regions is None and "tables" in known:
            # The words of its one table stand among its own.
            known |= known.pop("tables")[0]
        about.append(known)
    described = json.dumps(about)
    metadata = {"format": _FORMAT, "devices": described, "digest": _digest(tensors, described)}
    write_bytes(path, _in_order(safetensors.torch.save(tensors, metadata)))


def _in_order(content: bytes) -> bytes:
    """Return the bytes of a safetensors file with sorted keys: the library writes metadata in a random order."""
    size = int.from_bytes(content[:8], "little")
    header = json.dumps(json.loads(content[8 : 8 + size]), sort_keys=True, separators=(",", ":")).encode()
    header += b" " * (-len(header) % 8)  # tensors begin at a multiple of 8 bytes
    return len(header).to_bytes(8, "little") + header + content[8 + size :]


def _digest(tensors: dict[str, Tensor], described: str) -> str:
    digest = hashlib.sha256(described.encode())
    for name, value in sorted(tensors.items()):
        digest.update(f"{name} {value.dtype} {tuple(value.shape)} ".encode())
        digest.update(value.contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


class StoredModel(NamedTuple):
    """A trained network as it is stored.

    It is the device of each layer, the size of its images, its state dict, the mask in front of its source, if any, and
    those between its planes in the order light meets them.
    """

    devices: list[Device]
    image_shape: tuple[int, int]
    parameters: dict[str, Tensor]
    mask: Mask | None
    masks: list[Mask]


def read_model(path: str | Path) -> StoredModel:
    """Return the network in a file that :func:`save_model` wrote.

    Raises:
        DataError: if the file is damaged, or not one of ours.
    """
    path = Path(path)
    with read_errors(path, DataError):
        if path.exists() and not path.is_file():
            raise DataError(f"expected a trained model in {path}, but it is no regular file: train again")
        size = path.stat().st_size
    require_memory(size, f"the trained model {path}", DataError, "use a machine with more")
    try:
        with path.open("rb") as stream, safetensors.safe_open(_utf8(path, stream), framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (OSError, safetensors.SafetensorError) as error:
        raise DataError(f"expected a trained model in {path}, but it cannot be read: {error}") from error
    if metadata.get("format") != _FORMAT:
        raise DataError(f"expected a model of the format {_FORMAT} in {path}, but got {metadata.get('format')!r}")
    try:
        digest = _digest(tensors, metadata["devices"])
        about: Sequence[dict[str, Any]] = json.loads(metadata["devices"])
        devices = [_device(index, known, tensors) for index, known in enumerate(about)]
        rows, columns = tensors.pop(_IMAGE_SHAPE).tolist()
        mask = _mask(tensors, _SOURCE_MASK)
        masks = [one for index in range(len(tensors)) if (one := _mask(tensors, _MASK.format(index=index))) is not None]
    except (AttributeError, LookupError, RuntimeError, TypeError, ValueError, VoltphaseError) as error:
        raise DataError(
            f"expected device tables and the shape of images in {path}, but they are damaged: {error}"
        ) from error
    # Models of earlier versions have no digest.
    if metadata.get("digest", digest) != digest:
        raise DataError(f"expected the trained model in {path} to be as it was saved, but the file was altered")
    return StoredModel(devices, (rows, columns), tensors, mask, masks)


def _mask(tensors: dict[str, Tensor], name: str) -> Mask | None:
    return Mask(torch.view_as_complex(tensors.pop(name))) if name in tensors else None


def mask_digests(source: Mask | None, between: Sequence[Mask]) -> dict[str, Any]:
    """Return the digests of the masks of a network, as summaries and checkpoints have them.

    Args:
        source: Mask in front of the source.
        between: Masks between the planes.
    """
    own: dict[str, Any] = {} if source is None else {"mask": source.digest}
    return own | ({"masks": [mask.digest for mask in between]} if between else {})


def _utf8(path: Path, stream: BinaryIO) -> str:
    """Return the path, or another of the open file where that is no text: safetensors takes text only."""
    try:
        return str(path).encode().decode()
    except UnicodeEncodeError:
        return f"/proc/self/fd/{stream.fileno()}"


def restore(model: DONN, parameters: dict[str, Tensor], path: str | Path) -> None:
    """Give ``model`` the parameters read from ``path``.

    Raises:
        DataError: if they are not those of such a model.
    """
    wanted = model.state_dict()
    for name in sorted(wanted.keys() | parameters.keys()):
        want, given = wanted.get(name), parameters.get(name)
        if want is None or given is None:
            wrong = "missing" if given is None else "too much"
        elif want.dtype != given.dtype:
            wrong = f"of {given.dtype} instead of {want.dtype}"
        elif not bool(given.isfinite().all()):
            raise DataError(f"expected finite parameters in {path}, but {name} has others: train again")
        elif want.shape != given.shape:
            wrong = f"{_size(given)} instead of {_size(want)}"
        else:
            continue
        raise DataError(f"expected {path} to fit its config.yaml, but {name} is {wrong}: one of them is of another run")
    model.load_state_dict(parameters)


def _device(index: int, known: dict[str, Any], tensors: dict[str, Tensor]) -> Device:
    regions = tensors.pop(_REGIONS.format(index=index), None)
    if "tables" not in known and "spectrum" not in known:
        words = {key: value for key, value in known.items() if key != "digest"}
        known = {"name": known["name"], "digest": known["digest"], "tables": [words]}
    for key, table in _table_keys(index, known):
        for column in COLUMNS:
            if (tensor := tensors.pop(f"{key} {column}", None)) is not None:
                table[column] = [None if math.isnan(number) else number for number in tensor.tolist()]
    return from_json(known, None if regions is None else regions.numpy())


def _table_keys(index: int, known: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the tables of a device, each with what the names of its tensors begin with."""
    for place, part in enumerate(known.get("spectrum", [])):
        for number, table in enumerate(part["tables"]):
            yield f"device {index} wavelength {place} table {number}", table
    for number, table in enumerate(known.get("tables", [])):
        yield f"device {index} table {number}" if "inactive_value" in known else f"device {index}", table


def _size(tensor: Tensor) -> str:
    return " x ".join(str(n) for n in tensor.shape) or "one number"
