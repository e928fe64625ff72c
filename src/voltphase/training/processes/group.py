"""Several processes that have found one another, by PyTorch's collective operations."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import timedelta
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self, TypeVar

import torch
from torch import Tensor
from torch import distributed as dist

from voltphase.core import errors
from voltphase.core.errors import ConfigError, LostProcessError, TrainingError, VoltphaseError
from voltphase.core.words import one_line
from voltphase.training.processes.place import Place
from voltphase.training.processes.ranks import Ranks
from voltphase.training.processes.stores import MEETING_SECONDS

if TYPE_CHECKING:
    from torch._C._distributed_c10d import Store

T = TypeVar("T")

# How long the reason may take to arrive for which a process is gone, and the first process to say one.
_REASON_SECONDS: Final = 5.0
_LOOK_SECONDS: Final = 0.05
# The first process may write a large checkpoint while the others wait.
_PATIENCE: Final = timedelta(hours=2)
_FAILURE: Final = "voltphase/failure"
_HEARD: Final = "voltphase/heard"


class Group(Ranks):
    """The processes of one training that have found one another, as one of them.

    It is a context: what the block fails with in one process, the first of them, all others fail with when they next
    wait for it, so that nothing waits for ever, and the first process can say it.

    Args:
        place: Which process this is.
        store: Where the processes find one another.
        on_gpu: Whether tensors to sum up are on GPUs, one for each process.
        ended: Function that returns why a process that this one has started is gone, or None.

    Raises:
        TrainingError: if not all processes come.
        LostProcessError: if one of them ends before.
    """

    def __init__(
        self, place: Place, store: Store, *, on_gpu: bool = False, ended: Callable[[], str | None] = lambda: None
    ) -> None:
        self.rank, self.count, self.local_rank = place.rank, place.count, place.local_rank
        self.data_from_first = place.started_here
        self._store, self._ended, self._on_gpu, self._nodes = store, ended, on_gpu, place.nodes
        self._heard: BaseException | None = None
        if dist.is_initialized():
            raise ConfigError(
                "expected to make a process group of its own for training.devices and training.nodes, but this process "
                "is in one already: leave it before, or train in one process"
            )
        self._meet()
        # Tensors on the CPU are exchanged by gloo on any machine.
        backend = "cpu:gloo,cuda:nccl" if on_gpu else "gloo"
        dist.init_process_group(backend, store=store, rank=self.rank, world_size=self.count, timeout=_PATIENCE)
        self._done = threading.Event()

    def __enter__(self) -> Self:
        if self._on_gpu:
            # A GPU waits for another process without end, and the process for its GPU.
            threading.Thread(target=self._watch, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._done.set()
        mine = error is not None and error is not self._heard
        if error is not None and mine:
            self._tell(error)
        with suppress(RuntimeError, ValueError):
            dist.destroy_process_group() if error is None or not self._on_gpu else _abort()
        with suppress(RuntimeError):
            if error is not None and self.first:
                self._store.set(_HEARD, "")
            elif mine:
                # Launchers end all processes with the first one that ends, which is to be told why before.
                self._wait(lambda: self._store.check([_HEARD]), _REASON_SECONDS)

    def sum_over(self, tensors: Sequence[Tensor]) -> None:
        parts = [torch.view_as_real(one) if one.is_complex() else one for one in tensors]
        together = torch.cat([part.reshape(-1) for part in parts])
        self._all(lambda: dist.all_reduce(together))
        for part, summed in zip(parts, together.split([part.numel() for part in parts]), strict=True):
            part.copy_(summed.view_as(part))

    def gathered(self, value: T) -> list[T]:
        found: list[Any] = [None] * self.count
        self._all(lambda: dist.all_gather_object(found, value))
        return found

    def of_first(self, make: Callable[[], T]) -> T:
        found: list[Any] = [make() if self.first else None]
        self._all(lambda: dist.broadcast_object_list(found, device=torch.device("cpu")))
        return found[0]

    def about(self) -> dict[str, Any]:
        return {"processes": self.count, "nodes": self._nodes}

    def _all(self, run: Callable[[], object]) -> None:
        try:
            run()
        except RuntimeError as error:
            self._heard = self._reason()
            raise self._heard from error

    def _meet(self) -> None:
        self._store.set(f"voltphase/{self.rank}", "")
        names = [f"voltphase/{rank}" for rank in range(self.count)]

        def met() -> bool:
            if (why := self._ended()) is not None:
                raise LostProcessError(f"expected {self.count} processes to train together, but {why}")
            return self._store.check(names)

        if not self._wait(met, MEETING_SECONDS):
            here = sum(self._store.check([name]) for name in names)
            raise TrainingError(
                f"expected {self.count} processes, as training.devices and training.nodes say, but after "
                f"{MEETING_SECONDS:g} s only {here} are here: start as many"
            )

    def _tell(self, error: BaseException) -> None:
        """Say why this process ends, unless another has said so before."""
        known = isinstance(error, VoltphaseError) and type(error) is getattr(errors, type(error).__name__, None)
        interrupted = isinstance(error, KeyboardInterrupt | SystemExit)
        about = str(error) if isinstance(error, VoltphaseError) else f"{type(error).__name__}: {error}"
        text = about if isinstance(error, VoltphaseError) else f"process {self.rank} of {self.count} failed: {about}"
        kind = "" if interrupted else type(error).__name__ if known else TrainingError.__name__
        with suppress(RuntimeError):
            self._store.compare_set(_FAILURE, "", json.dumps([kind, one_line(text)]))

    def _reason(self) -> BaseException:
        """Return what another process failed with."""
        with suppress(RuntimeError):
            gone = self._ended() is not None  # and has said why before, or never will
            if self._wait(lambda: self._store.check([_FAILURE]), 0.0 if gone else _REASON_SECONDS):
                kind, text = json.loads(self._store.get(_FAILURE))
                return getattr(errors, kind)(text) if kind else KeyboardInterrupt()
        why = self._ended() or "one of them ended without a word, as where memory runs out"
        return LostProcessError(
            f"expected {self.count} processes to train together, but {why}: every whole epoch is kept"
        )

    def _watch(self) -> None:
        with suppress(RuntimeError):
            store: Any = self._store
            store = store.clone()  # whose operations wait for no other thread
            while not self._done.wait(0.5):
                if store.check([_FAILURE]) or self._ended() is not None:
                    time.sleep(_REASON_SECONDS)
                    if not self._done.is_set():
                        _abort()
                    return

    @staticmethod
    def _wait(until: Callable[[], bool], seconds: float) -> bool:
        end = time.monotonic() + seconds
        while not until():
            if time.monotonic() > end:
                return False
            time.sleep(_LOOK_SECONDS)
        return True


def _abort() -> None:
    """End what GPUs wait for; a process group that has failed may not be left in any other way."""
    abort: Any = getattr(dist.distributed_c10d, "_abort_process_group", None)
    if abort is not None:
        abort()
