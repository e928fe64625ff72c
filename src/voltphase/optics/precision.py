"""The dtypes that fields come in, and how exactly a GPU multiplies them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import torch
from torch import Tensor

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


def require_dtype(field: Tensor, dtype: torch.dtype, owner: str) -> None:
    """Refuse a field that would be promoted, or promote: nothing is cast without a word.

    Args:
        field: That comes.
        dtype: That it should have.
        owner: What takes it, as a message names it.

    Raises:
        ConfigError: if it has another dtype.
    """
    if field.dtype != dtype:
        raise ConfigError(
            f"expected a {dtype} field, but got {field.dtype}: cast the field, or make the {owner} with that dtype"
        )


@contextmanager
def matrix_products(device: torch.device, *, tf32: bool) -> Iterator[None]:
    """Let matrix products of a CUDA GPU round to TF32, or not, whatever the process has set; elsewhere do nothing.

    TF32 keeps 10 bits after the leading one of every factor and adds in single precision. Behind five layers of
    200 x 200 the light of a detector region is then off by 2e-4 of the brightest and the gradients by 1e-3, where
    matrix products in single precision are off by 1e-7 and 3e-7 (``python scripts/precision.py``, which imitates the
    rounding where there is no GPU; ``benchmarks/results/precision-cpu.json``), and FFTs, which TF32 leaves as they are,
    by less than 1e-6.
    """
    if device.type != "cuda":
        yield
        return
    matmul = torch.backends.cuda.matmul
    # From torch 2.9 on, products go by fp32_precision, and allow_tf32 cannot be read where the two differ.
    if hasattr(matmul, "fp32_precision"):
        name, wanted = "fp32_precision", "tf32" if tf32 else "ieee"
    else:
        name, wanted = "allow_tf32", tf32
    before = getattr(matmul, name)
    setattr(matmul, name, wanted)
    try:
        yield
    finally:
        setattr(matmul, name, before)
