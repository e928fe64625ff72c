"""Processes that a training asks for: those that were started with this one, or are started by it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import torch
from torch import distributed as dist

from voltphase.config import Config, TrainingConfig
from voltphase.core.errors import ConfigError
from voltphase.training.processes.group import Group
from voltphase.training.processes.machine import accelerator_of
from voltphase.training.processes.place import Place, place_of, process_count
from voltphase.training.processes.ranks import ALONE, Ranks
from voltphase.training.processes.stores import LOCAL, open_store, own_store

if TYPE_CHECKING:
    from torch._C._distributed_c10d import Store

# What is found on the way to voltphase here is found there too.
_PROGRAM: Final = (
    "import json, sys\n"
    "call = json.loads(sys.stdin.buffer.readline())\n"
    "sys.path[:] = call['path']\n"
    "from voltphase.training.processes.worker import work\n"
    "work(call)\n"
)
# How long processes may take to end by themselves.
_END_SECONDS: Final = 10.0


def is_first(training: TrainingConfig) -> bool:
    """Return whether this process is the one that says everything, of those that a training asks for."""
    place = place_of(training)
    return place is None or place.rank == 0


@dataclass(frozen=True)
class Call:
    """What processes that are started are to train."""

    config: Config
    out: Path
    resume: bool
    overwrite: bool


@contextmanager
def training_together(call: Call) -> Iterator[Ranks]:
    """Train in the block together with all other processes that a configuration asks for.

    Args:
        call: What is trained.

    Raises:
        ConfigError: if there is no GPU, or too few, where they are asked for, or others were started than asked for.
        TrainingError: if the others do not come.
        VoltphaseError: what any of the processes fails with.
        KeyboardInterrupt: if any of them is interrupted.
    """
    training = call.config.training
    if process_count(training) == 1:
        yield ALONE
        return
    if not dist.is_available():
        raise ConfigError("expected a PyTorch with torch.distributed for several processes, but this one has none")
    place, on_gpu, lacking = place_of(training), False, None
    try:
        if on_gpu := accelerator_of(call.config) == "cuda":
            _require_gpus(training, place)
    except ConfigError as error:
        if place is None:
            raise
        on_gpu, lacking = False, error
    if place is None:
        with _others(call) as (place, store, ended), taking_part(place, store, on_gpu, ended) as group:
            yield group
        return
    with taking_part(place, open_store(place), on_gpu) as group:
        if lacking is not None:  # which may be so on this machine alone, and is for the first process to say
            raise lacking
        yield group


@contextmanager
def taking_part(place: Place, store: Store, on_gpu: bool, ended: Any = lambda: None) -> Iterator[Group]:
    """Be one of several processes in the block, on the GPU that is its own."""
    if on_gpu:
        torch.cuda.set_device(place.local_rank % torch.cuda.device_count())
    with Group(place, store, on_gpu=on_gpu, ended=ended) as group:
        yield group


def _require_gpus(training: TrainingConfig, place: Place | None) -> None:
    there = torch.cuda.device_count()
    # A scheduler may show each process its own GPU alone.
    if there < training.devices and not (there == 1 and place is not None and place.by == "srun"):
        raise ConfigError(
            f"expected a CUDA GPU for each of training.devices {training.devices}, but got {there}: lower it, or train "
            "on the CPU with training.accelerator cpu"
        )


@contextmanager
def _others(call: Call) -> Iterator[tuple[Place, Store, Any]]:
    """Start the other processes, which find this one at a store, and end them after the block at the latest."""
    store = own_store()
    count = process_count(call.config.training)
    about = {
        "path": sys.path,
        "config": {key: part for key, part in call.config.model_dump(mode="json").items() if part is not None},
        "out": str(call.out),
        "resume": call.resume,
        "overwrite": call.overwrite,
        "port": store.port,
    }
    started: list[subprocess.Popen[bytes]] = []

    def ended() -> str | None:
        for rank, process in enumerate(started, start=1):
            if (code := process.poll()) is not None:
                how = f"by signal {-code}, as where memory runs out" if code < 0 else f"with code {code}"
                return f"process {rank} ended {how}"
        return None

    try:
        started.extend(_start({**about, "rank": rank}) for rank in range(1, count))
        place = Place.started_by_first(0, count, LOCAL, store.port)
        yield place, open_store(place, store), ended
    except BaseException:
        _end(started, wait=2.0)
        raise
    _end(started, wait=_END_SECONDS)


def _start(about: dict[str, Any]) -> subprocess.Popen[bytes]:
    # In a session of its own: Ctrl-C in a terminal is for the first process, which tells the others. Each of these ends
    # when its standard input does, whatever ends the first.
    environment = {"TORCH_CPP_LOG_LEVEL": "ERROR"} | os.environ  # without warnings, each with a stack, of who is gone
    call = [sys.executable, "-c", _PROGRAM]
    process = subprocess.Popen(call, stdin=subprocess.PIPE, env=environment, start_new_session=True)
    assert process.stdin is not None
    with suppress(BrokenPipeError):  # it is seen to have ended
        process.stdin.write(json.dumps(about).encode() + b"\n")
        process.stdin.flush()
    return process


def _end(started: list[subprocess.Popen[bytes]], wait: float) -> None:
    for process in started:
        try:
            process.wait(wait)
        except (subprocess.TimeoutExpired, KeyboardInterrupt):
            wait = 0.0
        with suppress(BrokenPipeError, AttributeError):
            process.stdin.close()  # pyright: ignore[reportOptionalMemberAccess]
    for process in started:
        try:
            process.wait(1.0)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
