"""Results and pictures are those of the configuration, whatever surrounds the process."""

from __future__ import annotations

import csv
import inspect
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightning
import matplotlib as mpl
import pytest
import torch
from lightning.fabric.plugins import environments
from tests.forked import ONE_AFTER_ANOTHER
from typer.testing import CliRunner

from voltphase.cli import app
from voltphase.config import Config
from voltphase.training import load_run, provenance, train

Make = Callable[..., Config]
Trained = tuple[Path, Config, dict[str, Any]]

# One process goes the whole path, since to start one takes longer than all else.
_LINES = (
    "train tiny.yaml --out run",
    "deploy run --out bench",
    "verify bench",
    "report run",
    "device show lcos --out device.svg",
)
_TINY = """
preset: digits
optics: {size: 12, depth: 1, distances: 0.02}
device: {levels: 4}
data: {train_limit: 40, test_limit: 20}
training: {batch_size: 20, epochs: 1, threads: 1}
"""
_HOSTILE = {
    # schedulers and launchers
    "SLURM_NTASKS": "4",
    "SLURM_JOB_ID": "12",
    "SLURM_PROCID": "three",
    "RANK": "3",
    "LOCAL_RANK": "x",
    "NODE_RANK": "y",
    "GROUP_RANK": "z",
    "WORLD_SIZE": "4",
    "MASTER_ADDR": "nowhere.invalid",
    "MASTER_PORT": "port",
    "TORCHELASTIC_RUN_ID": "1",
    "KUBERNETES_PORT": "1",
    "LSB_JOBID": "1",
    "LSB_DJOB_RANKFILE": "/proc/nowhere",
    "JSM_NAMESPACE_RANK": "none",
    "JSM_NAMESPACE_SIZE": "2",
    "OMPI_COMM_WORLD_SIZE": "2",
    "PMI_RANK": "1",
    "XRT_TPU_CONFIG": "x",
    "PL_TRAINER_FAST_DEV_RUN": "1",
    "PL_TRAINER_LIMIT_TRAIN_BATCHES": "1",
    "PL_GLOBAL_SEED": "abc",
    # pictures
    "MPLBACKEND": "no such back end",
    # Python
    "PYTHONHASHSEED": "77",
    "PYTHONWARNINGS": "error",
    "PYTHONUTF8": "0",
    "PYTHONCOERCECLOCALE": "0",
    "TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD": "1",
    # system and terminal
    "LC_ALL": "C",
    "LANG": "de_DE",
    "LC_NUMERIC": "de_DE",
    "TMPDIR": "/proc/nowhere",
    "HOME": "/proc/nowhere",
    "TERM": "dumb",
    "NO_COLOR": "1",
    "CI": "true",
    "COLUMNS": "30",
    "OMP_NUM_THREADS": "2",
    "CUDA_VISIBLE_DEVICES": "",
    "GIT_DIR": "/proc/nowhere",
    "GIT_WORK_TREE": "/",
    "SOURCE_DATE_EPOCH": "1000000",
}
_RC = """
lines.linewidth: 9
font.size: 30
savefig.dpi: 300
savefig.bbox: tight
axes.formatter.use_locale: True
text.usetex: True
backend: TkAgg
no such setting
"""


def written(folder: Path) -> dict[str, Any]:
    """Every file that the path leaves, with the times taken out."""
    files: dict[str, Any] = {}
    for file in sorted(folder.rglob("*")):
        name = str(file.relative_to(folder))
        if file.is_dir() or name == "matplotlibrc":
            continue
        if file.suffix == ".ckpt":
            content = torch.load(file, weights_only=True)
            files[name] = {part: digest for part, digest in content["digests"].items() if part != "voltphase"}
        elif name == "run/metrics.csv":
            files[name] = [row[:5] for row in csv.reader(file.read_text().splitlines())]
        elif name == "run/summary.json":
            content = json.loads(file.read_text())
            changing = ("seconds", "host_seconds", "hardware")
            files[name] = {key: value for key, value in content.items() if key not in changing}
        elif name == "run/report.html":
            files[name] = re.sub(rb"\d+(\.\d+)? (s|min|threads?)\b", b"", file.read_bytes())
        else:
            files[name] = file.read_bytes()
    return files


def test_nothing_around_a_process_changes_a_byte_that_it_writes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    for name in ("plain", "hostile"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "tiny.yaml").write_text(_TINY)
    (tmp_path / "hostile" / "matplotlibrc").write_text(_RC)
    (tmp_path / "hostile" / "mpi4py.py").write_text("raise SystemError('no MPI here')\n")
    kept = ("PATH", "PYTHONPATH", "LD_LIBRARY_PATH", "VIRTUAL_ENV", "SYSTEMROOT")
    # The first only for its list of fonts, which takes long to make.
    known = {"MPLCONFIGDIR": mpl.get_cachedir()} | {name: os.environ[name] for name in kept if name in os.environ}
    hostile = subprocess.Popen(
        [sys.executable, "-c", ONE_AFTER_ANOTHER, *_LINES],
        cwd=tmp_path / "hostile",
        env=known | _HOSTILE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        errors="replace",
    )
    # The plain one here, at the same time: what other tests have left behind in this process is no more to be seen.
    monkeypatch.chdir(tmp_path / "plain")
    for line in _LINES:
        done = CliRunner().invoke(app, line.split())
        assert (done.exit_code, done.stderr) == (0, "")
    error = hostile.communicate()[1]
    assert (hostile.returncode, error) == (0, "")
    usual, unusual = written(tmp_path / "plain"), written(tmp_path / "hostile")
    del unusual["mpi4py.py"]
    assert sorted(unusual) == sorted(usual)
    assert [name for name in usual if unusual[name] != usual[name]] == []


def same(run: Path, trained: Trained) -> bool:
    (model, _, summary), (other, _, other_summary) = load_run(run), load_run(trained[0])
    state, other_state = model.state_dict(), other.state_dict()
    return all(torch.equal(state[name], other_state[name]) for name in other_state) and (
        summary["test_accuracy"] == other_summary["test_accuracy"]
    )


def test_equal_runs_have_equal_models_byte_by_byte(trained: Trained, tmp_path: Path, tiny: Make):
    for name in ("one", "two"):
        train(tiny(), tmp_path / name)
        for file in ("model.safetensors", "config.yaml"):
            assert (tmp_path / name / file).read_bytes() == (trained[0] / file).read_bytes()


def test_no_cluster_is_detected(trained: Trained, tmp_path: Path, tiny: Make, monkeypatch: pytest.MonkeyPatch):
    for environment in vars(environments).values():
        if inspect.isclass(environment) and not inspect.isabstract(environment):
            monkeypatch.setattr(environment, "detect", staticmethod(lambda: True))
    monkeypatch.setenv("SLURM_NTASKS", "4")
    monkeypatch.setattr(sys, "ps1", ">>> ", raising=False)  # as in a notebook
    train(tiny(), tmp_path / "run")
    assert same(tmp_path / "run", trained)


def test_no_option_of_the_trainer_is_taken_from_the_environment(
    trained: Trained, tmp_path: Path, tiny: Make, monkeypatch: pytest.MonkeyPatch
):
    for name in inspect.signature(lightning.Trainer).parameters:
        monkeypatch.setenv(f"PL_TRAINER_{name.upper()}", "1")
    train(tiny(), tmp_path / "run")
    assert same(tmp_path / "run", trained)


def test_a_schedulers_checkpoint_is_not_gone_on_from_and_its_signals_are_left_alone(
    trained: Trained, tmp_path: Path, tiny: Make, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("SLURM_NTASKS", "1")
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    out, handlers = tmp_path / "run", []
    train(tiny("seed=3"), out)
    (out / "hpc_ckpt_1.ckpt").write_bytes((out / "checkpoints" / "last.ckpt").read_bytes())
    signals = [number for name in ("SIGUSR1", "SIGUSR2", "SIGCONT") if (number := getattr(signal, name, None))]
    before = [signal.getsignal(number) for number in signals]
    train(
        tiny(),
        out,
        overwrite=True,
        watch=lambda _: handlers.append([signal.getsignal(number) for number in signals]),
    )
    assert handlers == [before] * 3
    assert same(out, trained)
    (out / "summary.json").unlink()
    train(tiny(), out, resume=True)
    assert same(out, trained)


def test_the_commit_is_of_this_code_in_a_hook_of_another_repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    commit = inspect.unwrap(provenance.commit)  # which is asked for once in all tests
    usual = commit()
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    monkeypatch.setenv("GIT_DIR", str(tmp_path / ".git"))
    monkeypatch.setenv("GIT_WORK_TREE", str(tmp_path))
    assert commit() == usual


def test_a_matplotlib_that_cannot_be_used_is_one_sentence(tmp_path: Path):
    (tmp_path / "matplotlibrc").write_bytes(b"font.size: \xff\n")
    done = subprocess.run(
        [sys.executable, "-c", "from voltphase.cli import main; main()", "device", "show", "lcos", "--out", "a.png"],
        cwd=tmp_path,
        env=dict(os.environ),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr.startswith("error: matplotlib cannot be used here (")
    assert len(done.stderr.splitlines()) == 1
