"""Storages of Optuna's, a real PostgreSQL among them."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

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
