"""Checks of what a caller gives: numbers, whole numbers, words, switches, arrays.

Each check returns the value in the type that is computed with, or raises the class given as ``error``, in one
sentence. Its arguments are the same everywhere:

- ``value`` is what the caller gave;
- ``what`` is what it stands for, with its article, as the sentence names it: ``"a gain"``;
- ``error`` is the class of the error to raise;
- ``advice`` is what the caller can do, for the end of the sentence.
"""

from __future__ import annotations

import cmath
import functools
import math
from collections.abc import Callable, Sequence
from contextlib import suppress
from numbers import Complex, Integral, Real
from typing import Any, Final, TypeGuard, TypeVar

import numpy as np
import torch
from torch import Tensor

from voltphase.core.errors import ConfigError, VoltphaseError
from voltphase.core.words import shown

_Kind = TypeVar("_Kind")

#: The lowest and the highest temperature of a choice. Scores differ by 1e-7 of themselves in single precision: a lower
#: temperature is no different from the highest score, and makes gradients of that rounding; a higher one is chance.
TEMPERATURES: Final = (1e-6, 1e6)
_functorch: Any = torch._C._functorch  # pyright: ignore[reportAttributeAccessIssue]


def is_number(value: object) -> TypeGuard[float]:
    """Return whether a value is a finite real number; numpy's scalars are, but booleans, tensors and text are not."""
    if not isinstance(value, Real) or isinstance(value, bool):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:  # a whole number beyond the range of floats
        return False


def number(
    value: object,
    what: str,
    *,
    above: float | None = None,
    least: float | None = None,
    most: float | None = None,
    error: type[VoltphaseError] = ConfigError,
    advice: str = "",
) -> float:
    """Return a finite real number, see :func:`is_number`, above ``above`` and from ``least`` to ``most``.

    Examples:
        >>> number(np.float32(0.5), "a gain", above=0)
        0.5
    """
    if is_number(value):
        result = float(value)
        within = (above is None or result > above) and (least is None or result >= least)
        if within and (most is None or result <= most):
            return result
    given = {"above": above, "of at least": least, "at most": most}
    bounds = " and ".join(f"{words} {_plain(bound)}" for words, bound in given.items() if bound is not None)
    if bounds.startswith("at most"):
        bounds = f"of {bounds}"
    raise _refusal(value, f"{what} {bounds or 'as a finite number'}", error, advice)


def positive(value: object, what: str, bounds: tuple[float, float]) -> float:
    """Return a number above zero, and within bounds where what it is used for still makes finite numbers."""
    return number(number(value, what, above=0), what, least=bounds[0], most=bounds[1])


def temperature(value: object, what: str = "a temperature") -> float:
    """Return a temperature of a choice, within :data:`TEMPERATURES`."""
    # Checked at every step of training: this is the shorter way for what is right.
    if type(value) is float and TEMPERATURES[0] <= value <= TEMPERATURES[1]:
        return value
    return positive(value, what, TEMPERATURES)


def softness(value: object) -> float | Tensor:
    """Return a temperature as a relaxation takes it: a number, or a real tensor without axes, which nobody looks into.

    A recorded step of training finds another temperature in such a tensor each time; to look would make a GPU wait.
    """
    return value if isinstance(value, Tensor) and value.ndim == 0 and value.is_floating_point() else temperature(value)


def whole(
    value: object,
    what: str,
    *,
    least: int | None = None,
    most: int | None = None,
    error: type[VoltphaseError] = ConfigError,
    advice: str = "",
) -> int:
    """Return a whole number from ``least`` to ``most``; booleans, floats and tensors are not whole numbers."""
    if isinstance(value, Integral) and not isinstance(value, bool):
        result = int(value)
        if (least is None or result >= least) and (most is None or result <= most):
            return result
    if least is not None and most is not None:
        bounds = f" from {least} to {most}"
    elif least is not None:
        bounds = f" of at least {least}"
    else:
        bounds = "" if most is None else f" of at most {most}"
    raise _refusal(value, f"{what} as a whole number{bounds}", error, advice)


def seed(value: object) -> int:
    """Return a seed: a whole number of at least zero."""
    return whole(value, "a seed", least=0)


def flag(value: object, what: str) -> bool:
    """Return True or False."""
    if isinstance(value, bool | np.bool_):
        return bool(value)
    raise _refusal(value, f"{what} to be True or False", ConfigError)


def function(value: object, what: str) -> None:
    """Refuse what cannot be called."""
    if not callable(value):
        raise _refusal(value, f"{what} as a function", ConfigError)


def word(value: object, what: str, options: Sequence[str], *, error: type[VoltphaseError] = ConfigError) -> str:
    """Return one of a few words."""
    if isinstance(value, str) and value in options:
        return value
    raise _refusal(value, f"{what} out of {', '.join(options)}", error)


def instance(
    value: object,
    kind: type[_Kind] | tuple[type[_Kind], ...],
    what: str,
    *,
    error: type[VoltphaseError] = ConfigError,
    advice: str = "",
) -> _Kind:
    """Return an object of a class."""
    if isinstance(value, kind):
        return value
    raise _refusal(value, what, error, advice)


def items(value: object, what: str, *, error: type[VoltphaseError] = ConfigError, advice: str = "") -> list[Any]:
    """Return the items of a list, a tuple, a one-dimensional array or another sequence that is not text."""
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return list(value)
    if isinstance(value, np.ndarray | Tensor) and value.ndim == 1:
        return value.tolist()
    raise _refusal(value, what, error, advice)


def size(value: object, what: str, *, error: type[VoltphaseError], most: int | None = None) -> tuple[int, int]:
    """Return (rows, columns), two whole numbers from 1 to ``most``."""
    advice = "give (rows, columns)"
    pair = items(value, f"{what} as two whole numbers", error=error, advice=advice)
    if len(pair) != 2:
        raise _refusal(value, f"{what} as two whole numbers", error, advice)
    rows, columns = (whole(one, what, least=1, most=most, error=error, advice=advice) for one in pair)
    return rows, columns


def pair(
    value: object, what: str, *, error: type[VoltphaseError], advice: str = "give two numbers, (y, x)"
) -> tuple[float, float]:
    """Return two finite real numbers."""
    both = items(value, f"a finite {what}", error=error, advice=advice)
    if len(both) != 2 or not all(is_number(one) for one in both):
        raise _refusal(value, f"a finite {what}", error, advice)
    return float(both[0]), float(both[1])


def complex_number(value: object, what: str, *, error: type[VoltphaseError]) -> complex:
    """Return a finite complex number."""
    if isinstance(value, Complex) and not isinstance(value, bool):
        with suppress(OverflowError):  # a whole number beyond the range of floats
            if cmath.isfinite(result := complex(value)):
                return result
    raise _refusal(value, f"{what} as a finite complex number", error)


def array(value: object, what: str, *, error: type[VoltphaseError] = ConfigError) -> Tensor:
    """Return a tensor of numbers: a tensor as it is, anything else as numpy makes an array of it, on the CPU."""
    if isinstance(value, Tensor):
        if value.layout is not torch.strided or value.is_quantized:
            raise error(f"expected {what} as a dense tensor, but got one of layout {value.layout}: use .to_dense()")
        if value.is_meta:
            raise error(f"expected {what} as a tensor with data, but got one on the device meta, which has none")
        return value
    wanted = f"{what} as a tensor or an array of numbers"
    try:
        made = np.asarray(value)
    except Exception as cause:  # whatever the class of a stranger raises
        raise error(f"expected {wanted}, but got {shown(value)}") from cause
    if made.dtype.kind not in "biufc":
        raise _refusal(value, wanted, error)
    if made.dtype.itemsize > {"f": 8, "c": 16}.get(made.dtype.kind, 8):  # longer than torch has them
        made = made.astype(np.complex128 if made.dtype.kind == "c" else np.float64)
    # A copy that can be written to, in the machine's order of bytes, which torch wants.
    return torch.from_numpy(np.array(made, dtype=made.dtype.newbyteorder("="), order="C"))


def transforming() -> bool:
    """Return whether one of ``torch.func``'s transforms, such as ``vmap`` or ``grad``, is active."""
    # What torch itself asks before it lets a function of its own kind be transformed; there is no public name for it.
    return torch._C._are_functorch_transforms_active()


def require_plain(what: str) -> None:
    """Refuse ``torch.func``'s transforms, whose batches and gradients a closed-form adjoint does not know."""
    if transforming():
        raise ConfigError(
            f"expected {what} outside of torch.func's transforms (vmap, grad, jacrev, ...), which cannot see through "
            "gradients in closed form: give a batch as one tensor, and take gradients by backward() or torch.autograd"
        )


def first_order(backward: Callable[..., Any]) -> Callable[..., Any]:
    """Decorate the ``backward`` of an autograd function so that it refuses what its closed form does not know.

    That is to be differentiated again (``create_graph=True``), which would give zeros, and gradients in a batch.
    """

    @functools.wraps(backward)
    def checked(ctx: Any, *gradients: Any) -> Any:
        if torch.is_grad_enabled():
            raise ConfigError(
                "expected first derivatives of a network alone, but second ones are asked for by create_graph=True, "
                "and gradients in closed form have none: take finite differences of gradients"
            )
        require_plain("the gradients of a network")
        if any(_functorch.is_legacy_batchedtensor(gradient) for gradient in gradients if gradient is not None):
            raise ConfigError(
                "expected the gradients of one number at a time, but they come in a batch (vectorize=True, "
                "is_grads_batched=True): leave that out"
            )
        return backward(ctx, *gradients)

    return checked


def _refusal(value: object, wanted: str, error: type[VoltphaseError], advice: str = "") -> VoltphaseError:
    return error(f"expected {wanted}, but got {shown(value)}" + (f": {advice}" if advice else ""))


def _plain(bound: float | None) -> str:
    return "zero" if bound == 0 else f"{bound:g}"
