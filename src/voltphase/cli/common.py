"""What the commands share: where they write, how they fail, and the options they have in common."""

from __future__ import annotations

import shlex
import warnings
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.console import Console
from typer.core import TyperGroup

from voltphase.advice import once
from voltphase.errors import VoltphaseError

FAILED: Final = 1
BAD_INPUT: Final = 2
INTERRUPTED: Final = 130

RunArgument = Annotated[
    Path, typer.Argument(metavar="RUN", help="The folder of a finished training run.", show_default=False)
]
DataDirOption = Annotated[
    Path | None,
    typer.Option(
        "--data-dir",
        metavar="DIR",
        help="Folder with MNIST/raw and FashionMNIST/raw (torchvision's layout). Default: VOLTPHASE_DATA, else "
        "~/.cache/voltphase; what is missing is downloaded there.",
        show_default=False,
    ),
]
SetOption = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        "-s",
        metavar="KEY=VALUE",
        help="Override a setting, such as training.epochs=5; may be given several times.",
        show_default=False,
    ),
]


def console() -> Console:
    """Where results go."""
    return Console(highlight=False, soft_wrap=True)


def say_error(message: str) -> None:
    """Write one line to standard error."""
    Console(stderr=True, highlight=False, soft_wrap=True, markup=False).print(message)


class Commands(TyperGroup):
    """A group of commands whose known failures are a sentence and an exit code, never a traceback."""

    def invoke(self, ctx: Any) -> Any:
        try:
            with once(), warnings.catch_warnings():
                warnings.showwarning = _show_warning
                return super().invoke(ctx)
        except VoltphaseError as error:
            say_error(f"error: {error}")
            raise typer.Exit(BAD_INPUT) from error
        except KeyboardInterrupt as error:
            say_error("interrupted")
            raise typer.Exit(INTERRUPTED) from error


def _show_warning(message: Warning | str, category: type[Warning], *where: Any) -> None:
    # A warning of ours is advice about what was asked for; where in the code it arose helps nobody at a terminal.
    # Those of libraries are not for whoever types a command.
    if category.__module__.startswith("voltphase"):
        say_error(f"warning: {message}")


def shell(*words: str | Path) -> str:
    """A command as it can be typed."""
    return shlex.join(str(word) for word in words)
