"""Images as people have them: tensors or arrays, bytes or real numbers."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from voltphase.core import checks
from voltphase.core.advice import advise
from voltphase.core.errors import ConfigError, DataError, GeometryError
from voltphase.core.units import UnitWarning

# Amplitudes are about 1. From this on they are in another unit, and squares of the largest overflow single precision.
_BRIGHT, _BRIGHTEST = 10.0, 1e12


def checked_images(images: object, shape: tuple[int, int], device: torch.device, *, fields: bool = False) -> Tensor:
    """Return images that light can carry, as a ``... x rows x columns`` tensor on a device.

    A tensor has to be there; an array, or what numpy makes one of, is moved. Complex numbers, a field, will do if
    ``fields``.

    Raises:
        ConfigError: if they are no numbers, numbers whose range is not known, or on another device.
        GeometryError: if they are of another shape.
        DataError: if a real number among them is not finite, or too large for an amplitude. On a GPU, which would have
            to be waited for, nobody looks.

    Warns:
        UnitWarning: if real numbers seem to be in another unit.
    """
    given = checks.array(images, "images")
    if given.shape[-2:] != shape:
        raise GeometryError(
            f"expected images of batch x {shape[0]} x {shape[1]}, but got {_sizes(given)}{_advice(given, shape)}"
        )
    if not (given.dtype in (torch.uint8, torch.bool) or given.is_floating_point() or (fields and given.is_complex())):
        kinds = "uint8 (255 is amplitude 1) or real numbers (1 is amplitude 1)"
        cure = (
            "take their .abs(), or give the field to the propagators"
            if given.is_complex()
            else "convert them with .to(torch.uint8), or divide them by their largest value"
        )
        raise ConfigError(f"expected images of {kinds}, but got {given.dtype}: {cure}")
    if given is not images:
        given = given.to(device)
    elif given.device != device:
        raise ConfigError(
            f"expected images on {device}, where the network is, but got them on {given.device}: use "
            f"images.to({str(device)!r}), or move the network"
        )
    if given.is_floating_point() and given.device.type == "cpu" and given.numel() and not checks.transforming():
        _check_range(given.detach(), signed=fields)
    return given


def amplitudes(images: Tensor, dtype: torch.dtype) -> Tensor:
    """Return images as amplitudes in the precision of a complex dtype, or as fields of it if they are complex.

    255 of uint8 is amplitude 1, and 1 of all others; :func:`checked_images` has let them pass.
    """
    values = images.to(dtype if images.is_complex() else dtype.to_real())
    return values / 255 if images.dtype == torch.uint8 else values


def require_batch(images: Tensor) -> None:
    """Refuse anything but ``batch x rows x columns`` with a GeometryError."""
    if images.ndim != 3:
        rows, columns = images.shape[-2:]
        raise GeometryError(
            f"expected images of batch x {rows} x {columns}, but got {_sizes(images)}{_advice(images, (rows, columns))}"
        )


def _check_range(images: Tensor, *, signed: bool) -> None:
    low, high = (float(end) for end in torch.aminmax(images))
    largest = max(-low, high)
    if not (math.isfinite(low) and largest <= _BRIGHTEST):
        raise DataError(
            f"expected images with amplitudes of about 1, but got values from {low:g} to {high:g}: look for what is "
            "not a number, and divide by the largest value"
        )
    if low < 0 and not signed:
        raise DataError(
            f"expected images as amplitudes from 0 on, but got values down to {low:g}, light of the opposite phase: "
            "undo what subtracts a mean, or add an offset"
        )
    if largest > _BRIGHT:
        advise(
            f"images reach {largest:g}, where 1 is amplitude 1: if they are grey values from 0 to 255, give them as "
            "uint8 or divide them by 255",
            UnitWarning,
        )


def _sizes(images: Tensor) -> str:
    return " x ".join(map(str, images.shape)) or "a single number"


def _advice(images: Tensor, shape: tuple[int, int]) -> str:
    if images.shape == shape:
        return ": give one image as images[None]"
    if images.ndim == 4 and images.shape[1] == 1 and images.shape[2:] == shape:
        return ": leave the axis of colours out with images[:, 0]"
    if images.ndim == 4 and images.shape[1:3] == shape:
        return ": light has no colours here, give grey images such as images.mean(-1)"
    return ""
