"""Modules with a fixed dtype, PyTorch at its defaults while they are made, and exact products."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from typing import Any, Final, ParamSpec, Self, TypeVar

import torch
from torch import Tensor, nn

from voltphase.core.errors import ConfigError

Given = ParamSpec("Given")
Result = TypeVar("Result")


class FixedDtype(nn.Module):
    """A module that moves between devices but keeps its dtype.

    A cast would round values a second time, and drop the phase of complex ones: ``.to(dtype)``, ``.double()`` and the
    like raise a ConfigError if a parameter or buffer would get another dtype.
    """

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        def checked(tensor: Tensor) -> Tensor:
            result = fn(tensor)
            if result.dtype != tensor.dtype:
                raise ConfigError(
                    f"expected {type(self).__name__} to keep the dtype it was made with, but got a cast from "
                    f"{tensor.dtype} to {result.dtype}: make it, or the network it is in, with dtype=..."
                )
            return result

        return super()._apply(checked, recurse)


@contextmanager
def standard_torch() -> Iterator[None]:
    """Let the block compute with PyTorch's defaults, whatever the process has set.

    Tensors are made on the CPU and in float32 unless said otherwise, they can be trained (no inference mode), and
    autocast rounds nothing. Afterwards everything is as it was before.
    """
    with ExitStack() as stack:
        if torch.get_default_device().type != "cpu":
            stack.enter_context(torch.device("cpu"))
        if torch.is_inference_mode_enabled():
            stack.enter_context(torch.inference_mode(False))
        if torch.get_default_dtype() != torch.float32:
            stack.callback(torch.set_default_dtype, torch.get_default_dtype())
            torch.set_default_dtype(torch.float32)
        stack.enter_context(no_autocast("cpu"))
        yield


#: Decorator of functions that run under :func:`standard_torch`.
with_standard_torch: Final = standard_torch()


def uncompiled(function: Callable[Given, Result]) -> Callable[Given, Result]:
    """Decorate a function so that ``torch.compile`` runs it as it is, without tracing its buffers and generators."""
    disabled: list[Callable[..., Any]] = []

    @functools.wraps(function)
    def call(*args: Given.args, **kwargs: Given.kwargs) -> Result:
        # Nothing is compiled where the compiler has not been imported, which takes a second.
        if "torch._dynamo" not in sys.modules:
            return function(*args, **kwargs)
        if not disabled:
            untraced: Any = torch.compiler.disable(function, reason="its gradients are in closed form")
            disabled.append(untraced)
        return disabled[0](*args, **kwargs)

    return call


@contextmanager
def no_autocast(device: str) -> Iterator[None]:
    """Keep autocast from rounding products to half precision on a type of device, such as ``"cuda"``.

    Only ``dtype`` and ``optics.precision`` decide the precision of light.
    """
    with torch.autocast(device, enabled=False) if torch.is_autocast_enabled(device) else nullcontext():
        yield


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
    products = {"cuda": lambda: _gpu_products(tf32), "cpu": _cpu_products}.get(device.type, nullcontext)
    with no_autocast(device.type), products():
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
    with ExitStack() as stack:
        if cpu is not None:
            stack.callback(setattr, cpu, "fp32_precision", cpu.fp32_precision)
        if new:
            stack.callback(setattr, matmul, "fp32_precision", before)
        if legacy is not None:
            stack.callback(torch.set_float32_matmul_precision, legacy)
            torch.set_float32_matmul_precision("high" if tf32 else "highest")
        if new:
            matmul.fp32_precision = "tf32" if tf32 else "ieee"
        yield


@contextmanager
def _cpu_products() -> Iterator[None]:
    cpu = _cpu_matmul()
    with ExitStack() as stack:
        if cpu is not None:
            if cpu.fp32_precision not in ("ieee", "none"):
                stack.callback(setattr, cpu, "fp32_precision", cpu.fp32_precision)
                cpu.fp32_precision = "ieee"
        elif (legacy := torch.get_float32_matmul_precision()) == "medium":  # "high" rounds on a GPU alone
            stack.callback(torch.set_float32_matmul_precision, legacy)
            torch.set_float32_matmul_precision("highest")
        yield


def _cpu_matmul() -> Any:
    matmul = getattr(torch.backends.mkldnn, "matmul", None)
    return matmul if hasattr(matmul, "fp32_precision") else None


def _legacy_precision() -> str | None:
    try:
        return torch.get_float32_matmul_precision()
    except RuntimeError:  # the process itself has set the two to differ
        return None
