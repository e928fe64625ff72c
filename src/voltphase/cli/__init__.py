"""The command line: ``voltphase train``, ``deploy``, ``verify`` and the rest."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from voltphase.cli.process import main

if TYPE_CHECKING:
    from voltphase.cli.commands import app

__all__ = ["app", "main"]


def __getattr__(name: str) -> Any:
    # Loaded when asked for: until then Ctrl-C finds next to nothing to interrupt, and `main` in charge.
    if name == "app":
        from voltphase.cli.commands import app

        return app
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
