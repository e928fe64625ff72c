"""A path that cannot be used is one sentence of ours, from whatever takes paths."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from voltphase.config import load_config
from voltphase.core.errors import VoltphaseError
from voltphase.core.files import atomic_directory, atomic_path, write_text
from voltphase.data import load as load_data
from voltphase.data.files.idx import read_idx
from voltphase.deployment import Emulator, deploy_run, verify
from voltphase.devices import DevicePanel, dmd, find, load, load_folder, load_table
from voltphase.reporting import save_overview, write_report
from voltphase.sweeps.results import ResultFolder
from voltphase.sweeps.runner import run_all
from voltphase.training import load_run, refine_run, train
from voltphase.validation import run as validate

NEVER = {
    "nothing": "",
    "long": "n" * 300,
    "long for all": "a/" * 3000,
    "nul": "a\0b",
    "surrogate": "a\ud800b",
    "nobody": "~nobody-has-this/x",
}


@pytest.fixture
def odd(tmp_path: Path) -> Iterator[dict[str, Any]]:
    """What may be at a path and is neither a file nor a folder."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to("loop")
    server = socket.socket(socket.AF_UNIX)
    before = Path.cwd()
    os.chdir(tmp_path)  # a socket's path is short
    server.bind("socket")
    os.chdir(before)
    yield {
        **NEVER,
        **{name: tmp_path / name for name in ("pipe", "loop", "socket")},
        "in a loop": tmp_path / "loop" / "x",
        "device": "/dev/zero",
        "none": None,
        "number": 5,
    }
    server.close()


TAKES_PATHS: dict[str, Callable[[Any, Path], Any]] = {
    "load_config": lambda path, _: load_config(path),
    "device.file": lambda path, _: load_config("digits", values={"device.file": str(path)}),
    "data.dir": lambda path, _: load_config("digits", values={"data.dir": str(path)}),
    "train": lambda path, _: train(load_config("digits"), path),
    "load_run": lambda path, _: load_run(path),
    "refine_run": lambda path, good: refine_run(path, good / "new"),
    "refine_run out": lambda path, good: refine_run(good, path),
    "write_report": lambda path, _: write_report(path),
    "save_overview": lambda path, good: save_overview(path, good / "a.png"),
    "save_overview out": lambda path, good: save_overview(good, path),
    "deploy_run": lambda path, good: deploy_run(path, good / "new"),
    "deploy_run out": lambda path, good: deploy_run(good, path),
    "verify": lambda path, _: verify(path),
    "Emulator": lambda path, _: Emulator.from_folder(path),
    "read_idx": lambda path, _: read_idx(path, 3),
    "load_data": lambda path, _: load_data("mnist", "test", _given(path), download=False),
    "load": lambda path, _: load(path),
    "load_table": lambda path, _: load_table(path),
    "load_folder": lambda path, _: load_folder(path),
    "find": lambda path, _: find(path),
    "DevicePanel.load": lambda path, _: DevicePanel.load(path),
    "DevicePanel.save": lambda path, _: DevicePanel((dmd(),), np.zeros((2, 2), int)).save(path),
    "DeviceStates.save": lambda path, _: dmd().save(path),
    "validate": lambda path, _: validate(_given(path)),
    "run_all": lambda path, _: run_all([], ResultFolder(path), say=print),
    "atomic_path": lambda path, _: atomic_path(path).__enter__(),
    "atomic_directory": lambda path, _: atomic_directory(path).__enter__(),
    "write_text": lambda path, _: write_text(path, "text"),
}


def _given(path: Any) -> Any:
    return 5 if path is None else path  # where None is a path not given


@pytest.mark.parametrize("name", TAKES_PATHS)
def test_every_function_refuses_a_path_that_cannot_be(name: str, odd: dict[str, Any], tmp_path: Path):
    if name in ("device.file", "data.dir"):
        odd = {kind: path for kind, path in odd.items() if isinstance(path, str | Path)}
    before = sorted(tmp_path.rglob("*"))
    trouble = {}
    for kind, path in odd.items():
        try:
            TAKES_PATHS[name](path, tmp_path)
        except VoltphaseError as error:
            if len(str(error)) > 700 or "\n" in str(error):
                trouble[kind] = str(error)
        except BaseException as error:
            trouble[kind] = repr(error)
        else:
            trouble[kind] = "taken"
    assert trouble == {}
    assert sorted(tmp_path.rglob("*")) == before


def test_a_path_below_a_folder_that_may_not_be_searched(tmp_path: Path):
    locked = tmp_path / "locked"
    locked.mkdir(mode=0)
    user = os.geteuid()
    trouble = {}
    for name, take in TAKES_PATHS.items():
        with pytest.raises(VoltphaseError):
            take("", tmp_path)  # and all that it needs is imported
        if user == 0:  # who may search anything
            os.seteuid(65534)
        try:
            take(locked / "x", tmp_path)
        except VoltphaseError as error:
            if "permission denied" not in str(error):
                trouble[name] = str(error)
        except BaseException as error:
            trouble[name] = repr(error)
        else:
            trouble[name] = "taken"
        finally:
            os.seteuid(user)
    assert trouble == {}
