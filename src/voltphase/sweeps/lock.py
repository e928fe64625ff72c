"""Who is at work on what, among processes and machines that share a folder."""

from __future__ import annotations

import json
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from secrets import token_hex
from typing import Final

import psutil

from voltphase.core.errors import OutputError
from voltphase.core.files import read_errors, write_errors

_BEAT_SECONDS: Final = 20.0
# A machine that sleeps or a network that stalls is given some minutes before its work is taken over.
_DEAD_SECONDS: Final = 300.0
# Far below the time in which process numbers come round, and above what clocks are read to.
_SAME_START_SECONDS: Final = 1.0


@contextmanager
def claim(path: Path) -> Iterator[bool]:
    """Claim what the file ``path`` stands for; gives whether it was free.

    The file holds host and process, and is touched again and again while the block runs. A claim is free if nobody made
    it, if its process has ended (on this host), or if it has not been touched for five minutes (on another). It is
    there whole or not at all, whenever its maker is killed and however full the disk is.

    Raises:
        OutputError: if the file cannot be written, or is there and cannot be read.
    """
    # Beside, in the same folder: its time is that of the clock by which the claims there are touched.
    mine = path.with_name(f".{path.name}-{token_hex(8)}")
    content = json.dumps(_maker() | {"token": token_hex(8)})
    with write_errors(path):
        try:
            mine.write_text(content, encoding="utf-8")
            free = _put(mine, path) or (_bury_if_dead(path, mine.stat().st_mtime) and _put(mine, path))
        finally:
            mine.unlink(missing_ok=True)
    if not free:
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
            if path.read_text(encoding="utf-8") == content:
                path.unlink()


def sweep(folder: Path, now: float) -> None:
    """Remove what claims leave in ``folder`` when their makers are killed while they make or bury them.

    Args:
        folder: Where claims are.
        now: The time of a file just written there.
    """
    for file in folder.glob(".*.claim-*"):
        with suppress(OSError):
            if _dead(file.read_bytes(), now - file.stat().st_mtime):
                file.unlink()


def _put(mine: Path, path: Path) -> bool:
    """Put the claim in its place, unless there is one."""
    try:
        path.hardlink_to(mine)
    except FileExistsError:
        return False
    except OSError:
        # Some file systems know no links. On these a kill at this very moment leaves half a claim, which holds until
        # it has been silent for some minutes.
        with suppress(FileExistsError), path.open("x", encoding="utf-8") as stream:
            try:
                stream.write(mine.read_text(encoding="utf-8"))
                stream.flush()
            except OSError:
                path.unlink()
                raise
            return True
        return False
    return True


def _bury_if_dead(path: Path, now: float) -> bool:
    """Remove a claim whose maker is gone; gives whether it was one."""
    try:
        with read_errors(path, OutputError):
            content, touched = path.read_bytes(), path.stat().st_mtime
    except OutputError as error:
        if isinstance(error.__cause__, FileNotFoundError):
            return True
        raise
    if not _dead(content, now - touched):
        return False
    # Only one of several that found it dead succeeds in renaming it; whoever renamed a new one puts it back.
    grave = path.with_name(f".{path.name}-{token_hex(8)}")
    try:
        path.rename(grave)
    except FileNotFoundError:
        return True
    buried = grave.read_bytes()
    if buried != content:
        _put(grave, path)
    grave.unlink()
    return buried == content


def _maker() -> dict[str, str | int | float]:
    return {"host": _host(), "process": os.getpid(), "started": _started(psutil.Process())}


def _host() -> str:
    """What tells apart the machines, and containers of one machine, whose processes do not see each other."""
    parts = [socket.gethostname()]
    with suppress(OSError):
        parts.append(Path("/proc/sys/kernel/random/boot_id").read_text(encoding="utf-8").strip())
        parts.append(str(Path("/proc/self/ns/pid").readlink()))
    return " ".join(parts)


def _dead(content: bytes, silent: float) -> bool:
    try:
        maker = json.loads(content)
        host, process, started = maker["host"], int(maker["process"]), float(maker["started"])
    except (ValueError, KeyError, TypeError, RecursionError):
        return silent > _DEAD_SECONDS  # of an earlier version, or being written at this moment
    # A process that is stopped, or on a machine that slept, does not touch its claim, and goes on with its work later.
    return not _runs(process, started) if host == _host() else silent > _DEAD_SECONDS


def _runs(process: int, started: float) -> bool:
    """Whether the process is there that began then: its number may have gone to another since."""
    try:
        found = psutil.Process(process)
        return found.status() != psutil.STATUS_ZOMBIE and abs(_started(found) - started) < _SAME_START_SECONDS
    except psutil.AccessDenied:
        return True
    except (psutil.Error, OverflowError, ValueError):
        return False


def _started(process: psutil.Process) -> float:
    # Since the machine started, not by a clock that may be set.
    return process.create_time() - psutil.boot_time()


def _beat(path: Path, done: threading.Event) -> None:
    while not done.wait(_BEAT_SECONDS):
        with suppress(OSError):
            os.utime(path)
