"""Training in a process of its own, the only way to know the memory it takes."""

from __future__ import annotations

import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

from voltphase.config import Config


def train_apart(config: Config, run: Path) -> dict[str, Any]:
    """Train in a fresh process.

    Returns:
        ``peak_bytes``, the most memory the process (on a GPU, PyTorch there) held, and ``bytes_before``, what it held
        when all was imported and nothing built; None where the system does not say.

    Raises:
        VoltphaseError: as :func:`voltphase.training.train` does.
    """
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(_train_and_measure, config, run).result()


def _train_and_measure(config: Config, run: Path) -> dict[str, Any]:
    import torch

    from voltphase.training import train

    on_gpu = torch.cuda.is_available() and config.training.accelerator != "cpu"
    before = _status("VmRSS")
    # An interrupted measurement is no measurement: it starts again.
    train(config, run, overwrite=True)
    if on_gpu:
        return {"peak_bytes": torch.cuda.max_memory_allocated(), "bytes_before": 0, "memory_of": "gpu"}
    return {"peak_bytes": _status("VmHWM"), "bytes_before": before, "memory_of": "process"}


def _status(field: str) -> int | None:
    # Not getrusage: its maximum starts from that of the process this one was forked from.
    try:
        lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{field}:")), None)
