"""The dtypes that fields come in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

import torch
from torch import Tensor

from voltphase.core import checks
from voltphase.core.errors import ConfigError, GeometryError

#: ``single`` is complex64, ``double`` complex128, ``tf32`` complex64 whose matrix products round what they multiply
#: where a CUDA GPU trains, and ``auto`` is ``tf32`` there and ``single`` on a CPU. TF32 puts gradients off by 1e-3 of
#: their length. The gradient of one batch of 500 differs from their mean by 0.4 of its length at the start and by 1
#: after an epoch (MNIST, five layers of 48 x 48, 20,000 images), so that nothing is lost by it.
Precision = Literal["single", "double", "tf32", "auto"]


def complex_dtype(precision: Precision) -> torch.dtype:
    """Return the type that fields are held in; a ConfigError says if there is no such precision."""
    checks.word(precision, "a precision", get_args(Precision))
    return torch.complex128 if precision == "double" else torch.complex64


def require_complex(dtype: torch.dtype) -> None:
    """Refuse a dtype that fields cannot have with a ConfigError."""
    if not isinstance(dtype, torch.dtype) or dtype not in (torch.complex64, torch.complex128):
        raise ConfigError(f"expected dtype torch.complex64 or torch.complex128, but got {checks.shown(dtype)}")


def require_field(
    field: Tensor, shape: Sequence[int], dtype: torch.dtype, device: torch.device, owner: str, where: str = ""
) -> None:
    """Refuse what is no field, or one that would be promoted, or promote: dtypes are never cast implicitly.

    Raises:
        ConfigError: if it is no tensor, has another dtype or is on another device than ``owner``, which takes it.
        GeometryError: if it has another shape than (rows, columns), whatever the axes before these.
    """
    if not isinstance(field, Tensor):
        raise ConfigError(
            f"expected a {dtype} field as a tensor, but got {checks.shown(field)}: use "
            f"torch.from_numpy(field).to({dtype})"
        )
    if field.dtype != dtype:
        cure = "cast the field"
        if not field.is_complex():
            cure = f"of an amplitude a give a.to({dtype}), of an intensity i.sqrt().to({dtype})"
        raise ConfigError(
            f"expected a {dtype} field, but got {field.dtype}: {cure}, or make the {owner} with that dtype"
        )
    if field.device != device:
        raise ConfigError(
            f"expected a field on {device}, where the {owner} is, but got one on {field.device}: use "
            f"field.to({str(device)!r}), or move the {owner}"
        )
    if tuple(field.shape[-2:]) != tuple(shape):
        raise GeometryError(
            f"expected a field of {shape[0]} x {shape[1]} samples{where}, but got {' x '.join(map(str, field.shape))}"
        )
