"""Recording what a GPU is told to do, and telling it all at once again: CUDA graphs."""

from __future__ import annotations

import warnings
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final

import torch

# Steps that may wait in the GPU's queue. It never runs empty, and whoever interrupts waits for no more than these.
_AHEAD: Final = 16
_WAITED: Final = "called a synchronizing CUDA operation"


class Graphs(ABC):
    """What records work on a device."""

    @abstractmethod
    @contextmanager
    def running(self) -> Iterator[None]:
        """Run a block, with what it replays, in the order of all other work on the device."""
        yield

    @abstractmethod
    def waiting(self, run: Callable[[], None]) -> str | None:
        """Run ``run``, and return what in it made the host wait for the device, or None if nothing did."""

    @abstractmethod
    def side_by_side(self, runs: Sequence[Callable[[], None]]) -> None:
        """Run all of ``runs``, of which none needs what another does, after all work before and before all after."""

    @abstractmethod
    def record(self, run: Callable[[], None], generators: Sequence[torch.Generator]) -> Callable[[], None]:
        """Record what ``run`` does on the device, without doing it, and return what does it.

        Args:
            run: Function of which nothing but its work on the device is repeated.
            generators: Random generators that it draws with; a replay starts from the state they have then.

        Raises:
            RuntimeError: if it cannot be recorded.
        """


class CudaGraphs(Graphs):
    """CUDA graphs on a stream of their own, which share one pool of memory as they never run at the same time.

    Args:
        device: The CUDA GPU.
    """

    def __init__(self, device: torch.device) -> None:
        self._device, self._pool = device, None
        self._stream = torch.cuda.Stream(device)
        self._branches: list[torch.cuda.Stream] = []
        self._queued: deque[torch.cuda.Event] = deque()

    @contextmanager
    def running(self) -> Iterator[None]:
        with torch.cuda.device(self._device):
            outside = torch.cuda.current_stream()
            self._stream.wait_stream(outside)
            try:
                # What is recorded must have run on the stream that it is recorded on: its handles and workspaces are a
                # stream's, and autograd adds gradients up on the stream where it first met a parameter.
                with torch.cuda.stream(self._stream):
                    yield
            finally:
                outside.wait_stream(self._stream)
            done = torch.cuda.Event(blocking=True)
            done.record(self._stream)
        self._queued.append(done)
        if len(self._queued) > _AHEAD:
            self._queued.popleft().synchronize()

    def waiting(self, run: Callable[[], None]) -> str | None:
        # PyTorch tells of most operations that wait; to find out by a recording that fails would leave its allocator
        # and generators in disorder. Other warnings have been given in the steps before.
        before = torch.cuda.get_sync_debug_mode()
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            torch.cuda.set_sync_debug_mode("warn")
            try:
                run()
            finally:
                torch.cuda.set_sync_debug_mode(before)
        found = [warning for warning in caught if _WAITED in str(warning.message)]
        return f"{found[0].filename}, line {found[0].lineno}, waits for the GPU" if found else None

    def side_by_side(self, runs: Sequence[Callable[[], None]]) -> None:
        if len(runs) == 1:
            runs[0]()
            return
        # The same streams in every step and in the recording, as memory and workspaces are a stream's. Where one of
        # them fails, all are joined still: a recording with an open branch could not be ended.
        self._branches += [torch.cuda.Stream(self._device) for _ in range(len(runs) - len(self._branches))]
        here = torch.cuda.current_stream()
        for branch in self._branches:
            branch.wait_stream(here)
        try:
            for branch, run in zip(self._branches, runs, strict=True):
                with torch.cuda.stream(branch):
                    run()
        finally:
            for branch in self._branches:
                here.wait_stream(branch)

    def record(self, run: Callable[[], None], generators: Sequence[torch.Generator]) -> Callable[[], None]:
        graph = torch.cuda.CUDAGraph()
        for generator in generators:
            graph.register_generator_state(generator)
        with torch.cuda.graph(graph, pool=self._pool, stream=self._stream):
            run()
        self._pool = graph.pool()
        return graph.replay


def graphs_of(device: torch.device) -> Graphs | None:
    """Return what records steps on a device; None where they run as they are written."""
    return CudaGraphs(device) if device.type == "cuda" else None
