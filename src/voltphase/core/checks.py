"""What a caller gives, checked where it comes in: numbers, whole numbers, words, switches, arrays.

Each function returns the value in the type that is computed with, or raises one of our errors in one sentence.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from numbers import Complex, Integral, Real
from typing import Any, Final, TypeGuard, TypeVar

import numpy as np
import torch
from torch import Tensor

from voltphase.core.errors import ConfigError, VoltphaseError

_Kind = TypeVar("_Kind")

#: Temperatures a choice can have. Scores differ by 1e-7 of themselves in single precision: colder is no different from
#: the highest score, and makes gradients of that rounding; hotter is no different from chance.
TEMPERATURES: Final = (1e-6, 1e6)
_SHOWN = 60
_functorch: Any = torch._C._functorch  # pyright: ignore[reportAttributeAccessIssue]


def shown(value: object) -> str:
    """A value as an error names it: on one line, and no longer than a line."""
    try:
        text = " ".join(repr(value).split())
    except Exception:  # a whole number of too many digits, or a class whose repr fails
        text = f"a {type(value).__name__} that cannot be written out"
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"


def is_number(value: object) -> TypeGuard[float]:
    """Whether it is a finite real number: numpy's scalars are, booleans, tensors and text are not."""
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
    """A finite real number within bounds.

    Args:
        value: What was given; see :func:`is_number`.
        what: What it is, with its article and unit, as an error names it: ``"a gain"``.
        above: It must be above this.
        least: It must be at least this.
        most: It must be at most this.
        error: Class of the error to raise.
        advice: What to do, for the end of the sentence.

    Raises:
        VoltphaseError: the given class, if it is anything else.
    """
    if is_number(value):
        result = float(value)
        within = (above is None or result > above) and (least is None or result >= least)
        if within and (most is None or result <= most):
            return result
    bounds = [
        *([f"above {_plain(above)}"] if above is not None else []),
        *([f"of at least {_plain(least)}"] if least is not None else []),
        *([f"{'of ' if above is None and least is None else ''}at most {_plain(most)}"] if most is not None else []),
    ]
    wanted = f"{what} {' and '.join(bounds)}" if bounds else f"{what} as a finite number"
    raise error(f"expected {wanted}, but got {shown(value)}" + (f": {advice}" if advice else ""))


def positive(value: object, what: str, bounds: tuple[float, float]) -> float:
    """A number above zero, and within bounds where what it is used for still makes numbers.

    Raises:
        ConfigError: if it is anything else.
    """
    return number(number(value, what, above=0), what, least=bounds[0], most=bounds[1])


def temperature(value: object, what: str = "a temperature") -> float:
    """A temperature that a choice can have: a number above zero, neither so small nor so large that numbers overflow.

    Raises:
        ConfigError: if it is anything else.
    """
    # Checked at every step of training: this is the shorter way for what is right.
    if type(value) is float and TEMPERATURES[0] <= value <= TEMPERATURES[1]:
        return value
    return positive(value, what, TEMPERATURES)


def whole(
    value: object,
    what: str,
    *,
    least: int | None = None,
    most: int | None = None,
    error: type[VoltphaseError] = ConfigError,
    advice: str = "",
) -> int:
    """A whole number within bounds; arguments as for :func:`number`.

    Raises:
        VoltphaseError: the given class, if it is anything else; booleans, floats and tensors are.
    """
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
    raise error(
        f"expected {what} as a whole number{bounds}, but got {shown(value)}" + (f": {advice}" if advice else "")
    )


def seed(value: object) -> int:
    """A seed: a whole number of at least zero.

    Raises:
        ConfigError: if it is anything else.
    """
    return whole(value, "a seed", least=0)


def flag(value: object, what: str) -> bool:
    """True or False.

    Raises:
        ConfigError: if it is anything else.
    """
    if isinstance(value, bool | np.bool_):
        return bool(value)
    raise ConfigError(f"expected {what} to be True or False, but got {shown(value)}")


def word(value: object, what: str, options: Sequence[str], *, error: type[VoltphaseError] = ConfigError) -> str:
    """One of a few words.

    Raises:
        VoltphaseError: the given class, if it is anything else.
    """
    if isinstance(value, str) and value in options:
        return value
    raise error(f"expected {what} out of {', '.join(options)}, but got {shown(value)}")


def instance(
    value: object,
    kind: type[_Kind] | tuple[type[_Kind], ...],
    what: str,
    *,
    error: type[VoltphaseError] = ConfigError,
    advice: str = "",
) -> _Kind:
    """An object of a class.

    Raises:
        VoltphaseError: the given class, if it is of another.
    """
    if isinstance(value, kind):
        return value
    raise error(f"expected {what}, but got {shown(value)}" + (f": {advice}" if advice else ""))


def items(value: object, what: str, *, error: type[VoltphaseError] = ConfigError, advice: str = "") -> list[Any]:
    """The items of a list, a tuple, a one-dimensional array or another sequence that is no text.

    Raises:
        VoltphaseError: the given class, if it is none of these.
    """
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return list(value)
    if isinstance(value, np.ndarray | Tensor) and value.ndim == 1:
        return value.tolist()
    raise error(f"expected {what}, but got {shown(value)}" + (f": {advice}" if advice else ""))


def size(value: object, what: str, *, error: type[VoltphaseError], most: int | None = None) -> tuple[int, int]:
    """(rows, columns).

    Raises:
        VoltphaseError: the given class, if it is not two whole numbers from 1 to ``most``.
    """
    advice = "give (rows, columns)"
    pair = items(value, f"{what} as two whole numbers", error=error, advice=advice)
    if len(pair) != 2:
        raise error(f"expected {what} as two whole numbers, but got {shown(value)}: {advice}")
    rows, columns = (whole(one, what, least=1, most=most, error=error, advice=advice) for one in pair)
    return rows, columns


def pair(
    value: object, what: str, *, error: type[VoltphaseError], advice: str = "give two numbers, (y, x)"
) -> tuple[float, float]:
    """Two finite real numbers.

    Raises:
        VoltphaseError: the given class, if it is anything else.
    """
    both = items(value, f"a finite {what}", error=error, advice=advice)
    if len(both) != 2 or not all(is_number(one) for one in both):
        raise error(f"expected a finite {what}, but got {shown(value)}: {advice}")
    return float(both[0]), float(both[1])


def complex_number(value: object, what: str, *, error: type[VoltphaseError]) -> complex:
    """A finite complex number.

    Raises:
        VoltphaseError: the given class, if it is anything else.
    """
    if isinstance(value, Complex) and not isinstance(value, bool):
        try:
            result = complex(value)
        except OverflowError:
            result = complex(math.inf)
        if math.isfinite(result.real) and math.isfinite(result.imag):
            return result
    raise error(f"expected {what} as a finite complex number, but got {shown(value)}")


def array(value: object, what: str, *, error: type[VoltphaseError] = ConfigError) -> Tensor:
    """A tensor of numbers, from a tensor as it is, or from what numpy makes an array of, on the CPU.

    Raises:
        VoltphaseError: the given class, if numpy makes none of it, or one of something else than numbers.
    """
    if isinstance(value, Tensor):
        if value.layout is not torch.strided or value.is_quantized:
            raise error(f"expected {what} as a dense tensor, but got one of layout {value.layout}: use .to_dense()")
        if value.is_meta:
            raise error(f"expected {what} as a tensor with data, but got one on the device meta, which has none")
        return value
    try:
        made = np.asarray(value)
    except Exception as cause:  # whatever the class of a stranger raises
        raise error(f"expected {what} as a tensor or an array of numbers, but got {shown(value)}") from cause
    if made.dtype.kind not in "biufc":
        raise error(f"expected {what} as a tensor or an array of numbers, but got {shown(value)}")
    if made.dtype.itemsize > {"f": 8, "c": 16}.get(made.dtype.kind, 8):  # longer than torch has them
        made = made.astype(np.complex128 if made.dtype.kind == "c" else np.float64)
    # A copy that can be written to, in the machine's order of bytes, which torch wants.
    return torch.from_numpy(np.array(made, dtype=made.dtype.newbyteorder("="), order="C"))


def transforming() -> bool:
    """Whether one of ``torch.func``'s transforms, such as ``vmap`` or ``grad``, is at work."""
    # What torch itself asks before it lets a function of its own kind be transformed; there is no public name for it.
    return torch._C._are_functorch_transforms_active()


def require_plain(what: str) -> None:
    """Refuse to be transformed by ``torch.func``, whose batches and gradients a closed-form adjoint does not know.

    Raises:
        ConfigError: if a transform is at work.
    """
    if transforming():
        raise ConfigError(
            f"expected {what} outside of torch.func's transforms (vmap, grad, jacrev, ...), which cannot see through "
            "gradients in closed form: give a batch as one tensor, and take gradients by backward() or torch.autograd"
        )


def first_order(backward: Callable[..., Any]) -> Callable[..., Any]:
    """Have the ``backward`` of an autograd function refuse what its closed form does not know.

    Raises:
        ConfigError: from the function, if it is to be differentiated again (``create_graph=True``), which would give
            zeros, or if the gradients come in a batch of their own.
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


def _plain(bound: float | None) -> str:
    return "zero" if bound == 0 else f"{bound:g}"
