"""``voltphase train``, ``presets`` and ``demo``."""

from __future__ import annotations

import os
import time
import warnings
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from voltphase.cli.common import CommandWithTable, DataDirOption, SetOption, argument, option, path_option, say_next
from voltphase.cli.exit_codes import BAD_INPUT, FAILED, INTERRUPTED
from voltphase.cli.voice import JsonOption, QuietOption, console, say, say_error, say_figures, say_table
from voltphase.core.errors import LostProcessError, VoltphaseError
from voltphase.core.words import shell

if TYPE_CHECKING:
    from voltphase.config import Config

# How long torchrun may take to end the other processes, once one has failed.
_END_SECONDS = 10.0

_SEED = "Seed of the initial states, of draws and of shuffling: the same seed gives the same maps."
_VAL = (
    "Part of the training images to validate with: they are watched instead of the test images, which are answered at "
    "the end alone."
)
_PROFILE = "End with a table of where time went; it is kept in profile.json of the run folder."
_SETTINGS = (
    "[bold]Settings[/bold], lengths in metres. Below what is chosen by name stand the names (* the default), each with "
    "the keys of its own. voltphase presets --settings says what each means; the config.yaml of any run holds all."
)


class CommandWithSettings(CommandWithTable):
    """A command whose help ends with the settings there are, those of other packages too."""

    def table(self) -> str:
        from rich.markup import escape

        from voltphase.config.help import settings_table

        return f"{_SETTINGS}\n\n{escape(settings_table())}"


def train(
    config: Annotated[
        str, argument("CONFIG|PRESET", "A YAML file, or the name of a preset (see voltphase presets).", parser=None)
    ],
    overrides: SetOption = None,
    out: Annotated[Path | None, path_option("--out", "-o", help="The run folder. Default: runs/NAME.")] = None,
    data_dir: DataDirOption = None,
    seed: Annotated[int | None, option("--seed", help=_SEED)] = None,
    val_fraction: Annotated[float | None, option("--val-fraction", help=_VAL)] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Continue an interrupted run in --out from its last whole epoch.")
    ] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the run that is in --out.")] = False,
    quiet: QuietOption = False,
    as_json: JsonOption = False,
    profile: Annotated[bool, typer.Option("--profile", help=_PROFILE)] = False,
) -> None:
    """Train a network and leave everything about it in a run folder.

    The folder holds config.yaml (every setting), metrics.csv (a row an
    epoch), summary.json (final accuracies, seed, versions),
    model.safetensors (the result) and checkpoints/ (to resume from).
    Accuracies are of the deployed states: one state per pixel, as it would
    be loaded on the device.

    [bold]Examples[/bold]

      voltphase train digits
      voltphase train mnist-small --out runs/m --set device.file=slm.csv
      voltphase train my.yaml --set training.epochs=5 --seed 3
      voltphase train runs/m/config.yaml --out runs/m --resume

    [bold]A configuration file[/bold] starts from a preset and says what differs

      preset: mnist-small
      device: {file: slm.csv, levels: 16}
      training: {epochs: 20, threads: 4}
    """
    from voltphase.training import profiled

    try:
        settings = _load(config, overrides, data_dir, seed, val_fraction)
        first = _says_it(settings)
    except VoltphaseError:
        if not _said_by_first():
            raise
        raise typer.Exit(BAD_INPUT) from None
    folder = out or _default_folder(config, resume)
    if not first:
        _follow(settings, folder, resume=resume, overwrite=overwrite)
        return
    if resume and not folder.exists():
        say(f"there is nothing in {folder} to resume: training from the start")
    with profiled() if profile else nullcontext() as measured:
        summary = _train(settings, folder, resume=resume, overwrite=overwrite)
    figures = {"run": str(folder), **summary}
    if measured is not None:
        measured.write(folder)
        figures["profile"] = measured.seconds
    say_figures(figures)
    metric, deployable = settings.task.build().metrics[0], summary.get("deployable", True)
    names = {"test": "test", "val": "validation", "train": "training"}
    values = {name: summary[column] for split, name in names.items() if (column := metric.column(split)) in summary}
    told = ", ".join(f"{name} {metric.name} {metric.number(value)}" for name, value in values.items())
    of = "the deployed states" if deployable else "free phases"
    say(f"{told} (of {of}), trained in {summary['seconds']:.0f} s")
    margin = (
        f", contrast margin {contrast:.3f}" if (contrast := summary.get("test_contrast_margin")) is not None else ""
    )
    if (light := summary.get("test_light_share")) is not None:
        say(f"light: {light:.2%} of the input's reaches what is read{margin}")
    if measured is not None:
        say_table(measured.rows())
    if not deployable:
        say(f"results are in {folder}: a ceiling, which no device can be set to")
        return
    say_next(folder)


def presets(
    settings: Annotated[bool, typer.Option("--settings", help="Say what each setting means instead.")] = False,
) -> None:
    """List the configurations that come with voltphase, or what their settings mean.

    A preset's name stands for a file wherever a configuration is asked for;
    a file may start from one by [bold]preset: NAME[/bold].
    """
    from voltphase.config import presets as known
    from voltphase.config.help import meanings

    if settings:
        for line in meanings().split("\n"):
            say(line)
        return
    for preset in known().values():
        say(f"{preset.name:<14} {preset.description}")


def demo(
    out: Annotated[
        Path, path_option("--out", "-o", show_default=True, help="Where to put it; an earlier demo is replaced.")
    ] = Path("demo"),
    overrides: SetOption = None,
) -> None:
    """Train on real handwriting, export, check the export, draw a report.

    Trains the preset digits for a modelled liquid-crystal device into
    DIR/run, exports the device maps to DIR/bench, rebuilds the system from
    those files alone to show that it answers alike, and draws a page of
    pictures. Takes a minute or two.
    """
    from voltphase.core.files import remove_folder
    from voltphase.deployment import deploy_run
    from voltphase.deployment import verify as verify_folder
    from voltphase.reporting import write_report

    run, bench = out / "run", out / "bench"
    settings = _load("digits", overrides)
    metric = settings.task.build().metrics[0]
    value = _train(settings, run, resume=False, overwrite=True)[metric.column("test")]
    if (bench / "manifest.json").is_file():
        remove_folder(bench)
    say(f"maps for the devices: {deploy_run(run, bench)}")
    say(f"{metric.name} emulated:               {metric.number(value)}")
    result = verify_folder(bench)
    equal = "equal" if result.passed and result.value == value else "NOT equal"
    say(f"{metric.name} re-emulated from files: {metric.number(result.value)} ({equal})")
    say(f"report: {write_report(run)}")
    if equal != "equal":
        raise typer.Exit(FAILED)


def _load(
    config: str,
    overrides: list[str] | None,
    data_dir: Path | None = None,
    seed: int | None = None,
    val_fraction: float | None = None,
) -> Config:
    from voltphase.config import load_config

    given = {"data.dir": data_dir and str(data_dir), "seed": seed, "data.val_fraction": val_fraction}
    values = {key: value for key, value in given.items() if value is not None}
    return load_config(config, overrides or (), values=values)


def _default_folder(config: str, resume: bool) -> Path:
    path = Path(config)
    if path.name != "config.yaml":
        return Path("runs") / path.stem
    # Every run's file has this name: it is the folder's that tells one from another.
    return path.parent if resume else Path("runs") / path.resolve().parent.name


def _says_it(config: Config) -> bool:
    from voltphase.training.processes import is_first

    return is_first(config.training)


def _said_by_first() -> bool:
    """Return whether the first process of torchrun's says what each of them has found, and not this one.

    torchrun ends all processes with the first that ends: this one waits for that, or the first could not say it. Where
    it waits in vain, as where others have another file, it is for this one to say.
    """
    if "TORCHELASTIC_RUN_ID" not in os.environ or os.environ.get("RANK", "0") == "0":
        return False
    try:
        time.sleep(_END_SECONDS)
    except KeyboardInterrupt:
        return True
    return False


def _follow(config: Config, folder: Path, *, resume: bool, overwrite: bool) -> None:
    """Train with the first of several processes, which says everything; what fails here is told to it."""
    from voltphase.training import train as run_training

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            run_training(config, folder, resume=resume, overwrite=overwrite)
    except (VoltphaseError, KeyboardInterrupt) as error:
        raise typer.Exit(INTERRUPTED if isinstance(error, KeyboardInterrupt) else BAD_INPUT) from None


def _train(config: Config, folder: Path, *, resume: bool, overwrite: bool) -> dict[str, Any]:
    from voltphase.training import RunFolder
    from voltphase.training import train as run_training

    try:
        return run_training(config, folder, resume=resume, overwrite=overwrite, console=console())
    except LostProcessError as error:
        raise LostProcessError(f"{error}, go on with --resume") from error
    except (KeyboardInterrupt, BrokenPipeError):
        file = RunFolder(folder).config_file
        again = shell("voltphase", "train", file, "--out", folder, "--resume")
        say_error(f"interrupted: continue with {again}" if file.is_file() else "interrupted before training began")
        raise typer.Exit(INTERRUPTED) from None
