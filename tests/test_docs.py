"""The examples of the documentation: files, commands typed there and what they print, and Python."""

from __future__ import annotations

import os
import re
import runpy
import shlex
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.forked import Forked
from typer.testing import CliRunner

import voltphase
from voltphase.cli import app
from voltphase.config import load_config
from voltphase.sweeps.search import read_sweep

ROOT = Path(__file__).parent.parent
FILE = re.compile(r"^`([\w.-]+)`:\n\n```\n(.*?)```", re.MULTILINE | re.DOTALL)
PYTHON = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)
SESSION = re.compile(r"^```console\n(.*?)```", re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize(("page", "number"), [("devices", 6), ("panels", 3)])
def test_a_page_shows_what_happens(page: str, number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    page = (ROOT / "docs" / f"{page}.md").read_text(encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    for name, content in FILE.findall(page):
        (tmp_path / name).write_text(content, encoding="utf-8")
    commands = [
        each for session in SESSION.findall(page) for each in re.split(r"^\$ ", session, flags=re.MULTILINE)[1:]
    ]
    assert len(commands) == number
    for command, shown in (each.split("\n", 1) for each in commands):
        words = shlex.split(command)
        assert words[0] == "voltphase"
        result = CliRunner().invoke(app, words[1:])
        assert result.output == shown, command
        assert result.exit_code == (2 if shown.startswith("error: ") else 0)


def test_the_configuration_on_the_page_on_training_is_one(tmp_path: Path):
    page = (ROOT / "docs" / "training.md").read_text(encoding="utf-8")
    (content,) = re.findall(r"^```yaml\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    (tmp_path / "my.yaml").write_text(content, encoding="utf-8")
    assert [one.name for one in load_config(tmp_path / "my.yaml").training.loggers] == [
        "tensorboard",
        "wandb",
        "mlflow",
    ]


def test_the_page_on_importing_shows_what_happens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    page = (ROOT / "docs" / "importing.md").read_text(encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    for name, content in FILE.findall(page):
        (tmp_path / name).write_text(content, encoding="utf-8")
    (session,) = SESSION.findall(page)
    for command, shown in (each.split("\n", 1) for each in re.split(r"^\$ ", session, flags=re.MULTILINE)[1:]):
        program, *words = shlex.split(command)
        if program == "python":
            exec((tmp_path / words[0]).read_text(encoding="utf-8"), {})
            continue
        result = CliRunner().invoke(app, words)
        assert result.exit_code == 0, result.output
        # Three dots stand for lines that are left out.
        parts = map(re.escape, shown.removesuffix("…\n").split("…\n"))
        assert re.match(".*".join(parts), result.output, re.DOTALL), (command, result.output)


def test_the_python_of_the_readme_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    voltphase.devices.tn_slm().save("slm.csv")
    page = (ROOT / "README.md").read_text(encoding="utf-8")
    network, whole_path, loop = PYTHON.findall(page)
    names: dict[str, Any] = {}
    exec(network, names)
    assert [tuple(levels.shape) for levels in names["levels"]] == [(200, 200)] * 5
    quick = whole_path.replace('"training.epochs=5"', '"training.epochs=1", "data.train_limit=200"')
    assert quick != whole_path
    exec(quick, names)
    assert names["result"].passed
    assert names["result"].accuracy == names["run"].summary["test_accuracy"]
    loop = loop.replace('vp.data.load("digits", split)', 'vp.data.load("digits", split).take(300)')
    loop = loop.replace("epochs, step = 0, 20, 0", "epochs, step = 0, 2, 0")
    exec(loop, names)
    few = ["training.epochs=2", "data.train_limit=300", "data.test_limit=300"]
    trained = voltphase.train(voltphase.config.load_config("digits", few), out="digits", progress=False)
    ours, theirs = names["model"].state_dict(), trained.model.state_dict()
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
    reached = voltphase.training.evaluate(names["model"], names["test"]).metrics
    assert reached["accuracy"] == trained.summary["test_accuracy"]


@pytest.mark.parametrize("page", ["tasks", "panels"])
def test_what_is_of_ones_own_in_a_page_does_what_it_says(page: str, tmp_path: Path):
    (script,) = PYTHON.findall((ROOT / "docs" / f"{page}.md").read_text(encoding="utf-8"))
    (tmp_path / "mine.py").write_text(script, encoding="utf-8")

    def run() -> None:
        os.chdir(tmp_path)
        runpy.run_path("mine.py", run_name="__main__")

    # In a process of its own: what it registers is gone with it.
    ended = Forked(run).wait()
    assert ended.code == 0, ended.stderr


def test_the_commands_of_the_page_on_fabrication_say_what_it_shows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    page = (ROOT / "docs" / "fabrication.md").read_text(encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    (session,) = SESSION.findall(page)
    quick = " --set training.epochs=1 --set data.train_limit=100 --set data.test_limit=20 --set optics.size=32"
    for each in re.split(r"^\$ ", session, flags=re.MULTILINE)[1:]:
        command, shown = each.split("\n", 1)
        words = shlex.split(command + quick if " train " in command else command)
        result = CliRunner().invoke(app, words[1:])
        assert result.exit_code == 0, result.output
        # Another design is as rough as it is.
        assert not shown or re.sub("[0-9.]+ um", "", result.output) == re.sub("[0-9.]+ um", "", shown)


def test_what_is_shown_of_sweeps_makes_sense(tmp_path: Path):
    page = (ROOT / "README.md").read_text(encoding="utf-8")
    blocks = [(ROOT / name).read_text(encoding="utf-8") for name in ("README.md", "docs/sweeps.md")]
    rate, search = (
        re.findall(r"^```yaml\n(config.*?|search.*?)^```", one, re.MULTILINE | re.DOTALL)[0] for one in blocks
    )
    for device in ("slm-a.csv", "slm-b.csv"):
        voltphase.devices.tn_slm().save(tmp_path / device)
    (tmp_path / "rate.yaml").write_text(rate, encoding="utf-8")
    (tmp_path / "many.yaml").write_text(f"{rate}storage: postgresql://me@host/sweeps\n", encoding="utf-8")
    (tmp_path / "search.yaml").write_text(f"config: mnist-small\n{search}trials: 3\n", encoding="utf-8")
    sweeps = [read_sweep(tmp_path / f"{name}.yaml") for name in ("rate", "many", "search")]
    assert [sweep.trials for sweep in sweeps] == [40, 40, 3]
    assert [len(sweep.seeds) for sweep in sweeps] == [3, 3, 1]
    assert (tmp_path / "slm-b.csv").as_posix() in str(sweeps[2].config_of({"device.file": "slm-b.csv"}).device)
    words = shlex.split(next(line for line in page.splitlines() if "--slurm --workers" in line and line[0] == "v"))
    asked = CliRunner().invoke(app, [*words[1:], "--help"])
    assert asked.exit_code == 0
