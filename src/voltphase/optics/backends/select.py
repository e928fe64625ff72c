"""Which back end runs a stack: the cheapest that can, by each back end's own estimate, or the one that is asked for."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Final, NamedTuple

import torch

from voltphase.core import checks
from voltphase.core.advice import advise
from voltphase.core.errors import ConfigError, VoltphaseWarning
from voltphase.core.installed import triton_obstacle
from voltphase.core.registry import AUTO
from voltphase.optics.backends.base import BACKENDS, Backend, Executor, Options
from voltphase.optics.stack import Stack

_ADVICE: Final = f"use {AUTO!r} or 'reference'"


class BackendWarning(VoltphaseWarning):
    """The back end for a GPU cannot run where it is asked for or would be fastest."""


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
        ConfigError: if there is no back end of that name, or it cannot run the stack; or none can, on that device.

    Warns:
        BackendWarning: if a GPU's own back end lacks a library, or is asked for where there is no GPU.
    """
    if BACKENDS.checked(name, AUTO) != AUTO:
        with BACKENDS.trying(name, asked=True, advice=_ADVICE):
            chosen = BACKENDS[name]()
            obstacle = chosen.obstacle(stack, options)
            on_gpu = chosen.obstacle(stack, replace(options, device="cuda"))
        here = torch.cuda.is_available()
        if obstacle and options.device == "cpu" and on_gpu in (None, None if here else triton_obstacle("cuda")):
            # Networks are made on the CPU, and what a GPU has trained is read elsewhere too.
            other = select(stack, options)
            if not here:
                advise(f"{name!r} cannot run here, because {obstacle}: {other.name!r} runs instead", BackendWarning)
            return other._replace(reason=f"{name} runs once the network is on a GPU; until then {other.reason}")
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
                cost = made[other].cost(stack, options)
                if cost == math.inf:
                    said.append(f"{other} only runs if it is asked for")
                else:
                    costs[other] = checks.number(cost, f"the cost of {other}", least=0)
    if not costs:
        raise ConfigError(f"expected a back end that can run this network on {options.device}, but {'; '.join(said)}")
    best = min(costs, key=lambda other: costs[other])
    compared = [f"{costs[other] / 1e6:.3g} ms by {other}" for other in costs if other != best]
    place = "a CPU core" if options.device == "cpu" else "a GPU"
    reason = "; ".join([f"{costs[best] / 1e6:.3g} ms an image on {place}, as estimated", *compared, *said])
    missing = triton_obstacle("cuda") if options.device == "cuda" else None
    if missing and any(missing in one for one in said):
        advise(f"the back end for GPUs cannot run, because {missing}: {best!r} runs, which is slower", BackendWarning)
    return Selected(best, made[best], reason)


def compiled(stack: Stack, options: Options, name: str = AUTO) -> tuple[Selected, Executor]:
    """Return the back end for a stack, and what runs it; see :func:`select` for what is given and raised."""
    selected = select(stack, options, name)
    with BACKENDS.trying(selected.name, asked=name != AUTO, advice=_ADVICE):
        return selected, _runnable(selected.backend.compile(stack, options), selected.name, len(stack.gaps))
    return compiled(stack, options)


def _runnable(made: object, name: str, gaps: int) -> Executor:
    advice = "return one from its compile"
    executor = checks.instance(made, Executor, f"an Executor from the back end {name}", advice=advice)
    engines = getattr(executor, "engines", None)
    if not isinstance(engines, tuple) or [type(one) for one in engines] != [str] * gaps:
        raise ConfigError(
            f"expected engines, a tuple of one word for each of {gaps} gaps, of what the back end {name} runs, but got "
            f"{checks.shown(engines)}: set them in its __init__"
        )
    return executor
