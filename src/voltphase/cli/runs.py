"""``voltphase evaluate``, ``report``, ``deploy`` and ``verify``: what is done with a trained network."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from voltphase.cli.common import FAILED, DataDirOption, RunArgument, console, shell


def evaluate(
    run: RunArgument,
    data_dir: DataDirOption = None,
    split: Annotated[Literal["test", "train"], typer.Option("--split", help="Which images to answer.")] = "test",
) -> None:
    """Answer a run's test images with its deployed states and count.

    [bold]Example[/bold]

      voltphase evaluate runs/m --data-dir data
    """
    from voltphase.training import build_dataset, load_run
    from voltphase.training import evaluate as answer

    model, config, summary = load_run(run)
    dataset = build_dataset(config, split, data_dir)
    result = answer(model, dataset)
    right = int((result.predictions == result.labels).sum())
    recorded = summary.get(f"{split}_accuracy")
    show = console().print
    show(f"{split} accuracy {result.accuracy:.4f}: {right} of {len(dataset)} images of {config.data.name}")
    if isinstance(recorded, float):
        show(f"recorded when trained: {recorded:.4f}")


def report(run: RunArgument) -> None:
    """Draw a run: one HTML page of pictures that needs nothing beside it.

    Learning curves, maps of levels, phase and amplitude, the device's states,
    light plane by plane for a few images, and which classes are confused.

    [bold]Example[/bold]

      voltphase report runs/m
    """
    from voltphase.reporting import write_report

    console().print(f"report: {write_report(run)}")


def deploy(
    run: RunArgument,
    out: Annotated[
        Path,
        typer.Option("--out", "-o", metavar="DIR", help="The folder to make; must not exist.", show_default=False),
    ],
    data_dir: DataDirOption = None,
) -> None:
    """Export the map to load on each device, and all about the system.

    Per layer a grey PNG of control values and an .npy of levels;
    manifest.json holds geometry, wavelength, device tables and hashes,
    readout and expected accuracy.

    [bold]Example[/bold]

      voltphase deploy runs/m --out bench
    """
    from voltphase.deployment import deploy_run

    folder = deploy_run(run, out, data_dir=data_dir)
    show = console().print
    show(f"deployed to {folder}, next:")
    show(f"  {shell('voltphase', 'verify', folder)}")


def verify(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="A folder made by voltphase deploy.", show_default=False)
    ],
    data_dir: DataDirOption = None,
) -> None:
    """Rebuild the system from a deployed folder alone and compare answers.

    Every test image is answered by the system rebuilt from the files and
    compared with the answer recorded when it was deployed. Exits 1 if they
    differ by more than rounding explains.

    [bold]Example[/bold]

      voltphase verify bench
    """
    from voltphase.deployment import verify as verify_folder

    result = verify_folder(folder, data_dir=data_dir)
    show = console().print
    show(f"accuracy {result.accuracy:.4f} from the files, {result.expected_accuracy:.4f} expected")
    show(f"{result.predictions_equal} of {result.images} predictions equal")
    show(f"logits differ by at most {result.max_logit_difference:.1e}")
    show("passed" if result.passed else "FAILED: the files do not give what was trained")
    if not result.passed:
        raise typer.Exit(FAILED)
