"""``voltphase reproduce``: the paper's results, run and rendered."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated, Any

import typer

from voltphase.cli.common import DataDirOption, argument, option, path_option
from voltphase.cli.exit_codes import FAILED, INTERRUPTED
from voltphase.cli.voice import JsonOption, QuietOption, console, say, say_error, say_figures
from voltphase.reproduction import sizes

if TYPE_CHECKING:
    from voltphase.reproduction.registry import Experiment
    from voltphase.sweeps.results import ResultFolder
    from voltphase.sweeps.runner import SweepSummary
    from voltphase.sweeps.runs import Run

_MEASURED = Path("devices") / "tn-slm-phase.csv"
_SIZES = "; ".join(f"{size.name}: {size.description}" for size in sizes.SIZES.values())


_EXPERIMENT = (
    "table1, table2, figure2, figure3, figure4, all (these five), study, diagonal, reach (one layer by its pitch) or "
    "readings (what the paper leaves open)."
)
ExperimentArgument = Annotated[str, argument("EXPERIMENT", _EXPERIMENT, parser=None)]
PresetOption = Annotated[str, typer.Option("--preset", help=_SIZES)]
OutOption = Annotated[Path, path_option("--out", "-o", show_default=True, help="Folder of the results.")]
_ONLY = (
    "Only runs with this label (mnist, codesign, levels=8, …) or a name of this pattern; may be given several times, "
    "and all must fit."
)
OnlyOption = Annotated[list[str] | None, option("--only", metavar="TEXT", help=_ONLY)]
DepthOption = Annotated[int | None, option("--depth", help="Only runs with this number of layers.")]
_MINUTES = "Stop after this many minutes; run the same command again to go on."
MinutesOption = Annotated[float | None, option("--max-minutes", min=0.0, help=_MINUTES)]
ThreadsOption = Annotated[int | None, option("--threads", min=1, max=1024, help="CPU threads of this process.")]
_DEVICE = (
    "The measured modulator. Default: devices/tn-slm-phase.csv in --data-dir or VOLTPHASE_DATA, else the modelled "
    "tn-slm."
)
DeviceOption = Annotated[Path | None, path_option("--device-file", metavar="FILE", help=_DEVICE)]
ListOption = Annotated[bool, typer.Option("--list", help="Only name the runs, and which are there.")]
RenderOption = Annotated[bool, typer.Option("--render-only", help="Only draw what is there.")]
_PAGE = "The Markdown page to put tables and figures on. Default: DIR/PRESET/reproduction.md."
PageOption = Annotated[Path | None, path_option("--page", metavar="FILE", help=_PAGE)]


def reproduce(
    experiment: ExperimentArgument,
    preset: PresetOption = "cpu",
    out: OutOption = Path("results/reproduce"),
    only: OnlyOption = None,
    depth: DepthOption = None,
    max_minutes: MinutesOption = None,
    threads: ThreadsOption = None,
    data_dir: DataDirOption = None,
    device_file: DeviceOption = None,
    dry_run: ListOption = False,
    render_only: RenderOption = False,
    page: PageOption = None,
    quiet: QuietOption = False,
    as_json: JsonOption = False,
) -> None:
    """Run the paper's experiments, from raw data to tables and figures.

    Each run of an experiment is one training and leaves one JSON file in
    DIR/PRESET/EXPERIMENT. A finished run is never repeated, an interrupted one
    goes on from its last epoch. Several processes or machines may share DIR,
    each takes the runs that nobody is at work on; several processes on one GPU
    share it. To repeat a run remove its JSON file; one made with another
    device is never replaced. Tables and figures are made from these files
    alone, and put between marks on a page whose other text stays.

    [bold]Examples[/bold]

      voltphase reproduce all --preset smoke
      voltphase reproduce table1 --only mnist --depth 5 --max-minutes 25
      voltphase reproduce all --preset paper
      voltphase reproduce all --render-only --page docs/reproduction.md
    """
    from voltphase.reproduction.page import render
    from voltphase.reproduction.registry import choose
    from voltphase.sweeps.results import ResultFolder

    chosen, size = choose(experiment), sizes.get(preset)
    folder = ResultFolder(out / size.name)
    summary = None
    with _resumable():
        measured = _measured_device(device_file, data_dir)
        with _ready(size, measured, data_dir, threads) as ready:
            runs = _fitting(experiment, chosen, ready, only or (), depth)
            if dry_run:
                states = [(run, folder.state(run)) for run in runs]
                listed = [(run, "to do" if state == "damaged" else state) for run, state in states]
                say_figures({"runs": [{**_named(run), "state": state} for run, state in listed]})
                for run, state in listed:
                    say(f"{state}  {run.experiment} {run.name}")
                return
            if not render_only:
                if measured is None:
                    say("no measured modulator given: using the modelled tn-slm")
                summary = _train(runs, folder, ready, max_minutes, threads)
        files = render(page or folder.path / "reproduction.md", folder, ready, chosen)
        say_figures({"folder": str(folder.path), **_figures_of(summary), "files": list(map(str, files))})
        for file in files:
            say(f"written: {file}")
    if summary is not None and summary.failed:
        raise typer.Exit(FAILED)


@contextmanager
def _resumable() -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt:
        say_error("interrupted: the same command goes on from the last whole epoch")
        raise typer.Exit(INTERRUPTED) from None


@contextmanager
def _ready(size: sizes.Size, measured: Path | None, data_dir: Path | None, threads: int | None) -> Iterator[sizes.Size]:
    from voltphase.reproduction.paper.figure4 import write_device

    with TemporaryDirectory() as temporary:
        fine_device = Path(temporary) / size.fine_device
        write_device(fine_device)
        yield size.on(measured, fine_device=fine_device, data_dir=data_dir, threads=threads)


def _fitting(
    name: str, experiments: Sequence[Experiment], size: sizes.Size, only: Sequence[str], depth: int | None
) -> list[Run]:
    from voltphase.core.errors import ConfigError

    runs = [run for experiment in experiments for run in experiment.runs(size) if run.fits(only, depth)]
    if not runs:
        raise ConfigError(
            f"expected --only and --depth to leave runs of {name}, but none fits: "
            f"voltphase reproduce {name} --list names them all"
        )
    return runs


def _train(
    runs: Sequence[Run], folder: ResultFolder, size: sizes.Size, minutes: float | None, threads: int | None
) -> SweepSummary:
    """Train the runs, say how that went, and return it."""
    import torch

    from voltphase.sweeps.runner import run_all

    if threads is not None:
        torch.set_num_threads(threads)
    terminal = console()
    progress = terminal if terminal.is_terminal else None
    summary = run_all(runs, folder, say=say, about={"preset": size.name}, minutes=minutes, console=progress)
    say(f"{len(summary.finished)} of {len(runs)} runs are done")
    if summary.elsewhere:
        say(f"{len(summary.elsewhere)} are being run by others")
    if summary.left:
        say(f"{len(summary.left)} are left: the same command goes on with them")
    for run, reason in summary.failed:
        say_error(f"failed: {run.experiment} {run.name}: {reason}")
    if not size.conclusive:
        say(sizes.INCONCLUSIVE)
    return summary


def _named(run: Run) -> dict[str, str]:
    return {"experiment": run.experiment, "name": run.name}


def _figures_of(summary: SweepSummary | None) -> dict[str, Any]:
    """Return how runs went, if some were to be trained."""
    if summary is None:
        return {}
    of_state = {"finished": summary.finished, "elsewhere": summary.elsewhere, "left": summary.left}
    failed = [{**_named(run), "reason": reason} for run, reason in summary.failed]
    return {**{state: [_named(run) for run in runs] for state, runs in of_state.items()}, "failed": failed}


def _measured_device(given: Path | None, data_dir: Path | None) -> Path | None:
    from voltphase.data import default_data_dir
    from voltphase.devices import load

    if given is None:
        places = [place / _MEASURED for place in (data_dir, default_data_dir()) if place is not None]
        given = next((file for file in places if file.is_file()), None)
    if given is not None:
        load(given)  # what is wrong with it is said once, before any run is begun
    return given
