"""``voltphase panel``: what is known of the panels that designs are shown on."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from voltphase.cli.common import argument
from voltphase.cli.voice import say, say_table

if TYPE_CHECKING:
    from voltphase.panels import Profile

_WIDTH = 100
_SHOWN = "A name from voltphase panel list, or a YAML file of your own."

app = typer.Typer(no_args_is_help=True, rich_markup_mode="rich", help="Look at panels that designs are shown on.")


@app.command("list")
def list_panels() -> None:
    """List the panels that come with voltphase.

    A line for each says its name, rows and columns of pixels, their pitch,
    the bits of a grey level, and the file that it is fed.

    [bold]Example[/bold]

      voltphase panel list
    """
    from voltphase.core.units import metres
    from voltphase.panels import profiles

    rows = [["name", "rows x columns", "pitch", "bits", "file"]]
    for name, panel in profiles().items():
        size = f"{panel.rows} x {panel.columns}"
        rows.append([name, size, metres(panel.pitch), str(panel.bits), panel.file_words])
    say_table(rows)


@app.command("show")
def show_panel(panel: Annotated[str, argument("NAME|FILE", _SHOWN, parser=None)]) -> None:
    """Show all that is known of a panel, and what could not be confirmed.

    Write a file of your own where yours differs: begin it with a known panel
    that is like yours, and give what is different:

      like: holoeye-pluto-2
      name: our-pluto
      fill_factor: 0.91

    Without like, it needs name, make, model, rows, columns and pitch.

    [bold]Examples[/bold]

      voltphase panel show santec-slm-200
      voltphase panel show our-pluto.yaml
    """
    from voltphase.panels import load_profile

    shown = load_profile(panel)
    say(f"{shown.name}: {shown.make} {shown.model}")
    for words, text in _facts(shown):
        first, *rest = textwrap.wrap(text, _WIDTH - 14)
        say(f"{words:<14}{first}")
        for line in rest:
            say(f"{'':<14}{line}")
    for title, lines in (("from:", shown.sources), ("not confirmed, to check at the bench:", shown.unconfirmed)):
        if lines:
            say(title)
        for text in lines:
            for line in textwrap.wrap(text, _WIDTH, initial_indent="  - ", subsequent_indent="    "):
                say(line)


def _facts(panel: Profile) -> Iterator[tuple[str, str]]:
    from voltphase.core.units import metres

    height, width = (metres(pixels * panel.pitch) for pixels in panel.shape)
    yield "pixels", f"{panel.rows} rows x {panel.columns} columns of {metres(panel.pitch)}: {height} x {width}"
    yield "fill factor", "not known" if panel.fill_factor is None else f"{panel.fill_factor:.1%}"
    yield "light", "is reflected" if panel.reflective else "goes through"
    if panel.wavelengths is not None:
        yield "wavelengths", " to ".join(map(metres, panel.wavelengths))
    yield "grey levels", f"0 to {2**panel.bits - 1} ({panel.bits} bit{'s' if panel.bits > 1 else ''})"
    many = "" if panel.frames_per_file == 1 else f", up to {panel.frames_per_file} frames in one"
    yield "file", f"{panel.file_words} ({panel.suffix}){many}"
    if panel.orientation:
        yield "orientation", panel.orientation
    yield "correction", _correction(panel)
    for words, time in (("rise time", panel.rise_time), ("fall time", panel.fall_time)):
        if time is not None:
            yield words, f"{time * 1e3:g} ms"
    if panel.bench:
        yield "to load it", panel.bench


def _correction(panel: Profile) -> str:
    from voltphase.core.units import metres

    correction = panel.correction
    if correction.added != "file":
        return panel.no_correction
    words = f"{panel.correction_files.words(panel.bits)}, added to the grey levels modulo {correction.modulo}"
    if correction.full_scale:
        scale = (f"{level:g} at {metres(wavelength)}" for wavelength, level in correction.full_scale)
        words += f", and then scaled so that 2 pi is {', '.join(scale)}"
    return words
