"""Writing files so that nothing half-written is ever left under its final name, and reading them without trust."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from secrets import token_hex
from shutil import rmtree
from typing import Any

import numpy as np
from numpy.lib.format import open_memmap
from numpy.typing import NDArray

from voltphase.errors import OutputError, VoltphaseError


@contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """Give a temporary path beside ``path`` to write to, and rename it to ``path`` if the block succeeds.

    Raises:
        OutputError: if the file cannot be written (missing folder, no permission, full disk).
    """
    path = Path(path)
    try:
        with _beside(path) as temporary:
            temporary.touch()
            mode = temporary.stat().st_mode
            yield temporary
            # Some writers put a file there that is private.
            temporary.chmod(mode)
            temporary.replace(path)
    except OSError as error:
        raise _cannot_write(path, error) from error


@contextmanager
def atomic_directory(path: str | Path) -> Iterator[Path]:
    """Give a temporary folder to fill, and rename it to ``path``, which must not exist, if the block succeeds.

    Raises:
        OutputError: if ``path`` exists already or cannot be written.
    """
    path = Path(path)
    if path.exists():
        raise OutputError(f"expected a new folder, but {path} exists already: choose another or remove it")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with _beside(path) as temporary:
            temporary.mkdir()
            yield temporary
            temporary.replace(path)
    except OSError as error:
        raise _cannot_write(path, error) from error


def write_text(path: str | Path, text: str) -> None:
    """Write ``text`` to ``path``, whole or not at all."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: str | Path, content: Any) -> None:
    """Write ``content`` as indented JSON to ``path``, whole or not at all."""
    write_text(path, json.dumps(content, indent=1, allow_nan=False) + "\n")


def load_array(path: Path) -> NDArray[Any]:
    """The array of an ``.npy`` file; never one that holds Python objects.

    Raises:
        OSError: if the file cannot be read.
        ValueError: if it is no such array.
    """
    try:
        # Mapped rather than read: a header that promises more than the file holds is found out before memory is asked
        # for.
        return np.array(open_memmap(path, mode="r"))
    except OSError:
        raise
    except Exception as error:  # a damaged header is parsed as Python, and may fail in any way that this can
        raise ValueError("no plain array as numpy.save writes it") from error


def expanded(path: str | Path, error: type[VoltphaseError]) -> Path:
    """The path with ``~`` replaced by the home folder.

    Raises:
        VoltphaseError: the given one, if there is no such home folder.
    """
    try:
        return Path(path).expanduser()
    except RuntimeError as cause:
        raise error(f"expected a path, but there is no home folder for {path}: write it in full") from cause


@contextmanager
def _beside(path: Path) -> Iterator[Path]:
    # In a folder of its own, where it is made like any file and so with the permissions of new files: the umask that
    # says what these are cannot be read without setting it, for all threads. Not a TemporaryDirectory: Ctrl-C while
    # that is being made or removed leaves it behind.
    folder = path.parent / f".{path.stem}-{token_hex(8)}"
    try:
        folder.mkdir()
        yield folder / path.name
    finally:
        try:
            rmtree(folder, ignore_errors=True)
        except (KeyboardInterrupt, OSError):
            # Ctrl-C is all it does not ignore, and may make it close a folder twice, which is an OSError.
            rmtree(folder, ignore_errors=True)
            raise KeyboardInterrupt from None


def _cannot_write(path: Path, error: OSError) -> OutputError:
    reason = error.strerror or str(error)
    return OutputError(f"cannot write {path}: {reason.lower()}; choose a place that can be written")
