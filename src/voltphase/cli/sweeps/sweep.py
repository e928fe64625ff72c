"""``voltphase sweep``: a search over settings, on one machine or many."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from voltphase.cli.common import DataDirOption, argument, option, path_option
from voltphase.cli.exit_codes import INTERRUPTED
from voltphase.cli.voice import JsonOption, QuietOption, console, say, say_error, say_figures, say_table
from voltphase.core.errors import ConfigError
from voltphase.core.words import counted, shell

if TYPE_CHECKING:
    from voltphase.sweeps.search import SweepResult

_MOST_SHOWN = 10
_SLURM = "SLURM"

_SUBMIT = "Submit workers as an array of jobs, and return; storage is to be journal or the URL of a database."
_OPTION = "Another option of sbatch, such as account=optics, cpus-per-task=4 or exclusive; may be given several times."


def sweep(
    file: Annotated[Path, argument("SWEEP.yaml", "The file that says what is searched.")],
    out: Annotated[Path | None, path_option("--out", "-o", help="The sweep's folder. Default: sweeps/NAME.")] = None,
    data_dir: DataDirOption = None,
    slurm: Annotated[bool, typer.Option("--slurm", help=_SUBMIT, rich_help_panel=_SLURM)] = False,
    workers: Annotated[
        int | None, option("--workers", min=1, help="Number of workers. Default: 4.", rich_help_panel=_SLURM)
    ] = None,
    minutes: Annotated[
        int | None,
        option(
            "--minutes",
            min=1,
            help="Time limit of a worker, which is queued again. Default: 240.",
            rich_help_panel=_SLURM,
        ),
    ] = None,
    partition: Annotated[
        str | None, option("--partition", metavar="NAME", help="Partition of the workers.", rich_help_panel=_SLURM)
    ] = None,
    gpus: Annotated[
        int | None, option("--gpus", min=0, help="Number of GPUs of a worker.", rich_help_panel=_SLURM)
    ] = None,
    slurm_option: Annotated[
        list[str] | None, option("--slurm-option", metavar="KEY[=VALUE]", help=_OPTION, rich_help_panel=_SLURM)
    ] = None,
    quiet: QuietOption = False,
    as_json: JsonOption = False,
) -> None:
    """Search for the best settings: many trainings, tried one after another.

    The same command, run again anywhere, is one more worker on the same
    trials. Ctrl-C or a killed process loses nothing: whoever goes on does so
    from the last whole epoch. DIR holds trials.csv (a row a trial),
    best.yaml (ready for voltphase train), report.html and the runs.

    [bold]A sweep's file[/bold]

      config: mnist-small                # a preset or a file
      set: {training.epochs: 5, data.val_fraction: 0.1}
      search:
        training.learning_rate: {low: 0.03, high: 1, log: true}
        codesign.relaxation.name: [proximity, gumbel-softmax]
        codesign.relaxation.hard:
          {choices: [true, false], if: {codesign.relaxation.name: gumbel-softmax}}
      sampler: tpe                       # grid, random, tpe, nsga2
      trials: 40
      seeds: 3                           # mean and spread
      metric: accuracy                   # two for nsga2
      storage: sqlite                    # journal, postgresql://user@host/db

    [bold]Examples[/bold]

      voltphase sweep rate.yaml
      voltphase sweep rate.yaml --slurm --workers 8 --minutes 240 --gpus 1
    """
    from voltphase.sweeps.search import folder_of

    folder = folder_of(file, out)
    given = {"--workers": workers, "--minutes": minutes, "--partition": partition, "--gpus": gpus}
    if slurm:
        _submit(file, folder, data_dir, workers or 4, minutes or 240, partition, gpus, slurm_option or [])
        return
    for name, value in {**given, "--slurm-option": slurm_option}.items():
        if value is not None:
            raise ConfigError(f"expected --slurm with {name}, but got {name} alone: add --slurm, or leave it out")
    _work(file, folder, data_dir)


def _work(file: Path, folder: Path, data_dir: Path | None) -> None:
    from voltphase.sweeps.search import run_sweep

    terminal = console()
    try:
        result = run_sweep(file, folder, data_dir=data_dir, say=say, console=terminal if terminal.is_terminal else None)
    except (KeyboardInterrupt, BrokenPipeError):
        say_error("interrupted: the same command goes on from the last whole epoch")
        raise typer.Exit(INTERRUPTED) from None
    _show(result)


def _show(result: SweepResult) -> None:
    left_out = ("state", "error")
    rows = [{key: value for key, value in row.items() if key not in left_out} for row in result.ranked[:_MOST_SHOWN]]
    cells = [[f"{value:.4g}" if isinstance(value, float) else str(value) for value in row.values()] for row in rows]
    say_table([list(rows[0]), *cells])
    failed = sum(row["state"] == "failed" for row in result.rows)
    best = [row for row in result.ranked if row["best"]]
    say_figures({"sweep": str(result.path), "trials": len(result.rows), "failed": failed, "best": best})
    if failed:
        say(f"{counted(failed, 'trial')} failed: why stands in {result.path / 'trials.csv'}")
    say(f"all trials: {result.path / 'trials.csv'}, report: {result.path / 'report.html'}, the best again:")
    say(f"  {shell('voltphase', 'train', result.path / 'best.yaml')}")


def _fits(key: str, value: str) -> bool:
    """Return whether an option can stand in a line of a job's script."""
    return re.fullmatch(r"[A-Za-z][A-Za-z0-9_-]*", key) is not None and value != "" and value.isprintable()


def _submit(
    file: Path,
    folder: Path,
    data_dir: Path | None,
    workers: int,
    minutes: int,
    partition: str | None,
    gpus: int | None,
    options: list[str],
) -> None:
    from voltphase.sweeps.slurm import LOGS, Worker, submit

    pairs = [option.lstrip("-").partition("=") for option in options]
    named = zip(options, pairs, strict=True)
    if wrong := [option for option, (key, equals, value) in named if not _fits(key, value if equals else "x")]:
        raise ConfigError(
            f"expected --slurm-option KEY=VALUE such as account=optics, or KEY alone such as exclusive, but got "
            f"{wrong[0]!r:.100}"
        )
    if partition is not None and not _fits("partition", partition):
        raise ConfigError(f"expected --partition to be a name, but got {partition!r:.100}")
    worker = Worker(file.resolve(), folder.resolve(), data_dir and data_dir.resolve())
    further = {key: value if equals else True for key, equals, value in pairs}
    jobs = submit(worker, workers, minutes=minutes, partition=partition, gpus=gpus, options=further)
    say_figures({"sweep": str(folder), "jobs": [job.job_id for job in jobs]})
    say(f"submitted {counted(workers, 'worker')}: {', '.join(job.job_id for job in jobs)}")
    say(f"their logs are in {folder / LOGS}; this works along, and shows what there is in the end:")
    say(f"  {shell('voltphase', 'sweep', file, '--out', folder)}")
