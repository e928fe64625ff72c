"""What a command says and where: lines for people, or one JSON object for scripts."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Annotated, Any

import typer
from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from voltphase.core.words import printable


@dataclass
class _Voice:
    """How a command speaks: with ``quiet`` errors alone, with ``as_json`` figures alone on standard output."""

    quiet: bool = False
    as_json: bool = False


_voice: ContextVar[_Voice] = ContextVar("voice")


@contextmanager
def own_voice() -> Iterator[None]:
    """Let what options say of how a command speaks hold in the block alone."""
    token = _voice.set(_Voice())
    try:
        yield
    finally:
        _voice.reset(token)


def _be_quiet(wanted: bool) -> bool:
    _now().quiet |= wanted
    return wanted


def _speak_json(wanted: bool) -> bool:
    _now().as_json |= wanted
    return wanted


_JSON = "Print the final figures as one JSON object; all else goes to standard error."
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", callback=_be_quiet, help="Print nothing but errors.")]
JsonOption = Annotated[bool, typer.Option("--json", callback=_speak_json, help=_JSON)]


class _PlainConsole(Console):
    """A console that prints every text as it is: nothing in it is markup, an emoji's code, or a command to it."""

    def render_str(self, text: str, **options: Any) -> Text:
        return Text("\n".join(printable(line) for line in text.split("\n")))

    def on_broken_pipe(self) -> None:
        raise BrokenPipeError


def console() -> Console:
    """Return the console on which progress is shown; one that shows nothing is no terminal."""
    voice = _now()
    return _PlainConsole(
        stderr=voice.as_json,
        quiet=voice.quiet,
        force_terminal=False if voice.quiet else None,
        highlight=False,
        soft_wrap=True,
        markup=False,
        emoji=False,
    )


def say(line: str) -> None:
    """Write one line for people, whatever it holds."""
    if not (voice := _now()).quiet:
        typer.echo(printable(line), err=voice.as_json)


def say_error(line: str) -> None:
    """Write one line to standard error, whatever it holds."""
    typer.echo(printable(line), err=True)


def say_warning(line: str) -> None:
    """Write a line of advice to standard error."""
    if not _now().quiet:
        say_error(f"warning: {line}")


def say_figures(figures: Mapping[str, Any]) -> None:
    """Write the final figures of a command as JSON, where they are asked for."""
    if _now().as_json:
        typer.echo(json.dumps(figures, indent=1, allow_nan=False))


def say_table(rows: Sequence[Sequence[str]], right: bool = False) -> None:
    """Write aligned columns, as plain lines that a narrow terminal wraps: it would cut the cells of a table.

    Args:
        rows: The cells of each line, equally many.
        right: Whether cells are moved to the right of their column.
    """
    shown = [[printable(cell) for cell in row] for row in rows]
    widths = [max(map(cell_len, column)) for column in zip(*shown, strict=True)]
    for row in shown:
        gaps = [" " * (width - cell_len(cell)) for cell, width in zip(row, widths, strict=True)]
        padded = (gap + cell if right else cell + gap for cell, gap in zip(row, gaps, strict=True))
        say("  ".join(padded).rstrip())


def _now() -> _Voice:
    return _voice.get(_Voice())
