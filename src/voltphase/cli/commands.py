"""The ``voltphase`` command and its subcommands."""

from __future__ import annotations

from typing import Annotated

import typer

from voltphase.cli import calibrate, devices, panels, runs, targets
from voltphase.cli import train as training
from voltphase.cli import validate as validation
from voltphase.cli.common import Commands
from voltphase.cli.sweeps import reproduce as experiments
from voltphase.cli.sweeps import sweep as sweeping
from voltphase.core.installed import package_version

app = typer.Typer(
    name="voltphase",
    cls=Commands,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("demo")(training.demo)
app.command("train", cls=training.CommandWithSettings)(training.train)
app.command("presets")(training.presets)
app.command("import")(runs.import_design)
app.command("evaluate")(runs.evaluate)
app.command("refine")(runs.refine)
app.command("report")(runs.report)
app.command("deploy", cls=targets.CommandWithTargets)(runs.deploy)
app.command("bench-sheet")(runs.bench_sheet)
app.command("verify")(runs.verify)
devices.app.command("calibrate")(calibrate.calibrate)
app.add_typer(devices.app, name="device")
app.add_typer(panels.app, name="panel")
app.command("validate")(validation.validate)
app.command("sweep")(sweeping.sweep)
app.command("reproduce")(experiments.reproduce)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"voltphase {package_version()}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit."),
    ] = False,
) -> None:
    """Train diffractive optical neural networks for the devices a lab has.

    Each pixel of a device can be in one of a few measured states. voltphase
    chooses one state per pixel by training through the physics of light,
    exports the map of each device, and proves that the export gives
    what was trained.

    Start with [bold]voltphase demo --out demo[/bold], then [bold]voltphase train --help[/bold].
    """
