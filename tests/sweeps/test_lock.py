from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path

import pytest

from voltphase.core.errors import OutputError
from voltphase.sweeps import lock as claims
from voltphase.sweeps.lock import claim

HERE = claims._maker()


def written_by(path: Path, *, seconds_ago: float = 0.0, **maker: str | float) -> None:
    path.write_text(json.dumps({**HERE, **maker, "token": "0"}))
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
    written_by(path, process=ended)
    with claim(path) as free:
        assert free
        assert json.loads(path.read_text())["process"] == os.getpid()
    assert list(tmp_path.iterdir()) == []


def test_a_process_that_got_the_number_of_one_that_ended_is_not_taken_for_it(tmp_path: Path):
    path = tmp_path / "cell.claim"
    written_by(path, started=float(HERE["started"]) - 100)
    with claim(path) as free:
        assert free


def test_a_process_that_is_stopped_keeps_its_claim(tmp_path: Path):
    path = tmp_path / "cell.claim"
    written_by(path, seconds_ago=5000)
    with claim(path) as free:
        assert not free


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"null", b"\xff", b"[" * 5000, b'{"host": "a", "process": "b"}'])
def test_what_is_no_claim_holds_until_it_was_silent_for_long(tmp_path: Path, content: bytes):
    path = tmp_path / "cell.claim"
    path.write_bytes(content)
    with claim(path) as free:
        assert not free
    os.utime(path, (0, 0))
    with claim(path) as free:
        assert free


def test_times_are_those_of_the_clock_that_the_files_are_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    # A server whose clock is an hour behind: neither the claim nor what looks at it is old.
    path = tmp_path / "cell.claim"
    written_by(path, host="another", seconds_ago=3600)
    whole = Path.write_text

    def written_an_hour_ago(self: Path, *arguments: str, **options: str) -> int:
        written = whole(self, *arguments, **options)
        os.utime(self, (time.time() - 3600, time.time() - 3600))
        return written

    monkeypatch.setattr(Path, "write_text", written_an_hour_ago)
    with claim(path) as free:
        assert not free


def test_a_full_disk_leaves_no_claim(tmp_path: Path):
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, limits[1]))
    try:
        with pytest.raises(OutputError, match=r"cannot write .*cell\.claim"), claim(tmp_path / "cell.claim"):
            pytest.fail("it holds")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert list(tmp_path.iterdir()) == []
    with claim(tmp_path / "cell.claim") as free:
        assert free


@pytest.mark.parametrize("killed_at", ["write_text", "hardlink_to", "unlink", "rename", "read_text", "work"])
def test_whoever_is_killed_at_any_moment_holds_nothing(tmp_path: Path, killed_at: str, ended: int):
    path = tmp_path / "cell.claim"
    if killed_at == "rename":
        written_by(path, process=ended)
    child = os.fork()
    if child == 0:
        if killed_at != "work":
            setattr(Path, killed_at, lambda *_, **__: os._exit(9))
        with claim(path):
            if killed_at == "work":
                os._exit(9)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9
    with claim(path) as free:
        assert free
        claims.sweep(tmp_path, time.time())
        assert [file.name for file in tmp_path.iterdir()] == ["cell.claim"]


def test_where_there_are_no_links_it_is_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def no_links(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(Path, "hardlink_to", no_links)
    path = tmp_path / "cell.claim"
    with claim(path) as first, claim(path) as second:
        assert (first, second) == (True, False)
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
    monkeypatch.setattr("voltphase.sweeps.lock._BEAT_SECONDS", 0.01)
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
