"""One holder at a time, among processes and machines that share a folder."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from voltphase.core.files import write_errors


@contextmanager
def lock(path: Path) -> Iterator[bool]:
    """Lock a file while the block runs, without waiting for it; gives whether that succeeded.

    The operating system holds the lock: it ends with the block, or with its process however that is killed, and a
    process that is stopped keeps it. The empty file stays.
    """
    holder = FileLock(path)
    with write_errors(path), suppress(Timeout):
        holder.acquire(timeout=0)
    try:
        yield holder.is_locked
    finally:
        holder.release()
