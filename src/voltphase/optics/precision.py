"""The dtypes that fields come in, and how exactly a GPU multiplies them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import torch

from voltphase.errors import ConfigError

#: ``single`` is complex64, ``double`` complex128, ``tf32`` complex64 whose matrix products round what they multiply.
Precision = Literal["single", "double", "tf32"]


def complex_dtype(precision: Precision) -> torch.dtype:
    """What fields are held in.

    Raises:
        ConfigError: if there is no such precision.
    """
    dtypes = {"single": torch.complex64, "double": torch.complex128, "tf32": torch.complex64}
    if precision not in dtypes:
        raise ConfigError(f"expected a precision out of {', '.join(dtypes)}, but got {precision!r}")
    return dtypes[precision]


def require_complex(dtype: torch.dtype) -> None:
    """Refuse a dtype that fields cannot have.

    Raises:
        ConfigError: if it is neither complex64 nor complex128.
    """
    if dtype not in (torch.complex64, torch.complex128):
        raise ConfigError(f"expected dtype torch.complex64 or torch.complex128, but got {dtype}")


@contextmanager
def matrix_products(device: torch.device, *, tf32: bool) -> Iterator[None]:
    """Let matrix products of a CUDA GPU round to TF32, or not, whatever the process has set; elsewhere do nothing.

    TF32 keeps 10 bits after the leading one of every factor and adds in single precision. Behind five layers of
    200 x 200 the light of a detector region is then off by 2e-4 of the brightest and the gradients by 1e-3, where
    single precision is off by 1e-7 and 3e-7 (``python scripts/precision.py``, which imitates the rounding where there
    is no GPU; ``benchmarks/results/precision-cpu.json``).
    """
    if device.type != "cuda":
        yield
        return
    before = torch.backends.cuda.matmul.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = tf32
    try:
        yield
    finally:
        torch.backends.cuda.matmul.allow_tf32 = before
