"""The memory of this machine, and whether something fits into it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Final

import psutil

from voltphase.core.errors import VoltphaseError

# Limits of the control group of a container or a batch job: version 2, then version 1.
_CGROUPS: Final = (
    ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current"),
    ("/sys/fs/cgroup/memory/memory.limit_in_bytes", "/sys/fs/cgroup/memory/memory.usage_in_bytes"),
)
#: Fraction of the available memory above which a need is close to the limit.
CLOSE: Final = 0.7


# Processes on this machine that do the same at once.
_processes: ContextVar[int] = ContextVar("processes", default=1)


@contextmanager
def memory_for(processes: int) -> Iterator[None]:
    """Share the free memory in the block between so many processes on this machine, of which each does the same."""
    token = _processes.set(processes)
    try:
        yield
    finally:
        _processes.reset(token)


def available_memory() -> int:
    """Return the bytes that this process can still allocate without swapping, within the limit of its container.

    Of several processes that share them, see :func:`memory_for`, it is the part of each.
    """
    available = psutil.virtual_memory().available
    for limit, usage in _CGROUPS:
        try:
            left = int(Path(limit).read_text()) - int(Path(usage).read_text())
        except (OSError, ValueError):  # no such control group, or "max": no limit
            continue
        available = min(available, max(left, 0))
    return available // _processes.get()


def for_whom() -> str:
    """Return what a sentence says after the memory that is free, where it is shared."""
    count = _processes.get()
    return f" for each of {count} processes" if count > 1 else ""


def require_memory(needed: float, what: str, error: type[VoltphaseError], advice: str) -> None:
    """Refuse what needs more memory than :func:`available_memory`, before anything is allocated.

    ``what`` is the subject of the sentence, such as ``"a plane of 65536 x 65536 samples"``, and ``advice`` its end.
    """
    if needed > (free := available_memory()):
        here = f"this machine has {gigabytes(free)} free{for_whom()}"
        raise error(f"{what} needs about {gigabytes(needed)}, but {here}: {advice}")


def gigabytes(size: float) -> str:
    """Return a number of bytes in words.

    Examples:
        >>> gigabytes(17e9)
        '17 GB'
    """
    return f"{size / 1e9:.2g} GB" if size < 1e10 else f"{size / 1e9:.0f} GB"
