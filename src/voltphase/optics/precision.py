"""The dtypes that fields come in, and how exactly a GPU multiplies them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Literal, get_args

import torch
from torch import Tensor

from voltphase.core import checks
from voltphase.core.dtypes import no_autocast
from voltphase.core.errors import ConfigError

#: ``single`` is complex64, ``double`` complex128, ``tf32`` complex64 whose matrix products round what they multiply.
Precision = Literal["single", "double", "tf32"]


def complex_dtype(precision: Precision) -> torch.dtype:
    """What fields are held in.

    Raises:
        ConfigError: if there is no such precision.
    """
    checks.word(precision, "a precision", get_args(Precision))
    return torch.complex128 if precision == "double" else torch.complex64


def require_complex(dtype: torch.dtype) -> None:
    """Refuse a dtype that fields cannot have.

    Raises:
        ConfigError: if it is neither complex64 nor complex128.
    """
    if not isinstance(dtype, torch.dtype) or dtype not in (torch.complex64, torch.complex128):
        raise ConfigError(f"expected dtype torch.complex64 or torch.complex128, but got {checks.shown(dtype)}")


def require_field(field: Tensor, dtype: torch.dtype, device: torch.device, owner: str) -> None:
    """Refuse what is no field, or one that would be promoted, or promote: dtypes are never cast implicitly.

    Args:
        field: That comes.
        dtype: That it should have.
        device: Where it should be.
        owner: What takes it, as a message names it.

    Raises:
        ConfigError: if it is no tensor, has another dtype or is on another device.
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


@contextmanager
def matrix_products(device: torch.device, *, tf32: bool) -> Iterator[None]:
    """Let matrix products of a CUDA GPU round to TF32, or not, whatever the process has set; those of a CPU never do.

    TF32 keeps 10 bits after the leading one of every factor and adds in single precision. Behind five layers of
    200 x 200 the light of a detector region is then off by 2e-4 of the brightest and the gradients by 1e-3, where
    matrix products in single precision are off by 1e-7 and 3e-7 (``python scripts/precision.py``, which imitates the
    rounding where there is no GPU; ``benchmarks/results/precision-cpu.json``), and FFTs, which TF32 leaves as they are,
    by less than 1e-6. On a CPU ``torch.set_float32_matmul_precision`` would round real factors to 8 bits. Autocast,
    which rounds as much, is off too.
    """
    with no_autocast(device.type):
        if device.type == "cuda":
            with _gpu_products(tf32):
                yield
        elif device.type == "cpu":
            with _cpu_products():
                yield
        else:
            yield


def exact_products(device: torch.device) -> AbstractContextManager[None]:
    """Let no matrix product round what it multiplies; see :func:`matrix_products`."""
    return matrix_products(device, tf32=False)


@contextmanager
def _gpu_products(tf32: bool) -> Iterator[None]:
    matmul, cpu = torch.backends.cuda.matmul, _cpu_matmul()
    # From torch 2.9 on products go by fp32_precision, and to read what came before it, as Lightning does when a
    # training starts, is an error where the two differ: both are set, and nothing where all is as wanted already.
    new = hasattr(matmul, "fp32_precision")
    before = matmul.fp32_precision if new else None
    if (before == "tf32" if new else _legacy_precision() != "highest") == tf32:
        yield
        return
    legacy = _legacy_precision()
    cpu_before = None if cpu is None else cpu.fp32_precision
    try:
        if legacy is not None:
            torch.set_float32_matmul_precision("high" if tf32 else "highest")
        if new:
            matmul.fp32_precision = "tf32" if tf32 else "ieee"
        yield
    finally:
        if legacy is not None:
            torch.set_float32_matmul_precision(legacy)
        if new:
            matmul.fp32_precision = before
        if cpu is not None:
            cpu.fp32_precision = cpu_before


@contextmanager
def _cpu_products() -> Iterator[None]:
    cpu = _cpu_matmul()
    if cpu is not None:
        before = cpu.fp32_precision
        if before in ("ieee", "none"):
            yield
            return
        cpu.fp32_precision = "ieee"
        try:
            yield
        finally:
            cpu.fp32_precision = before
        return
    legacy = torch.get_float32_matmul_precision()
    if legacy != "medium":  # "high" rounds on a GPU alone
        yield
        return
    torch.set_float32_matmul_precision("highest")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(legacy)


def _cpu_matmul() -> Any:
    matmul = getattr(torch.backends.mkldnn, "matmul", None)
    return matmul if hasattr(matmul, "fp32_precision") else None


def _legacy_precision() -> str | None:
    try:
        return torch.get_float32_matmul_precision()
    except RuntimeError:  # the process itself has set the two to differ
        return None
