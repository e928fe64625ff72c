from __future__ import annotations

import errno
import os
import sys
from itertools import count
from pathlib import Path

import numpy as np
import pytest

from voltphase.core.errors import DataError, OutputError
from voltphase.core.files import atomic_directory, atomic_path, checked_path, read_json, write_json


def test_a_file_appears_only_when_the_block_succeeds(tmp_path: Path) -> None:
    target = tmp_path / "a.txt"
    with pytest.raises(ZeroDivisionError), atomic_path(target) as temporary:
        temporary.write_text("half" * (1 // 0))
    assert list(tmp_path.iterdir()) == []
    with atomic_path(target) as temporary:
        temporary.write_text("whole")
        assert not target.exists()
    assert target.read_text() == "whole"
    assert list(tmp_path.iterdir()) == [target]


def test_permissions_are_those_of_any_new_file_and_the_umask_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # To read the umask is to set it for all threads, and whatever these write meanwhile.
    monkeypatch.setattr(os, "umask", lambda mask: pytest.fail("the umask was set"))
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    with atomic_path(tmp_path / "a.txt") as temporary:
        (tmp_path / "private").touch(0o600)
        (tmp_path / "private").replace(temporary)
    with atomic_directory(tmp_path / "b"):
        pass
    for written, plain in (("a.txt", "file"), ("b", "folder")):
        assert (tmp_path / written).stat().st_mode == (tmp_path / plain).stat().st_mode


def test_a_full_disk_is_one_sentence_and_keeps_the_old_file(tmp_path: Path) -> None:
    target = tmp_path / "a.txt"
    target.write_text("old")
    with (
        pytest.raises(OutputError, match=r"cannot write .*a\.txt: no space left on device"),
        atomic_path(target),
    ):
        raise OSError(errno.ENOSPC, "No space left on device")
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_a_missing_folder_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="no such file or directory"):
        write_json(tmp_path / "none" / "a.json", {})


def test_a_folder_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    target = tmp_path / "deep" / "folder"
    with pytest.raises(ZeroDivisionError), atomic_directory(target) as temporary:
        (temporary / "a").write_text("half" * (1 // 0))
    assert list((tmp_path / "deep").iterdir()) == []
    with atomic_directory(target) as temporary:
        (temporary / "a").write_text("whole")
    assert (target / "a").read_text() == "whole"
    with pytest.raises(OutputError, match="exists already"), atomic_directory(target):
        pass
    assert list((tmp_path / "deep").iterdir()) == [target]


@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_ctrl_c_at_any_moment_leaves_the_old_file_or_the_new_and_nothing_else(tmp_path: Path) -> None:
    target = tmp_path / "a.txt"
    outcomes = set()
    for moment in count():
        target.write_text("old")
        calls = count()

        # Python looks for signals before and after calls.
        def interrupt(_frame: object, event: str, _argument: object, moment: int = moment, calls: count = calls):
            if event in ("c_call", "c_return") and next(calls) == moment:
                sys.setprofile(None)
                raise KeyboardInterrupt

        interrupted = True
        try:
            sys.setprofile(interrupt)
            with atomic_path(target) as temporary:
                temporary.write_text("new")
            interrupted = next(calls) > moment
        except KeyboardInterrupt:
            pass
        finally:
            sys.setprofile(None)
        assert list(tmp_path.iterdir()) == [target], f"interrupted at call {moment}"
        outcomes.add(target.read_text())
        if not interrupted:
            break
    assert outcomes == {"old", "new"}


@pytest.mark.parametrize("path", ["a" * 300, "a\0b", "a\ud800b", "~nobody-has-this/a", None, 3, b"bytes", np.eye(3)])
def test_a_path_that_cannot_exist_is_one_printable_sentence(path: object) -> None:
    with pytest.raises(DataError) as caught:
        checked_path(path, DataError)  # type: ignore[arg-type]
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 500


def test_a_path_that_can_exist_passes(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for path in (tmp_path, tmp_path / "none" / "there", tmp_path / "file" / "below a file"):
        assert checked_path(path, DataError) == path
    assert checked_path("~", DataError) == Path.home()


@pytest.mark.parametrize(
    "text", ["[" * 100_000, '{"a": ' * 20_000, "9" * 5000, "NaN", '{"a": 1, "a": 2}', "", "\ufeff{}", "{"]
)
def test_json_that_is_none_is_one_sentence(tmp_path: Path, text: str) -> None:
    path = tmp_path / "a.json"
    path.write_text(text)
    with pytest.raises(DataError, match=r"^expected JSON in .*a\.json, but"):
        read_json(path, DataError)


def test_a_json_file_is_bounded_before_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    with path.open("wb") as file:
        file.truncate(1 << 40)  # sparse: no disk is used
    with pytest.raises(DataError, match="at most 64 MiB"):
        read_json(path, DataError)
    with pytest.raises(DataError, match="no regular file"):
        read_json(tmp_path, DataError)
