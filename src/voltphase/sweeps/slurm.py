"""Processes that work on a sweep, as jobs of a cluster's scheduler, SLURM."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

from voltphase.core.errors import ConfigError, OutputError, VoltphaseError
from voltphase.core.files import reason_of, write_errors
from voltphase.core.installed import needing_extras
from voltphase.core.words import one_line, printable
from voltphase.sweeps.search.settings import read_sweep
from voltphase.sweeps.search.sweep import prepared_sweep, run_sweep

if TYPE_CHECKING:
    from submitit import Job
    from submitit.helpers import DelayedSubmission

#: Folder of the jobs' logs, in that of the sweep.
LOGS: Final = "slurm"
# A job whose time is up is queued again, as long as there are trials: far more often than any sweep needs.
_MOST_REQUEUES: Final = 10_000


@dataclass
class Worker:
    """What a job does: it works on the trials of a sweep until all have ended.

    A moment before its time is up, or when others take its place, the scheduler sends a signal. The trial at work then
    waits, from its last whole epoch on, for who takes it next, and the job is queued again.

    Args:
        file: Path of the sweep's file.
        out: Folder of the sweep.
        data_dir: Folder of the data sets.
    """

    file: Path
    out: Path
    data_dir: Path | None

    def __call__(self) -> None:
        """Work, with a line for each trial in the job's log."""
        try:
            run_sweep(self.file, self.out, data_dir=self.data_dir, say=_log)
        except VoltphaseError as error:
            sys.stderr.write(f"error: {printable(str(error))}\n")
            raise SystemExit(2) from error
        except KeyboardInterrupt as error:
            # How submitit ends a job that is queued again: a training turns it into an interruption.
            if isinstance(error.__cause__, SystemExit):
                raise error.__cause__ from None
            raise

    def checkpoint(self) -> DelayedSubmission:
        """Return what submitit queues again; all there is to go on with lies in the sweep's folder and storage."""
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(self)


def submit(
    worker: Worker,
    count: int,
    *,
    minutes: int,
    partition: str | None = None,
    gpus: int | None = None,
    options: Mapping[str, str | bool] | None = None,
    cluster: Literal["slurm", "local"] = "slurm",
) -> list[Job[Any]]:
    """Submit workers as an array of jobs, after making sure that there is something for them to do.

    Args:
        worker: What each does.
        count: Number of workers.
        minutes: Time limit of each; it is queued again when its time is up.
        partition: Name of the partition.
        gpus: Number of GPUs for each.
        options: Further options of ``sbatch``, by their names; of one without a value ``True``.
        cluster: ``"local"`` starts them on this machine, for tests.

    Raises:
        ConfigError: if the sweep makes no sense, or its storage cannot be shared by machines.
        OutputError: if there is no SLURM here, or it does not take the jobs.
        MissingLibraryError: if submitit is not installed.
    """
    with needing_extras():
        import submitit

    if read_sweep(worker.file, worker.data_dir).given.storage == "sqlite":
        raise ConfigError(
            "expected storage: journal, or the URL of a database, for workers on several machines, but got sqlite: a "
            "file of SQLite is for one machine"
        )
    logs = worker.out / LOGS
    try:
        # First, as it is refused where there is no SLURM.
        executor = submitit.AutoExecutor(logs, cluster=cluster, **{f"{cluster}_max_num_timeout": _MOST_REQUEUES})
        given = {
            "slurm_partition": partition,
            "gpus_per_node": gpus,
            # By submitit's own names, so that one given twice is not written twice.
            "slurm_additional_parameters": {name.replace("-", "_"): value for name, value in (options or {}).items()},
        }
        executor.update_parameters(
            name=f"sweep-{worker.out.resolve().name}",
            timeout_min=minutes,
            slurm_array_parallelism=count,
            **{key: value for key, value in given.items() if value not in (None, {})},
        )
        with prepared_sweep(worker.file, worker.out, worker.data_dir), write_errors(logs):
            logs.mkdir(parents=True, exist_ok=True)
        with executor.batch():
            jobs = [executor.submit(worker) for _ in range(count)]
    except OSError as error:
        raise OutputError(f"cannot submit jobs from {logs}: {reason_of(error)}; check the folder") from error
    except RuntimeError as error:  # of which all errors of submitit are
        raise OutputError(
            f"expected SLURM to take the jobs, but {one_line(str(error)):.300}: check the options, and run this where "
            "sbatch is"
        ) from error
    return jobs


def _log(line: str) -> None:
    sys.stdout.write(f"{printable(line)}\n")
    sys.stdout.flush()
