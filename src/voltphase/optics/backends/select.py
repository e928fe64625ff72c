"""Which back end runs a stack: the cheapest that can, by each back end's own estimate, or the one that is asked for."""

from __future__ import annotations

from typing import NamedTuple

from voltphase.core import checks
from voltphase.core.errors import ConfigError, VoltphaseError
from voltphase.core.registry import AUTO, failure
from voltphase.optics.backends.base import BACKENDS, Backend, Executor, Options
from voltphase.optics.stack import Stack


class Selected(NamedTuple):
    """A back end and why it is that one.

    Attributes:
        name: Its name.
        backend: The back end itself.
        reason: Why, with the costs that were compared and what others cannot run.
    """

    name: str
    backend: Backend
    reason: str


def select(stack: Stack, options: Options, name: str = AUTO) -> Selected:
    """Return the back end for a stack.

    Args:
        stack: Kernels between the planes.
        options: Precision and engine.
        name: Name of a back end, or ``"auto"`` for the one that is estimated to cost least.

    Raises:
        ConfigError: if there is no back end of that name, or it cannot run the stack.
    """
    if BACKENDS.checked(name, AUTO) != AUTO:
        try:
            chosen = BACKENDS[name]()
            obstacle = chosen.obstacle(stack, options)
        except Exception as error:
            if _is_ours(BACKENDS[name]) or isinstance(error, VoltphaseError):
                raise
            raise _failed(name, error) from error
        if obstacle:
            raise ConfigError(
                f"expected a back end that can run this network, but {name!r} cannot, because {obstacle}: use "
                f"{AUTO!r} or 'reference'"
            )
        return Selected(name, chosen, "as asked for")
    costs: dict[str, float] = {}
    made: dict[str, Backend] = {}
    said: list[str] = []
    for other, kind in list(BACKENDS.items()):
        try:
            made[other] = kind()
            if obstacle := made[other].obstacle(stack, options):
                said.append(f"{other} cannot, because {obstacle}")
            else:
                costs[other] = checks.number(made[other].cost(stack, options), f"the cost of {other}", least=0)
        except Exception as error:  # of another package's back end, which nobody asked for
            if _is_ours(kind):
                raise
            BACKENDS.leave_out(other, failure(error))
    best = min(costs, key=lambda other: costs[other])
    compared = [f"{costs[other] / 1e6:.3g} ms by {other}" for other in costs if other != best]
    reason = "; ".join([f"{costs[best] / 1e6:.3g} ms an image on a CPU core, as estimated", *compared, *said])
    return Selected(best, made[best], reason)


def compiled(stack: Stack, options: Options, name: str = AUTO) -> tuple[Selected, Executor]:
    """Return the back end for a stack, and what runs it; see :func:`select` for what is given and raised."""
    selected = select(stack, options, name)
    kind = type(selected.backend)
    try:
        return selected, selected.backend.compile(stack, options)
    except Exception as error:
        if _is_ours(kind) or (name != AUTO and isinstance(error, VoltphaseError)):
            raise
        if name != AUTO:
            raise _failed(name, error) from error
        BACKENDS.leave_out(selected.name, failure(error))
    return compiled(stack, options)


def _failed(name: str, error: Exception) -> ConfigError:
    return ConfigError(f"the back end {name!r} failed: {failure(error)}: use {AUTO!r} or 'reference'")


def _is_ours(kind: type[Backend]) -> bool:
    return kind.__module__.partition(".")[0] == __name__.partition(".")[0]
