"""A package outside of the source adds a device, a relaxation, a target and a task; the command line uses them all."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import pytest

PLUGIN = Path(__file__).parent / "plugin"
TRAIN = [
    *("train", "digits", "--set", "device.model=acme-mirror", "--set", "device.parameters.stroke=240e-9"),
    *("--set", "device.levels=6", "--set", "codesign.relaxation.name=acme-sharpened"),
    *("--set", "codesign.relaxation.factor=3", "--set", "optics.depth=2", "--set", "training.epochs=1"),
    *("--set", "data.train_limit=200", "--set", "data.test_limit=60"),
    *("--set", "task.name=acme-strips", "--set", "task.margin=0.5"),
]

PROGRAM = """
import json, sys
from typer.testing import CliRunner
from voltphase.cli import app
done = [CliRunner().invoke(app, words) for words in json.loads(sys.argv[1])]
print(json.dumps([(one.exit_code, one.stdout, one.stderr) for one in done]))
"""


class Done(NamedTuple):
    """How a command line ended, and what it said."""

    code: int
    stdout: str
    stderr: str


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """Return a folder in which the package's metadata lie, as pip leaves them."""
    project = tomllib.loads((PLUGIN / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    info = tmp_path / "site" / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n", encoding="utf-8"
    )
    groups = project["entry-points"].items()
    lines = [line for group, points in groups for line in (f"[{group}]", *(f"{k} = {v}" for k, v in points.items()))]
    (info / "entry_points.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return info.parent


def call(folder: Path, *lines: Sequence[str], paths: tuple[Path, ...] = ()) -> list[Done]:
    """Run command lines one after the other in a process of their own, as to start one takes longest."""
    before = os.environ.get("PYTHONPATH")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([*map(str, paths), *([before] if before else [])])}
    words = [sys.executable, "-c", PROGRAM, json.dumps(lines)]
    done = subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True, check=True)
    return [Done(*one) for one in json.loads(done.stdout)]


def test_another_package_adds_a_device_a_relaxation_a_target_and_a_task(tmp_path: Path, site: Path) -> None:
    trained, deployed, verified, bad = call(
        tmp_path,
        [*TRAIN, "--out", "run"],
        ["deploy", "run", "--out", "bench", "--target", "acme-csv"],
        ["verify", "bench"],
        [*TRAIN, "--set", "codesign.relaxation.factor=-1", "--out", "bad"],
        paths=(PLUGIN, site),
    )
    assert trained.code == 0, trained.stderr
    summary = json.loads((tmp_path / "run" / "summary.json").read_text(encoding="utf-8"))
    assert (summary["devices"][0]["name"], summary["devices"][0]["levels"]) == ("acme mirror", 6)
    assert "factor: 3" in (tmp_path / "run" / "config.yaml").read_text(encoding="utf-8")
    assert 0 <= summary["test_top_two"] <= 1
    assert deployed.code == 0, deployed.stderr
    assert (tmp_path / "bench" / "layer-2.csv").read_text(encoding="ascii").count("\n") == 64
    assert verified.code == 0, verified.stdout + verified.stderr
    assert "60 of 60 predictions equal" in verified.stdout
    assert f"top_two {summary['test_top_two']:.4f} from the files" in verified.stdout
    task = json.loads((tmp_path / "bench" / "manifest.json").read_text(encoding="utf-8"))["readout"]["task"]
    assert task == {"name": "acme-strips", "settings": {"classes": 10, "margin": 0.5}}
    # Its settings are checked like our own.
    assert bad.code == 2
    assert "codesign.relaxation.factor" in bad.stderr
    assert len(bad.stderr.splitlines()) == 1

    missing, unknown = call(tmp_path, ["verify", "bench"], [*TRAIN, "--out", "other"])
    assert missing.code == 2
    assert "readout.task: expected name out of classification, " in missing.stderr
    assert ", but got 'acme-strips': install" in missing.stderr
    assert len(missing.stderr.splitlines()) == 1
    assert unknown.code == 2
    assert "acme-" in unknown.stderr


BROKEN = """
from dataclasses import dataclass

import torch
from voltphase.codesign import Relaxation, Schedule
from voltphase.tasks import Classification


class Worn(Relaxation):
    def modulation(self, design, table, temperature, generator):
        return torch.ones(3) @ torch.ones(4)


@dataclass(frozen=True)
class Late(Schedule):
    def temperature(self, progress):
        return 1.0 if progress < 0.5 else {}["late"]


@dataclass(frozen=True)
class Lossless(Classification):
    def compute_loss(self, outputs, targets):
        raise OSError("no loss here")
"""


def test_what_fails_while_it_runs_is_named_in_a_sentence(tmp_path: Path) -> None:
    info = tmp_path / "site" / "broken_optics-1.0.dist-info"
    info.mkdir(parents=True)
    (info.parent / "broken_optics.py").write_text(BROKEN, encoding="utf-8")
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: broken-optics\nVersion: 1.0\n", encoding="utf-8")
    kinds = {"relaxations": ("worn", "Worn"), "schedules": ("late", "Late"), "tasks": ("lossless", "Lossless")}
    points = "".join(f"[voltphase.{kind}]\n{key} = broken_optics:{name}\n" for kind, (key, name) in kinds.items())
    (info / "entry_points.txt").write_text(points, encoding="utf-8")
    small = ("optics.depth=1", "training.epochs=1", "data.train_limit=200", "data.test_limit=20")
    failing = {
        "codesign.relaxation.name=worn": "a relaxation 'worn' of broken_optics failed: RuntimeError: inconsistent",
        "codesign.schedule.name=late": "a schedule 'late' of broken_optics failed: KeyError: 'late'",
        "task.name=lossless": "a task 'lossless' of broken_optics failed: OSError: no loss here: correct it",
    }
    lines = [
        ["train", "digits", *(word for one in (*small, setting) for word in ("--set", one)), "--out", f"run-{number}"]
        for number, setting in enumerate(failing)
    ]
    for failed, sentence in zip(call(tmp_path, *lines, paths=(info.parent,)), failing.values(), strict=True):
        assert failed.code == 2, failed.stderr
        assert f"error: {sentence}" in failed.stderr
        assert len(failed.stderr.splitlines()) == 1
