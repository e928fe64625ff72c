"""The machine that a configuration trains on: its GPU, or its CPU and how many threads of that."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

import torch

from voltphase.config import Config
from voltphase.core.errors import ConfigError
from voltphase.core.installed import triton_obstacle


def accelerator_of(config: Config) -> str:
    """Return what trains a network, ``"cuda"`` or ``"cpu"``.

    Raises:
        ConfigError: if the configuration asks for what is not there.
    """
    wanted, there = config.training.accelerator, torch.cuda.is_available()
    if wanted == "gpu" and not there:
        raise ConfigError("expected a CUDA GPU for training.accelerator gpu, but PyTorch finds none: use auto or cpu")
    chosen = "cuda" if there and wanted != "cpu" else "cpu"
    if config.optics.backend == "cuda" and (obstacle := triton_obstacle(chosen)):
        raise ConfigError(f"expected a CUDA GPU to train on for optics.backend cuda, because {obstacle}: use auto")
    if config.optics.precision == "tf32" and chosen == "cpu":
        raise ConfigError(
            "expected a CUDA GPU to train on for optics.precision tf32, but got the CPU, which does not know it: "
            "use auto or single"
        )
    return chosen


def same_gpu(accelerator: str) -> AbstractContextManager[object]:
    """Keep the GPU that the process computes on by default, where Lightning takes the first one."""
    return torch.cuda.device(torch.cuda.current_device()) if accelerator == "cuda" else nullcontext()


@contextmanager
def cpu_threads(count: int | None, processes: int = 1) -> Iterator[None]:
    """Use a number of CPU threads in a block.

    Args:
        count: Number of threads; None leaves it as it is, but shares it between processes on the machine.
        processes: Number of these.
    """
    before = torch.get_num_threads()
    if count is not None or processes > 1:
        torch.set_num_threads(count or max(1, before // processes))
    try:
        yield
    finally:
        torch.set_num_threads(before)
