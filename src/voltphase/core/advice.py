"""Warnings that point to the user's own code, and are given once."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from voltphase.core.errors import VoltphaseWarning

# Frames of these are between the line of the user and ours: what calls a decorated function, a module or a validator.
_PASSED_OVER = {__name__.partition(".")[0], "contextlib", "functools", "lightning", "pydantic", "torch"}
_said: ContextVar[set[tuple[object, ...]] | None] = ContextVar("said", default=None)


def advise(message: str, category: type[VoltphaseWarning], *key: object) -> None:
    """Warn, as from the line of the user's code that led here; within :func:`once`, only the first time.

    The key is the subject of the warning, if its words may differ the second time; the message by default.
    """
    said, key = _said.get(), (category, *(key or (message,)))
    if said is not None:
        if key in said:
            return
        said.add(key)
    frame, level = sys._getframe(1), 2
    while frame.f_back is not None and frame.f_globals.get("__name__", "").partition(".")[0] in _PASSED_OVER:
        frame, level = frame.f_back, level + 1
    warnings.warn(message, category, stacklevel=level)


@contextmanager
def once() -> Iterator[None]:
    """Give each warning once while the block runs, however many planes or layers cause it."""
    token = _said.set(set()) if _said.get() is None else None
    try:
        yield
    finally:
        if token is not None:
            _said.reset(token)
