"""``voltphase reproduce``: the paper's results, run and rendered."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated

import typer

from voltphase.cli.common import FAILED, INTERRUPTED, DataDirOption, console, given_path, say, say_error
from voltphase.reproduction import sizes as presets

if TYPE_CHECKING:
    from voltphase.sweeps.results import ResultFolder
    from voltphase.sweeps.runner import Tally
    from voltphase.sweeps.runs import Cell

_MEASURED = Path("devices") / "tn-slm-phase.csv"
_PRESETS = "; ".join(f"{preset.name}: {preset.description}" for preset in presets.PRESETS.values())


def reproduce(
    experiment: Annotated[
        str,
        typer.Argument(
            metavar="EXPERIMENT",
            help="table1, table2, figure2, figure3, figure4, all (these five), study, diagonal, "
            "reach (one layer by its pitch) or readings (what the paper leaves open).",
            show_default=False,
        ),
    ],
    preset: Annotated[str, typer.Option("--preset", help=_PRESETS)] = "cpu",
    out: Annotated[
        Path, typer.Option("--out", "-o", metavar="DIR", help="Where results are kept.", parser=given_path)
    ] = Path("results/reproduce"),
    only: Annotated[
        list[str] | None,
        typer.Option(
            "--only",
            metavar="TEXT",
            help="Only cells with this label (mnist, codesign, levels=8, …) or a name of this pattern; may be given "
            "several times, and all must fit.",
            show_default=False,
        ),
    ] = None,
    depth: Annotated[
        int | None, typer.Option("--depth", help="Only cells of so many layers.", show_default=False)
    ] = None,
    max_minutes: Annotated[
        float | None,
        typer.Option(
            "--max-minutes", min=0.0, help="Stop after so long; the same command goes on.", show_default=False
        ),
    ] = None,
    threads: Annotated[
        int | None, typer.Option("--threads", min=1, max=1024, help="CPU threads of this process.", show_default=False)
    ] = None,
    data_dir: DataDirOption = None,
    device_file: Annotated[
        Path | None,
        typer.Option(
            "--device-file",
            metavar="FILE",
            help="The measured modulator. Default: devices/tn-slm-phase.csv in --data-dir or VOLTPHASE_DATA, else "
            "the modelled tn-slm.",
            show_default=False,
            parser=given_path,
        ),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--list", help="Only name the cells, and which are there.")] = False,
    render_only: Annotated[bool, typer.Option("--render-only", help="Only draw what is there.")] = False,
    page: Annotated[
        Path | None,
        typer.Option(
            "--page",
            metavar="FILE",
            help="The Markdown page to put tables and figures on. Default: DIR/PRESET/reproduction.md.",
            show_default=False,
            parser=given_path,
        ),
    ] = None,
) -> None:
    """Run the paper's experiments, from raw data to tables and figures.

    Each cell of an experiment is one training run and leaves one JSON file in
    DIR/PRESET/EXPERIMENT. A finished cell is never run again, an interrupted
    one goes on from its last epoch. Several processes or machines may share
    DIR, each takes the cells that nobody is at work on; several processes on
    one GPU share it. To run a cell again remove its JSON file; one made with
    another device is never replaced. Tables and figures are made from these
    files alone, and put between marks on a page whose other text stays.

    [bold]Examples[/bold]

      voltphase reproduce all --preset smoke
      voltphase reproduce table1 --only mnist --depth 5 --max-minutes 25
      voltphase reproduce all --preset paper
      voltphase reproduce all --render-only --page docs/reproduction.md
    """
    import torch

    from voltphase.core.errors import ConfigError
    from voltphase.reproduction.page import render
    from voltphase.reproduction.paper.figure4 import write_device
    from voltphase.reproduction.registry import choose
    from voltphase.sweeps.results import ResultFolder
    from voltphase.sweeps.runner import run_cells

    chosen, scale = choose(experiment), presets.get(preset)
    folder = ResultFolder(out / scale.name)
    terminal = console()
    failed = False
    with _going_on(), TemporaryDirectory() as temporary:
        fine_device = Path(temporary) / scale.fine_device
        write_device(fine_device)
        measured = _measured_device(device_file, data_dir)
        scale = scale.on(measured, fine_device=fine_device, data_dir=data_dir, threads=threads)
        cells = [cell for one in chosen for cell in one.cells(scale) if cell.fits(only or (), depth)]
        if not cells:
            raise ConfigError(
                f"expected --only and --depth to leave cells of {experiment}, but none fits: "
                f"voltphase reproduce {experiment} --list names them all"
            )
        if dry_run:
            for cell in cells:
                say(f"{_standing(cell, folder)}  {cell.experiment} {cell.name}")
            return
        if not render_only:
            if measured is None:
                say("no measured modulator given: using the modelled tn-slm")
            if threads is not None:
                torch.set_num_threads(threads)
            tally = run_cells(
                cells,
                folder,
                preset=scale.name,
                say=say,
                minutes=max_minutes,
                console=terminal if terminal.is_terminal else None,
            )
            _tell(tally, len(cells))
            if not scale.conclusive:
                say(presets.INCONCLUSIVE)
            failed = bool(tally.failed)
    with _going_on():
        for file in render(page or folder.path / "reproduction.md", folder, scale, chosen):
            say(f"written: {file}")
    if failed:
        raise typer.Exit(FAILED)


@contextmanager
def _going_on() -> Iterator[None]:
    """Say to whom interrupts it how the work is gone on with."""
    try:
        yield
    except KeyboardInterrupt:
        say_error("interrupted: the same command goes on from the last whole epoch")
        raise typer.Exit(INTERRUPTED) from None


def _standing(cell: Cell, folder: ResultFolder) -> str:
    if folder.finished(cell):
        return "done"
    return "other device" if folder.other_devices(cell) else "to do"


def _measured_device(given: Path | None, data_dir: Path | None) -> Path | None:
    from voltphase.data import default_data_dir
    from voltphase.devices import load

    if given is None:
        places = [place / _MEASURED for place in (data_dir, default_data_dir()) if place is not None]
        given = next((file for file in places if file.is_file()), None)
    if given is not None:
        load(given)  # what is wrong with it is said once, before any cell is begun
    return given


def _tell(tally: Tally, count: int) -> None:
    say(f"{len(tally.finished)} of {count} cells are done")
    if tally.elsewhere:
        say(f"{len(tally.elsewhere)} are being run by others")
    if tally.left:
        say(f"{len(tally.left)} are left: the same command goes on with them")
    for cell, reason in tally.failed:
        say_error(f"failed: {cell.experiment} {cell.name}: {reason}")
