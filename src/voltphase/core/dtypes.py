"""Modules with a fixed dtype, and PyTorch at its defaults while they are made."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, ParamSpec, Self, TypeVar

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


def with_standard_torch(function: Callable[Given, Result]) -> Callable[Given, Result]:
    """Decorate a function so that it runs under :func:`standard_torch`."""

    # Not by the context manager as a decorator, whose frame is in the standard library: advice is said where the first
    # frame outside of this package is.
    @functools.wraps(function)
    def call(*args: Given.args, **kwargs: Given.kwargs) -> Result:
        with standard_torch():
            return function(*args, **kwargs)

    return call


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
    if not torch.is_autocast_enabled(device):
        yield
        return
    with torch.autocast(device, enabled=False):
        yield
