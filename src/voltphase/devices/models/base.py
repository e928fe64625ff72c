"""The registry of device models, how one is built by name, and what their parameters are held to.

A model is a function of physical parameters that returns `DeviceStates`. Lengths are in metres, angles and phases in
radians. Phases count from that of level 0, and follow the time dependence exp(-i omega t): more optical path is more
phase.
"""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable, Mapping
from types import NoneType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from annotated_types import Ge, Gt, Le

from voltphase.core import checks
from voltphase.core.errors import DeviceError, VoltphaseError
from voltphase.core.registry import Registry, failure
from voltphase.core.units import metres
from voltphase.devices.states import DeviceStates

#: Steps of a model's control value at which its phase is followed, over its whole range.
FINE = 4096
# Of 16 bits, as many as a driver has.
_MOST_LEVELS = 1 << 16
_LARGEST_INDEX = 1e3

Positive = Annotated[float, Gt(0)]
Levels = Annotated[int, Ge(2), Le(_MOST_LEVELS)]

#: Every modelled device by the name a configuration gives it; a function whose parameters are its settings. One with a
#: parameter ``levels`` is made to measure and computed for as many; of the others, some of their states are chosen.
MODELS: Registry[Callable[..., DeviceStates]] = Registry("a modelled device", "voltphase.devices", DeviceError)


def model(
    name: str,
    levels: int | None = None,
    *,
    wavelength: float | None = None,
    parameters: Mapping[str, Any] | None = None,
) -> DeviceStates:
    """Return a modelled device with all the states that it has.

    Args:
        name: Name of the model, one of `MODELS`.
        levels: Number of states of a device that is made to measure, such as ``printed``; others have their own number.
        wavelength: Wavelength of the light in metres, for models that depend on it and have no other among their
            parameters; None for the one that a model has by default.
        parameters: Parameters of the model by name; a complex index may be a list [n, kappa].

    Raises:
        DeviceError: if there is no such model or parameter, or its value is of another kind or out of its range.

    Examples:
        >>> model("printed", 4, wavelength=633e-9, parameters={"index": 1.6}).phase.round(3).tolist()
        [0.0, 1.571, 3.142, 4.712]
    """
    function = MODELS[name]
    known = inspect.signature(function, eval_str=True).parameters
    of_bench = {"levels": levels, "wavelength": wavelength}
    given = {key: value for key, value in of_bench.items() if value is not None and key in known}
    given |= {key: _parameter(name, key, value, known) for key, value in (parameters or {}).items()}
    try:
        states = function(**given)
    except VoltphaseError:
        raise
    except Exception as error:  # whatever another package's code raises becomes a sentence
        raise DeviceError(f"the device {name!r} cannot be made: {failure(error)}") from error
    return checks.instance(states, DeviceStates, f"the states of the device {name!r}", error=DeviceError)


def _parameter(model: str, name: str, value: Any, known: Mapping[str, inspect.Parameter]) -> Any:
    settable = [key for key in known if key != "levels"]
    if name not in settable:
        close = difflib.get_close_matches(name, settable, n=1)
        advice = f"did you mean {close[0]}?" if close else f"it has {', '.join(settable)}"
        raise DeviceError(f"expected a parameter of the device {model}, but it has no {name!r}: {advice}")
    kind = _kind(known[name].annotation)
    several = isinstance(value, list | tuple)
    numbers = list(value) if several else [value]
    if kind is complex and isinstance(value, complex):
        return value
    if kind is complex:
        expected, fits = "a number or [n, kappa]", not several or len(numbers) == 2
    elif get_origin(kind) is tuple:
        expected, fits = "two numbers", several and len(numbers) == 2
    elif kind in (int, float):
        expected, fits = "a number", not several
    else:
        return value
    if not fits or any(isinstance(number, bool) or not isinstance(number, int | float) for number in numbers):
        raise DeviceError(f"expected {expected} as {name} of the device {model}, but got {value!r:.60}")
    if kind is complex:
        return complex(*numbers)
    if several:
        return float(numbers[0]), float(numbers[1])
    # A configuration has whole numbers as floating-point ones.
    return int(value) if kind is int and value == value // 1 else value


def _kind(annotation: Any) -> Any:
    """Return the type in an annotation, without its bounds and None."""
    while get_origin(annotation) in (Annotated, Union, UnionType):
        annotation = next(part for part in get_args(annotation) if part is not NoneType)
    return annotation


def level_count(levels: int) -> int:
    """Return the number of levels of a model, or raise a DeviceError if it is not from 2 to 65536."""
    return checks.whole(levels, "the number of levels", least=2, most=_MOST_LEVELS, error=DeviceError)


def require_positive(**parameters: float) -> None:
    """Raise a DeviceError for the first parameter that is not a finite number above zero."""
    for name, value in parameters.items():
        checks.number(value, name.replace("_", " "), above=0, error=DeviceError)


def absorbing_index(
    name: str, given: complex | None, default: complex, wavelength: float, known: tuple[float, float], what: str
) -> complex:
    """Return the complex index of a material; if none is given its default, within the wavelengths it is known for."""
    if given is None and not known[0] <= wavelength <= known[1]:
        raise DeviceError(
            f"expected {name} as a complex index at {metres(wavelength)}, but got none, and the default, {what}, holds "
            f"from {metres(known[0])} to {metres(known[1])}: give it as [n, kappa] in device.parameters, or give "
            "another wavelength there"
        )
    index = checks.complex_number(default if given is None else given, name, error=DeviceError)
    # No material has more than a hundred, and powers of larger ones are no numbers.
    if not (0 < index.real <= _LARGEST_INDEX and 0 <= index.imag <= _LARGEST_INDEX):
        raise DeviceError(
            f"expected {name} as n + i kappa with n above zero and kappa at least zero, both at most "
            f"{_LARGEST_INDEX:g}, but got {index:g}: with exp(-i omega t), a positive kappa absorbs"
        )
    return index
