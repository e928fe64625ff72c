"""A grey picture for each device: one pixel of the picture for each pixel of the design."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydantic import Field, ValidationError

from voltphase.core.errors import DeploymentError
from voltphase.deployment.folder import MANIFEST_NAME
from voltphase.deployment.records import Record, refusal
from voltphase.deployment.targets.base import TARGETS, Layer, Target, Written, listed
from voltphase.devices import Device
from voltphase.panels.formats.pictures import read_picture

_LARGEST_BITS: Final = 16
_TILES: Final = (
    "One pixel of the picture is one sample of the design. Where the pixels of a device are smaller, repeat each pixel "
    "in both directions until the pitch fits. Never let a driver scale or smooth a picture: a grey value in between is "
    "another state. The target panel does all this for a panel of a known make."
)
_AGAIN: Final = "restore the file or deploy again"


class _Details(Record):
    bits: Literal[8, 16]
    codes: Annotated[list[Annotated[int, Field(ge=0, lt=2**_LARGEST_BITS)]], Field(max_length=2**_LARGEST_BITS)]


@TARGETS.register("slm-image")
@dataclass(frozen=True)
class SlmImage(Target):
    """A grey PNG of 8 or 16 bits for each device, in the design's own pixels.

    Where the device is driven by integer grey levels, the grey values are those to send. Otherwise each stands for a
    control value: the codes in the manifest, one for each level, say which.
    """

    def write(self, folder: Path, layers: Sequence[Layer], levels: Sequence[NDArray[np.integer]]) -> list[Written]:
        written = []
        for layer, level in zip(layers, levels, strict=True):
            codes, bits = image_codes(layer.device)
            image = np.array(codes, dtype=np.uint8 if bits == 8 else np.uint16)[level]
            path = folder / f"layer-{layer.number}.png"
            Image.fromarray(image).save(path, format="PNG", optimize=True)
            written.append(Written([path.name], {"bits": bits, "codes": list(codes)}))
        return written

    def read(
        self, layers: Sequence[Layer], written: Sequence[Written], contents: Mapping[str, bytes]
    ) -> list[NDArray[np.integer]]:
        return [_read(layer, one, contents) for layer, one in zip(layers, written, strict=True)]

    def largest_file(self, layers: Sequence[Layer]) -> int:
        # Twice the bytes of the largest picture as it is without compression.
        return 2 * max(layer.grid.rows * layer.grid.columns for layer in layers) * _LARGEST_BITS // 8

    def format(self, written: Written) -> str:
        return f"{written.details['bits']}-bit grey PNG"

    def instructions(self, layer: Layer, written: Written) -> list[str]:
        codes, device = written.details["codes"], layer.device
        if codes == device.control.tolist():
            sent = f"The value of a pixel is the {device.control_unit} to send: {listed(codes)}."
            return [f"{sent} Load the picture as it is.", _TILES]
        pairs = (f"{code}={control:g}" for code, control in zip(codes, device.control, strict=True))
        return [
            "The value of a pixel is NOT what to send: it stands for a control value in "
            f"{device.control_unit}: {listed(pairs)}. Send these values; {MANIFEST_NAME} has all codes and values.",
            _TILES,
        ]


def image_codes(device: Device) -> tuple[tuple[int, ...], int]:
    """Return the grey value that stands for each level in the picture, and the picture's bits, 8 or 16.

    A device driven by integer grey levels is sent the picture as it is: its codes are its control values. Any
    other (volts, or fractions) has codes spread over the range of the picture, which the manifest translates.

    Raises:
        DeploymentError: if the device has more than 65536 levels.
    """
    count, control = len(device), device.control
    if device.control_unit.lower().startswith(("grey", "gray")) and (control == np.round(control)).all():
        for bits in (8, _LARGEST_BITS):
            if control.min() >= 0 and control.max() < 2**bits:
                return tuple(int(value) for value in control), bits
    for bits in (8, _LARGEST_BITS):
        if count <= 2**bits:
            return tuple(level * (2**bits - 1) // (count - 1) for level in range(count)), bits
    raise DeploymentError(f"expected a device of at most {2**16} levels, but {device.name} has {count}")


def _read(layer: Layer, written: Written, contents: Mapping[str, bytes]) -> NDArray[np.int64]:
    place = ("layers", layer.number - 1, "target")
    try:
        details = _Details.model_validate(written.details)
    except ValidationError as error:
        raise refusal(Path(MANIFEST_NAME), error, (*place, "details")) from error
    bits, codes = details.bits, details.codes
    distinct = len(codes) == len(set(codes)) == len(layer.device)
    if len(written.files) != 1 or not distinct or max(codes) >= 2**bits:
        raise DeploymentError(
            f"{MANIFEST_NAME}, layers[{layer.number - 1}].target: expected one picture, and a different code from 0 to "
            f"{2**bits - 1} for each of {len(layer.device)} levels: {_AGAIN}"
        )
    (name,) = written.files
    grey = read_picture(contents[name], name, layer.grid.shape, bits, "png")
    level_of = np.full(2**bits, -1, dtype=np.int64)
    level_of[codes] = np.arange(len(codes))
    levels = level_of[grey]
    if (levels < 0).any():
        row, column = np.argwhere(levels < 0)[0]
        raise DeploymentError(
            f"expected only grey values of the device's levels in {name}, but got {grey[row, column]} at row {row}, "
            f"column {column}: {_AGAIN}"
        )
    return levels
