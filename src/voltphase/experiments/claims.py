"""Who is at work on what, among processes and machines that share a folder."""

from __future__ import annotations

import json
import os
import socket
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from voltphase.errors import OutputError

_BEAT_SECONDS: Final = 20.0
# A machine that sleeps or a network that stalls is given some minutes before its work is taken over.
_DEAD_SECONDS: Final = 300.0


@contextmanager
def claim(path: Path) -> Iterator[bool]:
    """Claim what the file ``path`` stands for; gives whether it was free.

    The file holds host and process, and is touched again and again while the block runs. A claim is free if nobody made
    it, if its process has ended (on this host), or if it has not been touched for five minutes (on another).

    Raises:
        OutputError: if the file cannot be written.
    """
    mine = json.dumps({"host": socket.gethostname(), "process": os.getpid(), "token": uuid.uuid4().hex})
    if not (_create(path, mine) or (_bury_if_dead(path) and _create(path, mine))):
        yield False
        return
    done = threading.Event()
    beat = threading.Thread(target=_beat, args=(path, done), daemon=True)
    beat.start()
    try:
        yield True
    finally:
        done.set()
        beat.join()
        with suppress(OSError):
            if path.read_text(encoding="utf-8") == mine:
                path.unlink()


def _create(path: Path, content: str) -> bool:
    try:
        descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666)
    except FileExistsError:
        return False
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise OutputError(f"cannot write {path}: {reason}; choose a place that can be written") from error
    with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
        stream.write(content)
    return True


def _bury_if_dead(path: Path) -> bool:
    """Remove a claim whose maker is gone; gives whether it was one."""
    try:
        content, touched = path.read_text(encoding="utf-8"), path.stat().st_mtime
    except FileNotFoundError:
        return True
    if not _dead(content, time.time() - touched):
        return False
    # Only one of several that found it dead succeeds in renaming it; whoever renamed a new one puts it back.
    grave = path.with_name(f"{path.name}-{uuid.uuid4().hex}")
    try:
        path.rename(grave)
    except FileNotFoundError:
        return True
    buried = grave.read_text(encoding="utf-8")
    if buried != content:
        with suppress(FileExistsError):
            path.hardlink_to(grave)
    grave.unlink()
    return buried == content


def _dead(content: str, silent: float) -> bool:
    if silent > _DEAD_SECONDS:
        return True
    try:
        maker = json.loads(content)
        host, process = maker["host"], int(maker["process"])
    except (ValueError, KeyError, TypeError):
        return False  # being written at this moment, or else silent soon
    return host == socket.gethostname() and not _runs(process)


def _runs(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _beat(path: Path, done: threading.Event) -> None:
    while not done.wait(_BEAT_SECONDS):
        with suppress(OSError):
            os.utime(path)
