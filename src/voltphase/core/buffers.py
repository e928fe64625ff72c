"""Large buffers that are used again instead of being given back to the operating system.

The first write to a fresh page of memory costs 1 to 3 microseconds on a virtual machine, more than the arithmetic on
the 4 kB it holds. Allocators return blocks above 32 MB at once, so a training step would pay that for every field it
keeps, at every step. With fresh memory each time a training step takes a third longer at 64 x 64 in batches of 500, a
seventh longer at 200 x 200 in batches of 32 (``python -m benchmarks step --contenders voltphase
voltphase-fresh-memory``).
"""

from __future__ import annotations

import functools
import math
import threading
import time
import weakref
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

# Below this the allocator keeps blocks itself.
_SMALLEST = 1 << 20
# A block is lent to requests down to this part of its size.
_LEAST_USE = 0.5
# Seconds after which a block that nobody asked for is given back, at the next request that needs a new one.
_KEEP = 20.0
# The width of a vector register and of a cache line.
_ALIGNMENT = 64

_idle: list[tuple[float, np.ndarray]] = []
_lock = threading.Lock()


def borrow(shape: Sequence[int], dtype: torch.dtype, device: torch.device | str = "cpu") -> Tensor:
    """Return an uninitialised tensor whose memory is used again once nothing refers to it any more.

    Behaves like ``torch.empty``: the memory belongs to the tensor and its views for as long as any of them lives. On
    other devices than the CPU, whose allocators keep memory themselves, it is ``torch.empty``.
    """
    _keep_heap()
    size = math.prod(shape) * dtype.itemsize
    if torch.device(device).type != "cpu" or size < _SMALLEST:
        return torch.empty(*shape, dtype=dtype, device=device)
    block = _take(size)
    # torch keeps this view, and nothing else that leads to the block, alive for as long as the storage.
    view = block[:size]
    weakref.finalize(view, _give_back, block).atexit = False
    return torch.from_numpy(view).view(dtype).view(*shape)


def release() -> None:
    """Give all memory that is not lent at the moment back to the operating system."""
    with _lock:
        _idle.clear()


@functools.cache
def _keep_heap() -> None:
    # glibc returns blocks to the operating system one by one until it has seen a larger one freed, and the top of its
    # heap when twice that size is free. Having seen one of just under its limit of 32 MB, it keeps what is smaller: an
    # FFT of 2 MB, whose result torch allocates at each call, is then three times faster. Nothing is written here, so
    # no memory is used.
    torch.empty(31 << 20, dtype=torch.uint8)


def _give_back(block: np.ndarray) -> None:
    # Runs at any moment, even inside _take: it must not wait for the lock, and an append needs none.
    _idle.append((time.monotonic(), block))


def _take(size: int) -> np.ndarray:
    with _lock:
        fitting = [i for i, (_, block) in enumerate(_idle) if size <= block.size <= size / _LEAST_USE]
        if fitting:
            return _idle.pop(min(fitting, key=lambda i: _idle[i][1].size))[1]
        stale = time.monotonic() - _KEEP
        for i in reversed(range(len(_idle))):
            if _idle[i][0] < stale:
                del _idle[i]
    # numpy asks for huge pages, which makes the first use of a block several times cheaper than torch.empty's.
    raw = np.empty(size + _ALIGNMENT, dtype=np.uint8)
    start = -raw.ctypes.data % _ALIGNMENT
    return raw[start : start + size]
