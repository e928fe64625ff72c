"""The process around the commands: its streams, the signals that end it, and its exit code.

Nothing is imported here that takes time, so that a process interrupted in its first moment ends as it does later.
"""

from __future__ import annotations

import _thread
import os
import signal
import sys
import threading
from types import FrameType
from typing import Any, Final

from voltphase.cli.exit_codes import BAD_INPUT, BROKEN_PIPE, FAILED, INTERRUPTED
from voltphase.core.errors import MissingLibraryError
from voltphase.core.installed import needing_extras

_SIGNALS: Final = ("SIGINT", "SIGTERM", "SIGHUP")


def main() -> None:
    """Run the command line; exits 2 after one sentence on standard error when something given does not fit."""
    code: Any = FAILED
    received: list[int] = []

    def interrupt(number: int, _: FrameType | None) -> None:
        received.append(number)
        raise KeyboardInterrupt

    # Read when PyTorch is loaded. Its warnings of processes that are gone bring the whole stack.
    os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")
    try:
        _catch(interrupt)
        _open_streams()
        with needing_extras():
            from voltphase.cli.commands import app

        app(prog_name="voltphase")
    except SystemExit as end:
        code = end.code
    except MissingLibraryError as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201
        code = BAD_INPUT
    except BaseException as error:
        # An interruption in the middle of an import may come out as any other error.
        if not received and not isinstance(error, KeyboardInterrupt):
            raise
        print("interrupted", file=sys.stderr)  # noqa: T201
        code = INTERRUPTED
    finally:
        # What is left is the interpreter's own end, which a signal may cut short without a traceback.
        _catch(signal.SIG_DFL, mine=interrupt)
    if code == INTERRUPTED and received:
        code = 128 + received[0]
    sys.exit(_flushed(code))


def _catch(handler: Any, mine: Any = None) -> None:
    """Set the handler of the signals that are at their default, or at ``mine``; those ignored (nohup) stay so."""
    for number in (getattr(signal, name, None) for name in _SIGNALS):
        if number is not None and signal.getsignal(number) in (signal.SIG_DFL, signal.default_int_handler, mine):
            signal.signal(number, handler)
    # Raised where Python can only report it, as in a finaliser, an interruption would be lost.
    sys.unraisablehook = _raise_again if mine is None else sys.__unraisablehook__


def _raise_again(unraisable: Any) -> None:
    if issubclass(unraisable.exc_type, KeyboardInterrupt):
        # A moment later: in here it would be lost again.
        later = threading.Timer(0.02, _thread.interrupt_main)
        later.daemon = True
        later.start()
    else:
        sys.__unraisablehook__(unraisable)


def _open_streams() -> None:
    """Give closed streams a place to go, and characters that a terminal does not know an escape instead of an error."""
    if os.environ.get("COLUMNS") == "0":  # a terminal that does not know its width is not one without any room
        del os.environ["COLUMNS"]
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        stream: Any = getattr(sys, name)
        if stream is None:
            # The lowest free number is the stream's own, which no file that is written later may get.
            setattr(sys, name, os.fdopen(os.open(os.devnull, os.O_RDWR), mode))
        elif mode == "w":
            stream.reconfigure(errors="backslashreplace")


def _flushed(code: Any) -> Any:
    """Write what is still to be written; gives the exit code, which is another if that fails."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        code = code or BROKEN_PIPE
    except OSError as error:
        print(f"error: cannot write the output: {(error.strerror or str(error)).lower()}", file=sys.stderr)  # noqa: T201
        code = code or BAD_INPUT
    else:
        return code
    # Python would try again, and report it.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return code
