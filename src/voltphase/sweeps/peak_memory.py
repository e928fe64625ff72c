"""Training in a process of its own, the only way to know the memory it takes."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

import torch

from voltphase.config import Config
from voltphase.core.errors import TrainingError
from voltphase.training import train


def train_apart(config: Config, folder: Path) -> dict[str, Any]:
    """Train in a fresh process, which ends when this one does or is interrupted; an old run folder is replaced.

    Returns:
        ``peak_bytes``, the most memory the process (on a GPU, PyTorch there) held, and ``bytes_before``, what it held
        when all was imported and nothing built; None where the system does not say.

    Raises:
        VoltphaseError: as :func:`voltphase.training.train` does; also if the process is killed.
    """
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_work, args=(sender, config, folder), daemon=True)
    with _interrupts_ignored():
        process.start()
    sender.close()
    try:
        outcome = receiver.recv()
    except EOFError as error:
        process.join()
        raise TrainingError(
            f"expected the process that trains to give its figures, but it ended with code {process.exitcode}: if the "
            "system killed it (-9), it may have needed more memory than there is"
        ) from error
    finally:
        receiver.close()
        process.terminate()
        process.join()
    if isinstance(outcome, BaseException):
        raise outcome
    return outcome


@contextmanager
def _interrupts_ignored() -> Iterator[None]:
    # A process that is started meanwhile inherits it. Ctrl-C goes to all processes of a terminal, and this one decides
    # what happens.
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _work(sender: Connection, config: Config, folder: Path) -> None:
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        on_gpu = torch.cuda.is_available() and config.training.accelerator != "cpu"
        before = 0 if on_gpu else _status("VmRSS")
        # A measurement that was interrupted starts again.
        train(config, folder, overwrite=True)
        peak = torch.cuda.max_memory_allocated() if on_gpu else _status("VmHWM")
        sender.send({"peak_bytes": peak, "bytes_before": before, "memory_of": "gpu" if on_gpu else "process"})
    except Exception as error:
        sender.send(error)


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)


def _status(field: str) -> int | None:
    # Not getrusage, whose maximum includes that of the process this one was forked from.
    try:
        lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{field}:")), None)
