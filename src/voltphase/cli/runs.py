"""``voltphase import``, ``evaluate``, ``refine``, ``report``, ``deploy`` and ``verify``: what is done with a design."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from voltphase.cli.common import DataDirOption, RunArgument, SetOption, argument, path_option, say_next
from voltphase.cli.exit_codes import FAILED
from voltphase.cli.targets import (
    BorderOption,
    CorrectionOption,
    FlipOption,
    OffsetOption,
    PanelOption,
    PixelsOption,
    ResampleOption,
    SideBySideOption,
    TargetSetOption,
    TurnOption,
    panel_target,
)
from voltphase.cli.voice import JsonOption, QuietOption, console, say, say_figures, say_table
from voltphase.core.words import shell

if TYPE_CHECKING:
    from voltphase.deployment.proof.compare import Check

_TEST_DATA = (
    "Folder with MNIST/raw and the like (torchvision's layout), where what is missing is downloaded; or with your own "
    "arrays or pictures. Without it the test set is used if it is where VOLTPHASE_DATA says or in ~/.cache/voltphase, "
    "or your own if they are in the current folder."
)


def import_design(
    folder: Annotated[Path, argument("FOLDER", "The folder of the design, with design.yaml.")],
    out: Annotated[Path, path_option("--out", "-o", help="The run folder to make; must not exist.")],
    settings: SetOption = None,
) -> None:
    """Make a run of somebody else's maps, or of trained weights.

    FOLDER holds one map for each layer (levels, grey values, phases or
    heights, as .npy, .csv or grey pictures), or one file of LightRidge's or
    TorchOptics' weights, and design.yaml: a configuration with one section
    more, which says what the maps are. docs/importing.md tells all of it.

      optics: {wavelength: 532e-9, pitch: 36e-6, distances: 0.3}
      maps:
        kind: phase
        two_pi: 256
        files:
        - one.png
        - two.png

    Each pixel is put into the state of the device that is nearest to what
    its map asks for; how far that is off is said. RUN is a finished run like
    any other, for evaluate, report, refine, deploy and verify.

    [bold]Examples[/bold]

      voltphase import lens --out runs/lens
      voltphase import lens --out runs/lens8 --set device.file=slm.csv --set device.levels=8
    """
    from voltphase.importing import import_design as make
    from voltphase.training import load_run

    summary = make(folder, out, settings or [])
    for note in summary["imported"]["notes"]:
        say(note)
    model = load_run(out)[0]
    for metric in model.task.metrics:
        say(f"test {metric.name} {metric.text(summary[metric.column('test')])}")
    say_next(out)


def evaluate(
    run: RunArgument,
    data_dir: DataDirOption = None,
    split: Annotated[Literal["test", "val", "train"], typer.Option("--split", help="Which images to answer.")] = "test",
    quiet: QuietOption = False,
    as_json: JsonOption = False,
) -> None:
    """Measure how well a run's deployed states answer its test images.

    [bold]Example[/bold]

      voltphase evaluate runs/m --data-dir data
    """
    from voltphase.training import RunFolder, build_dataset, load_run
    from voltphase.training import evaluate as answer

    model, config, summary = load_run(run)
    RunFolder(run).require_data(summary)
    dataset = build_dataset(config, split, data_dir)
    result = answer(model, dataset)
    say_figures({"run": str(run), "split": split, "images": len(dataset), **result.columns(split)})
    for metric in model.task.metrics:
        value = result.metrics[metric.name]
        images = f"{round(value * len(dataset))} of {len(dataset)}" if metric.percent else str(len(dataset))
        say(f"{split} {metric.name} {metric.number(value)}: {images} images of {config.data.name}")
    if not summary.get("deployable", True):
        say("of free phases: a ceiling, which no device can be set to")
    for metric in model.task.metrics:
        if (recorded := summary.get(metric.column(split))) is not None:
            say(f"recorded when trained: {metric.number(recorded)}")


def refine(
    run: RunArgument,
    out: Annotated[Path, path_option("--out", "-o", help="The run folder to make; must not exist.")],
    images: Annotated[
        int, typer.Option(min=1, help="How many of the run's training images to lower the loss on.")
    ] = 10_000,
    evaluations: Annotated[
        int, typer.Option(min=3, help="How many passes of them through the system; one with gradients counts twice.")
    ] = 60,
    data_dir: DataDirOption = None,
    quiet: QuietOption = False,
    as_json: JsonOption = False,
) -> None:
    """Lower a run's loss by changing levels, and leave a run of its own.

    Blocks of pixels go to the levels that the gradient favours. A block is
    kept only if the loss of the discrete system, measured anew, has fallen:
    the loss on these training images never rises. Test images take no part;
    whether their accuracy rises too is told at the end. With few --images it
    may fall. Ctrl-C ends the search and keeps what it has found.

    DIR is a finished run like any other, for evaluate, report, deploy and
    verify; its summary.json tells what refining did.

    [bold]Examples[/bold]

      voltphase refine runs/m --out runs/m-refined
      voltphase refine runs/m --out runs/m2 --images 60000 --evaluations 200
    """
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    from voltphase.training import refine_run

    terminal = console()
    bar = Progress(
        TextColumn("evaluation {task.completed}/{task.total}", markup=False),
        BarColumn(),
        TextColumn("{task.fields[figures]}", markup=False),
        TimeRemainingColumn(),
        console=terminal,
        transient=True,
        disable=not terminal.is_terminal,
    )
    task = bar.add_task("", total=evaluations, figures="")
    with bar:
        summary = refine_run(
            run,
            out,
            images=images,
            evaluations=evaluations,
            data_dir=data_dir,
            watch=lambda done, loss: bar.update(task, completed=done, figures=f"loss {loss:.4f}"),
        )
    say_figures({"run": str(out), **summary})
    refined = summary["refined"]
    end = "no single pixel can lower it further" if refined["converged"] else "more --evaluations may lower it further"
    say(
        f"loss {refined['loss_before']:.4f} -> {refined['loss_after']:.4f} on {refined['images']} training images, "
        f"{refined['changed_pixels']} pixels changed in {refined['seconds']:.0f} s; {end}"
    )
    for key, before in refined.items():
        if key.endswith("_before") and key != "loss_before":
            column = key.removesuffix("_before")
            say(f"{column.replace('_', ' ')} {before:.4f} -> {summary[column]:.4f}")
    say_next(out)


def report(run: RunArgument, data_dir: DataDirOption = None) -> None:
    """Draw a run: one HTML page of pictures that needs nothing beside it.

    Learning curves, maps of levels, phase and amplitude, the device's states,
    light plane by plane for a few images, and which classes are confused.

    [bold]Example[/bold]

      voltphase report runs/m
    """
    from voltphase.reporting import write_report

    with console().status("answering the test images") as status:
        page = write_report(run, data_dir=data_dir, watch=lambda title: status.update(f"drawing {title}"))
    say(f"report: {page}")


def deploy(
    run: RunArgument,
    out: Annotated[Path, path_option("--out", "-o", help="The folder to make; must not exist.")],
    data_dir: DataDirOption = None,
    target: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="What to deploy to: one of the targets above; by default the panel of the run, else slm-image.",
        ),
    ] = None,
    settings: TargetSetOption = None,
    panel: PanelOption = None,
    pixels: PixelsOption = None,
    offset: OffsetOption = None,
    flip: FlipOption = None,
    turn: TurnOption = None,
    border: BorderOption = None,
    correction: CorrectionOption = None,
    resample: ResampleOption = None,
    layers_per_panel: SideBySideOption = None,
    quiet: QuietOption = False,
    as_json: JsonOption = False,
) -> None:
    """Export the map of each device, and all about the system.

    Per layer the files of the target and an .npy of levels; manifest.json and
    README.txt hold geometry, wavelength, device tables, hashes, readout,
    expected accuracy and every formula; 20 test images with the readings
    expected of them travel along.

    The target slm-image writes a grey PNG per layer. Of a device driven by
    whole grey levels these are its values, and the picture is loaded as it
    is. Of any other (volts, say) they are codes: README.txt says which control
    value each stands for.

    --panel NAME writes the file that the panel's software takes, with every
    pixel of the panel: the design tiled, in the middle, corrected. A run that
    was trained for a panel (optics.panel) goes to that one unless told
    otherwise.

    [bold]Examples[/bold]

      voltphase deploy runs/m --out bench
      voltphase deploy runs/m --out bench --panel santec-slm-200
    """
    from voltphase.deployment import deploy_run, on_own_pixels
    from voltphase.deployment.layers import summaries
    from voltphase.training import RunFolder

    if panel is None and target is None and (panel := RunFolder(run).read_config().optics.panel) is not None:
        say(f"panel {panel}, which the run was trained for (another by --panel or --target)")
    chosen = panel_target(
        target,
        settings or (),
        panel,
        pixels=pixels,
        offset=offset,
        flip=flip,
        turn=turn,
        border=border,
        correction=correction,
        resample=resample,
        layers_per_panel=layers_per_panel,
    )
    folder = deploy_run(run, out, data_dir=data_dir, target=chosen)
    notes, checks = summaries(folder), on_own_pixels(folder, data_dir=data_dir)
    say_figures({"folder": str(folder), "notes": notes, "own_pixels": [_figures_of(check) for check in checks]})
    for line in notes:
        say(line)
    for check in checks:
        say(f"{check.what}: {check.figures}")
    say(f"deployed to {folder}, next:")
    say(f"  {shell('voltphase', 'verify', folder)}")
    say(f"  {shell('voltphase', 'bench-sheet', folder)}")


def bench_sheet(
    folder: Annotated[Path, argument("DIR", "A folder made by voltphase deploy, for any target.")],
    out: Annotated[Path | None, path_option("--out", "-o", help="The folder to make. Default: DIR-sheet.")] = None,
) -> None:
    """Draw one printable page to set a deployed system up by.

    bench-sheet.html and .pdf say what goes where, with top and left marked,
    distances, regions of the detector in mm, and the readings to expect of
    three test inputs. Beside them lie these inputs as pictures for a modulator
    on the input plane, and for each device a test pattern, an F, its number
    and a cross, in the files of its target.

    [bold]Example[/bold]

      voltphase bench-sheet bench
    """
    from voltphase.reporting import write_bench_sheet

    say(f"bench sheet: {write_bench_sheet(folder, out) / 'bench-sheet.pdf'}, and .html")


def verify(
    folder: Annotated[Path, argument("DIR", "A folder made by voltphase deploy.")],
    data_dir: Annotated[Path | None, path_option("--data-dir", help=_TEST_DATA)] = None,
    quiet: QuietOption = False,
    as_json: JsonOption = False,
) -> None:
    """Rebuild the system from a deployed folder alone and compare answers.

    The test images in the folder, and every image of the test set where that
    is at hand, are answered by the system rebuilt from the files and compared
    with the answers recorded when it was deployed. Exits 1 if readings,
    logits, predictions or accuracy differ by more than rounding explains; 2
    if a file is missing, was changed or contradicts another.

    [bold]Example[/bold]

      voltphase verify bench
    """
    from voltphase.deployment import verify as verify_folder

    result = verify_folder(folder, data_dir=data_dir)
    metric = {
        "metric": result.metric.name,
        "value": result.value if math.isfinite(result.value) else None,
        "expected_value": result.expected_value if math.isfinite(result.expected_value) else None,
        "images": result.images,
        "predictions_equal": result.predictions_equal,
    }
    checks = [_figures_of(check) for check in result.checks]
    say_figures({"folder": str(folder), "passed": result.passed, "verdict": result.verdict, **metric, "checks": checks})
    say_table([(check.what, check.verdict, check.figures) for check in result.checks])
    say(result.verdict)
    if not result.passed:
        raise typer.Exit(FAILED)


def _figures_of(check: Check) -> dict[str, Any]:
    return {"what": check.what, "passed": check.passed, "verdict": check.verdict, "figures": check.figures}
