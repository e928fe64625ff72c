"""The dtypes that fields come in."""

from __future__ import annotations

import torch

from voltphase.errors import ConfigError


def require_complex(dtype: torch.dtype) -> None:
    """Refuse a dtype that fields cannot have.

    Raises:
        ConfigError: if it is neither complex64 nor complex128.
    """
    if dtype not in (torch.complex64, torch.complex128):
        raise ConfigError(f"expected dtype torch.complex64 or torch.complex128, but got {dtype}")
