"""``voltphase device calibrate``: readings from elsewhere into a table of states."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from voltphase.cli.common import given_path, say
from voltphase.cli.devices import describe
from voltphase.core.errors import DeviceError, OutputError

if TYPE_CHECKING:
    from voltphase.devices import DeviceStates


def calibrate(
    file: Annotated[
        Path,
        typer.Argument(
            metavar="IN",
            help="Text of any kind in columns, a spreadsheet (.xlsx) or a pair.",
            show_default=False,
            parser=given_path,
        ),
    ],
    out: Annotated[
        Path,
        typer.Option(
            "--out", "-o", metavar="OUT.csv", help="The table to write.", show_default=False, parser=given_path
        ),
    ],
    columns: Annotated[
        list[str] | None,
        typer.Option(
            "--columns",
            metavar="control=V,…",
            help="Which column is control, amplitude or intensity, phase, and if there are such reference, level, "
            "repeat, spread: by its name in the header or its number from 1. Others are found by name.",
            show_default=False,
        ),
    ] = None,
    phase_unit: Annotated[
        str | None,
        typer.Option(
            "--phase-unit", metavar="UNIT", help="Of the phases: rad, mrad, deg, pi or turns.", show_default=False
        ),
    ] = None,
    intensity: Annotated[
        bool, typer.Option("--intensity", help="The column named amplitude holds intensities or powers.")
    ] = False,
    reference: Annotated[
        str | None,
        typer.Option(
            "--reference",
            metavar="R",
            help="Intensity without the device, or brightest: the amplitude is the root of the share of it.",
            show_default=False,
        ),
    ] = None,
    dark: Annotated[
        float | None,
        typer.Option("--dark", metavar="D", help="Intensity read without light, subtracted.", show_default=False),
    ] = None,
    smooth: Annotated[
        int | None,
        typer.Option(
            "--smooth",
            metavar="WINDOW",
            help="Smooth on the complex plane over so many states, an odd number.",
            show_default=False,
        ),
    ] = None,
    smooth_order: Annotated[
        int | None,
        typer.Option("--smooth-order", metavar="N", help="Order of its polynomials. Default: 2.", show_default=False),
    ] = None,
    unwrap: Annotated[bool, typer.Option("--unwrap", help="Make the phase continuous along control.")] = False,
    unwrap_dark: Annotated[
        float | None,
        typer.Option(
            "--unwrap-dark",
            metavar="A",
            help="Unwrap, stepping over states up to this amplitude, whose phase is noise.",
            show_default=False,
        ),
    ] = None,
    normalise: Annotated[
        str | None,
        typer.Option(
            "--normalise",
            metavar="LEVEL",
            help="Divide by the state of this level, or by the brightest: it gets amplitude 1 and phase 0.",
            show_default=False,
        ),
    ] = None,
    name: Annotated[
        str | None, typer.Option("--name", help="Of the device. Default: as the file says.", show_default=False)
    ] = None,
    unit: Annotated[
        str | None, typer.Option("--unit", metavar="V", help="Of the control values.", show_default=False)
    ] = None,
    source: Annotated[
        str | None, typer.Option("--source", help="Where the readings come from.", show_default=False)
    ] = None,
    separator: Annotated[
        str | None,
        typer.Option(
            "--separator",
            metavar="MARK",
            help="Between columns: comma, semicolon, tab, space, or the character.",
            show_default=False,
        ),
    ] = None,
    decimal: Annotated[
        str | None, typer.Option("--decimal", metavar="MARK", help="Decimal mark: . or ,", show_default=False)
    ] = None,
    encoding: Annotated[
        str | None,
        typer.Option("--encoding", metavar="NAME", help="Of the text, such as utf-8 or gbk.", show_default=False),
    ] = None,
    sheet: Annotated[
        str | None,
        typer.Option("--sheet", metavar="SHEET", help="Of a spreadsheet: name or number from 1.", show_default=False),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace OUT.csv if it exists.")] = False,
) -> None:
    """Convert readings from elsewhere into the table of a device.

    What is seen and done is said line by line, and what was done is recorded
    in the table. Several rows of one control value are repeated readings:
    their mean is taken on the complex plane, their spread kept. The steps are
    taken in this order, whatever that of the options: units and square root,
    mean, --smooth, --unwrap, --normalise. OUT.csv is written whole or not at
    all, and never over another file without --overwrite.

    [bold]Examples[/bold]

      voltphase device calibrate slm.csv --phase-unit deg --out slm-clean.csv

      voltphase device calibrate bench.txt --out slm.csv --unit V
        --columns control=1,intensity=PD,reference=PD0,phase=4 --phase-unit deg
        --dark 0.012 --smooth 7 --unwrap
    """
    from voltphase.devices import load_table
    from voltphase.devices.calibration import intensities as calibration
    from voltphase.devices.tables.load import Reading, read_states
    from voltphase.devices.tables.text_table import TableFormat

    out = _new_table(out, overwrite)
    if smooth is None and smooth_order is not None:
        raise DeviceError("expected --smooth WINDOW beside --smooth-order, but got none: add it, or leave both out")
    texts = {"name": name, "control_unit": unit, "source": source}
    states, said = read_states(
        file,
        Reading(
            columns=_chosen(columns or []),
            phase_unit=phase_unit,
            intensity=intensity,
            reference=None if reference is None else _number(reference, "--reference"),
            dark=dark,
            notes={key: text for key, text in texts.items() if text is not None},
            form=TableFormat(encoding, separator, decimal, sheet, spreadsheets=True),
            any_level=True,
        ),
    )
    steps: list[Callable[[DeviceStates], DeviceStates]] = []
    if smooth is not None:
        order = 2 if smooth_order is None else smooth_order
        steps.append(lambda states: calibration.smooth(states, smooth, order))
    if unwrap or unwrap_dark is not None:
        steps.append(lambda states: calibration.unwrap(states, dark=unwrap_dark or 0.0))
    if normalise is not None:
        level = _number(normalise, "--normalise")
        steps.append(lambda states: calibration.normalise(states, level=_level(states, level)))
    for step in steps:
        done = step(states)
        said.append(done.source.removeprefix(states.source).removeprefix("; "))
        states = done
    states.save(out)
    say(f"{file}:")
    for line in said:
        say(f"  {line}")
    describe(f"wrote {out}", load_table(out))


def _new_table(out: Path, overwrite: bool) -> Path:
    if out.suffix.lower() != ".csv":
        raise OutputError(f"expected the name of a table, but got {out}: name it {out.with_suffix('.csv').name}, say")
    if out.is_dir() or (out.exists() and not overwrite):
        raise OutputError(f"expected a new file, but {out} exists already: choose another name, or add --overwrite")
    return out


def _chosen(given: list[str]) -> dict[str, str]:
    """The columns that are chosen, by what they are."""
    chosen: dict[str, str] = {}
    for text in given:
        # A name with a comma is quoted as in a CSV: "control=U, mV",phase=2.
        for pair in next(csv.reader([text], skipinitialspace=True), []):
            role, equals, column = (part.strip() for part in pair.partition("="))
            role = "intensity" if role.lower() == "power" else role.lower()
            if not equals or not column:
                raise DeviceError(f"expected --columns control=NAME,phase=NAME,..., but got {text!r:.60}")
            if role in chosen:
                raise DeviceError(f"expected each column once in --columns, but {role} comes twice: leave one out")
            chosen[role] = column
    return chosen


def _number(text: str, option: str) -> float | str:
    if text.lower() == "brightest":
        return "brightest"
    try:
        return float(text.replace(",", "."))
    except ValueError as error:
        raise DeviceError(f"expected a number or the word brightest as {option}, but got {text!r:.60}") from error


def _level(states: DeviceStates, given: float | str) -> int:
    if isinstance(given, str):
        return int(states.amplitude.argmax())
    if given != given // 1:
        raise DeviceError(f"expected a level or the word brightest as --normalise, but got {given:g}")
    return int(given)
