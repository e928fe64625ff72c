"""Where the processes of a training find one another: PyTorch's stores of keys and values, at an address."""

from __future__ import annotations

import os
import socket
import time
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from torch import distributed as dist

from voltphase.core.errors import TrainingError
from voltphase.core.words import one_line
from voltphase.training.processes.place import Place

if TYPE_CHECKING:
    from torch._C._distributed_c10d import Store

#: How long processes wait for those that have not come yet; a cluster may start them minutes apart.
MEETING_SECONDS: Final = 300.0
#: Where processes of one machine meet.
LOCAL: Final = "127.0.0.1"
_ANSWER_SECONDS: Final = 5.0
_LOOK_SECONDS: Final = 0.05
# What type checkers take for private is in PyTorch's documentation.
_c10d: Any = dist


def own_store() -> Any:
    """Return a new store on this machine, with the ``port`` that it is found at."""
    return _c10d.TCPStore(LOCAL, 0, is_master=True, wait_for_workers=False)


def open_store(place: Place, own: Any = None) -> Store:
    """Return the store where the processes meet that this one belongs to.

    Args:
        place: Which process this is.
        own: The store, where this process has made it.

    Raises:
        TrainingError: if it cannot be reached.
    """
    if own is not None:
        return _c10d.PrefixStore("voltphase/0", own)
    # The agent of torchrun holds a store already, which its first process must not open again.
    agent = place.by == "torchrun" and os.environ.get("TORCHELASTIC_USE_AGENT_STORE") == "True"
    opens = place.rank == 0 and not agent
    try:
        if not opens:
            _await(place)
        store = _c10d.TCPStore(
            place.address,
            place.port,
            is_master=opens,
            timeout=timedelta(seconds=MEETING_SECONDS),
            wait_for_workers=False,
        )
    except (OSError, RuntimeError) as error:
        advice = "let MASTER_PORT name a port that is free" if opens else "start it there, or correct where it is"
        raise TrainingError(
            f"expected to reach the first of {place.count} processes at {place.address}, port {place.port}, but "
            f"{one_line(str(error)):.200}: {advice}"
        ) from error
    # A second attempt of torchrun finds what the first has left there.
    attempt = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0") if agent else "0"
    return _c10d.PrefixStore(f"voltphase/{attempt}", store)


def _await(place: Place) -> None:
    """Wait until somebody answers at the address of the first process; unlike a store's own waiting, Ctrl-C ends it."""
    end = time.monotonic() + MEETING_SECONDS
    while True:
        try:
            with socket.create_connection((place.address, place.port), timeout=_ANSWER_SECONDS):
                return
        except OSError:
            if time.monotonic() > end:
                raise
        time.sleep(_LOOK_SECONDS)
