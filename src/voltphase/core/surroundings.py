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

from voltphase.core.errors import OutputError


@contextmanager
def hidden(*names: str) -> Iterator[None]:
    """Hide environment variables, if they are set, while the block runs."""
    kept = {name: os.environ.pop(name) for name in names if name in os.environ}
    try:
        yield
    finally:
        os.environ.update(kept)


def _import_matplotlib() -> None:
    if "matplotlib" in sys.modules:
        return
    logger = logging.getLogger("matplotlib")
    level = logger.level
    # What it says of a damaged matplotlibrc, whose settings no figure of ours has, or of the folder for its fonts.
    logger.setLevel(logging.ERROR)
    try:
        with hidden("MPLBACKEND"):
            import matplotlib as mpl

            mpl.get_cachedir()  # found once, and kept
    except (OSError, ValueError) as error:
        raise OutputError(
            f"matplotlib cannot be used here ({' '.join(str(error).split()):.200}): let MPLCONFIGDIR name a folder "
            "that can be written, or mend its settings"
        ) from error
    finally:
        logger.setLevel(level)
    if wanted := os.environ.get("MPLBACKEND"):  # by whoever goes on to draw in a notebook
        with suppress(ValueError):
            mpl.rcParams["backend"] = wanted


_import_matplotlib()
