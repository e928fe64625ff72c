"""A real PostgreSQL, and trainings that take no time."""

from __future__ import annotations

import math
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from voltphase.config import Config
from voltphase.sweeps.search import sweep as sweeps
from voltphase.training import RunFolder

POSTGRES = Path("/usr/lib/postgresql")


def program(name: str) -> str | None:
    """Where a program of PostgreSQL is: in PATH, or where Debian's packages have it."""
    found = sorted(POSTGRES.glob(f"*/bin/{name}"))
    return shutil.which(name) or (str(found[-1]) if found else None)


@pytest.fixture(scope="session")
def postgresql() -> Iterator[str]:
    """The URL of a PostgreSQL that is there for these tests alone."""
    initdb, postgres = program("initdb"), program("postgres")
    if initdb is None or postgres is None:
        pytest.skip("needs PostgreSQL: Debian's package postgresql brings it")
    pytest.importorskip("psycopg", reason="needs psycopg: pip install 'voltphase[postgresql]'")
    # It refuses to be run by root, and whom it is run by instead cannot enter the folders of root's tests.
    user: dict[str, Any] = {"user": "nobody", "group": "nogroup"} if getattr(os, "geteuid", lambda: 1)() == 0 else {}
    folder = Path(tempfile.mkdtemp(prefix="postgresql-"))
    if user:
        shutil.chown(folder, **user)
    data = folder / "data"
    options = ["-U", "voltphase", "-A", "trust", "--no-sync"]
    subprocess.run([initdb, "-D", data, *options], check=True, capture_output=True, cwd=folder, **user)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    words = [postgres, "-D", data, "-p", str(port), "-k", folder, "-c", "listen_addresses=127.0.0.1", "-F"]
    server = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=folder, **user)
    try:
        url = f"postgresql://voltphase@127.0.0.1:{port}/postgres"
        _wait_for(url)
        yield url
    finally:
        server.send_signal(signal.SIGINT)  # without waiting for those who are connected
        server.wait()
        shutil.rmtree(folder)


def _wait_for(url: str) -> None:
    import psycopg

    for _ in range(200):
        try:
            psycopg.connect(url).close()
        except psycopg.OperationalError:
            time.sleep(0.1)
        else:
            return
    raise TimeoutError("PostgreSQL did not start")


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> Counter[Path]:
    """Trains nothing: the best gain is 10, all else follows; counts what would have been trained."""
    trained: Counter[Path] = Counter()

    def train_on(config: Config, folder: Path, *, watch: Callable[..., None] | None, **_: Any) -> dict[str, Any]:
        trained[folder] += 1
        gain: Any = config.codesign.gain
        worth = 1 - abs(math.log10(gain) - 1) / 3 + config.seed / 1000
        history = []
        for epoch in range(1, config.training.epochs + 1):
            row = {"epoch": epoch, "temperature": 1.0, "train_loss": 1 - worth, "test_accuracy": worth * epoch / 10}
            history.append(row | {"seconds": 1.0, "images_per_second": 1.0})
            if watch is not None:
                watch(history[-1])
        folder.mkdir(parents=True)
        RunFolder(folder).write_metrics(history)
        return {"watched": "test", **history[-1]}

    monkeypatch.setattr(sweeps, "train_on", train_on)
    return trained
