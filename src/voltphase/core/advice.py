"""Warnings that are said where the user's own code is, and not twice."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from voltphase.core.errors import VoltphaseWarning

_PACKAGE = __name__.partition(".")[0]
_said: ContextVar[set[tuple[object, ...]] | None] = ContextVar("said", default=None)


def advise(message: str, category: type[VoltphaseWarning], *key: object) -> None:
    """Warn, as from the line outside this package that led here; within :func:`once`, only the first time.

    Args:
        message: One sentence: what was given, and what it looks like.
        category: The class of the warning.
        key: What the warning is about, where it may be put in other words a second time; its message by default.
    """
    said, key = _said.get(), (category, *(key or (message,)))
    if said is not None:
        if key in said:
            return
        said.add(key)
    frame, level = sys._getframe(1), 2
    while frame.f_back is not None and frame.f_globals.get("__name__", "").partition(".")[0] == _PACKAGE:
        frame, level = frame.f_back, level + 1
    warnings.warn(message, category, stacklevel=level)


@contextmanager
def once() -> Iterator[None]:
    """Say each warning once while it lasts, however many planes or layers give rise to it."""
    token = _said.set(set()) if _said.get() is None else None
    try:
        yield
    finally:
        if token is not None:
            _said.reset(token)
