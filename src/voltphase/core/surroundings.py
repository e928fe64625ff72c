"""Matplotlib, imported so that neither the environment nor a settings file can break it.

matplotlib takes its default back end from the environment and its settings from a file, and cannot be imported if one
of them is wrong. Figures here are drawn into files and need no window. Whoever imports this module has it ready.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Final

from voltphase.core.dtypes import surely
from voltphase.core.errors import OutputError

_NOBODY: Final = logging.NullHandler()


@contextmanager
def hidden(*names: str) -> Iterator[None]:
    """Hide environment variables, if they are set, while the block runs."""
    kept = {name: os.environ.pop(name) for name in names if name in os.environ}
    try:
        yield
    finally:
        os.environ.update(kept)


@contextmanager
def unheard(*loggers: logging.Logger) -> Iterator[None]:
    """Drop what loggers and those below them have to say while the block runs.

    Their handlers are exchanged and not their levels: a level is set under logging's own lock, and Ctrl-C at the wrong
    moment would leave it taken, so that every thread that logs waits for ever.
    """
    kept = [(logger, logger.handlers, logger.propagate) for logger in loggers]

    def restore() -> None:
        for logger, handlers, propagate in kept:
            logger.handlers, logger.propagate = handlers, propagate

    with surely(restore):
        for logger in loggers:
            logger.handlers, logger.propagate = [_NOBODY], False
        yield


def _import_matplotlib() -> None:
    if "matplotlib" in sys.modules:
        return
    try:
        # Nor what it says of a damaged matplotlibrc, whose settings no figure of ours has, or of the folder for fonts.
        with hidden("MPLBACKEND"), unheard(logging.getLogger("matplotlib")):
            import matplotlib as mpl

            mpl.get_cachedir()  # found once, and kept
    except (OSError, ValueError) as error:
        raise OutputError(
            f"matplotlib cannot be used here ({' '.join(str(error).split()):.200}): let MPLCONFIGDIR name a folder "
            "that can be written, or mend its settings"
        ) from error
    if wanted := os.environ.get("MPLBACKEND"):  # by whoever goes on to draw in a notebook
        with suppress(ValueError):
            mpl.rcParams["backend"] = wanted


_import_matplotlib()
