"""A package outside of the source adds a device, a relaxation, a target and a task; the command line uses them all."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from typer.testing import CliRunner

from voltphase.cli import app

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

SMALL = ("optics.depth=1", "training.epochs=1", "data.train_limit=200", "data.test_limit=20")
FAILING = {
    "codesign.relaxation.name=worn": "a relaxation 'worn' of broken_optics failed: RuntimeError: inconsistent",
    "codesign.schedule.name=late": "a schedule 'late' of broken_optics failed: KeyError: 'late'",
    "task.name=lossless": "a task 'lossless' of broken_optics failed: OSError: no loss here: correct it",
}
USED = [
    [*TRAIN, "--out", "run"],
    ["deploy", "run", "--out", "bench", "--target", "acme-csv"],
    ["verify", "bench"],
    [*TRAIN, "--set", "codesign.relaxation.factor=-1", "--out", "bad"],
]


def install(site: Path, project: dict[str, Any]) -> None:
    """Put a package's metadata into a folder, as pip leaves them."""
    info = site / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n", encoding="utf-8"
    )
    groups = project["entry-points"].items()
    lines = [line for group, points in groups for line in (f"[{group}]", *(f"{k} = {v}" for k, v in points.items()))]
    (info / "entry_points.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")


@pytest.fixture(scope="module")
def ended(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Done]]:
    """Where two packages were used, one of them broken, and how each command line ended: in one process for all."""
    folder, site = tmp_path_factory.mktemp("used"), tmp_path_factory.mktemp("site")
    install(site, tomllib.loads((PLUGIN / "pyproject.toml").read_text(encoding="utf-8"))["project"])
    (site / "broken_optics.py").write_text(BROKEN, encoding="utf-8")
    kinds = {"relaxations": ("worn", "Worn"), "schedules": ("late", "Late"), "tasks": ("lossless", "Lossless")}
    points = {f"voltphase.{kind}": {key: f"broken_optics:{name}"} for kind, (key, name) in kinds.items()}
    install(site, {"name": "broken-optics", "version": "1.0", "entry-points": points})
    lines = USED + [
        ["train", "digits", *(word for one in (*SMALL, setting) for word in ("--set", one)), "--out", f"run-{number}"]
        for number, setting in enumerate(FAILING)
    ]
    before = os.environ.get("PYTHONPATH")
    paths = os.pathsep.join([str(PLUGIN), str(site), *([before] if before else [])])
    words = [sys.executable, "-c", PROGRAM, json.dumps(lines)]
    environment = {**os.environ, "PYTHONPATH": paths}
    done = subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True, check=True)
    return folder, [Done(*one) for one in json.loads(done.stdout)]


def test_another_package_adds_a_device_a_relaxation_a_target_and_a_task(ended: tuple[Path, list[Done]]) -> None:
    folder, (trained, deployed, verified, bad, *_) = ended
    assert trained.code == 0, trained.stderr
    summary = json.loads((folder / "run" / "summary.json").read_text(encoding="utf-8"))
    assert (summary["devices"][0]["name"], summary["devices"][0]["levels"]) == ("acme mirror", 6)
    assert "factor: 3" in (folder / "run" / "config.yaml").read_text(encoding="utf-8")
    assert 0 <= summary["test_top_two"] <= 1
    assert deployed.code == 0, deployed.stderr
    assert (folder / "bench" / "layer-2.csv").read_text(encoding="ascii").count("\n") == 64
    assert verified.code == 0, verified.stdout + verified.stderr
    assert "60 of 60 predictions equal" in verified.stdout
    assert f"top_two {summary['test_top_two']:.4f} from the files" in verified.stdout
    task = json.loads((folder / "bench" / "manifest.json").read_text(encoding="utf-8"))["readout"]["task"]
    assert task == {"name": "acme-strips", "settings": {"classes": 10, "margin": 0.5}}
    # Its settings are checked like our own.
    assert bad.code == 2
    assert "codesign.relaxation.factor" in bad.stderr
    assert len(bad.stderr.splitlines()) == 1


def test_where_it_is_missing_its_names_are_unknown(
    ended: tuple[Path, list[Done]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ended[0])
    missing, unknown = (CliRunner().invoke(app, words) for words in (["verify", "bench"], [*TRAIN, "--out", "other"]))
    assert missing.exit_code == 2
    assert "readout.task: expected name out of classification, " in missing.stderr
    assert ", but got 'acme-strips': install" in missing.stderr
    assert len(missing.stderr.splitlines()) == 1
    assert unknown.exit_code == 2
    assert "acme-" in unknown.stderr


def test_what_fails_while_it_runs_is_named_in_a_sentence(ended: tuple[Path, list[Done]]) -> None:
    for failed, sentence in zip(ended[1][len(USED) :], FAILING.values(), strict=True):
        assert failed.code == 2, failed.stderr
        assert f"error: {sentence}" in failed.stderr
        assert len(failed.stderr.splitlines()) == 1
