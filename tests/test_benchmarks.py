from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from benchmarks import __main__ as command
from benchmarks import measuring
from benchmarks.contenders import Setting


def test_without_arguments_everything_is_measured(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    measured: list[tuple[str, int, int]] = []
    monkeypatch.setattr(sys, "argv", ["benchmarks"])
    monkeypatch.setattr(command, "RESULTS", tmp_path)
    monkeypatch.setattr(command, "_rows", lambda name, o: measured.append((name, o.size, o.rounds)) or [])
    assert command.main() == 0
    assert measured == [("step", 200, 7), ("sizes", 200, 7), ("levels", 200, 7)]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["levels-cpu.json", "sizes-cpu.json", "step-cpu.json"]


def test_no_rounds_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        command.main(["step", "--rounds", "0"])
    assert "argument --rounds: expected 1 or more, but got 0" in capsys.readouterr().err


def test_memory_is_measured_with_the_threads_its_row_names(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    def run(line: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        monkeypatch.setattr(torch, "set_num_threads", asked.append)
        command.main(line[3:])
        return subprocess.CompletedProcess(line, 0, "1.5\n")

    monkeypatch.setattr(torch, "get_num_threads", lambda: 3)
    monkeypatch.setattr(command, "own_peak", lambda name, setting: (name, setting))
    monkeypatch.setattr(subprocess, "run", run)
    assert measuring.peak_memory("voltphase", Setting(size=32)) == 1.5
    assert asked == [3]
