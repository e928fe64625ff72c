"""Paths as users give them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from voltphase.core.errors import DeviceError
from voltphase.core.files import checked_path, read_errors


@contextmanager
def given_path(path: str | Path) -> Iterator[Path]:
    """The path with ``~`` replaced; what the system refuses to do with it in here becomes a DeviceError.

    Raises:
        DeviceError: if it does, or if there is no such home folder.
    """
    path = checked_path(path, DeviceError)
    with read_errors(path, DeviceError):
        yield path
