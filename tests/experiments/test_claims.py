from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from voltphase.errors import OutputError
from voltphase.experiments.claims import claim


def written_by(path: Path, *, host: str, process: int, seconds_ago: float = 0.0) -> None:
    path.write_text(json.dumps({"host": host, "process": process, "token": "0"}))
    then = time.time() - seconds_ago
    os.utime(path, (then, then))


@pytest.fixture
def ended() -> int:
    """The number of a process that has ended."""
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    return child.pid


def test_only_one_at_a_time(tmp_path: Path):
    path = tmp_path / "cell.claim"
    with claim(path) as first, claim(path) as second:
        assert (first, second) == (True, False)
    assert not path.exists()
    with claim(path) as again:
        assert again


def test_it_is_given_up_when_work_fails(tmp_path: Path):
    with pytest.raises(ZeroDivisionError), claim(tmp_path / "cell.claim"):
        raise ZeroDivisionError
    assert list(tmp_path.iterdir()) == []


def test_a_process_that_ended_on_this_host_has_no_claim(tmp_path: Path, ended: int):
    path = tmp_path / "cell.claim"
    written_by(path, host=socket.gethostname(), process=ended)
    with claim(path) as free:
        assert free
        assert json.loads(path.read_text())["process"] == os.getpid()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("seconds_ago", "taken_over"), [(0, False), (200, False), (301, True)])
def test_another_hosts_claim_holds_while_it_is_touched(tmp_path: Path, seconds_ago: float, taken_over: bool):
    path = tmp_path / "cell.claim"
    written_by(path, host="another", process=1, seconds_ago=seconds_ago)
    before = path.read_text()
    with claim(path) as free:
        assert free == taken_over
    assert path.exists() != taken_over
    assert taken_over or path.read_text() == before


def test_whoever_works_keeps_touching_its_claim(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("voltphase.experiments.claims._BEAT_SECONDS", 0.01)
    path = tmp_path / "cell.claim"
    with claim(path):
        os.utime(path, (0, 0))
        deadline = time.monotonic() + 5
        while path.stat().st_mtime == 0 and time.monotonic() < deadline:
            time.sleep(0.01)
        assert path.stat().st_mtime > 0


def test_a_claim_that_was_taken_over_is_not_removed_by_its_first_owner(tmp_path: Path):
    path = tmp_path / "cell.claim"
    with claim(path):
        written_by(path, host="another", process=1)
    assert json.loads(path.read_text())["host"] == "another"


def test_a_folder_that_is_not_there(tmp_path: Path):
    sentence = r"cannot write .*no such file or directory; choose a place"
    with pytest.raises(OutputError, match=sentence), claim(tmp_path / "absent" / "cell.claim"):
        pass
