"""Which back end runs a stack: the cheapest that can, by each back end's own estimate, or the one that is asked for."""

from __future__ import annotations

from typing import NamedTuple

from voltphase.core import checks
from voltphase.core.errors import ConfigError
from voltphase.optics.backends.base import BACKENDS, Backend, Options
from voltphase.optics.stack import Stack

#: What chooses the back end.
AUTO = "auto"


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
    if name != AUTO:
        checks.word(name, "a back end", (AUTO, *BACKENDS))
        chosen = BACKENDS[name]()
        if obstacle := chosen.obstacle(stack, options):
            raise ConfigError(
                f"expected a back end that can run this network, but {name!r} cannot, because {obstacle}: use "
                f"{AUTO!r} or 'reference'"
            )
        return Selected(name, chosen, "as asked for")
    costs: dict[str, float] = {}
    said: list[str] = []
    for other, kind in BACKENDS.items():
        backend = kind()
        if obstacle := backend.obstacle(stack, options):
            said.append(f"{other} cannot, because {obstacle}")
        else:
            costs[other] = backend.cost(stack, options)
    best = min(costs, key=lambda other: costs[other])
    compared = [f"{costs[other] / 1e6:.3g} ms by {other}" for other in costs if other != best]
    reason = "; ".join([f"{costs[best] / 1e6:.3g} ms an image on a CPU core, as estimated", *compared, *said])
    return Selected(best, BACKENDS[best](), reason)
