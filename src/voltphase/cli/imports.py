"""``voltphase import``: a design that somebody else made, as a run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from voltphase.cli.common import SetOption, argument, path_option, say, say_next


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

      maps: {files: [one.png, two.png], kind: phase, two_pi: 256}
      optics: {wavelength: 532e-9, pitch: 36e-6, distances: 0.3}

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
