"""Which back end runs a stack: the cheapest that can, by each back end's own estimate, or the one that is asked for."""

from __future__ import annotations

from typing import Final, NamedTuple

from voltphase.core import checks
from voltphase.core.errors import ConfigError
from voltphase.core.registry import AUTO
from voltphase.optics.backends.base import BACKENDS, Backend, Executor, Options
from voltphase.optics.stack import Stack

_ADVICE: Final = f"use {AUTO!r} or 'reference'"


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
        with BACKENDS.trying(name, asked=True, advice=_ADVICE):
            chosen = BACKENDS[name]()
            obstacle = chosen.obstacle(stack, options)
        if obstacle:
            raise ConfigError(
                f"expected a back end that can run this network, but {name!r} cannot, because {obstacle}: {_ADVICE}"
            )
        return Selected(name, chosen, "as asked for")
    costs: dict[str, float] = {}
    made: dict[str, Backend] = {}
    said: list[str] = []
    for other, kind in list(BACKENDS.items()):
        with BACKENDS.trying(other):
            made[other] = kind()
            if obstacle := made[other].obstacle(stack, options):
                said.append(f"{other} cannot, because {obstacle}")
            else:
                costs[other] = checks.number(made[other].cost(stack, options), f"the cost of {other}", least=0)
    best = min(costs, key=lambda other: costs[other])
    compared = [f"{costs[other] / 1e6:.3g} ms by {other}" for other in costs if other != best]
    reason = "; ".join([f"{costs[best] / 1e6:.3g} ms an image on a CPU core, as estimated", *compared, *said])
    return Selected(best, made[best], reason)


def compiled(stack: Stack, options: Options, name: str = AUTO) -> tuple[Selected, Executor]:
    """Return the back end for a stack, and what runs it; see :func:`select` for what is given and raised."""
    selected = select(stack, options, name)
    with BACKENDS.trying(selected.name, asked=name != AUTO, advice=_ADVICE):
        return selected, selected.backend.compile(stack, options)
    return compiled(stack, options)
