"""``voltphase device calibrate``: readings from elsewhere into a table of states."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from voltphase.cli.common import argument, option, path_option
from voltphase.cli.devices import describe
from voltphase.cli.voice import say
from voltphase.core.errors import DeviceError, OutputError

if TYPE_CHECKING:
    from voltphase.devices import DeviceStates


_COLUMNS = (
    "Which column is control, amplitude or intensity, phase, and if there are such reference, level, repeat, spread, "
    "wavelength: by its name in the header or its number from 1. Others are found by name."
)


_INTENSITY = "The column named amplitude holds intensities or powers."
_REFERENCE = "Intensity without the device, or brightest: the amplitude is the root of the share of it."
_SMOOTH = "Smooth on the complex plane over this odd number of states."
_UNWRAP_DARK = "Unwrap, stepping over states up to this amplitude, whose phase is noise."
_NORMALISE = "Divide by the state of this level, or by the brightest: it gets amplitude 1 and phase 0."
_SEPARATOR = "Mark between columns: comma, semicolon, tab, space, or the character."


def _given(metavar: str | None, help: str) -> Any:
    return option(metavar=metavar, help=help)


def calibrate(
    file: Annotated[Path, argument("IN", "Text of any kind in columns, a spreadsheet (.xlsx) or a pair.")],
    out: Annotated[Path, path_option("--out", "-o", metavar="OUT.csv", help="The table to write.")],
    columns: Annotated[list[str] | None, _given("control=V,…", _COLUMNS)] = None,
    phase_unit: Annotated[str | None, _given("UNIT", "Unit of the phases: rad, mrad, deg, pi or turns.")] = None,
    intensity: Annotated[bool, option("--intensity", help=_INTENSITY)] = False,
    reference: Annotated[str | None, _given("R", _REFERENCE)] = None,
    dark: Annotated[float | None, _given("D", "Intensity read without light, subtracted.")] = None,
    smooth: Annotated[int | None, _given("WINDOW", _SMOOTH)] = None,
    smooth_order: Annotated[int | None, _given("N", "Order of the smoothing polynomials. Default: 2.")] = None,
    unwrap: Annotated[bool, option("--unwrap", help="Make the phase continuous along control.")] = False,
    unwrap_dark: Annotated[float | None, _given("A", _UNWRAP_DARK)] = None,
    normalise: Annotated[str | None, _given("LEVEL", _NORMALISE)] = None,
    name: Annotated[str | None, _given(None, "Name of the device. Default: as the file says.")] = None,
    unit: Annotated[str | None, _given("V", "Unit of the control values.")] = None,
    wavelength: Annotated[float | None, _given("M", "Wavelength of the measurement in metres, such as 532e-9.")] = None,
    source: Annotated[str | None, _given(None, "Where the readings come from.")] = None,
    separator: Annotated[str | None, _given("MARK", _SEPARATOR)] = None,
    decimal: Annotated[str | None, _given("MARK", "Decimal mark: . or ,")] = None,
    encoding: Annotated[str | None, _given("NAME", "Encoding of the text, such as utf-8 or gbk.")] = None,
    sheet: Annotated[str | None, _given("SHEET", "Sheet of a spreadsheet: its name, or its number from 1.")] = None,
    overwrite: Annotated[bool, option("--overwrite", help="Replace OUT.csv if it exists.")] = False,
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
    from voltphase.core.units import require_wavelength
    from voltphase.devices import load_table
    from voltphase.devices.tables.load import Reading, read_states
    from voltphase.devices.tables.text_table import TableFormat

    out = _new_table(out, overwrite)
    if smooth is None and smooth_order is not None:
        raise DeviceError("expected --smooth WINDOW beside --smooth-order, but got none: add it, or leave both out")
    texts = {"name": name, "control_unit": unit, "source": source}
    if wavelength is not None:
        require_wavelength(wavelength, DeviceError)
        texts["wavelength"] = repr(wavelength)
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
    for step in _steps(smooth, smooth_order, unwrap_dark if unwrap_dark is not None or not unwrap else 0.0, normalise):
        done = step(states)
        said.append(done.source.removeprefix(states.source).removeprefix("; "))
        states = done
    states.save(out)
    say(f"{file}:")
    for line in said:
        say(f"  {line}")
    describe(f"wrote {out}", load_table(out))


def _steps(
    smooth: int | None, order: int | None, unwrap_dark: float | None, normalise: str | None
) -> Iterator[Callable[[DeviceStates], DeviceStates]]:
    """Yield what is asked for to be done with the states, in the order in which it is done."""
    from voltphase.devices import calibration

    if smooth is not None:
        yield lambda states: calibration.smooth(states, smooth, 2 if order is None else order)
    if unwrap_dark is not None:
        yield lambda states: calibration.unwrap(states, dark=unwrap_dark)
    if normalise is not None:
        level = _number(normalise, "--normalise")
        yield lambda states: calibration.normalise(states, level=_level(states, level))


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
