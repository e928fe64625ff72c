"""The examples of docs/devices.md: its files, the commands typed there and what they print."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner

from voltphase.cli import app

PAGE = Path(__file__).parent.parent / "docs" / "devices.md"
FILE = re.compile(r"^`([\w.-]+)`:\n\n```\n(.*?)```", re.MULTILINE | re.DOTALL)
SESSION = re.compile(r"^```console\n(.*?)```", re.MULTILINE | re.DOTALL)


def test_the_page_on_devices_shows_what_happens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    page = PAGE.read_text(encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    for name, content in FILE.findall(page):
        (tmp_path / name).write_text(content, encoding="utf-8")
    commands = [
        each for session in SESSION.findall(page) for each in re.split(r"^\$ ", session, flags=re.MULTILINE)[1:]
    ]
    assert len(commands) == 5
    for command, shown in (each.split("\n", 1) for each in commands):
        words = shlex.split(command)
        assert words[0] == "voltphase"
        result = CliRunner().invoke(app, words[1:])
        assert result.output == shown, command
        assert result.exit_code == (2 if shown.startswith("error: ") else 0)
