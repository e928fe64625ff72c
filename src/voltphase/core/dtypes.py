"""Modules with a fixed dtype, PyTorch at its defaults while they are made, and exact products."""

from __future__ import annotations

import functools
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext, suppress
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
def surely(restore: Callable[[], object]) -> Iterator[None]:
    """Run what puts something back when the block is left, once more if Ctrl-C cuts it short.

    Args:
        restore: Function that may run twice.
    """
    try:
        yield
    finally:
        try:
            restore()
        except BaseException:
            restore()
            raise


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
        if (before := torch.get_default_dtype()) != torch.float32:
            stack.enter_context(surely(functools.partial(torch.set_default_dtype, before)))
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
    if not torch.is_autocast_enabled(device):
        yield
        return
    with surely(functools.partial(torch.set_autocast_enabled, device, True)):
        torch.set_autocast_enabled(device, False)
        yield


def matrix_products(device: torch.device, *, tf32: bool) -> AbstractContextManager[None]:
    """Let matrix products of a CUDA GPU round to TF32, or not, whatever the process has set; those of a CPU never do.

    TF32 keeps 10 bits after the leading one of every factor and adds in single precision. Behind five layers of
    200 x 200 the light of a detector region is then off by 2e-4 of the brightest and the gradients by 1e-3, where
    matrix products in single precision are off by 1e-7 and 3e-7 (``python scripts/precision.py``, which imitates the
    rounding where there is no GPU; ``benchmarks/results/precision-cpu.json``), and FFTs, which TF32 leaves as they are,
    by less than 1e-6. On a CPU ``torch.set_float32_matmul_precision`` would round real factors to 8 bits. Autocast,
    which rounds as much, is off too.

    PyTorch has one set of switches for all threads: of blocks in several threads the last one entered decides. When
    all have been left, in whatever order, everything is as the process had set it.
    """
    return _matrix_products(device.type, tf32)


def exact_products(device: torch.device) -> AbstractContextManager[None]:
    """Let no matrix product round what it multiplies; see :func:`matrix_products`."""
    return matrix_products(device, tf32=False)


def exact_linear(there: Callable[[Tensor], Tensor], back: Callable[[Tensor], Tensor], tensor: Tensor) -> Tensor:
    """Return ``there(tensor)``, with no matrix product rounded on the way there or, by gradients, back.

    PyTorch's own gradients are computed after :func:`exact_products` has been left.

    Args:
        there: A linear function.
        back: Its conjugate transpose.
        tensor: What it is applied to.
    """
    result: Any = _Linear.apply(there, back, tensor)
    return result


def readable_precision() -> AbstractContextManager[None]:
    """Let others read PyTorch's old switch of precision, as Lightning does when a training starts on a GPU.

    Where a process has set the old and the new switches to differ, reading the old one is a RuntimeError.
    """
    return nullcontext() if _legacy_precision() is not None else exact_products(torch.device("cuda"))


class _Linear(torch.autograd.Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(there: Callable[[Tensor], Tensor], _: Callable[[Tensor], Tensor], tensor: Tensor) -> Tensor:
        with exact_products(tensor.device):
            return there(tensor)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        ctx.there, ctx.back, _ = inputs

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        return None, None, _Linear.apply(ctx.back, ctx.there, gradients[0])

    @staticmethod
    def jvp(ctx: Any, *tangents: Any) -> Any:
        return _Linear.apply(ctx.there, ctx.back, tangents[2])


@contextmanager
def _matrix_products(device: str, tf32: bool) -> Iterator[None]:
    # A product on another type of device knows no such rounding.
    with no_autocast(device), _SWITCHES.block(device, tf32) if device in ("cpu", "cuda") else nullcontext():
        yield


class _Switches:
    """PyTorch's switches of the precision of matrix products, as the process has set them and as blocks want them.

    Up to torch 2.8 there is one word; later there is a switch for each type of device, which follows a switch for all
    that is done there, and that one a switch for everything, where it says "none" itself. The word is still read by
    others, and to read it is an error where it contradicts the switches: both are set.
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._blocks: list[list[Any]] = []  # those entered and not left; equal ones are told apart
        self._kept: dict[str, str] = {}  # what the process has set, of what was changed

    @contextmanager
    def block(self, device: str, tf32: bool) -> Iterator[None]:
        if not self._blocks and _holds(device, tf32):
            yield
            return
        block = [device, tf32]
        with surely(functools.partial(self._leave, block)):
            with self._lock:
                self._blocks.append(block)
                self._change(*block)
            yield

    def _leave(self, block: list[Any]) -> None:
        with self._lock:
            others = [one for one in self._blocks if one is not block]
            # The word sets the switches too, so it comes first.
            for name in sorted(self._kept, key="word".__ne__):
                _set(name, self._kept[name])
            for other in others:
                self._change(*other)
            if not others:
                self._kept.clear()
            self._blocks[:] = others

    def _change(self, device: str, tf32: bool) -> None:
        switches = (("mkldnn",) if device == "cpu" else ("mkldnn", "cuda")) if _has_switches() else ()
        for name in switches:
            if name not in self._kept:
                self._kept[name] = _own(name)
        if device == "cuda" or not switches:
            if "word" not in self._kept:
                if _legacy_precision() is None:
                    for name in switches:
                        _set(name, "ieee")  # which contradicts no word
                self._kept["word"] = torch.get_float32_matmul_precision()
            _set("word", "high" if tf32 and device == "cuda" else "highest")
        if switches:
            _set("mkldnn", "ieee")


_SWITCHES: Final = _Switches()


def _holds(device: str, tf32: bool) -> bool:
    """Return whether products of a type of device round, or do not, as wanted, and others may read that they do."""
    word = _legacy_precision()
    if device == "cpu":
        return _get("mkldnn") in ("ieee", "none") if _has_switches() else word != "medium"  # "high" is for GPUs alone
    return word is not None and (word != "highest") == tf32 and (not _has_switches() or _get("cuda") == "tf32") == tf32


def _has_switches() -> bool:
    return hasattr(torch._C, "_get_fp32_precision_getter")


def _get(backend: str, operation: str = "matmul") -> str:
    return torch._C._get_fp32_precision_getter(backend, operation)


def _set(name: str, value: str, operation: str = "matmul") -> None:
    if name != "word":
        torch._C._set_fp32_precision_setter(name, operation, value)
        return
    with warnings.catch_warnings():  # torch 2.9 says once that the switches are newer
        warnings.simplefilter("ignore")
        torch.set_float32_matmul_precision(value)


def _legacy_precision() -> str | None:
    """Return the old word, or None where the process has set the two to differ."""
    _read_once()
    with suppress(RuntimeError):
        return torch.get_float32_matmul_precision()


@functools.cache
def _read_once() -> None:
    with warnings.catch_warnings(), suppress(RuntimeError):  # as in _set
        warnings.simplefilter("ignore")
        torch.get_float32_matmul_precision()


def _own(backend: str) -> str:
    """Return what a switch itself says, where reading it gives what the one that it follows says."""
    value = _get(backend)
    if value == "none":
        return value
    other = "tf32" if value == "ieee" else "ieee"
    with _while_set("generic", other):
        if _get(backend) == other:
            return "none"
        if _get(backend, "all") != value:
            return value
        with _while_set(backend, other):
            return "none" if _get(backend) == other else value


@contextmanager
def _while_set(backend: str, value: str) -> Iterator[None]:
    with surely(functools.partial(_set, backend, _get(backend, "all"), "all")):
        _set(backend, value, "all")
        yield
