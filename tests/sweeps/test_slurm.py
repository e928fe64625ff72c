"""Workers as jobs: by submitit's executor for one machine, and by programs that stand for SLURM's."""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from voltphase.cli import app
from voltphase.core.errors import ConfigError, OutputError
from voltphase.sweeps import resume
from voltphase.sweeps.search import run_sweep, sweep
from voltphase.sweeps.slurm import LOGS, Worker, submit
from voltphase.sweeps.storage import open_study
from voltphase.training import RunFolder

pytest.importorskip("submitit", reason="needs submitit: pip install 'voltphase[slurm]'")

from submitit.core.submission import process_job

SWEEP = """\
config: digits
set:
  optics: {size: 16, depth: 1, distances: 0.02}
  data: {train_limit: 100, test_limit: 20}
  training: {epochs: 3, batch_size: 50}
search: {codesign.gain: [1.0]}
sampler: grid
storage: STORAGE
"""
SMALL = ("optics.size=16", "optics.depth=1", "data.train_limit=60", "data.test_limit=20", "training.epochs=1")


def worker(folder: Path, storage: str = "journal") -> Worker:
    (folder / "gains.yaml").write_text(SWEEP.replace("STORAGE", storage))
    return Worker(folder / "gains.yaml", folder / "gains", None)


@pytest.fixture
def scheduler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Programs of SLURM's names, first in PATH: what ``sbatch`` was given and ``scontrol`` was told is kept beside."""
    programs = tmp_path / "programs"
    programs.mkdir()
    for name, line in (
        ("srun", "exit 1"),
        ("sbatch", f'cp "$1" {programs}/job.sh; echo Submitted batch job 4711'),
        ("scontrol", f'echo "$@" >> {programs}/told'),
    ):
        (programs / name).write_text(f"#!/bin/sh\n{line}\n")
        (programs / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(programs), prepend=os.pathsep)
    return programs


def test_workers_are_one_array_of_jobs_with_the_options_that_were_given(
    tmp_path: Path, scheduler: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker(tmp_path)
    monkeypatch.chdir(tmp_path)
    words = [
        "sweep",
        "gains.yaml",
        "--slurm",
        "--workers",
        "3",
        "--minutes",
        "30",
        "--partition",
        "long",
        "--gpus",
        "1",
    ]
    for option in ("account=optics", "cpus-per-task=4", "exclusive", "job-name=mine"):
        words += ["--slurm-option", option]
    said = CliRunner().invoke(app, words, terminal_width=80)
    assert said.exit_code == 0, said.output
    assert said.stdout.startswith("submitted 3 workers: 4711_0, 4711_1, 4711_2\n")
    script = (scheduler / "job.sh").read_text().splitlines()
    assert [line for line in script if "job-name" in line] == ["#SBATCH --job-name=mine"]
    given = {"array=0-2%3", "time=30", "partition=long", "gpus-per-node=1", "account=optics", "cpus-per-task=4"}
    assert {f"#SBATCH --{option}" for option in {*given, "exclusive", "signal=USR2@90"}} <= set(script)
    [command] = [line for line in script if line.startswith("srun ")]
    assert command.endswith(f" -u -m submitit.core._submit {tmp_path / 'sweeps' / 'gains' / 'slurm'}")


@pytest.mark.parametrize(
    "words", [("--slurm-option", "account=a\nrm"), ("--slurm-option", "a b=c"), ("--partition", "")]
)
def test_what_is_no_line_of_a_script_or_has_no_scheduler_begins_nothing(
    words: tuple[str, str], tmp_path: Path, scheduler: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = worker(tmp_path)
    monkeypatch.chdir(tmp_path)
    said = CliRunner().invoke(app, ["sweep", "gains.yaml", "--out", "gains", "--slurm", *words])
    assert (said.exit_code, f"expected {words[0]}" in said.stderr) == (2, True)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(OutputError, match="expected SLURM to take the jobs"):
        submit(job, 2, minutes=5)
    assert not job.out.exists()


def run_job(folder: Path) -> int:
    """Begin to do what the command of a job script does, as the first of an array, in a process forked from this."""
    process = os.fork()
    if process == 0:
        code = 1
        try:
            numbers = {"JOB_ID": 4712, "ARRAY_JOB_ID": 4711, "ARRAY_TASK_ID": 0, "NTASKS": 4, "PROCID": 0, "LOCALID": 0}
            os.environ |= {f"SLURM_{name}": str(number) for name, number in numbers.items()}
            os.environ["SUBMITIT_EXECUTOR"] = "slurm"
            process_job(folder)
            code = 0
        except SystemExit as ended:
            code = 3 if ended.code else 0
        finally:
            os._exit(code)
    return process


def test_a_job_that_is_signalled_keeps_its_trial_is_queued_again_and_goes_on(
    tmp_path: Path, scheduler: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    job = worker(tmp_path)
    submit(job, 2, minutes=5)
    monkeypatch.setattr(sweep, "write_sweep_report", lambda *_: None)  # which would take most of the time
    whole, (ready, begun) = resume.train, os.pipe()

    def slow(*arguments: Any, watch: Any, **options: Any) -> Any:
        def wait(epoch: Any) -> None:
            if epoch["epoch"] == 2:
                os.write(begun, b"x")
                time.sleep(60)

        return whole(*arguments, watch=wait, **options)

    with monkeypatch.context() as patch:
        patch.setattr(resume, "train", slow)
        process = run_job(job.out / LOGS)
    os.read(ready, 1)
    os.kill(process, signal.SIGUSR2)
    assert os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) == 3
    assert (scheduler / "told").read_text() == "requeue 4711_0\n"
    study, _ = open_study("journal", job.out, "gains")
    assert [trial.state.name for trial in study.trials] == ["WAITING"]

    process = run_job(job.out / LOGS)
    assert os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) == 0
    assert [trial.state.name for trial in study.trials] == ["COMPLETE"]
    said, complained = capfd.readouterr()
    assert said.count("[1/1] trial 0: codesign.gain 1") == 1
    assert "Traceback" not in said + complained
    alone = run_sweep(job.file, tmp_path / "alone")
    rows = [RunFolder(folder / "trials" / "0000" / "seed-0").read_metrics() for folder in (job.out, alone.path)]
    losses = [[row["train_loss"] for row in table] for table in rows]
    assert losses[0] == losses[1]
    assert (job.out / "best.yaml").is_file()


@pytest.mark.usefixtures("quick")
def test_each_command_of_the_readmes_way_from_a_laptop_to_a_cluster_does_what_it_says(
    tmp_path: Path, scheduler: Path, postgresql: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import psycopg

    readme = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    rate, commands = re.findall(
        r"```(?:yaml|sh)\n(.*?)```", readme.partition("## From a laptop to a cluster")[2], re.S
    )[:2]
    lines = commands.replace("/shared", str(tmp_path / "shared")).splitlines()
    assert len(lines) == 10
    monkeypatch.chdir(tmp_path)
    Path("rate.yaml").write_text(rate.replace("trials: 40", "trials: 3"))
    # Where the URL of the README leads to.
    with psycopg.connect(postgresql, autocommit=True) as database:
        database.execute("CREATE ROLE me SUPERUSER LOGIN")
        database.execute("CREATE DATABASE sweeps")
    monkeypatch.setenv("PGHOSTADDR", "127.0.0.1")
    monkeypatch.setenv("PGPORT", postgresql.partition("@127.0.0.1:")[2].partition("/")[0])
    for line in lines:
        words = shlex.split(line, comments=True)
        if words[0] == "voltphase":
            if words[1] == "train":
                words += [word for setting in SMALL for word in ("--set", setting)]
            said = CliRunner().invoke(app, words[1:], terminal_width=80)
            assert said.exit_code == 0, (line, said.output)
        elif words[0] in ("cp", "echo"):
            subprocess.run(line, shell=True, check=True)
        else:
            assert line.startswith("pip install '.[postgresql,slurm]'"), "which is not tried here"
        if "--slurm" in words:
            assert "#SBATCH --array=0-7%8" in (scheduler / "job.sh").read_text()
            process = run_job(tmp_path / "shared" / "many" / LOGS)
            assert os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) == 0
    for folder in ("sweeps/rate", "shared/rate", "shared/many"):
        assert len(Path(folder, "trials.csv").read_text().splitlines()) == 1 + 3
    assert Path("sweeps/rate/sweep.db").is_file()
    assert Path("shared/rate/sweep.journal").is_file()


def test_a_job_works_in_a_process_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # What a scheduler sets is not for Lightning: it would look for the other processes of such a job.
    for name, value in (("SLURM_JOB_ID", "7"), ("SLURM_NTASKS", "4"), ("SLURM_PROCID", "0"), ("SLURM_LOCALID", "0")):
        monkeypatch.setenv(name, value)
    [job] = submit(worker(tmp_path), 1, minutes=5, cluster="local")
    assert job.result() is None
    assert (job.stdout() or "").count("[1/1] trial 0: codesign.gain 1") == 1
    assert "Traceback" not in (job.stderr() or "")
    assert (tmp_path / "gains" / "best.yaml").is_file()


def test_a_sweep_that_makes_no_sense_is_refused_before_anything_is_submitted(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="a file of SQLite is for one machine"):
        submit(worker(tmp_path, "sqlite"), 2, minutes=5)
    assert not (tmp_path / "gains" / "slurm").exists()


def test_without_slurm_it_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(OutputError, match=r"expected SLURM to take the jobs, but .*srun"):
        submit(worker(tmp_path), 2, minutes=5)


def test_what_keeps_a_worker_from_working_is_a_sentence_in_its_log(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        Worker(tmp_path / "none.yaml", tmp_path / "out", None)()
    assert ended.value.code == 2
    assert capsys.readouterr().err.startswith("error: expected the YAML file of a sweep")
