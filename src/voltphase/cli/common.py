"""What the commands share: how they fail, and the options they have in common."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from typer.core import TyperCommand, TyperGroup

from voltphase.cli.exit_codes import BAD_INPUT, BROKEN_PIPE, INTERRUPTED
from voltphase.cli.voice import own_voice, say, say_error, say_warning
from voltphase.core.advice import once
from voltphase.core.errors import ConfigError, VoltphaseError
from voltphase.core.files import checked_path, reason_of
from voltphase.core.words import shell

# What a command used wrongly raises, in whichever module the installed Typer has it.
_UsageError: Any = typer.BadParameter.__mro__[1]


def given_path(text: str) -> Path:
    """Return the path of an argument or option, if the system can have such a path at all.

    Raises:
        ConfigError: if it cannot.
    """
    return checked_path(text, ConfigError)


def option(*flags: str, **details: Any) -> Any:
    """Return an option whose help tells no default."""
    return typer.Option(*flags, **{"show_default": False, **details})


def argument(metavar: str, help: str, **details: Any) -> Any:
    """Return an argument that is a path unless another parser is given, and whose help tells no default."""
    return typer.Argument(metavar=metavar, help=help, **{"show_default": False, "parser": given_path, **details})


def path_option(*flags: str, metavar: str = "DIR", **details: Any) -> Any:
    """Return an option that is a path, and whose help tells no default."""
    return option(*flags, metavar=metavar, parser=given_path, **details)


RunArgument = Annotated[Path, argument("RUN", "The folder of a finished training run.")]
_DATA = (
    "Folder with MNIST/raw and the like (torchvision's layout; default: VOLTPHASE_DATA, else ~/.cache/voltphase), "
    "where what is missing is downloaded; or with your own arrays or pictures (default: the current folder)."
)
DataDirOption = Annotated[Path | None, path_option("--data-dir", help=_DATA)]
_SET = (
    "Override a setting, such as training.epochs=5; may be given several times. A name or path is all that follows "
    "the =; null is none."
)
SetOption = Annotated[list[str] | None, option("--set", "-s", metavar="KEY=VALUE", help=_SET)]


def say_next(run: Path) -> None:
    """Say where a finished run is, and the commands that go on from it."""
    bench = run.with_name(f"{run.name}-bench")
    say(f"results are in {run}, next:")
    for words in (("report", run), ("deploy", run, "--out", bench), ("verify", bench)):
        say(f"  {shell('voltphase', *words)}")


class CommandWithTable(TyperCommand):
    """A command whose help ends with a table of what is registered, by other packages too."""

    def table(self) -> str:
        """Return the table, with a line of words before it."""
        raise NotImplementedError

    def format_help(self, ctx: Any, formatter: Any) -> None:  # of the click that typer brings
        told, self.help = self.help, f"{self.help}\n\n{self.table()}"
        try:
            super().format_help(ctx, formatter)
        finally:
            self.help = told


class Commands(TyperGroup):
    """A group of commands whose known failures are a sentence and an exit code, never a traceback."""

    def make_context(self, *args: Any, **extra: Any) -> Any:
        with _sentences():
            return super().make_context(*args, **extra)

    def invoke(self, ctx: Any) -> Any:
        with own_voice(), _sentences(), once(), warnings.catch_warnings():
            # PYTHONWARNINGS neither silences ours nor makes errors of those of libraries.
            warnings.simplefilter("default")
            warnings.showwarning = _show_warning
            return super().invoke(ctx)


@contextmanager
def _sentences() -> Iterator[None]:
    """End the process with a sentence for what a user can cause."""
    try:
        yield
    except VoltphaseError as error:
        _end(f"error: {error}", BAD_INPUT, error)
    except _UsageError as error:
        if type(error).__name__ == "NoArgsIsHelpError":
            raise SystemExit(BAD_INPUT) from error
        hint = f" (see {error.ctx.command_path} --help)" if error.ctx is not None else ""
        _end(f"error: {error.format_message()}{_as_setting(error)}{hint}", BAD_INPUT, error)
    except KeyboardInterrupt as error:
        _end("interrupted", INTERRUPTED, error)
    except BrokenPipeError as error:
        raise SystemExit(BROKEN_PIPE) from error
    except OSError as error:
        # Of files that voltphase reads and writes there are sentences of their own: this is the terminal, or a library.
        about = f"{error.filename}: " if error.filename is not None else ""
        _end(_foreign(error) or f"error: cannot read or write: {about}{reason_of(error)}", BAD_INPUT, error)
    except (typer.Exit, typer.Abort):
        raise
    except Exception as error:
        if (line := _foreign(error)) is None:
            raise  # a fault of ours
        _end(line, BAD_INPUT, error)


def _as_setting(error: Any) -> str:
    """Return how what was given as an option is set, if it is the name of a setting and the command takes some."""
    if type(error).__name__ != "NoSuchOption" or error.ctx is None:
        return ""
    if not any("--set" in parameter.opts for parameter in error.ctx.command.params):
        return ""
    from voltphase.config import Config
    from voltphase.settings.keys import enumerate_words, keys

    name = error.option_name.lstrip("-").replace("-", "_")
    # Those of one device of several are set by its number.
    paths = dict.fromkeys(key.path for key in keys(Config) if key.name == name and key.parent != "devices")
    return f": use {enumerate_words(f'--set {path}=VALUE' for path in paths)}" if paths else ""


def _foreign(error: Exception) -> str | None:
    # Nothing of another package has run where this is not loaded, which takes PyTorch.
    registry = sys.modules.get("voltphase.core.registry")
    sentence = registry.foreign_failure(error) if registry is not None else None
    return f"error: {sentence}" if sentence else None


def _end(line: str, code: int, cause: BaseException) -> NoReturn:
    say_error(line)
    raise SystemExit(code) from cause


def _show_warning(message: Warning | str, category: type[Warning], *where: Any) -> None:
    # A warning of ours is advice about what was asked for; where in the code it arose helps nobody at a terminal.
    # Those of libraries are not for whoever types a command.
    if category.__module__.startswith("voltphase"):
        say_warning(str(message))
