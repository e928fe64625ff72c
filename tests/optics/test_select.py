"""Which back end runs a stack, where other packages add some."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

import voltphase as vp
from voltphase.core.errors import ConfigError
from voltphase.core.registry import PluginWarning
from voltphase.optics.backends import BACKENDS, Backend, Executor, Options
from voltphase.optics.backends.select import compiled, select
from voltphase.optics.paths import paths_between, stack_of
from voltphase.optics.stack import Stack


class Added(Backend):
    def obstacle(self, stack: Stack, options: Options) -> str | None:
        return None

    def cost(self, stack: Stack, options: Options) -> float:
        return 1.0

    def compile(self, stack: Stack, options: Options) -> Executor:
        raise RuntimeError("bad")


class NoCost(Added):
    def cost(self, stack: Stack, options: Options) -> float:
        return float("nan")


class Stubborn(Added):
    def obstacle(self, stack: Stack, options: Options) -> str | None:
        raise RuntimeError("bad")


class Unmade(Added):
    def __init__(self) -> None:
        raise RuntimeError("bad")


@pytest.fixture
def stack() -> Stack:
    plane = vp.Grid(8, 36e-6)
    return stack_of(paths_between([plane] * 3, [0.3] * 2, wavelength=532e-9, method="fresnel"))


@pytest.fixture
def add(monkeypatch: pytest.MonkeyPatch) -> Callable[[type[Backend]], None]:
    def added(kind: type[Backend]) -> None:
        for kept in ("_entries", "_left_out"):
            monkeypatch.setattr(BACKENDS, kept, dict(getattr(BACKENDS, kept)))
        BACKENDS.register("added")(kind)

    return added


@pytest.mark.parametrize("kind", [Added, NoCost, Stubborn, Unmade])
def test_a_back_end_that_fails_is_left_out_where_nobody_asked_for_it(
    add: Callable[[type[Backend]], None], stack: Stack, kind: type[Backend]
) -> None:
    add(kind)
    with pytest.warns(PluginWarning, match="a back end 'added' is left out"):
        selected, executor = compiled(stack, Options(torch.complex64))
    assert selected.name in ("cpu", "reference")
    assert isinstance(executor, Executor)
    with pytest.raises(ConfigError, match="'added' cannot be used"):
        select(stack, Options(), "added")


@pytest.mark.parametrize("kind", [Added, Stubborn, Unmade])
def test_whoever_asks_for_it_is_told_what_fails(
    add: Callable[[type[Backend]], None], stack: Stack, kind: type[Backend]
) -> None:
    add(kind)
    with pytest.raises(ConfigError, match="'added' failed: RuntimeError: bad") as caught:
        compiled(stack, Options(), "added")
    assert isinstance(caught.value.__cause__, RuntimeError)


class Odd(Added):
    """A back end whose compile returns nothing."""

    def compile(self, stack: Stack, options: Options) -> Executor:
        return None  # pyright: ignore[reportReturnType]


class NoEngines(Added):
    """A back end that says of nothing what applies its kernels."""

    def compile(self, stack: Stack, options: Options) -> Executor:
        executor = BACKENDS["reference"]().compile(stack, options)
        executor.engines = executor.engines[:1]
        return executor


@pytest.mark.parametrize(
    ("kind", "words"),
    [(Odd, "expected an Executor from the back end added, but got None"), (NoEngines, "each of 2 gaps, .* but got")],
)
def test_a_back_end_that_makes_nothing_that_runs_is_told_and_left_out(
    add: Callable[[type[Backend]], None], stack: Stack, kind: type[Backend], words: str
) -> None:
    add(kind)
    with pytest.raises(ConfigError, match=words):
        compiled(stack, Options(), "added")
    with pytest.warns(PluginWarning, match=words):
        assert compiled(stack, Options())[0].name in ("cpu", "reference")
