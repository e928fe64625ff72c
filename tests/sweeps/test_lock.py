from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from voltphase.core.errors import OutputError
from voltphase.sweeps.lock import lock

HOLD = """
import sys, time
from pathlib import Path
from voltphase.sweeps.lock import lock
with lock(Path(sys.argv[1])) as free:
    print(free, flush=True)
    time.sleep(60)
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "run.lock"


def holder(path: Path) -> subprocess.Popen[str]:
    """A process that holds the lock until it is ended."""
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "True\n"
    return process


def test_only_one_at_a_time(path: Path):
    with lock(path) as first, lock(path) as second:
        assert (first, second) == (True, False)
    with lock(path) as again:
        assert again


def test_it_is_given_up_when_work_fails(path: Path):
    with pytest.raises(ZeroDivisionError), lock(path):
        raise ZeroDivisionError
    with lock(path) as free:
        assert free


def test_another_process_holds_it_until_it_is_killed_and_not_when_it_stops(path: Path):
    with holder(path) as process:
        try:
            with lock(path) as free:
                assert not free
            process.send_signal(signal.SIGSTOP)
            os.utime(path, (0, 0))
            with lock(path) as free:
                assert not free
        finally:
            process.kill()
        process.wait()
    with lock(path) as free:
        assert free


def test_of_many_at_once_one_gets_it(path: Path):
    got: list[bool] = []
    together = threading.Barrier(8)

    def take() -> None:
        together.wait()
        with lock(path) as free:
            got.append(free)
            together.wait()

    threads = [threading.Thread(target=take) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(got) == [False] * 7 + [True]


@pytest.mark.parametrize("content", [b"", b"{", b"\xff"])
def test_what_an_earlier_holder_left_locks_nothing(path: Path, content: bytes):
    path.write_bytes(content)
    with lock(path) as free:
        assert free


def test_a_place_that_cannot_be_written(tmp_path: Path):
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match=r"cannot write .*file.run\.lock"), lock(tmp_path / "file" / "run.lock"):
        pass
