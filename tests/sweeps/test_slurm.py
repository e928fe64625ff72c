"""Workers as jobs, by submitit's executor for one machine."""

from __future__ import annotations

import signal
import time
from pathlib import Path

import psutil
import pytest

from voltphase.core.errors import ConfigError, OutputError
from voltphase.sweeps.slurm import Worker, submit
from voltphase.sweeps.storage import open_study

pytest.importorskip("submitit", reason="needs submitit: pip install 'voltphase[slurm]'")

SWEEP = """\
config: digits
set:
  optics: {size: 16, depth: 1, distances: 0.02}
  data: {train_limit: 100, test_limit: 20}
  training: {epochs: 9, batch_size: 20}
search: {codesign.gain: [1.0]}
sampler: grid
storage: STORAGE
"""


def worker(folder: Path, storage: str = "journal") -> Worker:
    (folder / "gains.yaml").write_text(SWEEP.replace("STORAGE", storage))
    return Worker(folder / "gains.yaml", folder / "gains", None)


def test_a_job_that_is_signalled_is_queued_again_and_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # What a scheduler sets is not for Lightning: it would look for the other processes of such a job.
    for name, value in (("SLURM_JOB_ID", "7"), ("SLURM_NTASKS", "4"), ("SLURM_PROCID", "0"), ("SLURM_LOCALID", "0")):
        monkeypatch.setenv(name, value)
    [job] = submit(worker(tmp_path), 1, minutes=5, cluster="local")
    metrics, until = tmp_path / "gains" / "trials" / "0000" / "seed-0" / "metrics.csv", time.monotonic() + 120
    while not metrics.is_file():
        assert time.monotonic() < until, job.stderr()
        time.sleep(0.05)
    [process] = psutil.Process(int(job.job_id)).children()
    process.send_signal(signal.SIGUSR2)
    assert job.result() is None
    study, _ = open_study("journal", tmp_path / "gains", "gains")
    assert [trial.state.name for trial in study.trials] == ["COMPLETE"]
    said, complained = job.stdout() or "", job.stderr() or ""
    assert said.count("Requeued job") == 1
    assert said.count("[1/1] trial 0: codesign.gain 1") == 1
    assert "Traceback" not in complained
    assert len(metrics.read_text().splitlines()) == 1 + 9
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
