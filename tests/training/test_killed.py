"""Whatever moment a process is killed at, or its disk fails, the next command goes on or starts anew."""

from __future__ import annotations

import errno
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count, cycle
from pathlib import Path
from typing import Any

import pytest
import torch

from voltphase.config import Config
from voltphase.core.errors import ConfigError, OutputError, VoltphaseError
from voltphase.core.files import atomic_path, is_temporary, remove_abandoned, remove_folder
from voltphase.deployment import deploy_run
from voltphase.reporting import write_report
from voltphase.training import load_run, refine_run, train

Make = Callable[..., Config]
Tree = dict[str, bytes | None]

_CHANGES = ("os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.chmod", "os.truncate", "os.link", "os.symlink")
_TOKEN = re.compile(r"\.voltphase-[0-9a-f]{8}-[0-9]+-[0-9a-f]{16}")
_listener: Callable[[], None] | None = None


def _hook(event: str, arguments: tuple[Any, ...]) -> None:
    # Python tells of every operation on files before it is done.
    global _listener
    if _listener is None:
        return
    writes = event == "open" and arguments[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
    if writes and str(arguments[0]) == os.devnull:
        return
    if writes or event in _CHANGES:
        listener, _listener = _listener, None
        try:
            listener()
        finally:
            _listener = listener


sys.addaudithook(_hook)


@contextmanager
def before_each_change(do: Callable[[], None]) -> Iterator[None]:
    global _listener
    _listener = do
    try:
        yield
    finally:
        _listener = None


def tree(folder: Path) -> Tree:
    return {
        _TOKEN.sub(".temporary", str(path.relative_to(folder))): path.read_bytes() if path.is_file() else None
        for path in sorted(folder.rglob("*"))
    }


def snapshots(folder: Path, kept: Path, do: Callable[[], Any]) -> list[Path]:
    """The different states that ``folder`` passes through while ``do`` runs: what a kill could leave."""
    seen: list[Tree] = []
    copies: list[Path] = []

    def take() -> None:
        now = tree(folder)
        if not seen or seen[-1] != now:
            seen.append(now)
            copies.append(Path(shutil.copytree(folder, kept / str(len(copies)))))

    with before_each_change(take):
        do()
    take()
    return copies


def leftovers(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if is_temporary(path)]


def result(run: Path) -> tuple[list[list[list[int]]], float, float, list[list[str]]]:
    model, _, summary = load_run(run)
    rows = (run / "metrics.csv").read_text().splitlines()
    columns = [[row.split(",")[column] for column in range(5)] for row in rows]
    return [levels.tolist() for levels in model.levels()], summary["test_accuracy"], summary["train_accuracy"], columns


@pytest.fixture
def small(tiny: Make) -> Make:
    return lambda *more: tiny(
        "optics.size=12", "optics.depth=1", "data.train_limit=40", "data.test_limit=20", "training.epochs=2", *more
    )


@pytest.fixture
def places(tmp_path: Path) -> tuple[Path, Path]:
    """A folder to write in and one to keep its states in."""
    for name in ("place", "kept"):
        (tmp_path / name).mkdir()
    return tmp_path / "place", tmp_path / "kept"


def without_temporary(folder: Path) -> frozenset[str]:
    return frozenset(name for name in tree(folder) if ".temporary" not in name)


def as_seen(folder: Path) -> frozenset[tuple[str, bytes | None]]:
    """What a later process can tell of a state: of what is temporary the names, as no one reads it."""
    return frozenset((name, None if ".temporary" in name else content) for name, content in tree(folder).items())


def test_a_run_killed_at_any_file_operation_is_resumed_and_replaced(places: tuple[Path, Path], small: Make):
    place, kept = places
    states = snapshots(place, kept, lambda: train(small(), place / "run"))
    whole = result(place / "run")
    assert len(states) > 40
    replaced, resumed = set(), set()
    for state in states:
        if (there := without_temporary(state)) not in replaced:
            replaced.add(there)
            copy = Path(shutil.copytree(state, f"{state}-replaced"))
            train(small(), copy / "run", overwrite=True)
            assert result(copy / "run") == whole
            assert leftovers(copy) == [], state
        if (seen := as_seen(state)) in resumed:
            continue
        resumed.add(seen)
        train(small(), state / "run", resume=True)
        assert result(state / "run") == whole, state
        finished = "run/summary.json" in there
        assert finished or leftovers(state) == [], state


def test_a_replacement_killed_at_any_file_operation_is_replaced_and_never_mixed(places: tuple[Path, Path], small: Make):
    place, kept = places
    new, old = small("training.epochs=1", "seed=1"), small("training.epochs=1")
    train(old, place / "run")
    before = result(place / "run")
    states = snapshots(place, kept, lambda: train(new, place / "run", overwrite=True))
    after = result(place / "run")
    assert before != after
    seen = set()
    for state in states:
        if (there := as_seen(state)) in seen:
            continue
        seen.add(there)
        copy = Path(shutil.copytree(state, f"{state}-replaced"))
        try:
            train(new, state / "run", resume=True)
        except ConfigError:  # which says with which settings the old one goes on
            train(old, state / "run", resume=True)
            assert result(state / "run") == before
            train(new, copy / "run", overwrite=True)
            assert result(copy / "run") == after
        else:
            assert result(state / "run") == after


@pytest.mark.usefixtures("undrawn")
def test_what_is_made_from_a_run_is_there_whole_or_not_at_all(
    places: tuple[Path, Path], trained: tuple[Path, Config, dict[str, Any]], tmp_path: Path
):
    source = Path(shutil.copytree(trained[0], places[0] / "run"))
    commands: dict[str, Callable[[Path], Any]] = {
        "refined": lambda place: refine_run(place / "run", place / "refined", images=20, evaluations=3),
        "bench": lambda place: deploy_run(place / "run", place / "bench"),
        "run/report.html": lambda place: write_report(place / "run"),
    }
    for name, do in commands.items():
        kept = tmp_path / f"kept-{name.rpartition('/')[2]}"
        states = snapshots(places[0], kept, lambda do=do: do(places[0]))
        made = places[0] / name
        whole = tree(made) if made.is_dir() else made.read_bytes()
        assert len(states) > 4
        for state in states:
            out = state / name
            assert not out.exists() or (tree(out) if out.is_dir() else out.read_bytes()) == whole
        for state in states[len(states) // 2 : len(states) // 2 + 1]:
            out = state / name
            if not out.exists() and name != "run/report.html":
                do(state)
                assert sorted(tree(out)) == sorted(whole)
                assert leftovers(state) == []
    assert leftovers(source) == []


def test_a_disk_that_fails_at_any_moment_is_one_sentence_and_loses_no_epoch(tmp_path: Path, small: Make):
    train(small(), tmp_path / "whole")
    whole = result(tmp_path / "whole")
    codes, lines_kept = cycle((errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO)), set()
    for moment in count(step=3):
        out, code, operations = tmp_path / f"run-{moment}", next(codes), count(1)

        def fail(moment: int = moment, code: int = code, operations: Iterator[int] = operations) -> None:
            if next(operations) > moment:
                raise OSError(code, os.strerror(code))

        failed = []
        try:
            with before_each_change(fail):
                train(small(), out)
        except VoltphaseError as error:
            failed.append(error)
        for error in failed:
            assert isinstance(error, OutputError)
            assert os.strerror(code).lower() in str(error)
            lines_kept.add(len((out / "metrics.csv").read_text().splitlines()) if (out / "metrics.csv").exists() else 0)
            train(small(), out, resume=True)
        assert result(out) == whole
        if next(operations) <= moment:
            break
    assert lines_kept >= {0, 2, 3}  # of the metrics, with their header


def test_a_folder_is_removed_whole_or_not_at_all(places: tuple[Path, Path]):
    place, kept = places
    (place / "bench").mkdir()
    for name in "abc":
        (place / "bench" / name).write_text(name)
    whole = tree(place / "bench")
    states = snapshots(place, kept, lambda: remove_folder(place / "bench"))
    assert len(states) > 4
    for state in states:
        assert not (state / "bench").exists() or tree(state / "bench") == whole
    assert list(place.iterdir()) == []


def test_a_run_folder_that_disappears_is_one_sentence(tmp_path: Path, small: Make):
    out = tmp_path / "run"
    for gone in (out, out / "checkpoints"):
        shutil.rmtree(out, ignore_errors=True)
        with pytest.raises(OutputError, match="no such file or directory"):
            train(small(), out, watch=lambda _, gone=gone: shutil.rmtree(gone))
        assert not gone.exists()


def test_a_real_kill_leaves_what_the_next_command_cleans_up(tmp_path: Path):
    target = tmp_path / "a.txt"
    program = (
        "import os, sys\nfrom voltphase.core.files import atomic_path\n"
        "with atomic_path(sys.argv[1]) as temporary:\n    os.kill(os.getpid(), 9)\n"
    )
    assert subprocess.run([sys.executable, "-c", program, str(target)], check=False).returncode == -9
    assert len(leftovers(tmp_path)) == 1
    with atomic_path(target) as temporary:
        temporary.write_text("whole")
    assert list(tmp_path.iterdir()) == [target]


def test_only_the_temporary_folders_of_the_dead_are_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    with atomic_path(tmp_path / "mine") as mine:
        name = mine.parent.name
        machine, process, token = name.removeprefix(".voltphase-").split("-")
        other = tmp_path / name.replace(machine, "0" * 8)
        old = tmp_path / name.replace(machine, "1" * 8)
        living = tmp_path / name.replace(f"-{process}-", f"-{os.getppid()}-")
        dead = tmp_path / name.replace(f"-{process}-", "-4194305-")  # above the largest number of a process
        similar = [tmp_path / f"{name}x", tmp_path / f".voltphase-{token}", tmp_path / ".mine-0123456789abcdef"]
        for folder in (other, old, living, dead, *similar):
            folder.mkdir()
            (folder / "a.txt").write_text("half")
        os.utime(old, (0, 0))
        linked = tmp_path / name.replace(token, "f" * 16)
        linked.symlink_to(tmp_path.parent, target_is_directory=True)
        remove_abandoned(tmp_path)
        assert {path.name for path in tmp_path.iterdir()} == {
            path.name for path in (mine.parent, other, living, linked, *similar)
        }
    assert (tmp_path / "mine").is_file()
    assert tmp_path.parent.is_dir()


def test_a_folder_that_only_a_killed_run_was_in_is_as_good_as_empty(tmp_path: Path, small: Make):
    out = tmp_path / "run"
    (out / "checkpoints").mkdir(parents=True)
    (out / ".voltphase-00000000-1-0123456789abcdef").mkdir()
    train(small("training.epochs=1"), out)
    assert torch.load(out / "checkpoints" / "last.ckpt", weights_only=True)["epoch"] == 0
    (tmp_path / "other" / "checkpoints").mkdir(parents=True)
    (tmp_path / "other" / "checkpoints" / "mine.ckpt").write_text("years of work")
    with pytest.raises(OutputError, match="holds files that are no training run"):
        train(small(), tmp_path / "other")
