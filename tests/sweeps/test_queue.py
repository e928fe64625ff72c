"""Trials that several processes share, in each kind of storage."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from voltphase.core.errors import ConfigError, OutputError
from voltphase.sweeps import queue as queues
from voltphase.sweeps.queue import TrialQueue
from voltphase.sweeps.storage import JOURNAL, close_connections, one_at_a_time, open_study, place_of

Opened = Callable[[], TrialQueue]


@pytest.fixture(params=["sqlite", "journal", "postgresql"])
def storage(request: pytest.FixtureRequest) -> str:
    return request.getfixturevalue("postgresql") if request.param == "postgresql" else request.param


@pytest.fixture
def opened(storage: str, tmp_path: Path) -> Iterator[Opened]:
    """Opens the same trials anew, as another process does."""
    queues: list[TrialQueue] = []

    def open_queue() -> TrialQueue:
        queues.append(TrialQueue(open_study(storage, tmp_path, tmp_path.name)[0], place_of(storage, tmp_path)))
        return queues[-1]

    yield open_queue
    for queue in queues:
        close_connections(queue.study)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queues, "STILL_SECONDS", 0.0)


def states(queue: TrialQueue) -> list[str]:
    return [trial.state.name for trial in queue.trials()]


def test_of_several_workers_one_has_each_trial(opened: Opened) -> None:
    first = opened()
    for _ in range(9):
        first.add()
    taken: list[int] = []
    workers = [opened() for _ in range(3)]
    together = threading.Barrier(3)

    def work(queue: TrialQueue) -> None:
        together.wait()
        for trial in queues.waiting(queue.trials()):
            if (mine := queue.take(trial)) is not None:
                taken.append(mine.number)
                queue.finish(mine, [1.0])

    threads = [threading.Thread(target=work, args=(queue,)) for queue in workers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(taken) == list(range(9))
    assert states(first) == ["COMPLETE"] * 9


@pytest.mark.usefixtures("impatient")
def test_a_trial_whose_heart_stands_still_is_gone_on_with_under_its_number(opened: Opened) -> None:
    dead, other = opened(), opened()
    dead.add()
    trial = dead.take(dead.trials()[0])
    assert trial is not None
    value = trial.suggest_float("x", 0, 1)
    trial.report(0.5, 1)
    for _ in range(2):  # seen, and seen again
        assert other.look(lambda _: True)[0] == []
        time.sleep(0.01)
    [waits], _ = other.look(lambda _: True)
    again = other.take(waits)
    assert again is not None
    assert (again.number, again.suggest_float("x", 0, 1)) == (0, value)
    assert other.trials()[0].intermediate_values == {1: 0.5}
    other.finish(again, [0.25])
    dead.finish(trial, [0.25])  # it was only stopped for a while
    assert [one.values for one in other.trials()] == [[0.25]]


@pytest.mark.usefixtures("impatient")
def test_a_process_that_was_taken_for_dead_may_end_its_trial_while_that_waits(opened: Opened) -> None:
    slow, other = opened(), opened()
    slow.add()
    trial = slow.take(slow.trials()[0])
    assert trial is not None
    for _ in range(2):
        other.look(lambda _: True)
        time.sleep(0.01)
    assert states(other) == ["WAITING"]
    slow.finish(trial, [0.5])
    assert states(other) == ["COMPLETE"]


def test_hearts_beat_while_there_is_work_and_what_is_left_unfinished_waits(
    opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queues, "BEAT_SECONDS", 0.02)
    queue, other = opened(), opened()
    queue.add()

    def beat() -> str:
        return other.trials()[0].system_attrs[queues._BEAT]

    def work() -> None:
        with queue.working():
            assert queue.take(queue.trials()[0]) is not None
            first, until = beat(), time.monotonic() + 10
            while beat() == first:
                assert time.monotonic() < until
                time.sleep(0.02)
            assert states(other) == ["RUNNING"]
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        work()
    assert states(other) == ["WAITING"]


@pytest.mark.parametrize(
    ("storage", "error", "sentence"),
    [
        (
            "postgresql://me:secret@127.0.0.1:1/x",
            OutputError,
            r"cannot use the storage postgresql\+psycopg://me:\*\*\*@",
        ),
        ("nosuch://me@there/x", ConfigError, "a database that SQLAlchemy knows, but got nosuch://me@there/x"),
        ("://", ConfigError, "expected storage to be sqlite, journal or the URL"),
    ],
)
def test_a_storage_that_is_not_there_is_one_sentence_without_its_password(
    storage: str, error: type[Exception], sentence: str, tmp_path: Path
) -> None:
    with pytest.raises(error, match=sentence) as caught:
        open_study(storage, tmp_path, "x")
    assert "secret" not in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("storage", ["sqlite", "journal"])
def test_a_folder_that_cannot_be_written_is_one_sentence(storage: str, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match=r"cannot write .*file"):
        open_study(storage, tmp_path / "file", "x")


@pytest.mark.parametrize("name", ["sweep.db", JOURNAL])
def test_a_storage_that_is_damaged_is_one_sentence(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(b"what is this?\n" * 100)
    with pytest.raises(OutputError, match="cannot use the storage"):
        open_study("journal" if name == JOURNAL else "sqlite", tmp_path, "x")


def test_what_a_full_disk_left_of_a_journals_last_line_is_cut_off_whoever_writes_next(tmp_path: Path) -> None:
    queue, other = (TrialQueue(open_study("journal", tmp_path, "x")[0], "") for _ in range(2))
    queue.add()
    with (tmp_path / JOURNAL).open("ab") as stream:
        stream.write(b'{"op_code":4,"wor')
    assert states(other) == ["WAITING"]
    other.add()
    assert states(queue) == states(other) == ["WAITING"] * 2


def test_the_lock_of_a_process_that_died_while_it_added_trials_is_broken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = SimpleNamespace(monotonic=itertools.count().__next__, sleep=lambda _: None)
    monkeypatch.setattr("optuna.storages.journal._file.time", clock)
    (tmp_path / "adding.lock").touch()
    with one_at_a_time(tmp_path):
        assert clock.monotonic() > 30
        (tmp_path / "adding.lock").unlink()  # by somebody else, as this one took too long
    assert not list(tmp_path.iterdir())


def test_a_folder_without_room_for_a_lock_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"cannot use the storage .*none"), one_at_a_time(tmp_path / "none"):
        pass
