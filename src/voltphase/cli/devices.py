"""``voltphase device``: tables of states, measured or modelled."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from voltphase.cli.common import argument, option, path_option
from voltphase.cli.voice import say, say_table

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from voltphase.devices import Device, DeviceStates

# A longer table than a screen or two is looked at as a figure.
_ROWS_SHOWN = 64
# Of what matplotlib knows, what it needs no other program for.
_FIGURE_TYPES = ("png", "svg", "pdf", "jpg", "webp")

_SHOWN = "A table, the folder of a panel or of several wavelengths, or a name from voltphase device list."
_DRAWN = "Draw amplitude and phase against control, and the states on the complex plane."

app = typer.Typer(no_args_is_help=True, rich_markup_mode="rich", help="Look at devices and check their tables.")


@app.command("list")
def list_devices(
    folder: Annotated[Path | None, argument("FOLDER", "Folder of measured tables.")] = None,
) -> None:
    """List the modelled devices, or the measured tables in a folder.

    The names of the modelled ones are for device.model. Of measured ones, each
    FOLDER/NAME.csv and each pair NAME-phase.csv, NAME-intensity.csv (or
    NAME-amplitude.csv), a line says what it is like, or what is wrong with
    it. Exits 2 only if none can be used.

    [bold]Examples[/bold]

      voltphase device list
      voltphase device list bench/tables
    """
    if folder is not None:
        _list_folder(folder)
        return
    from voltphase.devices import MODELS
    from voltphase.settings.fields import Parameters

    for name in Parameters(MODELS, "").models:
        lines = (MODELS[name].__doc__ or "").strip().splitlines()
        say(f"{name:<14} {lines[0] if lines else ''}")


@app.command("show")
def show_device(
    device: Annotated[str, argument("FILE|MODEL", _SHOWN, parser=None)],
    out: Annotated[Path | None, path_option("--out", "-o", metavar="PNG", help=_DRAWN)] = None,
    levels: Annotated[int | None, option("--levels", help="Pick so many of the states, as training would.")] = None,
) -> None:
    """Show the states of a device as a table and, with --out, as a figure.

    Below the table is how well polynomials against the control value fit the
    states: what the relaxations ptq and qat train with.

    [bold]Examples[/bold]

      voltphase device show tn-slm --levels 8
      voltphase device show slm.csv --out slm.png
    """
    from voltphase.devices import find
    from voltphase.devices.spectrum import parts_of

    shown = find(device)
    if levels is not None:
        shown = shown.pick(levels)
    for part in parts_of(shown):
        if part.regions is not None:
            _show_panel(part, part.regions)
        for states in part.tables:
            _show_states(states)
    if out is not None:
        _draw(shown, out)
        say(f"figure: {out}")


def _show_states(states: DeviceStates) -> None:
    from voltphase.core.units import metres
    from voltphase.devices import fit_response, summary

    rows = [["level", states.control_unit, "amplitude", "phase (rad)", "phase (π)"]]
    if states.spread is not None:
        rows[0].append("spread")
    step = math.ceil(len(states) / _ROWS_SHOWN)
    for level in range(0, len(states), step):
        control, amplitude, phase = (
            float(column[level]) for column in (states.control, states.amplitude, states.phase)
        )
        cells = [str(level), f"{control:g}", f"{amplitude:.4f}", f"{phase:.4f}", f"{phase / math.pi:.3f}"]
        if states.spread is not None:
            spread = float(states.spread[level])
            cells.append("" if math.isnan(spread) else f"{spread:.4f}")
        rows.append(cells)
    say(states.name + ("" if states.wavelength is None else f", at {metres(states.wavelength)}"))
    say_table(rows, right=True)
    if step > 1:
        say(f"levels 0, {step}, {2 * step}, … of {len(states)}")
    fit = fit_response(states)
    say(
        f"fitted response: polynomials of order {fit.order}, off at the states by {fit.error:.3f} on the complex plane "
        f"(amplitude {fit.amplitude_error:.3f}, phase {fit.phase_error:.3f} rad, root mean square)"
    )
    for warning in summary(states).warnings:
        say(f"note: {warning}")


@app.command("check")
def check(
    file: Annotated[Path, argument("FILE", "A CSV, one file of a pair, or a folder of a panel or of wavelengths.")],
) -> None:
    """Check the table of a device; exits 2 and says what is wrong and where.

    A table is one CSV with the columns level, control, amplitude and phase
    (radians); or a pair without headers, NAME-phase.csv beside
    NAME-intensity.csv or NAME-amplitude.csv, with the columns control, raw
    reading and value. With a column repeat a level may come several times.
    A device at several wavelengths is one CSV with a column wavelength (nm),
    or a folder with a table for each. A panel is a folder of tables with the map of the pixels that follow each,
    as DevicePanel.save writes it.

    [bold]Example[/bold]

      voltphase device check slm.csv
    """
    from voltphase.core.units import metres
    from voltphase.devices import load
    from voltphase.devices.spectrum import parts_of

    device = load(file)
    parts = parts_of(device)
    plain = device.regions is None and len(parts) == 1
    if len(parts) > 1:
        light = " and ".join(metres(part.wavelength or 0) for part in parts)
        say(f"{file} is fine: a device at {len(parts)} wavelengths, {light}")
    elif not plain:
        say(f"{file} is fine:")
    for part in parts:
        if part.regions is not None:
            _show_panel(part, part.regions)
        for states in part.tables:
            describe(f"{file} is fine" if plain else states.name, states)


def describe(title: str, states: DeviceStates) -> None:
    """Say in a line what a device's states are like, and in another each thing worth a look."""
    from voltphase.core.units import metres
    from voltphase.devices import summary

    figures = summary(states)
    low, high = figures.amplitude_range
    say(
        f"{title}: {len(states)} states, "
        f"control {states.control.min():g} to {states.control.max():g} ({states.control_unit}), "
        f"amplitude {low:.3f} to {high:.3f}, phase {states.phase.min():.3f} to {states.phase.max():.3f} rad"
        + ("" if states.wavelength is None else f", at {metres(states.wavelength)}")
    )
    for warning in figures.warnings:
        say(f"note: {warning}")


def _show_panel(panel: Device, regions: NDArray[np.int64]) -> None:
    rows, columns = regions.shape
    say(f"{panel.name}: a panel of {rows} x {columns} pixels")
    for index, table in enumerate(panel.tables):
        say(f"{(regions == index).mean():7.2%} follow table {index}, {table.name}")
    if panel.inactive.any():
        value = panel.inactive_value
        say(
            f"{panel.inactive.mean():7.2%} are inactive, amplitude {abs(value):.3f}, "
            f"phase {math.atan2(value.imag, value.real):.3f} rad"
        )


def _list_folder(folder: Path) -> None:
    from voltphase.core.errors import DeviceError
    from voltphase.devices import read_folder, summary

    devices, bad = read_folder(folder)
    rows = [["name", "states", "amplitude", "stroke (π)", "spread", "control"]]
    notes = []
    for name, states in devices.items():
        figures = summary(states)
        low, high = figures.amplitude_range
        rows.append(
            [
                name,
                str(figures.levels),
                f"{low:.3f} to {high:.3f}",
                f"{figures.phase_stroke / math.pi:.3f}",
                "-" if figures.largest_spread is None else f"{figures.largest_spread:.4f}",
                f"{states.control.min():g} to {states.control.max():g} {states.control_unit}",
            ]
        )
        notes += [f"note: {name}: {warning}" for warning in figures.warnings]
    if devices:
        say_table(rows)
    for name, error in bad.items():
        say(f"{name}  cannot be used: {error}")
    for note in notes:
        say(note)
    if not devices:
        raise DeviceError(
            f"expected a device table in the folder {folder} that can be used, but none of {len(bad)} can: mend one as "
            "its line says"
        )


def _draw(device: Device, out: Path) -> None:
    from voltphase.core.errors import OutputError
    from voltphase.core.files import write_bytes
    from voltphase.reporting.device import device_figure
    from voltphase.reporting.style import drawing, house_style

    kind = out.suffix.removeprefix(".").lower() or "png"
    if kind not in _FIGURE_TYPES:
        raise OutputError(f"expected a figure of type {', '.join(_FIGURE_TYPES)}, but got {out}: name it .png, say")
    with house_style():
        write_bytes(out, drawing(device_figure(device), kind))
