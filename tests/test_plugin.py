"""A package outside of the source adds a device, a relaxation, a target and a task; the command line uses them all."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

PLUGIN = Path(__file__).parent / "plugin"
TRAIN = [
    *("train", "digits", "--set", "device.model=acme-mirror", "--set", "device.parameters.stroke=240e-9"),
    *("--set", "device.levels=6", "--set", "codesign.relaxation.name=acme-sharpened"),
    *("--set", "codesign.relaxation.factor=3", "--set", "optics.depth=2", "--set", "training.epochs=1"),
    *("--set", "data.train_limit=200", "--set", "data.test_limit=60"),
    *("--set", "task.name=acme-strips", "--set", "task.margin=0.5"),
]


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


def call(folder: Path, *words: str, paths: tuple[Path, ...] = ()) -> subprocess.CompletedProcess[str]:
    before = os.environ.get("PYTHONPATH")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([*map(str, paths), *([before] if before else [])])}
    return subprocess.run(
        [sys.executable, "-m", "voltphase", *words],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_another_package_adds_a_device_a_relaxation_a_target_and_a_task(tmp_path: Path, site: Path) -> None:
    paths = (PLUGIN, site)
    trained = call(tmp_path, *TRAIN, "--out", "run", paths=paths)
    assert trained.returncode == 0, trained.stderr
    summary = json.loads((tmp_path / "run" / "summary.json").read_text(encoding="utf-8"))
    assert (summary["devices"][0]["name"], summary["devices"][0]["levels"]) == ("acme mirror", 6)
    assert "factor: 3" in (tmp_path / "run" / "config.yaml").read_text(encoding="utf-8")
    assert 0 <= summary["test_top_two"] <= 1
    deployed = call(tmp_path, "deploy", "run", "--out", "bench", "--target", "acme-csv", paths=paths)
    assert deployed.returncode == 0, deployed.stderr
    assert (tmp_path / "bench" / "layer-2.csv").read_text(encoding="ascii").count("\n") == 64
    verified = call(tmp_path, "verify", "bench", paths=paths)
    assert verified.returncode == 0, verified.stdout + verified.stderr
    assert "60 of 60 predictions equal" in verified.stdout
    assert f"top_two {summary['test_top_two']:.4f} from the files" in verified.stdout
    task = json.loads((tmp_path / "bench" / "manifest.json").read_text(encoding="utf-8"))["readout"]["task"]
    assert task == {"name": "acme-strips", "settings": {"classes": 10, "margin": 0.5}}

    missing = call(tmp_path, "verify", "bench")
    assert missing.returncode == 2
    assert "readout.task: expected name out of classification, " in missing.stderr
    assert ", but got 'acme-strips': install" in missing.stderr
    assert len(missing.stderr.splitlines()) == 1


def test_the_settings_of_another_package_are_checked_like_our_own(tmp_path: Path, site: Path) -> None:
    bad = call(tmp_path, *TRAIN, "--set", "codesign.relaxation.factor=-1", "--out", "run", paths=(PLUGIN, site))
    assert bad.returncode == 2
    assert "codesign.relaxation.factor" in bad.stderr
    assert len(bad.stderr.splitlines()) == 1
    unknown = call(tmp_path, *TRAIN, "--out", "run")
    assert unknown.returncode == 2
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


@pytest.mark.parametrize(
    ("setting", "sentence"),
    [
        ("codesign.relaxation.name=worn", "a relaxation 'worn' of broken_optics failed: RuntimeError: inconsistent"),
        ("codesign.schedule.name=late", "a schedule 'late' of broken_optics failed: KeyError: 'late'"),
        ("task.name=lossless", "a task 'lossless' of broken_optics failed: OSError: no loss here: correct it"),
    ],
)
def test_what_fails_while_it_runs_is_named_in_a_sentence(tmp_path: Path, setting: str, sentence: str) -> None:
    info = tmp_path / "site" / "broken_optics-1.0.dist-info"
    info.mkdir(parents=True)
    (info.parent / "broken_optics.py").write_text(BROKEN, encoding="utf-8")
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: broken-optics\nVersion: 1.0\n", encoding="utf-8")
    kinds = {"relaxations": ("worn", "Worn"), "schedules": ("late", "Late"), "tasks": ("lossless", "Lossless")}
    points = "".join(f"[voltphase.{kind}]\n{key} = broken_optics:{name}\n" for kind, (key, name) in kinds.items())
    (info / "entry_points.txt").write_text(points, encoding="utf-8")
    small = ("optics.depth=1", "training.epochs=1", "data.train_limit=200", "data.test_limit=20", setting)
    words = [word for one in small for word in ("--set", one)]
    failed = call(tmp_path, "train", "digits", *words, "--out", "run", paths=(info.parent,))
    assert failed.returncode == 2, failed.stderr
    assert f"error: {sentence}" in failed.stderr
    assert len(failed.stderr.splitlines()) == 1
